//! The section `tests`: log records or lines, and what must become of them.
//!
//! ```yaml
//! tests:
//!   - name: card numbers are masked
//!     pipeline: logs
//!     input: {body: "card 4111111111111111"}
//!     expect: {body: "card <credit_card:*>"}
//!   - {pipeline: logs, receiver: pods, input: {line: '{"level":"debug"}'}, expect: {dropped: true}}
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use vervet_model::{Severity, Signal};

use super::error::{Problem, unknown};
use super::faults::read_all;
use super::yaml::{Node, Value, from_node};
use super::{PipelineConfig, ReceiverConfig};
use crate::formats::FormatSpec;

/// One entry of `tests`, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSpec {
    /// Shown with the result. Default: its number.
    #[serde(default)]
    pub name: Option<String>,
    /// Default `logs`, the only one that can be tested.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// The `filelog` receiver that reads the input. Default: the one that reads `input.path`, else the pipeline's first.
    #[serde(default)]
    pub receiver: Option<String>,
    pub input: InputSpec,
    pub expect: ExpectSpec,
}

/// A record, or a line that becomes one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// What stands in a file: one line, or several that are one record.
    #[serde(default)]
    pub line: Option<String>,
    /// How `line` is read instead of as the receiver says.
    #[serde(default)]
    pub format: Option<FormatSpec>,
    /// The file it stands in, for what its path tells; it names the receiver, too, unless the test does.
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub body: Option<serde_json::Value>,
    #[serde(default)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub resource: BTreeMap<String, serde_json::Value>,
    /// A level word.
    #[serde(default)]
    pub severity: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub time: Option<String>,
}

/// What must be true of the record behind the last processor. Fields that are not named may be anything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectSpec {
    #[serde(default)]
    pub body: Option<serde_json::Value>,
    /// These must be there; `null` stands for one that must not.
    #[serde(default)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub resource: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub severity: Option<String>,
    #[serde(default)]
    pub time: Option<String>,
    #[serde(default)]
    pub dropped: Option<Dropped>,
}

/// Whether, and why, a record is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    No,
    ForAnyReason,
    /// `<processor>` or `<processor>:<why>`.
    For(String),
}

/// A test, checked.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// Where it stands in the file.
    pub line: usize,
    pub name: String,
    pub signal: Signal,
    pub receiver: Option<String>,
    pub input: InputSpec,
    pub expect: ExpectSpec,
}

/// Receivers by name; `None` for one that is wrong itself.
type Receivers = BTreeMap<String, Option<ReceiverConfig>>;

/// Reads the section: a list.
pub(super) fn read(
    section: &Node,
    pipelines: &[PipelineConfig],
    receivers: &Receivers,
    problems: &mut Vec<Problem>,
) -> Vec<TestCase> {
    let Value::List(items) = &section.value else {
        problems.push(Problem::at(section.line, "must hold a list").inside("tests"));
        return Vec::new();
    };
    let mut cases = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let read = |node: &Node| {
            let spec: TestSpec = from_node(node)?;
            TestCase::checked(spec, index, node.line, pipelines, receivers)
                .map_err(|message| Problem::at(node.line, message).into())
        };
        match read_all(node, read) {
            Ok(case) => cases.push(case),
            Err(found) => problems.extend(found.into_iter().map(|problem| problem.inside("tests"))),
        }
    }
    cases
}

