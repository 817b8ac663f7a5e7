//! Conditions and statements as they stand in the configuration, with their lines.

use serde::Deserialize;

use super::StepContext;
use super::expr::{Ast, Checker, Expr, ExprError, Level, parse_condition};
use crate::config::{Located, Problem};

/// A condition, read but not yet checked against a signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    text: Source,
    ast: Ast,
}

/// A text of the configuration in the expression language.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Source(Located<String>);

impl Source {
    pub(super) fn text(&self) -> &str {
        &self.0.value
    }

    pub(super) fn problem(&self, error: &ExprError) -> Problem {
        Problem::at(self.0.line, error.show(self.text()))
    }
}

impl Condition {
    pub(super) fn read(text: Source) -> Result<Self, Problem> {
        match parse_condition(text.text()) {
            Ok(ast) => Ok(Self { text, ast }),
            Err(error) => Err(text.problem(&error)),
        }
    }

    /// The condition over records of the pipeline's signal, with its text.
    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<(String, Expr), Problem> {
        let checker = Checker {
            signal: context.signal,
            level: Level::Record,
        };
        match checker.condition(&self.ast) {
            Ok(expr) => Ok((self.text.text().to_owned(), expr)),
            Err(error) => Err(self.text.problem(&error)),
        }
    }
}
