//! The queries of templates: found by expanding them, answered by whoever can ask.

use std::collections::BTreeMap;

use vervet_model::Labels;

use super::{TemplateData, TemplateError, expand};

/// Queries that the templates of one evaluation of a rule may ask.
const QUESTIONS_MAX: usize = 1_000;

/// Queries and what they gave, or why they gave nothing.
pub(crate) type Answers = BTreeMap<String, Result<Vec<(Labels, f64)>, String>>;

/// Collects what the templates of a rule ask.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) answers: Answers,
    /// Not asked yet.
    open: Vec<String>,
}

impl Questions {
    /// Whether a template may ask something.
    pub(crate) fn asks(text: &str) -> bool {
        text.contains("{{") && text.contains("query")
    }

    /// Expands a template as far as the answers go, and notes the next query.
    pub(crate) fn look(&mut self, text: &str, data: &TemplateData<'_>) {
        let data = TemplateData {
            answers: &self.answers,
            ..*data
        };
        if let Err(TemplateError::Unanswered(query)) = expand(text, &data)
            && self.open.len() < QUESTIONS_MAX
            && !self.open.contains(&query)
        {
            self.open.push(query);
        }
    }

    /// The queries to ask next, unless it would be too many of them.
    pub(crate) fn next(&mut self) -> Vec<String> {
        let room = QUESTIONS_MAX.saturating_sub(self.answers.len());
        self.open.truncate(room);
        std::mem::take(&mut self.open)
    }
}