impl TestCase {
    fn checked(
        spec: TestSpec,
        index: usize,
        line: usize,
        pipelines: &[PipelineConfig],
        receivers: &Receivers,
    ) -> Result<Self, String> {
        let pipeline = spec.pipeline.unwrap_or_else(|| "logs".to_owned());
        if pipeline != "logs" {
            return Err(
                match Signal::ALL.iter().any(|signal| signal.as_str() == pipeline) {
                    true => format!("only the pipeline `logs` can be tested, not `{pipeline}`"),
                    false => unknown("pipeline", &pipeline, &["logs"]),
                },
            );
        }
        let Some(logs) = pipelines
            .iter()
            .find(|pipeline| pipeline.signal == Signal::Logs)
        else {
            return Err("there is no pipeline `logs`".to_owned());
        };
        spec.input.check()?;
        if let Some(receiver) = &spec.receiver
            && !logs.from.contains(receiver)
        {
            let known: Vec<&str> = logs.from.iter().map(String::as_str).collect();
            return Err(unknown("receiver", receiver, &known));
        }
        let tails = |name: &&String| {
            matches!(
                receivers.get(*name),
                Some(None | Some(ReceiverConfig::Filelog(_)))
            )
        };
        let input = &spec.input;
        let path = input.path.as_deref().map(Path::new);
        let reads = |name: &&String| match (receivers.get(*name), path) {
            (Some(Some(ReceiverConfig::Filelog(filelog))), Some(path)) => filelog.reads(path),
            _ => false,
        };
        let mut from = logs.from.iter();
        let named = spec.receiver.clone();
        let receiver = named
            .or_else(|| from.clone().find(reads).cloned())
            .or_else(|| from.find(tails).cloned());
        if path.is_some() && !receiver.as_ref().is_some_and(|name| tails(&name)) {
            return Err("input.path needs a filelog receiver".to_owned());
        }
        if input.line.is_some()
            && input.format.is_none()
            && !receiver.as_ref().is_some_and(|name| tails(&name))
        {
            return Err("a `line` needs a filelog receiver or input.format".to_owned());
        }
        spec.expect.check()?;
        Ok(Self {
            line,
            name: spec.name.unwrap_or_else(|| format!("test {}", index + 1)),
            signal: Signal::Logs,
            receiver,
            input: spec.input,
            expect: spec.expect,
        })
    }
}

impl InputSpec {
    fn check(&self) -> Result<(), String> {
        if self.line.is_some() == self.body.is_some() {
            return Err("input holds either `line` or `body`".to_owned());
        }
        if self.line.is_none() && self.format.is_some() {
            return Err("input.format goes with `line`".to_owned());
        }
        let is_told = !self.attributes.is_empty() || self.severity.is_some() || self.time.is_some();
        if self.line.is_some() && is_told {
            let message = "attributes, severity and time of a `line` come from the line";
            return Err(message.to_owned());
        }
        check_words(self.severity.as_deref(), self.time.as_deref())
    }
}

fn check_words(severity: Option<&str>, time: Option<&str>) -> Result<(), String> {
    if let Some(severity) = severity
        && Severity::from_text(severity).is_none()
    {
        return Err(format!(
            "severity `{severity}` is no level such as info or error"
        ));
    }
    time.map_or(Ok(()), |time| time_unix_nano(time).map(|_| ()))
}

impl ExpectSpec {
    fn check(&self) -> Result<(), String> {
        check_words(self.severity.as_deref(), self.time.as_deref())?;
        let says_more = self.body.is_some()
            || self.severity.is_some()
            || self.time.is_some()
            || !self.attributes.is_empty()
            || !self.resource.is_empty();
        match &self.dropped {
            Some(Dropped::ForAnyReason | Dropped::For(_)) if says_more => {
                Err("a record that is dropped has no fields to expect".to_owned())
            }
            None if !says_more => Err("expect says nothing".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn time_unix_nano(text: &str) -> Result<u64, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_error| format!("time `{text}` is not like 2026-01-31T08:00:00Z"))?;
    u64::try_from(time.as_nanosecond()).map_err(|_negative| format!("time `{text}` is before 1970"))
}

impl<'de> Deserialize<'de> for Dropped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DroppedVisitor;
        impl Visitor<'_> for DroppedVisitor {
            type Value = Dropped;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or a reason")
            }

            fn visit_bool<E: Error>(self, dropped: bool) -> Result<Dropped, E> {
                Ok(if dropped {
                    Dropped::ForAnyReason
                } else {
                    Dropped::No
                })
            }

            fn visit_str<E: Error>(self, reason: &str) -> Result<Dropped, E> {
                Ok(Dropped::For(reason.to_owned()))
            }
        }
        deserializer.deserialize_any(DroppedVisitor)
    }
}
