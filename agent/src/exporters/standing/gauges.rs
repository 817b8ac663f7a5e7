//! The standings as metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{ExporterStanding, ExporterState, Standings, cut};
use crate::metrics::Labels;

/// What of an error becomes a label.
const ERROR_LABEL_BYTES_MAX: usize = 160;

/// The standings as metrics.
#[derive(Debug)]
pub(in crate::exporters) struct StandingsCollector(pub(in crate::exporters) Standings);

/// A value, with the label that it has beside the exporter's name.
type Sample = (Option<(&'static str, String)>, f64);
/// A gauge's name, what it says, and its samples of one exporter.
type StandingGauge = (
    &'static str,
    &'static str,
    fn(&ExporterStanding) -> Vec<Sample>,
);

const GAUGES: [StandingGauge; 6] = [
    (
        "exporter_state",
        "1 for what the exporter is at",
        |standing| {
            let states = ExporterState::ALL.into_iter();
            let states = states.map(|state| {
                let is_it = f64::from(u8::from(standing.state == state));
                (Some(("state", state.as_str().to_owned())), is_it)
            });
            states.collect()
        },
    ),
    (
        "exporter_state_timestamp_seconds",
        "Since when the exporter is at that",
        |standing| vec![(None, seconds(standing.since_unix_nano))],
    ),
    (
        "exporter_failed_attempts",
        "Failed attempts of the requests that are tried again",
        |standing| {
            #[expect(clippy::cast_precision_loss, reason = "a count of attempts")]
            let attempts = standing.attempts as f64;
            vec![(None, attempts)]
        },
    ),
    (
        "exporter_next_attempt_timestamp_seconds",
        "When a failed request is tried again",
        |standing| {
            let next = standing.next_attempt_unix_nano.into_iter();
            next.map(|at| (None, seconds(at))).collect()
        },
    ),
    (
        "exporter_last_error_timestamp_seconds",
        "When the last error was",
        |standing| {
            let error = standing.last_error.iter().map(|error| {
                let text = format!("{}: {}", error.status, error.message);
                let label = ("error", cut(&text, ERROR_LABEL_BYTES_MAX));
                (Some(label), seconds(error.at_unix_nano))
            });
            error.collect()
        },
    ),
    (
        "exporter_last_left_out_timestamp_seconds",
        "When the destination last left records out of a request it took",
        |standing| {
            let left_out = standing.left_out.iter().map(|left_out| {
                let label = ("message", cut(&left_out.message, ERROR_LABEL_BYTES_MAX));
                (Some(label), seconds(left_out.at_unix_nano))
            });
            left_out.collect()
        },
    ),
];

impl Collector for StandingsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.0.all();
        for (name, help, samples) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (exporter, standing) in &all {
                for (label, value) in samples(standing) {
                    let mut labels: Labels = vec![("exporter", exporter.clone())];
                    labels.extend(label);
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds are enough")]
fn seconds(unix_nano: i64) -> f64 {
    unix_nano as f64 / 1e9
}
