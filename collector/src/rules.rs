//! Joins the rules with the rest: queries go to the engine, samples back into ingest, notifications out.

mod builtin;
pub(crate) mod testing;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use vervet_alerting::{
    BoxFuture, GroupKind, QueryFailure, RuleQuery, RuleSample, SampleSink, SinkFailure,
};
use vervet_model::{Label, Labels, METRIC_NAME, Signal, UnixMillis};
use vervet_promql::{QueryOptions, Value};
use vervet_wire::otlp::{
    self, KeyValue, Metric, MetricData, Number, NumberPoint, PROMETHEUS_SCOPE, Resource, Scope,
};
use vervet_wire::{OtlpRequest, OtlpSink};

use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::query::QueryService;

pub use builtin::check_rules;
pub(crate) use builtin::{check_expr, load_rules};
pub(crate) use webhook::Webhooks;

/// Answers the queries of rules.
pub(crate) struct Queries {
    pub(crate) service: QueryService,
    pub(crate) metrics: Arc<Metrics>,
}

impl RuleQuery for Queries {
    fn query<'a>(
        &'a self,
        kind: GroupKind,
        expr: &'a str,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<(Labels, f64)>, QueryFailure>> {
        Box::pin(async move {
            let output = match kind {
                GroupKind::Metrics => {
                    let options = QueryOptions::default();
                    let expr = expr.to_owned();
                    self.service.promql_instant(expr, at, options).await
                }
                GroupKind::Logs => self.service.logql_instant(expr, at).await,
            };
            let value = output.map_err(|error| {
                self.metrics.rule_evaluation_failures.inc();
                QueryFailure {
                    message: error.to_string(),
                }
            })?;
            vector(value.value)
        })
    }
}

/// The samples of a rule's query.
fn vector(value: Value) -> Result<Vec<(Labels, f64)>, QueryFailure> {
    match value {
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| (sample.labels, sample.sample.value))
            .collect()),
        Value::Scalar(sample) => Ok(vec![(Labels::empty(), sample.value)]),
        Value::String { .. } | Value::Matrix(_) => Err(QueryFailure {
            message: "a rule must give an instant vector or a scalar".to_owned(),
        }),
    }
}

/// Writes the samples of rules the way everything is written: through the journal.
pub(crate) struct Samples(pub(crate) Ingest);

impl SampleSink for Samples {
    fn append(&self, samples: Vec<RuleSample>) -> BoxFuture<'_, Result<(), SinkFailure>> {
        Box::pin(async move {
            let request = OtlpRequest {
                signal: Signal::Metrics,
                body: encode(&samples),
                source: None,
                received: None,
            };
            let accepted = self
                .0
                .accept(request)
                .await
                .map_err(|refusal| SinkFailure {
                    message: refusal.to_string(),
                })?;
            match accepted.rejected {
                0 => Ok(()),
                _ => Err(SinkFailure {
                    message: accepted.message,
                }),
            }
        })
    }
}

/// One gauge per metric name in the scope whose names and labels are taken as they are.
pub(crate) fn encode(samples: &[RuleSample]) -> Bytes {
    let mut by_name: BTreeMap<&str, Vec<NumberPoint<'_>>> = BTreeMap::new();
    for sample in samples {
        let attribute = |label| {
            let Label { name, value }: &Label = label;
            KeyValue::new(&**name, &**value)
        };
        by_name
            .entry(sample.labels.metric_name())
            .or_default()
            .push(NumberPoint {
                attributes: sample
                    .labels
                    .iter()
                    .filter(|label| &*label.name != METRIC_NAME)
                    .map(attribute)
                    .collect(),
                time_unix_nano: u64::try_from(sample.at.to_nanos().0).unwrap_or(0),
                value: Number::Double(sample.value),
                ..NumberPoint::default()
            });
    }
    let scope = Scope {
        name: PROMETHEUS_SCOPE.into(),
        ..Scope::default()
    };
    let mut out = Vec::new();
    otlp::write_resource_metrics(&mut out, &Resource::default(), &scope, |writer| {
        for (name, points) in by_name {
            writer.push(&Metric {
                name: name.into(),
                data: MetricData::Gauge(points),
                ..Metric::default()
            });
        }
    });
    out.into()
}
