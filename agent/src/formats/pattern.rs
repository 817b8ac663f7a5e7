//! A pattern of the user's, whose named groups are fields like those of JSON.
//!
//! It must match the whole text of a record. What of the text is in no named group is dropped: that is what the
//! pattern says; without a group that is the message, the whole text is the body.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use vervet_wire::otlp::Value;

use super::fields::Assembler;
use super::{Parsed, Settings};

/// Memory of a compiled pattern (bytes).
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A pattern with at least one named group.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// The names of groups, with their numbers.
    names: Vec<(usize, String)>,
}

impl Pattern {
    /// # Errors
    /// It is no pattern, or too large.
    pub(super) fn new(pattern: &str) -> Result<Self, regex::Error> {
        // Compiled alone for an error that shows what the user wrote.
        Regex::new(pattern)?;
        let regex = RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .dot_matches_new_line(true)
            .size_limit(PATTERN_BYTES_MAX)
            .build()?;
        let names = regex
            .capture_names()
            .enumerate()
            .filter_map(|(index, name)| Some((index, name?.to_owned())))
            .collect();
        Ok(Self { regex, names })
    }

    pub(super) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    pub(super) fn parse<'a>(&self, settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
        let groups = self.regex.captures(text)?;
        let mut record = Assembler::new(settings);
        for (index, name) in &self.names {
            if let Some(group) = groups.get(*index) {
                record.field(Cow::Owned(name.clone()), Value::from(group.as_str()));
            }
        }
        Some(record.finish(text))
    }
}
