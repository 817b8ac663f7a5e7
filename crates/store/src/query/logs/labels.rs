//! Labels of log streams: the columns they are kept in, and the conditions of Loki on them.

use std::collections::BTreeMap;

use vervet_model::{Labels, LabelsBuilder, MatchOp, Matcher, SpanId, TraceId};

use super::names::{EXTRACTED, PROPERTIES, is_reserved};
use super::{GroupBy, LineFilter, LineFilterOp, LogCount, LogCountSeries, LogQuery};
use crate::StoreError;
use crate::ingest::logs::{STREAM_COLUMNS, STREAM_LABELS};
use crate::query::filter::{Field, Filter, Test};
use crate::query::search::aggregate::AggregateGroup;
use crate::tables::column;

/// All labels of log records with their columns.
pub(super) fn label_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    STREAM_LABELS
        .into_iter()
        .zip(STREAM_COLUMNS)
        .chain([(column::LEVEL, column::LEVEL)])
}

/// The column of a label of log records.
pub(super) fn label_column(label: &str) -> Option<&'static str> {
    label_columns()
        .find(|(name, _column)| *name == label)
        .map(|(_name, column)| column)
}

/// The labels meant, of those there are.
pub(super) fn label_names(group_by: &GroupBy) -> Vec<&'static str> {
    label_columns()
        .map(|(label, _column)| label)
        .filter(|label| match group_by {
            GroupBy::All => true,
            GroupBy::Some(names) => names.iter().any(|name| name == label),
        })
        .collect()
}

pub(super) fn fields(names: &[&str]) -> Vec<Field> {
    let columns = names.iter().filter_map(|name| label_column(name));
    columns.map(Field::column).collect()
}

/// Groups by the labels of `names` as series, sorted by labels.
pub(super) fn series(names: &[&str], groups: Vec<AggregateGroup>) -> Vec<LogCountSeries> {
    let mut series: BTreeMap<Labels, Vec<LogCount>> = BTreeMap::new();
    for group in groups {
        let mut labels = LabelsBuilder::default();
        for (name, value) in names.iter().zip(&group.key) {
            labels.set(*name, value.as_str());
        }
        let buckets = group.cells.iter().map(|cell| LogCount {
            start: cell.start,
            count: cell.count,
            bytes: cell.bytes,
        });
        series.entry(labels.build()).or_default().extend(buckets);
    }
    series
        .into_iter()
        .map(|(labels, buckets)| LogCountSeries { labels, buckets })
        .collect()
}

/// All conditions of a query except for its time.
pub(super) fn filter(query: &LogQuery) -> Result<Filter, StoreError> {
    let mut filters: Vec<Filter> = query.matchers.iter().map(label_filter).collect();
    filters.extend(query.trace_id.map(|id| {
        let id = Test::OneOf(vec![id.0.to_vec()]);
        Filter::is(Field::column(column::TRACE_ID), id)
    }));
    filters.extend(query.filters.iter().map(line_filter));
    for matcher in &query.metadata {
        filters.push(metadata_filter(matcher)?);
    }
    Ok(Filter::All(filters))
}

/// A matcher on a label of log records. A label there is not counts as empty.
pub(super) fn label_filter(matcher: &Matcher) -> Filter {
    match label_column(&matcher.name) {
        Some(column) => matched(Field::column(column), matcher),
        None if matcher.matches_empty() => Filter::everything(),
        None => Filter::Any(Vec::new()),
    }
}

fn matched(field: Field, matcher: &Matcher) -> Filter {
    let test = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Test::Equals(matcher.value.clone()),
        MatchOp::Regex | MatchOp::NotRegex => Test::Regex(format!("^(?s:{})$", matcher.value)),
    };
    match matcher.op {
        MatchOp::Equal | MatchOp::Regex => Filter::is(field, test),
        MatchOp::NotEqual | MatchOp::NotRegex => Filter::is_not(field, test),
    }
}

fn line_filter(filter: &LineFilter) -> Filter {
    let body = Field::column(column::BODY);
    let text = filter.text.clone();
    match filter.op {
        LineFilterOp::Contains => Filter::is(body, Test::Contains(text)),
        LineFilterOp::NotContains => Filter::is_not(body, Test::Contains(text)),
        LineFilterOp::Regex => Filter::is(body, Test::Regex(text)),
        LineFilterOp::NotRegex => Filter::is_not(body, Test::Regex(text)),
    }
}

/// A matcher on structured metadata, or on a label.
///
/// # Errors
/// [`StoreError::Invalid`] when the value is no identifier, or the matcher on one is no equality.
fn metadata_filter(matcher: &Matcher) -> Result<Filter, StoreError> {
    match matcher.name.as_str() {
        name if label_column(name).is_some() => Ok(label_filter(matcher)),
        column::TRACE_ID => identifier_filter(
            matcher,
            TraceId::from_hex(&matcher.value).map(|id| id.0.to_vec()),
        ),
        column::SPAN_ID => identifier_filter(
            matcher,
            SpanId::from_hex(&matcher.value).map(|id| id.0.to_vec()),
        ),
        name if PROPERTIES.contains(&name) => Ok(matched(Field::column(name), matcher)),
        name => Ok(match name.strip_suffix(EXTRACTED) {
            Some(base) if !base.is_empty() => extracted_filter(base, matcher),
            _ => matched(Field::Metadata(name.to_owned()), matcher),
        }),
    }
}

/// A matcher on the name of an attribute that gave way, unless an attribute is called like that itself.
fn extracted_filter(base: &str, matcher: &Matcher) -> Filter {
    let literal = || Field::Metadata(matcher.name.clone());
    let (hidden, is_hidden) = match is_reserved(base) {
        true => (Field::Metadata(base.to_owned()), Filter::everything()),
        false => {
            let resource = Field::ResourceMetadata(base.to_owned());
            (
                Field::OwnMetadata(base.to_owned()),
                Filter::is(resource, Test::Exists),
            )
        }
    };
    let mut ways = vec![
        Filter::All(vec![
            Filter::is(literal(), Test::Exists),
            matched(literal(), matcher),
        ]),
        Filter::All(vec![
            Filter::is_not(literal(), Test::Exists),
            is_hidden.clone(),
            matched(hidden, matcher),
        ]),
    ];
    if matcher.matches_empty() {
        let absent = Filter::is_not(literal(), Test::Exists);
        ways.push(Filter::All(vec![absent, Filter::Not(Box::new(is_hidden))]));
    }
    Filter::Any(ways)
}

fn identifier_filter(matcher: &Matcher, id: Option<Vec<u8>>) -> Result<Filter, StoreError> {
    let field = Field::column(&matcher.name);
    match (matcher.op, id) {
        (MatchOp::Equal, Some(id)) => Ok(Filter::is(field, Test::OneOf(vec![id]))),
        (MatchOp::NotEqual, Some(id)) => Ok(Filter::is_not(field, Test::OneOf(vec![id]))),
        (MatchOp::Equal, None) if matcher.value.is_empty() => {
            Ok(Filter::is_not(field, Test::Exists))
        }
        (MatchOp::NotEqual, None) if matcher.value.is_empty() => {
            Ok(Filter::is(field, Test::Exists))
        }
        _ => Err(StoreError::Invalid {
            reason: format!(
                "{} can be compared by = and != with hexadecimal digits only",
                matcher.name
            ),
        }),
    }
}
