//! LogQL: log queries, and metric queries over them.
//!
//! A log query is a stream selector and line filters. In a metric query every range aggregation
//! (`count_over_time`, `rate`, `bytes_over_time`, `bytes_rate`) is cut out and counted by the store; what is
//! left around them is PromQL's own language and is evaluated by the PromQL engine, each aggregation
//! standing in as a selector. Stages that are not supported are named with their position.

mod grouping;
mod metric;
mod parser;

use std::time::Duration;

use vervet_model::Matcher;
use vervet_store::{GroupBy, LineFilter};

pub(crate) use metric::{MetricRequest, evaluate};
pub(crate) use parser::parse;

/// The longest query text (bytes).
const QUERY_BYTES_MAX: usize = 16 << 10;

/// A query is not LogQL, or not the part of it that is supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse error at position {position}: {message}")]
pub(crate) struct LogqlError {
    /// Byte offset in the query.
    pub(crate) position: usize,
    pub(crate) message: String,
}

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Query {
    Logs(Selector),
    Metric(MetricQuery),
}

/// `{label="value"} |= "text"`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) filters: Vec<LineFilter>,
    /// `| name="value"`, on structured metadata.
    pub(crate) metadata: Vec<Matcher>,
}

/// PromQL text in which the n-th range aggregation is replaced by a selector of the metric
/// [`stand_in`]`(n)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricQuery {
    pub(crate) promql: String,
    pub(crate) aggregations: Vec<RangeAggregation>,
}

/// `count_over_time({...} |= "text" [5m])`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RangeAggregation {
    pub(crate) function: RangeFunction,
    pub(crate) selector: Selector,
    pub(crate) range: Duration,
    /// The labels that matter for what surrounds it.
    pub(crate) group_by: GroupBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    CountOverTime,
    Rate,
    BytesOverTime,
    BytesRate,
}

impl RangeFunction {
    const ALL: [(&'static str, Self); 4] = [
        ("count_over_time", Self::CountOverTime),
        ("rate", Self::Rate),
        ("bytes_over_time", Self::BytesOverTime),
        ("bytes_rate", Self::BytesRate),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| *function)
    }
}

/// The metric name that stands in for the n-th range aggregation.
fn stand_in(index: usize) -> String {
    format!("vervet_logql_{index}")
}

#[cfg(test)]
mod tests;
