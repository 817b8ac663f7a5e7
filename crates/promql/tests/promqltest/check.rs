//! What a script expects of an evaluation, and whether it got it.

use regex::Regex;
use vervet_model::Labels;
use vervet_promql::{QueryError, QueryOutput, Sample, Series, Value};

use crate::script::{When, parse_millis, unquote};
use crate::series::{Point, SeriesLine, parse_line, parse_number};

/// Relative difference that still counts as equal.
const TOLERANCE: f64 = 1e-6;

#[derive(Debug)]
enum Text {
    Any,
    Exact(String),
    Pattern(Regex),
}

impl Text {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(exact) = text.strip_prefix("msg:") {
            return Ok(Self::Exact(exact.trim().to_owned()));
        }
        if let Some(pattern) = text.strip_prefix("regex:") {
            return Regex::new(pattern.trim())
                .map(Self::Pattern)
                .map_err(|error| error.to_string());
        }
        Ok(Self::Any)
    }

    fn accepts(&self, actual: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => actual == exact,
            Self::Pattern(pattern) => pattern.is_match(actual),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Expectation {
    fail: Option<Text>,
    warnings: Vec<Text>,
    infos: Vec<Text>,
    no_warnings: bool,
    no_infos: bool,
    ordered: bool,
    text: Option<String>,
    scalar: Option<f64>,
    series: Vec<SeriesLine>,
    /// Start and step of the samples of a range vector (milliseconds).
    range_vector: Option<(i64, i64)>,
}

impl Expectation {
    pub(crate) fn parse(command: &str, block: &[&str]) -> Result<Self, String> {
        let mut expected = Self {
            ordered: command == "eval_ordered",
            ..Self::default()
        };
        match command {
            "eval_fail" => expected.fail = Some(Text::Any),
            "eval_warn" => expected.warnings.push(Text::Any),
            "eval_info" => expected.infos.push(Text::Any),
            _ => {}
        }
        for line in block {
            if let Some(rest) = line.strip_prefix("expect ") {
                expected.parse_expect(rest.trim())?;
            } else if let Some(text) = line.strip_prefix("expected_fail_message") {
                expected.fail = Some(Text::Exact(text.trim().to_owned()));
            } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
                expected.fail = Some(Text::parse(&format!("regex:{pattern}"))?);
            } else if let Ok(scalar) = parse_number(line) {
                expected.scalar = Some(scalar);
            } else {
                expected.series.push(parse_line(line)?);
            }
        }
        Ok(expected)
    }

    fn parse_expect(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match word {
            "fail" => self.fail = Some(Text::parse(rest)?),
            "warn" => self.warnings.push(Text::parse(rest)?),
            "info" => self.infos.push(Text::parse(rest)?),
            "no_warn" => self.no_warnings = true,
            "no_info" => self.no_infos = true,
            "ordered" => self.ordered = true,
            "string" => self.text = Some(unquote(rest)?),
            "range" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let after = |word: &str| {
                    let index = words.iter().position(|other| *other == word);
                    index
                        .and_then(|index| words.get(index + 1))
                        .ok_or_else(|| format!("no {word:?} in {rest:?}"))
                };
                self.range_vector =
                    Some((parse_millis(after("from")?)?, parse_millis(after("step")?)?));
            }
            _ => return Err(format!("unknown expectation {text:?}")),
        }
        Ok(())
    }

    /// Whether the expectation also holds for the same moment of a range query.
    pub(crate) fn holds_within_range(&self, value: &Value) -> bool {
        !self.ordered && matches!(value, Value::Scalar(_) | Value::Vector(_))
    }
}

