//! Functions that change or order labels.

use std::cmp::Ordering;

use regex::RegexBuilder;
use vervet_model::matcher::REGEX_SIZE_BYTES_MAX;
use vervet_model::{Label, Labels, LabelsBuilder, METRIC_NAME};

use crate::error::QueryError;
use crate::eval::memory::text_bytes;
use crate::eval::{Evaluator, Track, merge_same_labels};
use crate::syntax::{Expr, Node};

/// What a series is of: its labels for this are no longer true of what functions make of it.
pub(crate) const METRIC_TYPE: &str = "__type__";
const METRIC_UNIT: &str = "__unit__";

/// Whether a label says what a series is of: the name, the type or the unit of its metric.
pub(crate) fn is_of_metric(label: &str) -> bool {
    matches!(label, METRIC_NAME | METRIC_TYPE | METRIC_UNIT)
}

/// Labels without the name, the type and the unit of a metric.
pub(crate) fn without_metric(labels: &Labels) -> Labels {
    labels.filter(|name| !is_of_metric(name))
}

impl Evaluator<'_> {
    pub(crate) fn eval_label_replace(&self, args: &[Node]) -> Result<Vec<Track>, QueryError> {
        let [vector, target, replacement, source, pattern] = args else {
            return Err(QueryError::Execution(
                "label_replace takes five arguments".to_owned(),
            ));
        };
        let [target, replacement] = [text(target)?, text(replacement)?];
        let [source, pattern] = [text(source)?, text(pattern)?];
        let regex = RegexBuilder::new(&format!("^(?s:{pattern})$"))
            .size_limit(REGEX_SIZE_BYTES_MAX)
            .build()
            .map_err(|_invalid| {
                QueryError::Execution(format!(
                    "invalid regular expression in label_replace(): {pattern}"
                ))
            })?;
        check_target(target, "label_replace")?;
        let mut tracks = self.eval_vector(vector)?;
        for track in &mut tracks {
            let value = track.labels.get(source).unwrap_or_default();
            let Some(captures) = regex.captures(value) else {
                continue;
            };
            let mut replaced = String::new();
            captures.expand(replacement, &mut replaced);
            self.set_label(track, target, &replaced)?;
        }
        merge_same_labels(tracks, &self.query.memory)
    }

    pub(crate) fn eval_label_join(&self, args: &[Node]) -> Result<Vec<Track>, QueryError> {
        let [vector, target, separator, sources @ ..] = args else {
            return Err(QueryError::Execution(
                "label_join takes at least three arguments".to_owned(),
            ));
        };
        let [target, separator] = [text(target)?, text(separator)?];
        let sources = sources.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        check_target(target, "label_join")?;
        if sources.iter().any(|source| source.is_empty()) {
            return Err(QueryError::Execution(
                "invalid source label name in label_join(): ".to_owned(),
            ));
        }
        let mut tracks = self.eval_vector(vector)?;
        for track in &mut tracks {
            let values: Vec<&str> = sources
                .iter()
                .map(|source| track.labels.get(source).unwrap_or_default())
                .collect();
            let joined = values.join(separator);
            self.set_label(track, target, &joined)?;
        }
        merge_same_labels(tracks, &self.query.memory)
    }

    pub(crate) fn eval_sort_by_label(
        &self,
        vector: &Node,
        labels: &[Node],
        descending: bool,
    ) -> Result<Vec<Track>, QueryError> {
        let names = labels.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let mut tracks = self.eval_vector(vector)?;
        tracks.sort_by(|a, b| {
            let by_label = |name: &&str| {
                let (a, b) = (a.labels.get(name), b.labels.get(name));
                natural(a.unwrap_or_default(), b.unwrap_or_default())
            };
            let different = names.iter().map(by_label).find(|order| order.is_ne());
            let order = different.unwrap_or_else(|| a.labels.cmp(&b.labels));
            if descending { order.reverse() } else { order }
        });
        Ok(tracks)
    }

    fn set_label(&self, track: &mut Track, name: &str, value: &str) -> Result<(), QueryError> {
        let bytes = text_bytes(name) + text_bytes(value) + size_of::<Label>();
        self.query.memory.keep(bytes, "the texts of new labels")?;
        let mut labels = LabelsBuilder::from_labels(&track.labels);
        labels.set(name, value);
        track.labels = labels.build();
        if name == METRIC_NAME {
            track.drop_name = false;
        }
        Ok(())
    }
}

/// The content of an argument whose type is known to be text.
pub(crate) fn text(node: &Node) -> Result<&str, QueryError> {
    match node.bare() {
        Expr::Text(text) => Ok(text),
        _ => Err(QueryError::Parse {
            message: format!(
                "expected a text literal, got {}",
                node.value_type().as_str()
            ),
            position: Some(node.position),
        }),
    }
}

fn check_target(name: &str, function: &str) -> Result<(), QueryError> {
    if name.is_empty() {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in {function}(): {name}"
        )));
    }
    Ok(())
}

/// Orders texts with the numbers inside them by value: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (a_run, a_rest) = split_run(a);
        let (b_run, b_rest) = split_run(b);
        if a_run.is_empty() || b_run.is_empty() {
            return a_run.len().cmp(&b_run.len());
        }
        let digits = |run: &str| run.starts_with(|first: char| first.is_ascii_digit());
        let order = if digits(a_run) && digits(b_run) {
            let (a_value, b_value) = (a_run.trim_start_matches('0'), b_run.trim_start_matches('0'));
            (a_value.len().cmp(&b_value.len())).then_with(|| a_value.cmp(b_value))
        } else {
            a_run.cmp(b_run)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
}

/// Splits after the longest run of digits, or of anything else, at the front.
fn split_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|first: char| first.is_ascii_digit());
    let end = text
        .find(|next: char| next.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}
