//! Test files for rules, in the format of `promtool test rules`, read strictly.
//!
//! In: the text of a file. Out: a [`TestFile`], or every mistake found, each with file, line and column. What the series
//! and expressions in it mean is up to whoever runs the tests.
//!
//! Limits: a file of at most 4 MiB.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use vervet_model::UnixMillis;

use crate::rule_file::{RuleFileError, TextMap, UnknownKeys, document};
use crate::yaml::{Node, Reader, Text};

const EVALUATION_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// Rules, and tests of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TestFile {
    /// Paths and globs, from the folder of the test file.
    pub rule_files: Vec<String>,
    pub evaluation_interval: Duration,
    /// Groups in the order in which they are evaluated; others come first, as all that is not named is as good as the
    /// first of these.
    pub group_eval_order: Vec<String>,
    /// Numbers may differ in their last bit.
    pub fuzzy_compare: bool,
    pub tests: Vec<TestGroup>,
}

/// Series, and what rules and expressions make of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TestGroup {
    /// From 1, as every `line` here.
    pub line: u64,
    /// May be empty.
    pub name: String,
    /// Between two samples.
    pub interval: Duration,
    /// The moment 0 of the test.
    pub start: UnixMillis,
    pub input_series: Vec<InputSeries>,
    pub alert_tests: Vec<AlertTest>,
    pub expr_tests: Vec<ExprTest>,
    pub external_labels: TextMap,
    pub external_url: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InputSeries {
    pub line: u64,
    pub series: String,
    pub values: String,
}

/// Which alerts of a name fire at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertTest {
    pub line: u64,
    pub eval_time: Duration,
    pub alertname: String,
    pub expected: Vec<ExpectedAlert>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedAlert {
    /// Without `alertname`.
    pub labels: TextMap,
    pub annotations: TextMap,
}

/// What an expression gives at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExprTest {
    pub line: u64,
    pub expr: String,
    pub eval_time: Duration,
    pub expected: Vec<ExpectedSample>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedSample {
    /// In the notation of series.
    pub labels: String,
    pub value: f64,
    /// In the notation of series; when it is not empty, `value` does not count.
    pub histogram: String,
}

impl TestFile {
    /// Parses a file. `name` is used in errors.
    ///
    /// # Errors
    /// Everything wrong with its keys and values; what is not YAML ends the search.
    pub fn parse(name: &str, text: &str, unknown: UnknownKeys) -> Result<Self, Vec<RuleFileError>> {
        let mut reader = Reader {
            file: name,
            ignore_unknown: unknown == UnknownKeys::Ignore,
            errors: Vec::new(),
        };
        let file = match document(name, text)? {
            Some(root) => read(&mut reader, &root),
            None => Self {
                rule_files: Vec::new(),
                evaluation_interval: EVALUATION_INTERVAL_DEFAULT,
                group_eval_order: Vec::new(),
                fuzzy_compare: false,
                tests: Vec::new(),
            },
        };
        match reader.errors.is_empty() {
            true => Ok(file),
            false => Err(reader.errors),
        }
    }
}

fn read(reader: &mut Reader<'_>, root: &Node) -> TestFile {
    let fields = reader.fields(
        root,
        &[
            "rule_files",
            "evaluation_interval",
            "group_eval_order",
            "fuzzy_compare",
            "tests",
        ],
    );
    let interval = reader.duration(fields.get("evaluation_interval"));
    let interval = interval.filter(|interval| !interval.is_zero());
    let evaluation_interval = interval.unwrap_or(EVALUATION_INTERVAL_DEFAULT);
    TestFile {
        rule_files: values(reader, fields.get("rule_files"))
            .map(|text| text.value)
            .collect(),
        evaluation_interval,
        group_eval_order: order(reader, fields.get("group_eval_order")),
        fuzzy_compare: reader.truth(fields.get("fuzzy_compare")).unwrap_or(false),
        tests: {
            let tests = reader.items(fields.get("tests")).iter();
            tests
                .map(|node| test(reader, node, evaluation_interval))
                .collect()
        },
    }
}

fn values(reader: &mut Reader<'_>, node: Option<&Node>) -> impl Iterator<Item = Text> + use<> {
    let items = reader.items(node).iter();
    let texts: Vec<Text> = items.filter_map(|item| reader.text(Some(item))).collect();
    texts.into_iter()
}

fn order(reader: &mut Reader<'_>, node: Option<&Node>) -> Vec<String> {
    let mut known = BTreeSet::new();
    let names: Vec<Text> = values(reader, node).collect();
    for name in &names {
        if !known.insert(&name.value) {
            let message = format!("the group {:?} is in the order already", name.value);
            reader.refuse(name.place, message);
        }
    }
    names.into_iter().map(|name| name.value).collect()
}

