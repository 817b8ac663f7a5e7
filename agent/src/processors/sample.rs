//! `sample`: keeps a part of the spans or log records.
//!
//! Records of a trace are kept or dropped by its id, by OpenTelemetry's consistent probability sampling: the last 56 bits
//! of the id (or the `rv` of the trace state) are the randomness, and what lies below the threshold of the ratio
//! is dropped. So every node decides alike, and what a smaller ratio keeps, a larger one keeps, too. A log record without
//! trace id is judged by an attribute, or by a seeded sequence of random numbers. Trace states are not changed: no
//! threshold (`th`) is added to them.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use vervet_model::{Severity, Signal};
use vervet_wire::otlp::{LogRecord, Resource, Span, StatusCode, Value, find};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{DropReason, Outcome, StepContext};
use crate::config::Mistakes;

const RANDOM_BITS: u32 = 56;
/// Length of `rv` in a trace state (hexadecimal digits).
const RANDOM_DIGITS: usize = 14;

/// What the configuration says of one `sample` processor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleSpec {
    /// The part that is kept, from 0 to 1.
    pub ratio: f64,
    /// Errors are kept in any case: log records of severity ERROR and above, spans with an error status. Default true.
    #[serde(default = "yes")]
    pub keep_errors: bool,
    /// The attribute (of the record, else of its resource) that decides on log records without trace id, so that
    /// those of one user or request stay together.
    #[serde(default)]
    pub key: Option<String>,
    /// Agents with the same seed decide alike by `key`. Default 0.
    #[serde(default)]
    pub seed: u64,
}

fn yes() -> bool {
    true
}

/// The settings of a `sample` processor, checked.
#[derive(Debug, Clone)]
pub struct SampleConfig {
    /// Randomness below it is dropped.
    threshold: u64,
    keep_errors: bool,
    key: Option<String>,
    seed: u64,
}

impl TryFrom<SampleSpec> for SampleConfig {
    type Error = Mistakes;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of 2^56 between none and all of it"
    )]
    fn try_from(spec: SampleSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            (0.0..=1.0).contains(&spec.ratio),
            &["ratio"],
            "ratio must be between 0 and 1",
        );
        let dropped = (1.0 - spec.ratio) * (1_u64 << RANDOM_BITS) as f64;
        mistakes.or(Some(Self {
            threshold: dropped.round() as u64,
            keep_errors: spec.keep_errors,
            key: spec.key,
            seed: spec.seed,
        }))
    }
}

impl SampleConfig {
    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<SampleStep, String> {
        if context.signal == Signal::Metrics {
            return Err("metrics cannot be sampled: their points are sums already".to_owned());
        }
        Ok(SampleStep {
            config: self.clone(),
            drawn: AtomicU64::new(0),
            reason: DropReason::new(context.name, "not_sampled"),
        })
    }
}

/// A `sample` processor at work.
#[derive(Debug)]
pub(super) struct SampleStep {
    config: SampleConfig,
    /// How many random numbers have been drawn.
    drawn: AtomicU64,
    reason: DropReason,
}

impl SampleStep {
    pub(super) fn log(&self, resource: &Resource<'_>, record: &LogRecord<'_>) -> Outcome {
        let error = record.severity_number >= Severity::ERROR.number();
        if error && self.config.keep_errors {
            return Ok(false);
        }
        self.judge(of_trace_id(record.trace_id).unwrap_or_else(|| self.of_key(resource, record)))
    }

    pub(super) fn span(&self, span: &Span<'_>) -> Outcome {
        if span.status == StatusCode::Error && self.config.keep_errors {
            return Ok(false);
        }
        let random = of_trace_state(&span.trace_state).or_else(|| of_trace_id(span.trace_id));
        self.judge(random.unwrap_or_else(|| self.draw()))
    }

    fn judge(&self, random: u64) -> Outcome {
        if random >= self.config.threshold {
            Ok(false)
        } else {
            Err(self.reason.clone())
        }
    }

    fn of_key(&self, resource: &Resource<'_>, record: &LogRecord<'_>) -> u64 {
        let value = self.config.key.as_ref().and_then(|key| {
            find(&record.attributes, key)
                .or_else(|| find(&resource.attributes, key))
                .filter(|value| **value != Value::Empty)
        });
        match value {
            Some(value) => {
                let hash = xxh3_64_with_seed(value.to_text().as_bytes(), self.config.seed);
                hash >> (u64::BITS - RANDOM_BITS)
            }
            None => self.draw(),
        }
    }

    /// The next number of the seed's sequence.
    fn draw(&self) -> u64 {
        let index = self.drawn.fetch_add(1, Ordering::Relaxed);
        let hash = xxh3_64_with_seed(&index.to_le_bytes(), self.config.seed);
        hash >> (u64::BITS - RANDOM_BITS)
    }
}

/// The last 56 bits; `None` when there is no valid id.
fn of_trace_id(id: &[u8]) -> Option<u64> {
    let id: &[u8; 16] = id.try_into().ok()?;
    if id.iter().all(|byte| *byte == 0) {
        return None;
    }
    let [.., a, b, c, d, e, f, g] = *id;
    Some(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
}

/// `rv` of OpenTelemetry's entry (`ot=rv:...`).
fn of_trace_state(state: &str) -> Option<u64> {
    let entry = state
        .split(',')
        .find_map(|entry| entry.trim().strip_prefix("ot="))?;
    let digits = entry.split(';').find_map(|part| part.strip_prefix("rv:"))?;
    if digits.len() != RANDOM_DIGITS {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
