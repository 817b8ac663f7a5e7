//! The expression language of conditions and statements.
//!
//! In: text such as `severity_number >= SEVERITY_NUMBER_WARN and IsMatch(attributes["http.route"], "^/api")`. Out: an
//! [`Expr`], checked against the fields of one signal and compiled once, or an [`ExprError`] with the place. Names
//! follow OTTL, the transformation language of the OpenTelemetry Collector; arguments have no names, and there are no
//! contexts to choose: the signal is known from the pipeline.
//!
//! A field or attribute that is absent is `nil`. Comparing values of different kinds is `false` (`!=` is `true`);
//! whole and fractional numbers compare by value. Limits: [`SOURCE_BYTES_MAX`], [`DEPTH_MAX`] levels of nesting,
//! [`OPERATORS_MAX`] binary operators.

mod check;
mod eval;
mod functions;
mod lexer;
mod parser;
mod path;

use std::fmt;

pub(super) use check::{Checker, Expr, Type};
pub(super) use eval::{Context, EvalError, Point, Record, depth_of};
pub(super) use parser::{Ast, AstKind, parse_condition, parse_statement};
pub(super) use path::{Field, Key, Level, Path};

/// Longest expression (bytes).
const SOURCE_BYTES_MAX: usize = 16 << 10;
/// Deepest nesting of an expression.
const DEPTH_MAX: usize = 64;
/// Most binary operators in one expression: a chain of them nests, too.
const OPERATORS_MAX: usize = 200;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExprError {
    /// Byte offset into the source.
    pub(super) at: usize,
    pub(super) message: String,
}

impl ExprError {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    /// The message with the line of the source and a caret below the place.
    pub(super) fn show(&self, source: &str) -> String {
        let before = source.get(..self.at).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = source.get(line_start..).unwrap_or_default();
        let line = line.lines().next().unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let (number, message) = (column + 1, &self.message);
        format!(
            "column {number}: {message}\n    {line}\n    {:column$}^",
            ""
        )
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests;
