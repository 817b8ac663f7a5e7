//! What the receiving side remembers: which batches it has taken, and every line in them.
//!
//! It outlives the server in front of it, as a collector's store outlives the process. What is a repeat, is acknowledged
//! and not counted again, [`vervet_wire::Source::is_repeat`] decides, for the collector as well. Batches of one agent come in lanes, so
//! lines are put in order by the sequence of their batch, not by their arrival.

use std::collections::HashMap;

use parking_lot::Mutex;
use vervet_model::Signal;
use vervet_wire::otlp::{Value, for_each_log};
use vervet_wire::{Accepted, OtlpRequest, Refusal};

use crate::line::{self, Line, Text};
use crate::shape::{Part, Shape};

/// Texts kept that are no line.
const FOREIGN_MAX: usize = 1_000;
/// Examples kept of each kind of finding.
const EXAMPLES_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Ledger {
    /// How lines stand in the bodies of records.
    shape: Shape,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    highest: HashMap<(String, u8), u64>,
    /// Checksums of the bodies by identity, signal and sequence: a repeat must be one.
    bodies: HashMap<(String, u8, u64), u32>,
    writers: Vec<Page>,
    headers: HashMap<usize, u64>,
    requests: u64,
    repeats: u64,
    records: u64,
    /// Lines beside the first of their record.
    joined: u64,
    /// Records that begin within a trace.
    halves: u64,
    /// Texts that are no line, the first [`FOREIGN_MAX`].
    foreign: Vec<String>,
    foreign_count: u64,
    /// Lines that came after a later one of the same file: in another lane, or wrongly.
    late: u64,
    changed_repeats: Findings,
}

/// Where a line stands in what the agent has sent: sequence of the batch, and number in it.
type Place = (u64, u64);

/// One writer's lines.
#[derive(Debug, Default)]
struct Page {
    /// How often each number came.
    times: Vec<u8>,
    /// Place and number of what came of each generation, as it came.
    generations: HashMap<u32, Vec<(Place, u64)>>,
}

/// How often something was found, and the first of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

/// What the ledger says of the lines written.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) lost: Findings,
    pub(crate) duplicated: Findings,
    /// Lost, and among those that may be.
    pub(crate) lost_at_risk: u64,
    /// Records that are the beginning of a line at risk: it was cut while it was read.
    pub(crate) torn_at_risk: u64,
    /// Texts that nobody wrote.
    pub(crate) foreign: Findings,
    /// Lines after a later one of the same file.
    pub(crate) reordered: Findings,
    /// A sequence that came twice with different contents.
    pub(crate) changed_repeats: Findings,
    /// Lines that arrived after a later one of the same file, in whatever lane.
    pub(crate) late: u64,
    /// Records taken, all kinds.
    pub(crate) records: u64,
    /// Lines beside the first of their record.
    pub(crate) joined: u64,
    /// Records that begin within a trace.
    pub(crate) halves: u64,
    pub(crate) requests: u64,
    pub(crate) repeats: u64,
}

/// One writer's lines, as it wrote them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) writer: usize,
    /// Which of the receivers reads them.
    pub(crate) receiver: usize,
    /// The first number of each generation.
    pub(crate) generations: Vec<u64>,
    pub(crate) lines: u64,
    pub(crate) headers: u64,
    /// Numbers that may be lost by what the scenario does to the file.
    pub(crate) at_risk: Vec<std::ops::Range<u64>>,
}

impl Findings {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

impl Written {
    pub(crate) fn of(writer: usize) -> Self {
        Self {
            writer,
            generations: vec![0],
            ..Self::default()
        }
    }

    fn name(&self, number: u64) -> String {
        let generation = self.line(number).generation;
        format!("w{} g{generation} n{number}", self.writer)
    }

