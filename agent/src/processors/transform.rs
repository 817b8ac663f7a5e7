//! `transform`: changes records by statements such as
//! `set(attributes["route"], ToLowerCase(attributes["http.route"])) where attributes["http.route"] != nil`.
//!
//! Statements run in order, each on the record as the last one left it. One that changes `resource.attributes` runs once
//! per resource and may only read the resource; one that changes a metric's name, description or unit runs once per
//! metric; the others run per record or data point. A statement that cannot do its work (text that is not JSON, a number out
//! of range) changes nothing and is counted.

mod edit;
mod target;

use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use vervet_model::Signal;
use vervet_wire::otlp::{LogRecord, Metric, Resource, Scope, Span};

use super::StepContext;
use super::expr::{
    Ast, Checker, Context, EvalError, Expr, ExprError, Level, Record, parse_statement,
};
use super::points::{self, Head};
use super::source::Source;
use crate::config::{Mistakes, Problem};
use edit::Edit;
use target::Target;

/// What the configuration says of one `transform` processor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformSpec {
    statements: Vec<Source>,
}

/// The settings of a `transform` processor, checked as far as the signal does not matter.
#[derive(Debug, Clone)]
pub struct TransformConfig(Vec<(Source, Ast, Option<Ast>)>);

impl TryFrom<TransformSpec> for TransformConfig {
    type Error = Mistakes;

    fn try_from(spec: TransformSpec) -> Result<Self, Mistakes> {
        let (mut statements, mut mistakes) = (Vec::new(), Mistakes::default());
        mistakes.demand(
            !spec.statements.is_empty(),
            &["statements"],
            "`statements` is empty",
        );
        for source in spec.statements {
            let read = parse_statement(source.text()).map_err(|error| source.problem(&error));
            if let Some((call, condition)) = mistakes.note(&["statements"], read) {
                statements.push((source, call, condition));
            }
        }
        mistakes.or(Some(Self(statements)))
    }
}

impl TransformConfig {
    /// What does not fit the signal.
    pub(super) fn problems(&self, context: &StepContext<'_>) -> Vec<Problem> {
        let statements = self.statements(context);
        statements.filter_map(Result::err).collect()
    }

    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<TransformStep, Problem> {
        Ok(TransformStep {
            statements: self.statements(context).collect::<Result<_, _>>()?,
            errors: context.metrics.processors.errors(context.name),
        })
    }

    fn statements(
        &self,
        context: &StepContext<'_>,
    ) -> impl Iterator<Item = Result<Statement, Problem>> {
        let signal = context.signal;
        self.0.iter().map(move |(source, call, condition)| {
            Statement::compile(signal, call, condition.as_ref())
                .map(|(edit, condition, level)| Statement {
                    text: source.text().to_owned(),
                    edit,
                    condition,
                    level,
                })
                .map_err(|error| source.problem(&error))
        })
    }
}

/// A `transform` processor at work.
#[derive(Debug)]
pub(super) struct TransformStep {
    statements: Vec<Statement>,
    errors: Counter,
}

#[derive(Debug)]
struct Statement {
    text: String,
    edit: Edit,
    condition: Option<Expr>,
    level: Level,
}

impl Statement {
    fn compile(
        signal: Signal,
        call: &Ast,
        condition: Option<&Ast>,
    ) -> Result<(Edit, Option<Expr>, Level), ExprError> {
        let of_record = Checker {
            signal,
            level: Level::Record,
        };
        let (path, ..) = of_record.path(edit::target(call)?)?;
        let level = path.field.level(signal);
        let checker = Checker { signal, level };
        let edit = Edit::compile(checker, call)?;
        let condition = condition.map(|condition| checker.condition(condition));
        Ok((edit, condition.transpose()?, level))
    }

    fn applies(&self, context: &Context<'_>) -> bool {
        let condition = self.condition.as_ref();
        condition.is_none_or(|condition| condition.holds(context))
    }
}

impl TransformStep {
    fn at(&self, level: Level) -> impl Iterator<Item = &Statement> {
        let statements = self.statements.iter();
        statements.filter(move |statement| statement.level == level)
    }

    /// What a statement made of its target; an error counts and changes nothing.
    fn settle(&self, result: Result<bool, EvalError>) -> bool {
        result.unwrap_or_else(|_counted| {
            self.errors.inc();
            false
        })
    }

    pub(super) fn resource(&self, resource: &mut Resource<'_>) -> bool {
        self.at(Level::Resource).fold(false, |changed, statement| {
            let result = (|| {
                let context = Context {
                    resource,
                    scope: None,
                    record: Record::None,
                };
                if !statement.applies(&context) {
                    return Ok(false);
                }
                let value = statement.edit.prepare(&context)?;
                let mut target = Target::Attributes(&mut resource.attributes);
                statement.edit.apply(&mut target, value)
            })();
            self.settle(result) | changed
        })
    }

    pub(super) fn log(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
    ) -> bool {
        self.at(Level::Record).fold(false, |changed, statement| {
            self.log_by(statement, resource, scope, record) | changed
        })
    }

    fn log_by(
        &self,
        statement: &Statement,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
    ) -> bool {
        let result = (|| {
            let context = Context {
                resource,
                scope: Some(scope),
                record: Record::Log(record),
            };
            if !statement.applies(&context) {
                return Ok(false);
            }
            let value = statement.edit.prepare(&context)?;
            statement.edit.apply(&mut Target::Log(record), value)
        })();
        self.settle(result)
    }

    /// As [`TransformStep::log`], showing the record before and after each statement.
    pub(super) fn log_by_part(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
        each: &mut dyn FnMut(&str, &LogRecord<'_>, &LogRecord<'_>),
    ) {
        for statement in self.at(Level::Record) {
            let before = record.clone();
            if self.log_by(statement, resource, scope, record) {
                each(&statement.text, &before, record);
            }
        }
    }

    pub(super) fn span(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        span: &mut Span<'_>,
    ) -> bool {
        self.at(Level::Record).fold(false, |changed, statement| {
            let result = (|| {
                let context = Context {
                    resource,
                    scope: Some(scope),
                    record: Record::Span(span),
                };
                if !statement.applies(&context) {
                    return Ok(false);
                }
                let value = statement.edit.prepare(&context)?;
                statement.edit.apply(&mut Target::Span(span), value)
            })();
            self.settle(result) | changed
        })
    }

    pub(super) fn metric(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        metric: &mut Metric<'_>,
    ) -> bool {
        let mut changed = false;
        for statement in &self.statements {
            match statement.level {
                Level::Metric => {
                    let result = (|| {
                        let context = Context {
                            resource,
                            scope: Some(scope),
                            record: Record::Point(Head::of(metric).alone()),
                        };
                        if !statement.applies(&context) {
                            return Ok(false);
                        }
                        let value = statement.edit.prepare(&context)?;
                        statement.edit.apply(&mut Target::Metric(metric), value)
                    })();
                    changed |= self.settle(result);
                }
                Level::Record => points::for_each(metric, |head, point| {
                    let result = (|| {
                        let context = Context {
                            resource,
                            scope: Some(scope),
                            record: Record::Point(head.with(point)),
                        };
                        if !statement.applies(&context) {
                            return Ok(false);
                        }
                        let value = statement.edit.prepare(&context)?;
                        let mut target = Target::Attributes(point.attributes_mut());
                        statement.edit.apply(&mut target, value)
                    })();
                    changed |= self.settle(result);
                }),
                Level::Resource | Level::Scope => {}
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests;
