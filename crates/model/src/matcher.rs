//! Label matchers: `=`, `!=`, `=~`, `!~`, with Prometheus's meaning (regular expressions are fully
//! anchored, an absent label matches as the empty string).

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::labels::Labels;

/// Compiled size of one matcher's regular expression, at most (bytes).
pub const REGEX_SIZE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// The regular expression of a matcher does not compile, or compiles to more than the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?} for label {name:?}: {reason}")]
pub struct MatcherError {
    pub name: String,
    pub pattern: String,
    pub reason: String,
}

/// One condition on one label.
#[derive(Clone)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    pub value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// # Errors
    /// The pattern of a regex matcher is invalid or too large.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&name, &value)?),
        };
        Ok(Self {
            name,
            op,
            value,
            regex,
        })
    }

    /// An equality matcher, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            regex: None,
        }
    }

    /// Whether a label value fulfils the condition.
    pub fn matches(&self, value: &str) -> bool {
        let found = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        found == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// Whether a label set fulfils the condition; an absent label counts as empty.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or_default())
    }

    /// Whether the condition holds for series without the label.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

fn anchored(name: &str, pattern: &str) -> Result<Regex, MatcherError> {
    RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(REGEX_SIZE_BYTES_MAX)
        .build()
        .map_err(|error| MatcherError {
            name: name.to_owned(),
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regex_is_anchored_on_both_ends() {
        let matcher = Matcher::new("job", MatchOp::Regex, "api|web").expect("valid");
        assert!(matcher.matches("web"));
        assert!(!matcher.matches("webby"));
        assert!(!matcher.matches("myapi"));
    }

    #[test]
    fn absent_label_counts_as_empty() {
        let matcher = Matcher::new("job", MatchOp::NotEqual, "api").expect("valid");
        assert!(matcher.matches_labels(&Labels::empty()));
        assert!(!Matcher::equal("job", "api").matches_empty());
    }

    #[test]
    fn bad_pattern_names_the_label() {
        let error = Matcher::new("job", MatchOp::Regex, "(").expect_err("invalid");
        assert!(error.to_string().contains("\"job\""), "{error}");
    }
}