    /// Whether the text is the beginning of a line at risk.
    fn was_cut(&self, text: &str) -> bool {
        // The last character may be cut, too.
        let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let at_risk = self.at_risk.iter().cloned().flatten();
        at_risk
            .map(|number| self.line(number))
            .any(|line| line.text().starts_with(text))
    }

    fn line(&self, number: u64) -> Line {
        let after = self.generations.iter().filter(|first| **first <= number);
        Line {
            writer: self.writer,
            generation: u32::try_from(after.count().saturating_sub(1)).unwrap(),
            number,
        }
    }

    fn may_lose(&self, number: u64) -> bool {
        self.at_risk.iter().any(|range| range.contains(&number))
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl Ledger {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            pages: Mutex::default(),
        }
    }

    /// Takes a request as a collector does.
    pub(crate) fn take(&self, request: &OtlpRequest) -> Result<Accepted, Refusal> {
        let mut pages = self.pages.lock();
        pages.requests += 1;
        if let Some(source) = &request.source {
            let signal = request.signal as u8;
            let sum = crc32c::crc32c(&request.body);
            let body = (source.agent().to_owned(), signal, source.sequence);
            let known = *pages.bodies.entry(body).or_insert(sum);
            if known != sum {
                pages.changed_repeats.add(|| format!("{source:?}"));
            }
            let highest = |id: &str| pages.highest.get(&(id.to_owned(), signal)).copied();
            if source.is_repeat(|id| highest(id).unwrap_or(0)) {
                pages.repeats += 1;
                return Ok(Accepted::default());
            }
            let key = (source.agent_id.clone(), signal);
            pages.highest.insert(key, source.sequence);
        }
        if request.signal == Signal::Logs {
            let mut place = (
                request.source.as_ref().map_or(0, |source| source.sequence),
                0,
            );
            for_each_log(&request.body, |_resource, _scope, record| {
                place.1 += 1;
                pages.count(self.shape, &record.body, place);
            })
            .map_err(|error| Refusal::Invalid(error.to_string()))?;
        }
        Ok(Accepted::default())
    }

    /// Whether a line of that file has come.
    pub(crate) fn knows(&self, writer: usize, generation: u32) -> bool {
        let pages = self.pages.lock();
        let page = pages.writers.get(writer);
        page.is_some_and(|page| page.generations.contains_key(&generation))
    }

    /// Whether all of a writer's lines before that one have come.
    pub(crate) fn has_all_below(&self, writer: usize, number: u64) -> bool {
        let pages = self.pages.lock();
        let below = usize::try_from(number).unwrap();
        let times = pages
            .writers
            .get(writer)
            .and_then(|page| page.times.get(..below));
        times.is_some_and(|times| times.iter().all(|times| *times > 0))
    }

    /// Whether everything has come that must not be lost.
    pub(crate) fn has_all(&self, written: &[Written]) -> bool {
        let pages = self.pages.lock();
        written.iter().all(|written| {
            let page = pages.writers.get(written.writer);
            let times = page.map_or(&[][..], |page| &page.times);
            let mut from = 0;
            // The ranges at risk are in order; between them nothing may be absent.
            let safe = written.at_risk.iter().map(|range| {
                let safe = from..range.start;
                from = range.end;
                safe
            });
            let mut safe: Vec<_> = safe.collect();
            safe.push(from..written.lines);
            let headers = pages.headers.get(&written.writer).copied().unwrap_or(0);
            headers >= written.headers
                && safe.into_iter().all(|range| {
                    let range = index(range.start)..index(range.end);
                    let times = times.get(range.clone());
                    times.is_some_and(|times| times.iter().all(|times| *times > 0))
                        || range.is_empty()
                })
        })
    }

    pub(crate) fn records(&self) -> u64 {
        self.pages.lock().records
    }

