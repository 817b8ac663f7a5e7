//! `filter`: drops records by conditions, or keeps only some.
//!
//! A record for which a condition of `drop` holds is dropped; so is one for which none of `keep` holds, when there are
//! any. Of a metric the data points are judged one by one.

use serde::Deserialize;
use vervet_wire::otlp::{LogRecord, Metric, Resource, Scope, Span};

use super::expr::{Context, Expr, Record};
use super::source::{Condition, Source};
use super::{DropReason, Drops, Outcome, StepContext, points};
use crate::config::{Mistakes, Problem};

/// What the configuration says of one `filter` processor.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// What one of these holds for is dropped.
    #[serde(default)]
    drop: Vec<Source>,
    /// What none of these holds for is dropped, too.
    #[serde(default)]
    keep: Vec<Source>,
}

/// The settings of a `filter` processor, checked as far as the signal does not matter.
#[derive(Debug, Clone)]
pub struct FilterConfig {
    drop: Vec<Condition>,
    keep: Vec<Condition>,
}

impl TryFrom<FilterSpec> for FilterConfig {
    type Error = Mistakes;

    fn try_from(spec: FilterSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            !spec.drop.is_empty() || !spec.keep.is_empty(),
            &["drop", "keep"],
            "say what to `drop` or what to `keep`",
        );
        let mut read = |key, sources: Vec<Source>| -> Vec<Condition> {
            let read = sources.into_iter().map(Condition::read);
            read.filter_map(|read| mistakes.note(&[key], read))
                .collect()
        };
        let (drop, keep) = (read("drop", spec.drop), read("keep", spec.keep));
        mistakes.or(Some(Self { drop, keep }))
    }
}

impl FilterConfig {
    /// What does not fit the signal.
    pub(super) fn problems(&self, context: &StepContext<'_>) -> Vec<Problem> {
        let conditions = self.drop.iter().chain(&self.keep);
        conditions
            .filter_map(|condition| condition.compile(context).err())
            .collect()
    }

    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<FilterStep, Problem> {
        let compile = |conditions: &[Condition]| -> Result<Vec<_>, Problem> {
            let compiled = conditions
                .iter()
                .map(|condition| condition.compile(context));
            compiled.collect()
        };
        Ok(FilterStep {
            drop: compile(&self.drop)?,
            keep: compile(&self.keep)?,
            dropped: DropReason::new(context.name, "drop"),
            not_kept: DropReason::new(context.name, "not_kept"),
        })
    }
}

/// A `filter` processor at work. Conditions come with their texts.
#[derive(Debug)]
pub(super) struct FilterStep {
    drop: Vec<(String, Expr)>,
    keep: Vec<(String, Expr)>,
    dropped: DropReason,
    not_kept: DropReason,
}

impl FilterStep {
    fn judge(&self, context: &Context<'_>) -> Result<(), &DropReason> {
        let holds = |(_, condition): &(String, Expr)| condition.holds(context);
        if self.drop.iter().any(holds) {
            return Err(&self.dropped);
        }
        if !self.keep.is_empty() && !self.keep.iter().any(holds) {
            return Err(&self.not_kept);
        }
        Ok(())
    }

    fn outcome(&self, resource: &Resource<'_>, scope: &Scope<'_>, record: Record<'_>) -> Outcome {
        let context = Context {
            resource,
            scope: Some(scope),
            record,
        };
        let judged = self.judge(&context);
        judged.map(|()| false).map_err(DropReason::clone)
    }

    pub(super) fn log(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &LogRecord<'_>,
    ) -> Outcome {
        self.outcome(resource, scope, Record::Log(record))
    }

    pub(super) fn span(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        span: &Span<'_>,
    ) -> Outcome {
        self.outcome(resource, scope, Record::Span(span))
    }

    pub(super) fn metric(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        metric: &mut Metric<'_>,
        drops: &mut Drops,
    ) -> Outcome {
        let before = metric.data.points();
        let mut last = None;
        points::retain(metric, |point| {
            match self.outcome(resource, scope, Record::Point(point)) {
                Ok(_) => true,
                Err(reason) => {
                    drops.add(&reason, 1, 0);
                    last = Some(reason);
                    false
                }
            }
        });
        match last {
            // Its points are counted already.
            Some(reason) if metric.data.points() == 0 => Err(reason),
            Some(_) => Ok(before > 0),
            None => Ok(false),
        }
    }

    /// The condition that drops a log record, for explanations.
    pub(super) fn rule(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &LogRecord<'_>,
    ) -> String {
        let context = Context {
            resource,
            scope: Some(scope),
            record: Record::Log(record),
        };
        let found = self.drop.iter().find(|(_, c)| c.holds(&context));
        match found {
            Some((text, _)) => format!("drop: {text}"),
            None => {
                let texts: Vec<&str> = self.keep.iter().map(|(text, _)| text.as_str()).collect();
                format!("none of keep: {}", texts.join("; "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
