//! Templates of labels and annotations: a subset of Go's `text/template` with Prometheus's functions.
//!
//! Understood: `$labels.x`, `.Labels.x`, `$value`, `.Value`, `$externalURL`, `.ExternalURL`, literals, pipes,
//! parentheses, `if` / `else if` / `else` / `end`, trim markers, comments, and the functions of
//! [`functions`]. Not understood: `range`, `with`, `define`, own variables, `query` and what goes with it.
//! A template that cannot be expanded becomes `<error expanding template: ...>`, as in Prometheus.
//!
//! Limits: 32 levels of nesting, 64 KiB of output.

mod check;
mod eval;
mod functions;
mod number;
mod parse;
#[cfg(test)]
mod tests;

use vervet_model::Labels;

pub(crate) use number::exponent_text;

/// What a template can refer to.
#[derive(Debug, Clone, Copy)]
pub struct TemplateData<'a> {
    /// The labels of the query result, as `$labels` or `.Labels`.
    pub labels: &'a Labels,
    /// The value of the query result, as `$value` or `.Value`.
    pub value: f64,
    /// As `$externalURL` or `.ExternalURL`.
    pub external_url: &'a str,
}

/// A template cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Go's language has it, this subset has not.
    #[error("{0} is not supported")]
    Unsupported(String),
    #[error("{0}")]
    Syntax(String),
    /// A function got what it cannot use.
    #[error("{function}: {problem}")]
    Call { function: String, problem: String },
    #[error("the text is longer than {max} bytes")]
    TooLong { max: usize },
}

/// Expands a template.
///
/// # Errors
/// The template is not understood, or a function got what it cannot use.
pub fn expand(text: &str, data: &TemplateData<'_>) -> Result<String, TemplateError> {
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
pub fn expand_or_explain(text: &str, data: &TemplateData<'_>) -> String {
    expand(text, data).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}
