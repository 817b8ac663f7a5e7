//! What a script expects of an evaluation, and whether it got it.

use regex::Regex;
use vervet_model::Labels;
use vervet_promql::notation::{Point, parse_number};
use vervet_promql::{HistogramSeries, NativeHistogram, QueryError, QueryOutput, Series, Value};

use crate::script::{When, parse_millis, unquote};
use crate::series::{SeriesLine, parse_line};

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
            let floats: Vec<Series> = vector
                .iter()
                .map(|element| Series {
                    labels: element.labels.clone(),
                    samples: vec![element.sample],
                })
                .collect();
            if expected.ordered {
                check_order(expected, &floats)?;
            }
            check_series(expected, &joined(&floats, &output.histograms), at, 1)
        }
        (Value::Matrix(got), When::Instant(_)) => match expected.range_vector {
            Some((start, step)) => {
                check_series(expected, &joined(got, &output.histograms), start, step)
            }
            None => Err("got a range vector".to_owned()),
        },
        (Value::Matrix(got), When::Range { start, step, .. }) => {
            check_series(expected, &joined(got, &output.histograms), start, step)
        }
        (Value::Vector(_), When::Range { .. }) => Err("got an instant vector".to_owned()),
    }
}

/// Checks the values at one time of a range query.
pub(crate) fn check_middle(
    expected: &Expectation,
    at: i64,
    output: &QueryOutput,
) -> Result<(), String> {
    let Value::Matrix(matrix) = &output.value else {
        return Err("no range vector".to_owned());
    };
    let mut got = joined(matrix, &output.histograms);
    for series in &mut got {
        series.points.retain(|(time, _)| *time == at);
    }
    got.retain(|series| !series.points.is_empty());
    match (
        expected.scalar,
        got.first().and_then(|series| series.points.first()),
    ) {
        (Some(_), Some((_, Point::Float(value)))) => check_scalar(expected, *value),
        _ => check_series(expected, &got, at, 1),
    }
}

/// Floats and histograms of one label set, in the order of time.
struct Got {
    labels: Labels,
    points: Vec<(i64, Point)>,
}

fn joined(floats: &[Series], histograms: &[HistogramSeries]) -> Vec<Got> {
    let mut all: Vec<Got> = floats
        .iter()
        .map(|series| Got {
            labels: series.labels.clone(),
            points: series
                .samples
                .iter()
                .map(|sample| (sample.timestamp, Point::Float(sample.value)))
                .collect(),
        })
        .collect();
    for series in histograms {
        let points = series.samples.iter().map(|sample| {
            (
                sample.timestamp,
                Point::Histogram(NativeHistogram::clone(&sample.histogram)),
            )
        });
        match all.iter_mut().find(|got| got.labels == series.labels) {
            Some(got) => {
                got.points.extend(points);
                got.points.sort_by_key(|(time, _)| *time);
            }
            None => all.push(Got {
                labels: series.labels.clone(),
                points: points.collect(),
            }),
        }
    }
    all
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

fn check_series(expected: &Expectation, got: &[Got], start: i64, step: i64) -> Result<(), String> {
    if expected.scalar.is_some() || expected.text.is_some() {
        return Err(format!("got {}", shown(got)));
    }
    let mut left: Vec<&Got> = got.iter().collect();
    for line in &expected.series {
        let wanted: Vec<(i64, &Point)> = (0_i64..)
            .zip(&line.points)
            .filter(|(_, point)| **point != Point::Missing)
            .map(|(index, point)| (start + index * step, point))
            .collect();
        let index = left.iter().position(|series| series.labels == line.labels);
        let points = index.map_or(&[][..], |index| &left[index].points);
        let same = points.len() == wanted.len()
            && points
                .iter()
                .zip(&wanted)
                .all(|((got_time, got), (time, wanted))| {
                    got_time == time && same_point(wanted, got)
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

fn same_point(wanted: &Point, got: &Point) -> bool {
    match (wanted, got) {
        (Point::Float(wanted), Point::Float(got)) => nearly_equal(*wanted, *got),
        (Point::Histogram(wanted), Point::Histogram(got)) => same_histogram(wanted, got),
        _ => false,
    }
}

/// Compares all but the counter reset hint, which is no observation.
fn same_histogram(wanted: &NativeHistogram, got: &NativeHistogram) -> bool {
    let same_buckets = |wanted: &[(i32, f64)], got: &[(i32, f64)]| {
        wanted.len() == got.len()
            && wanted
                .iter()
                .zip(got)
                .all(|(wanted, got)| wanted.0 == got.0 && nearly_equal(wanted.1, got.1))
    };
    wanted.schema == got.schema
        && wanted.custom_bounds == got.custom_bounds
        && nearly_equal(wanted.zero_threshold, got.zero_threshold)
        && nearly_equal(wanted.zero_count, got.zero_count)
        && nearly_equal(wanted.count, got.count)
        && nearly_equal(wanted.sum, got.sum)
        && same_buckets(&wanted.positive, &got.positive)
        && same_buckets(&wanted.negative, &got.negative)
}

fn shown(got: &[Got]) -> String {
    let point = |(time, point): &(i64, Point)| match point {
        Point::Float(value) => format!("{value}@{time}"),
        other => format!("{other:?}@{time}"),
    };
    let one = |series: &Got| {
        let points: Vec<String> = series.points.iter().take(8).map(point).collect();
        format!("{} {}", series.labels, points.join(" "))
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
