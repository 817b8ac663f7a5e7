//! Prometheus's relabelling: rules that rewrite or drop a set of labels.
//!
//! In: [`RuleSpec`]s as `relabel_configs` and `metric_relabel_configs` write them, and [`Labels`]. Out: the labels changed, and
//! whether what bears them is kept. Regular expressions are anchored at both ends and `.` matches line breaks; a label that is
//! absent counts as empty, and one that becomes empty is gone. Names may be any UTF-8 text, as in Prometheus 3.
//!
//! Limits: an expression compiles to at most [`REGEX_SIZE_BYTES_MAX`].
//!
//! The semantics are those of Prometheus's documentation of `relabel_config`.

mod labels;
mod rule;
mod spec;
mod template;

pub use labels::Labels;
pub use rule::{REGEX_SIZE_BYTES_MAX, Rule, apply};
pub use spec::{Action, RuleError, RuleSpec};

#[cfg(test)]
mod tests;
