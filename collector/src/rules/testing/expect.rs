//! What a test expects beside what came, and how the two differ.

use std::collections::BTreeMap;

use vervet_alerting::FiringAlert;
use vervet_alerting::rule_test::{AlertTest, ExpectedAlert, ExpectedSample, ExprTest};
use vervet_model::Labels;
use vervet_promql::notation::{Point, histogram_text, parse_points, parse_series};
use vervet_promql::{NativeHistogram, ResetHint, ValueText};

use super::bench::Element;

/// Longer texts are told line by line without being compared.
const DIFF_LINES_MAX: usize = 2_000;
const INDENT: &str = "            ";

/// Two lists of things, each thing written in lines.
pub(super) struct Outcome {
    is_equal: bool,
    expected: Vec<String>,
    got: Vec<String>,
}

impl Outcome {
    pub(super) fn of_alerts(test: &AlertTest, firing: Vec<FiringAlert>) -> Self {
        let mut expected = test.expected.clone();
        for alert in &mut expected {
            // The label that every alert has, and no one writes down.
            let name = test.alertname.clone();
            alert.labels.insert("alertname".to_owned(), name);
        }
        let plain = |alert: FiringAlert| ExpectedAlert {
            labels: map(&alert.labels),
            annotations: alert.annotations,
        };
        let mut got: Vec<ExpectedAlert> = firing.into_iter().map(plain).collect();
        expected.sort();
        got.sort();
        Self {
            is_equal: expected == got,
            expected: expected.iter().flat_map(alert_lines).collect(),
            got: got.iter().flat_map(alert_lines).collect(),
        }
    }

    /// # Errors
    /// What is expected cannot be read.
    pub(super) fn of_samples(
        test: &ExprTest,
        mut got: Vec<Element>,
        fuzzy: bool,
    ) -> Result<Self, String> {
        let expected = test.expected.iter().map(element);
        let mut expected = expected.collect::<Result<Vec<_>, _>>()?;
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        let pairs = || expected.iter().zip(&got);
        let is_equal = expected.len() == got.len() && pairs().all(|(a, b)| are_equal(a, b, fuzzy));
        Ok(Self {
            is_equal,
            expected: expected.iter().map(element_line).collect(),
            got: got.iter().map(element_line).collect(),
        })
    }

    /// What differs, in lines; `None` when nothing does.
    pub(super) fn difference(&self, as_diff: bool) -> Option<String> {
        if self.is_equal {
            return None;
        }
        if as_diff {
            let lines = diff(&self.expected, &self.got).into_iter();
            let lines = lines.map(|(mark, line)| format!("{INDENT}{mark} {line}\n"));
            return Some(format!(
                "        diff (- expected, + got):\n{}",
                lines.collect::<String>()
            ));
        }
        let block = |lines: &[String]| match lines {
            [] => format!("{INDENT}nothing\n"),
            lines => lines
                .iter()
                .map(|line| format!("{INDENT}{line}\n"))
                .collect(),
        };
        let (expected, got) = (block(&self.expected), block(&self.got));
        Some(format!("        exp:\n{expected}        got:\n{got}"))
    }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    let pairs = labels.iter();
    pairs
        .map(|label| (label.name.to_string(), label.value.to_string()))
        .collect()
}

fn alert_lines(alert: &ExpectedAlert) -> Vec<String> {
    let line = |kind: &str, (name, text): (&String, &String)| format!("  {kind} {name}: {text:?}");
    let labels = alert.labels.iter().map(|pair| line("label", pair));
    let annotations = alert
        .annotations
        .iter()
        .map(|pair| line("annotation", pair));
    let head = std::iter::once("alert".to_owned());
    head.chain(labels).chain(annotations).collect()
}

fn element(sample: &ExpectedSample) -> Result<Element, String> {
    let of_labels = |reason: String| format!("labels {:?}: {reason}", sample.labels);
    let (labels, rest) = parse_series(&sample.labels).map_err(of_labels)?;
    if !rest.trim().is_empty() {
        return Err(of_labels(format!("unexpected {:?}", rest.trim())));
    }
    let histogram = match sample.histogram.as_str() {
        "" => None,
        text => {
            let points = parse_points(text).map_err(|reason| format!("histogram: {reason}"))?;
            match <[Point; 1]>::try_from(points) {
                Ok([Point::Histogram(histogram)]) => Some(histogram.into()),
                _ => return Err(format!("{text:?} is not one histogram")),
            }
        }
    };
    Ok(Element {
        labels,
        value: if histogram.is_some() {
            0.0
        } else {
            sample.value
        },
        histogram,
    })
}

fn element_line(element: &Element) -> String {
    let value = match &element.histogram {
        Some(histogram) => histogram_text(histogram),
        None => ValueText::default().of(element.value).to_owned(),
    };
    format!("{} {value}", element.labels)
}

/// As in promtool, NaN is equal to nothing.
fn are_equal(expected: &Element, got: &Element, fuzzy: bool) -> bool {
    let is_value_equal = match (&expected.histogram, &got.histogram) {
        (None, None) => {
            let (a, b) = (expected.value, got.value);
            a == b || (fuzzy && (a.next_up() == b || a.next_down() == b))
        }
        (Some(a), Some(b)) => without_hint(a) == without_hint(b),
        _ => false,
    };
    expected.labels == got.labels && is_value_equal
}

/// Whether a counter was reset is for the store to find out, and this one does not; whether it is a counter, one knows.
fn without_hint(histogram: &NativeHistogram) -> (NativeHistogram, bool) {
    let plain = NativeHistogram {
        reset_hint: ResetHint::Unknown,
        ..histogram.clone()
    };
    (plain.compacted(), histogram.reset_hint == ResetHint::Gauge)
}

/// The lines of both, those of the first alone marked `-`, of the second alone `+`.
fn diff<'l>(old: &'l [String], new: &'l [String]) -> Vec<(char, &'l str)> {
    let marked = |mark: char, lines: &'l [String]| {
        let lines = lines.iter();
        lines
            .map(move |line| (mark, line.as_str()))
            .collect::<Vec<_>>()
    };
    if old.len().max(new.len()) > DIFF_LINES_MAX {
        return [marked('-', old), marked('+', new)].concat();
    }
    // common[i][j]: how many lines old[i..] and new[j..] have in common at most.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            common[i][j] = match line == other {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while let (Some(line), Some(other)) = (old.get(i), new.get(j)) {
        if line == other {
            lines.push((' ', line.as_str()));
            (i, j) = (i + 1, j + 1);
        } else if common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', line.as_str()));
            i += 1;
        } else {
            lines.push(('+', other.as_str()));
            j += 1;
        }
    }
    lines.extend(marked('-', old.get(i..).unwrap_or_default()));
    lines.extend(marked('+', new.get(j..).unwrap_or_default()));
    lines
}