    pub(crate) fn verdict(&self, written: &[Written]) -> Verdict {
        let pages = self.pages.lock();
        let mut verdict = Verdict {
            late: pages.late,
            changed_repeats: pages.changed_repeats.clone(),
            records: pages.records,
            joined: pages.joined,
            halves: pages.halves,
            requests: pages.requests,
            repeats: pages.repeats,
            ..Verdict::default()
        };
        let (torn, foreign): (Vec<_>, Vec<_>) = pages
            .foreign
            .iter()
            .partition(|text| written.iter().any(|written| written.was_cut(text)));
        verdict.torn_at_risk = torn.len() as u64;
        for text in foreign {
            let example = || text.chars().take(160).collect();
            verdict.foreign.add(example);
        }
        verdict.foreign.count += pages.foreign_count - pages.foreign.len() as u64;
        for of_writer in written {
            let page = pages.writers.get(of_writer.writer);
            let times = page.map_or(&[][..], |page| &page.times);
            verdict.check(of_writer, times);
            for lines in page.iter().flat_map(|page| page.generations.values()) {
                verdict.check_order(of_writer, lines);
            }
            let headers = pages.headers.get(&of_writer.writer).copied().unwrap_or(0);
            for _ in headers..of_writer.headers {
                verdict.lost.add(|| format!("w{} header", of_writer.writer));
            }
            for _ in of_writer.headers..headers {
                verdict
                    .duplicated
                    .add(|| format!("w{} header", of_writer.writer));
            }
        }
        verdict
    }
}

impl Pages {
    fn count(&mut self, shape: Shape, body: &Value<'_>, place: Place) {
        self.records += 1;
        let lines = shape.lines_of(body.as_str().unwrap_or_default());
        self.joined += lines.len() as u64 - 1;
        self.halves += u64::from(matches!(lines.first(), Some((Part::Frame, _))));
        for (_, text) in lines {
            self.count_text(text, place);
        }
    }

    fn count_text(&mut self, text: &str, place: Place) {
        match line::read(text) {
            Text::Line(line) => self.count_line(line, place),
            Text::Header(writer) => *self.headers.entry(writer).or_default() += 1,
            Text::Foreign => {
                self.foreign_count += 1;
                if self.foreign.len() < FOREIGN_MAX {
                    self.foreign.push(text.to_owned());
                }
            }
        }
    }

    fn count_line(&mut self, line: Line, place: Place) {
        if self.writers.len() <= line.writer {
            self.writers.resize_with(line.writer + 1, Page::default);
        }
        let page = &mut self.writers[line.writer];
        let number = index(line.number);
        if page.times.len() <= number {
            page.times.resize(number + 1, 0);
        }
        page.times[number] = page.times[number].saturating_add(1);
        let lines = page.generations.entry(line.generation).or_default();
        self.late += u64::from(lines.last().is_some_and(|(_, last)| line.number < *last));
        lines.push((place, line.number));
    }
}

impl Verdict {
    /// In the order of their places, the numbers of one file's lines only grow.
    fn check_order(&mut self, written: &Written, lines: &[(Place, u64)]) {
        let mut by_place = lines.to_vec();
        by_place.sort_unstable();
        for pair in by_place.windows(2) {
            let [(_, before), (place, number)] = pair else {
                continue;
            };
            if number < before {
                let name = written.name(*number);
                self.reordered
                    .add(|| format!("{name} at {place:?} after n{before}"));
            }
        }
    }

    fn check(&mut self, written: &Written, times: &[u8]) {
        for number in 0..written.lines {
            let times = usize::try_from(number).ok().and_then(|at| times.get(at));
            match times.copied().unwrap_or(0) {
                0 if written.may_lose(number) => self.lost_at_risk += 1,
                0 => self.lost.add(|| written.name(number)),
                1 => {}
                times => self
                    .duplicated
                    .add(|| format!("{} {times} times", written.name(number))),
            }
        }
        let beyond = index(written.lines);
        for _ in times.iter().skip(beyond).filter(|times| **times > 0) {
            self.foreign
                .add(|| format!("w{}: a line after the last", written.writer));
        }
    }
}
