//! Conditions of queries as DataFusion expressions.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::functions::string::expr_fn::contains;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, cast, col, lit, not};
use regex::RegexBuilder;
use vervet_model::matcher::REGEX_SIZE_BYTES_MAX;
use vervet_model::{MatchOp, Matcher, SpanId, TraceId, UnixNanos};

use super::logs::{LineFilter, LineFilterOp};
use super::metadata::metadata_matches;
use crate::StoreError;
use crate::ingest::logs::{STREAM_COLUMNS, STREAM_LABELS};
use crate::tables::{Layout, PromotedValue, column};

/// The label of a log stream that is kept in the column of the same name.
pub(super) const LEVEL: &str = column::LEVEL;

/// All labels of log records with their columns.
pub(super) fn label_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    STREAM_LABELS
        .into_iter()
        .zip(STREAM_COLUMNS)
        .chain([(LEVEL, column::LEVEL)])
}

/// The column of a label of log records.
pub(super) fn label_column(label: &str) -> Option<&'static str> {
    label_columns()
        .find(|(name, _column)| *name == label)
        .map(|(_name, column)| column)
}

/// `start <= time < end`.
pub(super) fn time_between(start: UnixNanos, end: UnixNanos) -> Expr {
    let time = || col(column::TIME);
    time()
        .gt_eq(timestamp(start))
        .and(time().lt(timestamp(end)))
}

pub(super) fn timestamp(time: UnixNanos) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(time.0), None))
}

/// The number of the bucket a row's time falls into, counted from `start`.
pub(super) fn bucket_index(start: UnixNanos, bucket_nanos: i64) -> Expr {
    (cast(col(column::TIME), DataType::Int64) - lit(start.0)) / lit(bucket_nanos)
}

pub(super) fn trace_is(trace_id: TraceId) -> Expr {
    col(column::TRACE_ID).eq(binary(&trace_id.0))
}

pub(super) fn binary(bytes: &[u8]) -> Expr {
    lit(ScalarValue::Binary(Some(bytes.to_vec())))
}

/// A matcher on a label of log records. A label there is not counts as empty.
pub(super) fn matches(matcher: &Matcher) -> Expr {
    let Some(column) = label_column(&matcher.name) else {
        return lit(matcher.matches_empty());
    };
    let column = col(column);
    match matcher.op {
        MatchOp::Equal => column.eq(lit(&matcher.value)),
        MatchOp::NotEqual => column.not_eq(lit(&matcher.value)),
        MatchOp::Regex => regex(column, Operator::RegexMatch, anchored(&matcher.value)),
        MatchOp::NotRegex => regex(column, Operator::RegexNotMatch, anchored(&matcher.value)),
    }
}

fn anchored(pattern: &str) -> String {
    format!("^(?s:{pattern})$")
}

fn regex(column: Expr, operator: Operator, pattern: String) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(
        Box::new(column),
        operator,
        Box::new(lit(pattern)),
    ))
}

/// A matcher on structured metadata, or on a label.
///
/// # Errors
/// [`StoreError::Invalid`] when the value is no identifier, or the matcher on one is no equality.
pub(super) fn metadata_condition(layout: &Layout, matcher: &Matcher) -> Result<Expr, StoreError> {
    match matcher.name.as_str() {
        name if label_column(name).is_some() => Ok(matches(matcher)),
        name @ column::TRACE_ID => {
            let id = TraceId::from_hex(&matcher.value).map(|id| binary(&id.0));
            identifier_condition(name, matcher, id)
        }
        name @ column::SPAN_ID => {
            let id = SpanId::from_hex(&matcher.value).map(|id| binary(&id.0));
            identifier_condition(name, matcher, id)
        }
        _ => Ok(metadata_matches(layout, matcher)),
    }
}

/// Whether the promoted column of an attribute has a value. `None` when no row can have it there: the key has no
/// column, or the column cannot hold the value.
pub(super) fn promoted_is(layout: &Layout, key: &str, value: &str) -> Option<Expr> {
    let column = layout.promoted().find(key)?;
    let name = Column::from_name(&column.name);
    let value = match column.kind.exact(value)? {
        PromotedValue::Integer(value) => lit(value),
        PromotedValue::Double(value) => lit(value),
        PromotedValue::Boolean(value) => lit(value),
        PromotedValue::Text(value) => lit(value),
    };
    // Without this a null would make the whole of several conditions null.
    let known = Expr::Column(name.clone()).is_not_null();
    Some(known.and(Expr::Column(name).eq(value)))
}

fn identifier_condition(
    name: &str,
    matcher: &Matcher,
    id: Option<Expr>,
) -> Result<Expr, StoreError> {
    let column = || col(name);
    match (matcher.op, id) {
        (MatchOp::Equal, Some(id)) => Ok(column().eq(id)),
        (MatchOp::NotEqual, Some(id)) => Ok(column().is_null().or(column().not_eq(id))),
        (MatchOp::Equal, None) if matcher.value.is_empty() => Ok(column().is_null()),
        (MatchOp::NotEqual, None) if matcher.value.is_empty() => Ok(column().is_not_null()),
        _ => Err(StoreError::Invalid {
            reason: format!("{name} can be compared by = and != with hexadecimal digits only"),
        }),
    }
}

/// A condition on the body.
///
/// # Errors
/// [`StoreError::Invalid`] when a regular expression does not compile or is too large.
pub(super) fn line_matches(filter: &LineFilter) -> Result<Expr, StoreError> {
    let body = || col(column::BODY);
    let text = filter.text.clone();
    Ok(match filter.op {
        LineFilterOp::Contains => contains(body(), lit(text)),
        LineFilterOp::NotContains => not(contains(body(), lit(text))),
        LineFilterOp::Regex => regex(body(), Operator::RegexMatch, checked(text)?),
        LineFilterOp::NotRegex => regex(body(), Operator::RegexNotMatch, checked(text)?),
    })
}

fn checked(pattern: String) -> Result<String, StoreError> {
    let compiled = RegexBuilder::new(&pattern)
        .size_limit(REGEX_SIZE_BYTES_MAX)
        .build();
    match compiled {
        Ok(_regex) => Ok(pattern),
        Err(error) => Err(StoreError::Invalid {
            reason: format!("invalid regular expression {pattern:?}: {error}"),
        }),
    }
}
