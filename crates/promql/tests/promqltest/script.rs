//! Reads a script line by line and evaluates it.

use std::time::Duration;

use vervet_model::UnixMillis;
use vervet_promql::notation::{parse_number, parse_string, placed};
use vervet_promql::{Engine, EngineOptions, Features, SeriesStore, StartTime};

use crate::check::{self, Expectation};
use crate::classic::Classic;
use crate::series::parse_line;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failures: Vec<String>,
}

/// When a query is evaluated (milliseconds).
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

pub(crate) fn run(text: &str) -> Tally {
    let lines: Vec<&str> = text.lines().collect();
    let mut runner = Runner {
        engine: Engine::new(EngineOptions {
            features: Features {
                // The scripts' counters are known by their names.
                type_and_unit_labels: false,
                ..Features::all()
            },
            ..EngineOptions::default()
        }),
        storage: SeriesStore::default(),
        tally: Tally::default(),
    };
    let mut index = 0;
    while index < lines.len() {
        let head = lines[index].trim();
        let from = index + 1;
        index = from;
        // A command's block ends at an empty line or at the next command.
        while index < lines.len()
            && !lines[index].trim().is_empty()
            && lines[index].starts_with([' ', '\t', '#'])
        {
            index += 1;
        }
        let block: Vec<&str> = lines[from..index]
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        runner.command(head, &block, from);
    }
    runner.tally
}

struct Runner {
    engine: Engine,
    storage: SeriesStore,
    tally: Tally,
}

impl Runner {
    fn command(&mut self, head: &str, block: &[&str], line: usize) {
        let (word, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
        match word {
            "" => {}
            _ if word.starts_with('#') => {}
            "clear" => self.storage = SeriesStore::default(),
            "load" => self.load(rest, block, line, false),
            "load_with_nhcb" => self.load(rest, block, line, true),
            "eval" | "eval_fail" | "eval_warn" | "eval_info" | "eval_ordered" => {
                match self.eval(word, rest, block) {
                    Ok(()) => self.tally.passed += 1,
                    Err(reason) => self
                        .tally
                        .failures
                        .push(format!("{line}: {rest}: {reason}")),
                }
            }
            _ => self
                .tally
                .failures
                .push(format!("{line}: unknown command {head:?}")),
        }
    }

    fn load(&mut self, step: &str, block: &[&str], line: usize, convert: bool) {
        let step = parse_millis(step.trim()).expect("load has a step");
        let mut classic = Classic::default();
        for series in block {
            match parse_line(series) {
                Ok(series) if series.starts.is_some() => {
                    let offsets = series.starts.unwrap_or_default();
                    self.storage
                        .add_starts(series.labels, begun(&offsets, step));
                }
                Ok(series) => {
                    let (samples, histograms) = placed(&series.points, 0, step);
                    if convert {
                        classic.add(&series.labels, &samples);
                    }
                    self.storage.add(series.labels, samples, histograms);
                }
                Err(reason) => {
                    self.tally
                        .failures
                        .push(format!("{line}: load {series:?}: {reason}"));
                }
            }
        }
        for (labels, histograms) in classic.converted() {
            self.storage.add(labels, Vec::new(), histograms);
        }
    }

    fn eval(&self, word: &str, rest: &str, block: &[&str]) -> Result<(), String> {
        let (when, query) = parse_when(rest)?;
        let expected = Expectation::parse(word, block)?;
        let output = match when {
            When::Instant(at) => self.engine.instant(&self.storage, query, UnixMillis(at)),
            When::Range { start, end, step } => self.range(query, start, end, step),
        };
        check::check(&expected, when, &output)?;
        // What is true of one moment is true of that moment within a range.
        if let (When::Instant(at), Ok(output)) = (when, &output)
            && expected.holds_within_range(&output.value)
            && !["start()", "end()", "range()", "step()"]
                .iter()
                .any(|word| query.contains(word))
        {
            let range = self.range(query, at - 60_000, at + 60_000, 60_000);
            let range = range.map_err(|error| format!("as a range query: {error}"))?;
            check::check_middle(&expected, at, &range)
                .map_err(|reason| format!("as a range query: {reason}"))?;
        }
        Ok(())
    }

    fn range(
        &self,
        query: &str,
        start: i64,
        end: i64,
        step: i64,
    ) -> Result<vervet_promql::QueryOutput, vervet_promql::QueryError> {
        let step = Duration::from_millis(u64::try_from(step).expect("steps are positive"));
        self.engine.range(
            &self.storage,
            query,
            UnixMillis(start),
            UnixMillis(end),
            step,
        )
    }
}

/// When counters began, as of samples at multiples of the step.
fn begun(offsets: &[Option<i64>], step: i64) -> Vec<StartTime> {
    let at = |(index, offset): (i64, &Option<i64>)| {
        let timestamp = index * step;
        let start = timestamp + (*offset)?;
        Some(StartTime { timestamp, start })
    };
    (0_i64..).zip(offsets).filter_map(at).collect()
}

/// Splits `instant at 5m query` or `range from 0 to 5m step 1m query`.
fn parse_when(text: &str) -> Result<(When, &str), String> {
    let mut rest = text;
    let mut next = || {
        let trimmed = rest.trim_start();
        let (word, after) = trimmed
            .split_once(char::is_whitespace)
            .unwrap_or((trimmed, ""));
        rest = after;
        word
    };
    let when = match next() {
        "instant" => {
            next();
            When::Instant(parse_millis(next())?)
        }
        "range" => {
            next();
            let start = parse_millis(next())?;
            next();
            let end = parse_millis(next())?;
            next();
            let step = parse_millis(next())?;
            When::Range { start, end, step }
        }
        other => return Err(format!("unknown kind of evaluation {other:?}")),
    };
    Ok((when, rest.trim()))
}

/// A duration such as `1h30m` or a number of seconds, in milliseconds.
pub(crate) fn parse_millis(text: &str) -> Result<i64, String> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if let Ok(seconds) = parse_number(rest) {
        return Ok(whole(sign * seconds * 1000.0));
    }
    let mut millis = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|next: char| next.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let number = parse_number(&rest[..digits])?;
        rest = &rest[digits..];
        let unit_end = rest
            .find(|next: char| next.is_ascii_digit())
            .unwrap_or(rest.len());
        millis += number
            * match &rest[..unit_end] {
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3600e3,
                "d" => 86_400e3,
                "w" => 604_800e3,
                "y" => 31_536_000e3,
                unit => return Err(format!("unknown unit {unit:?} in {text:?}")),
            };
        rest = &rest[unit_end..];
    }
    Ok(whole(sign * millis))
}

fn whole(millis: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "times in scripts are small"
    )]
    let whole = millis.round() as i64;
    whole
}

/// The content of a quoted text.
pub(crate) fn unquote(text: &str) -> Result<String, String> {
    parse_string(text.trim()).map(|(content, _)| content)
}
