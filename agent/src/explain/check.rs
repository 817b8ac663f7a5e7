//! The configuration's own tests.

use serde::Serialize;
use vervet_model::Severity;
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, for_each_log};

use super::{Chosen, ExplainError, Explainer, Said, Way, fields};
use crate::config::{Dropped, ExpectSpec, ReceiverConfig, TestCase, time_unix_nano};
use crate::receivers::filelog::FilelogConfig;

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseResult {
    pub name: String,
    /// Where it stands in the file.
    pub line: usize,
    /// Empty when it passed.
    pub differences: Vec<Difference>,
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub path: String,
    pub expected: String,
    pub actual: String,
}

impl CaseResult {
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

impl Difference {
    fn new(path: &str, expected: impl ToString, actual: impl ToString) -> Self {
        Self {
            path: path.to_owned(),
            expected: expected.to_string(),
            actual: actual.to_string(),
        }
    }
}

impl Explainer<'_> {
    /// Runs one test.
    ///
    /// # Errors
    /// Its input cannot be read.
    pub fn check(&self, case: &TestCase) -> Result<CaseResult, ExplainError> {
        let ways = match &case.input.line {
            Some(line) => self.ways_of_line(case, line)?,
            None => vec![self.way_of_record(case)?],
        };
        let differences = match ways.as_slice() {
            [way] => differences(&case.expect, way),
            ways => vec![Difference::new("records", 1, ways.len())],
        };
        Ok(CaseResult {
            name: case.name.clone(),
            line: case.line,
            differences,
        })
    }

    fn ways_of_line(&self, case: &TestCase, line: &str) -> Result<Vec<Way>, ExplainError> {
        let own = self.filelog_of(case);
        let filelog = match (own, &case.input.format) {
            (Some((_, filelog)), None) => Ok(filelog.clone()),
            (Some((_, filelog)), Some(format)) => filelog.with_format(format.clone()),
            (None, format) => FilelogConfig::of_format(format.clone().unwrap_or_default()),
        };
        let config = ReceiverConfig::Filelog(filelog.map_err(ExplainError::Settings)?);
        let ReceiverConfig::Filelog(filelog) = &config else {
            return Ok(Vec::new());
        };
        let chosen = Chosen {
            name: own.map_or_else(|| self.some_name(), |(name, _)| name),
            config: &config,
            by: String::new(),
        };
        self.through_filelog(
            &chosen,
            filelog,
            case.input.path.as_deref(),
            line.as_bytes(),
        )
    }

    /// A receiver of the pipeline, whichever: the record takes the pipeline's way.
    fn some_name(&self) -> &str {
        let from = self.logs.and_then(|logs| logs.from.first());
        from.map_or("", String::as_str)
    }

    /// The receiver of files that a test names, or that reads its path.
    fn filelog_of(&self, case: &TestCase) -> Option<(&str, &FilelogConfig)> {
        let name = case.receiver.as_ref()?;
        match self.config.receivers.get_key_value(name)? {
            (name, ReceiverConfig::Filelog(filelog)) => Some((name.as_str(), filelog)),
            _ => None,
        }
    }

    /// What the test says of it, then what the path tells if it has one, else what the configuration says.
    fn resource_of_record(&self, case: &TestCase) -> (Resource<'static>, Said) {
        let (input, configured) = (&case.input, &self.config.resource);
        let path = input.path.as_deref();
        let (told, said) = match path.and_then(|path| Some((path, self.filelog_of(case)?.1))) {
            Some((path, filelog)) => {
                let told = filelog.resource_of(Some(path), configured);
                (told, filelog.origin(configured))
            }
            None => (self.configured(), Said::Sender),
        };
        let missing = |told: &KeyValue<'_>| !input.resource.contains_key(told.key.as_ref());
        let mut attributes = fields::key_values(&input.resource);
        attributes.extend(told.attributes.into_iter().filter(missing));
        (Resource { attributes }, said)
    }