pub(crate) fn check(
    expected: &Expectation,
    when: When,
    output: &Result<QueryOutput, QueryError>,
) -> Result<(), String> {
    let output = match (output, &expected.fail) {
        (Err(error), Some(text)) => {
            let actual = error.to_string();
            return if matches!(error, QueryError::Unsupported { .. }) || !text.accepts(&actual) {
                Err(format!("fails with {actual:?}, expected {text:?}"))
            } else {
                Ok(())
            };
        }
        (Err(error), None) => return Err(error.to_string()),
        (Ok(_), Some(_)) => return Err("succeeds, a failure was expected".to_owned()),
        (Ok(output), None) => output,
    };
    check_notes(
        "warning",
        &expected.warnings,
        expected.no_warnings,
        &output.warnings,
    )?;
    check_notes("info", &expected.infos, expected.no_infos, &output.infos)?;
    match (&output.value, when) {
        (Value::Scalar(sample), _) => check_scalar(expected, sample.value),
        (Value::String { value, .. }, _) if Some(value) == expected.text.as_ref() => Ok(()),
        (Value::String { value, .. }, _) => {
            Err(format!("got {value:?}, expected {:?}", expected.text))
        }
        (Value::Vector(vector), When::Instant(at)) => {
            let got: Vec<Series> = vector
                .iter()
                .map(|element| Series {
                    labels: element.labels.clone(),
                    samples: vec![element.sample],
                })
                .collect();
            if expected.ordered {
                check_order(expected, &got)?;
            }
            check_series(expected, &got, at, 1)
        }
        (Value::Matrix(got), When::Instant(_)) => match expected.range_vector {
            Some((start, step)) => check_series(expected, got, start, step),
            None => Err("got a range vector".to_owned()),
        },
        (Value::Matrix(got), When::Range { start, step, .. }) => {
            check_series(expected, got, start, step)
        }
        (Value::Vector(_), When::Range { .. }) => Err("got an instant vector".to_owned()),
    }
}

/// Checks the values at one time of a range query.
pub(crate) fn check_middle(expected: &Expectation, at: i64, value: &Value) -> Result<(), String> {
    let Value::Matrix(matrix) = value else {
        return Err("no range vector".to_owned());
    };
    let mut got = matrix.clone();
    for series in &mut got {
        series.samples.retain(|sample| sample.timestamp == at);
    }
    got.retain(|series| !series.samples.is_empty());
    match (
        expected.scalar,
        got.first().and_then(|series| series.samples.first()),
    ) {
        (Some(_), Some(sample)) => check_scalar(expected, sample.value),
        _ => check_series(expected, &got, at, 1),
    }
}

fn check_notes(kind: &str, wanted: &[Text], none: bool, got: &[String]) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("unexpected {kind}: {got:?}"));
    }
    let missing = wanted
        .iter()
        .find(|text| !got.iter().any(|note| text.accepts(note)));
    match missing {
        Some(text) => Err(format!("no {kind} {text:?}, got {got:?}")),
        None => Ok(()),
    }
}

fn check_scalar(expected: &Expectation, got: f64) -> Result<(), String> {
    match expected.scalar {
        Some(wanted) if nearly_equal(wanted, got) => Ok(()),
        wanted => Err(format!("got {got}, expected {wanted:?}")),
    }
}

fn check_order(expected: &Expectation, got: &[Series]) -> Result<(), String> {
    let labels = |got: &[Series]| {
        got.iter()
            .map(|series| series.labels.clone())
            .collect::<Vec<Labels>>()
    };
    let wanted: Vec<Labels> = expected
        .series
        .iter()
        .map(|line| line.labels.clone())
        .collect();
    if labels(got) == wanted {
        Ok(())
    } else {
        Err(format!(
            "got the order {:?}, expected {wanted:?}",
            labels(got)
        ))
    }
}

fn check_series(
    expected: &Expectation,
    got: &[Series],
    start: i64,
    step: i64,
) -> Result<(), String> {
    if expected.scalar.is_some() || expected.text.is_some() {
        return Err(format!("got {}", shown(got)));
    }
    let mut left: Vec<&Series> = got.iter().collect();
    for line in &expected.series {
        let wanted: Vec<(i64, Point)> = (0_i64..)
            .zip(&line.points)
            .filter(|(_, point)| **point != Point::Missing)
            .map(|(index, point)| (start + index * step, *point))
            .collect();
        let index = left.iter().position(|series| series.labels == line.labels);
        let samples = index.map_or(&[][..], |index| &left[index].samples);
        let same = samples.len() == wanted.len()
            && samples.iter().zip(&wanted).all(|(sample, (timestamp, point))| {
                sample.timestamp == *timestamp
                    && matches!(point, Point::Float(value) if nearly_equal(*value, sample.value))
            });
        if !same {
            return Err(format!(
                "expected {} {:?}, got {}",
                line.labels,
                line.points,
                shown(got)
            ));
        }
        if let Some(index) = index {
            left.swap_remove(index);
        }
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("got more than expected: {}", shown(got)))
    }
}

fn shown(got: &[Series]) -> String {
    let value = |sample: &Sample| format!("{}@{}", sample.value, sample.timestamp);
    let one = |series: &Series| {
        let values: Vec<String> = series.samples.iter().take(8).map(value).collect();
        format!("{} {}", series.labels, values.join(" "))
    };
    let all: Vec<String> = got.iter().take(8).map(one).collect();
    format!("[{}]", all.join("; "))
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
