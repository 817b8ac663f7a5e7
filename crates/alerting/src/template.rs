//! Templates of labels and annotations: Go's `text/template` with Prometheus's functions.
//!
//! Understood: `$labels.x`, `.Labels.x`, `$value`, `.Value`, `$externalLabels`, `$externalURL`, own variables, literals,
//! pipes, parentheses, `if`, `with` and `range` with their `else`, `break`, `continue`, trim markers, comments, and the
//! functions of [`functions`]. Not understood: `define`, `template` and `block`. A template that cannot be expanded
//! becomes `<error expanding template: ...>`, as in Prometheus.
//!
//! A template asks nobody: the answers of its queries are given to it, and where one is missing the error says which
//! ([`TemplateError::Unanswered`]), so that it can be got and the template expanded again ([`Questions`]).
//!
//! Limits: 32 levels of nesting, 64 KiB of output, 1,000,000 steps.

mod check;
mod eval;
mod functions;
mod humanize;
mod number;
mod parse;
mod printf;
mod questions;
#[cfg(test)]
mod tests;
mod tokens;

use vervet_model::Labels;

pub(crate) use number::exponent_text;
pub(crate) use questions::{Answers, Questions};

/// What a template can refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateData<'a> {
    /// The labels of the query result, as `$labels` or `.Labels`.
    pub(crate) labels: &'a Labels,
    /// The value of the query result, as `$value` or `.Value`.
    pub(crate) value: f64,
    /// As `$externalURL` or `.ExternalURL`.
    pub(crate) external_url: &'a str,
    /// As `$externalLabels` or `.ExternalLabels`.
    pub(crate) external_labels: &'a Labels,
    /// When the rule is evaluated, in seconds since the epoch.
    pub(crate) seconds: f64,
    /// Of the queries in the template.
    pub(crate) answers: &'a Answers,
}

/// A template cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Go's language has it, this one has not.
    #[error("{0} is not supported")]
    Unsupported(String),
    #[error("{0}")]
    Syntax(String),
    /// A function got what it cannot use.
    #[error("{function}: {problem}")]
    Call { function: String, problem: String },
    #[error("the text is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("it takes more than {max} steps")]
    TooManySteps { max: usize },
    /// The answer to this query is not there yet.
    #[error("the query {0:?} was not answered")]
    Unanswered(String),
}

/// Expands a template.
///
/// # Errors
/// The template is not understood, a function got what it cannot use, or a query has no answer yet.
pub(crate) fn expand(text: &str, data: &TemplateData<'_>) -> Result<String, TemplateError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    eval::run(&parse::parse(text)?, data)
}

/// Checks a template without data: its syntax, and that it uses nothing unknown.
///
/// # Errors
/// No data could make it expand.
pub fn check(text: &str) -> Result<(), TemplateError> {
    if !text.contains("{{") {
        return Ok(());
    }
    check::check(&parse::parse(text)?)
}

/// Expands a template; what cannot be expanded becomes an error text, as in Prometheus.
pub(crate) fn expand_or_explain(text: &str, data: &TemplateData<'_>) -> String {
    expand(text, data).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}