    fn way_of_record(&self, case: &TestCase) -> Result<Way, ExplainError> {
        let input = &case.input;
        let settings = ExplainError::Settings;
        let time = input
            .time
            .as_deref()
            .map_or(Ok(0), time_unix_nano)
            .map_err(settings)?;
        let severity = input.severity.as_deref().unwrap_or_default();
        let body = input.body.as_ref().map(fields::value).unwrap_or_default();
        let record = LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: self.observed(),
            severity_number: Severity::from_text(severity).map_or(0, Severity::number),
            severity_text: severity.into(),
            body,
            attributes: fields::key_values(&input.attributes),
            ..LogRecord::default()
        };
        let from = self.resource_of_record(case);
        let name = self.some_name();
        let Some(config) = self.config.receivers.get(name) else {
            return Err(ExplainError::NoReceiver);
        };
        let by = String::new();
        let chosen = Chosen { name, config, by };
        Ok(self.way(&chosen, None, from, Scope::default(), record))
    }
}

/// What of `expect` is not true of the record.
fn differences(expect: &ExpectSpec, way: &Way) -> Vec<Difference> {
    let why = way.dropped.as_deref();
    match (&expect.dropped, why) {
        (Some(Dropped::For(reason)), Some(why)) if is_reason(reason, why) => return Vec::new(),
        (Some(Dropped::For(reason)), Some(why)) => {
            return vec![Difference::new("dropped", reason, why)];
        }
        (Some(Dropped::ForAnyReason), Some(_)) => return Vec::new(),
        (Some(Dropped::ForAnyReason | Dropped::For(_)), None) => {
            return vec![Difference::new("dropped", "yes", "no")];
        }
        (_, Some(why)) => return vec![Difference::new("dropped", "no", why)],
        (Some(Dropped::No) | None, None) => {}
    }
    let mut found = Vec::new();
    let read = for_each_log(&way.request, |resource, _, record| {
        compare(expect, resource, &record, &mut found);
    });
    if let Err(error) = read {
        found.push(Difference::new("record", "a record", error));
    }
    found
}

/// `filter` stands for `filter:` and anything.
fn is_reason(expected: &str, why: &str) -> bool {
    let rest = why.strip_prefix(expected);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn compare(
    expect: &ExpectSpec,
    resource: &Resource<'_>,
    record: &LogRecord<'_>,
    found: &mut Vec<Difference>,
) {
    if let Some(body) = &expect.body {
        let actual = fields::json(&record.body);
        if *body != actual {
            found.push(Difference::new("body", body, actual));
        }
    }
    let lists = [
        ("attributes", &expect.attributes, &record.attributes),
        (
            "resource.attributes",
            &expect.resource,
            &resource.attributes,
        ),
    ];
    for (path, expected, actual) in lists {
        for (key, expected) in expected {
            let actual = vervet_wire::otlp::find(actual, key).map(fields::json);
            let same = match &actual {
                None => expected.is_null(),
                Some(actual) => actual == expected,
            };
            if !same {
                let absent = || "(absent)".to_owned();
                let expected = match expected.is_null() {
                    true => absent(),
                    false => expected.to_string(),
                };
                let actual = actual.map_or_else(absent, |actual| actual.to_string());
                found.push(Difference::new(
                    &format!("{path}[{key:?}]"),
                    expected,
                    actual,
                ));
            }
        }
    }
    if let Some(severity) = &expect.severity {
        let expected = Severity::from_text(severity).unwrap_or_default();
        let actual = Severity::from_number(record.severity_number);
        if expected.level() != actual.level() {
            found.push(Difference::new("severity", expected, actual));
        }
    }
    if let Some(time) = &expect.time {
        let actual = record.time_unix_nano;
        if time_unix_nano(time) != Ok(actual) {
            found.push(Difference::new("time", time, fields::time(actual)));
        }
    }
}