fn test(reader: &mut Reader<'_>, node: &Node, evaluation_interval: Duration) -> TestGroup {
    let fields = reader.fields(
        node,
        &[
            "name",
            "interval",
            "start_timestamp",
            "input_series",
            "alert_rule_test",
            "promql_expr_test",
            "external_labels",
            "external_url",
        ],
    );
    let interval = reader.duration(fields.get("interval"));
    let interval = interval.filter(|interval| !interval.is_zero());
    TestGroup {
        line: fields.place.line,
        name: text(reader, fields.get("name")),
        interval: interval.unwrap_or(evaluation_interval),
        start: start(reader, fields.get("start_timestamp")),
        input_series: {
            let series = reader.items(fields.get("input_series")).iter();
            series.map(|node| input_series(reader, node)).collect()
        },
        alert_tests: {
            let tests = reader.items(fields.get("alert_rule_test")).iter();
            tests.map(|node| alert_test(reader, node)).collect()
        },
        expr_tests: {
            let tests = reader.items(fields.get("promql_expr_test")).iter();
            tests.map(|node| expr_test(reader, node)).collect()
        },
        external_labels: texts(reader, fields.get("external_labels")),
        external_url: text(reader, fields.get("external_url")),
    }
}

fn text(reader: &mut Reader<'_>, node: Option<&Node>) -> String {
    let text = reader.text(node);
    text.map(|text| text.value).unwrap_or_default()
}

fn texts(reader: &mut Reader<'_>, node: Option<&Node>) -> TextMap {
    let texts = reader.texts(node).into_iter();
    texts.map(|(name, text)| (name.value, text.value)).collect()
}

/// Seconds since the epoch, or a date and time as in RFC 3339.
fn start(reader: &mut Reader<'_>, node: Option<&Node>) -> UnixMillis {
    let Some(text) = reader.text(node) else {
        return UnixMillis(0);
    };
    let seconds = text.value.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| seconds.abs() < 1e12);
    #[expect(clippy::cast_possible_truncation, reason = "it is small enough")]
    let millis = seconds.map(|seconds| (seconds * 1e3).round() as i64);
    let date = || text.value.parse::<jiff::Timestamp>().ok();
    match millis.or_else(|| Some(date()?.as_millisecond())) {
        Some(millis) => UnixMillis(millis),
        None => {
            let message = format!(
                "{:?} is neither seconds since 1970 nor a time such as 2026-01-02T03:04:05Z",
                text.value
            );
            reader.refuse(text.place, message);
            UnixMillis(0)
        }
    }
}

fn input_series(reader: &mut Reader<'_>, node: &Node) -> InputSeries {
    let fields = reader.fields(node, &["series", "values"]);
    InputSeries {
        line: fields.place.line,
        series: text(reader, fields.get("series")),
        values: text(reader, fields.get("values")),
    }
}

fn alert_test(reader: &mut Reader<'_>, node: &Node) -> AlertTest {
    let fields = reader.fields(node, &["eval_time", "alertname", "exp_alerts"]);
    let alertname = text(reader, fields.get("alertname"));
    if alertname.is_empty() {
        reader.refuse(fields.place, "the item has no `alertname`");
    }
    AlertTest {
        line: fields.place.line,
        eval_time: reader.duration(fields.get("eval_time")).unwrap_or_default(),
        alertname,
        expected: {
            let alerts = reader.items(fields.get("exp_alerts")).iter();
            alerts.map(|node| expected_alert(reader, node)).collect()
        },
    }
}

fn expected_alert(reader: &mut Reader<'_>, node: &Node) -> ExpectedAlert {
    let fields = reader.fields(node, &["exp_labels", "exp_annotations"]);
    ExpectedAlert {
        labels: texts(reader, fields.get("exp_labels")),
        annotations: texts(reader, fields.get("exp_annotations")),
    }
}

fn expr_test(reader: &mut Reader<'_>, node: &Node) -> ExprTest {
    let fields = reader.fields(node, &["expr", "eval_time", "exp_samples"]);
    ExprTest {
        line: fields.place.line,
        expr: text(reader, fields.get("expr")),
        eval_time: reader.duration(fields.get("eval_time")).unwrap_or_default(),
        expected: {
            let samples = reader.items(fields.get("exp_samples")).iter();
            samples.map(|node| expected_sample(reader, node)).collect()
        },
    }
}

fn expected_sample(reader: &mut Reader<'_>, node: &Node) -> ExpectedSample {
    let fields = reader.fields(node, &["labels", "value", "histogram"]);
    ExpectedSample {
        labels: text(reader, fields.get("labels")),
        value: reader.number(fields.get("value")).unwrap_or(0.0),
        histogram: text(reader, fields.get("histogram")),
    }
}
