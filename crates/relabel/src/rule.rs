//! Rules, checked, and what they do.

use md5::{Digest, Md5};
use regex::{Regex, RegexBuilder};

use crate::labels::Labels;
use crate::spec::{Action, RuleError, RuleSpec};
use crate::template::Template;

/// Compiled size of one rule's regular expression, at most (bytes).
pub const REGEX_SIZE_BYTES_MAX: usize = 1 << 20;
const SEPARATOR_DEFAULT: &str = ";";
const REGEX_DEFAULT: &str = "(.*)";
const REPLACEMENT_DEFAULT: &str = "$1";

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    /// The expression matches every text.
    matches_all: bool,
    modulus: u64,
    target_label: String,
    target: Template,
    replacement: Template,
    action: Action,
}

/// Applies rules in order; false when one of them drops what bears the labels.
pub fn apply(rules: &[Rule], labels: &mut Labels<'_>) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl TryFrom<RuleSpec> for Rule {
    type Error = RuleError;

    fn try_from(spec: RuleSpec) -> Result<Self, RuleError> {
        check(&spec)?;
        let pattern = spec.regex.as_deref().unwrap_or(REGEX_DEFAULT);
        let regex = anchored(pattern)?;
        let target_label = spec.target_label.unwrap_or_default();
        let replacement = spec.replacement.as_deref().unwrap_or(REPLACEMENT_DEFAULT);
        Ok(Self {
            source_labels: spec.source_labels.unwrap_or_default(),
            separator: spec
                .separator
                .unwrap_or_else(|| SEPARATOR_DEFAULT.to_owned()),
            matches_all: matches!(pattern, REGEX_DEFAULT | ".*"),
            modulus: spec.modulus.unwrap_or(0),
            target: Template::new(&target_label, &regex),
            replacement: Template::new(replacement, &regex),
            target_label,
            action: spec.action,
            regex,
        })
    }
}

/// What fits together, by Prometheus's rules.
fn check(spec: &RuleSpec) -> Result<(), RuleError> {
    let action = spec.action;
    let demand = |holds: bool, key, message: &str| match holds {
        true => Ok(()),
        false => Err(RuleError {
            key,
            message: format!("action {} {message}", action.as_str()),
        }),
    };
    let target = spec.target_label.as_deref().unwrap_or_default();
    let needs_target = matches!(
        action,
        Action::Replace
            | Action::HashMod
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
    );
    demand(
        !needs_target || !target.is_empty(),
        "target_label",
        "needs `target_label`",
    )?;
    let other = |value: Option<&str>, default: &str| value.is_some_and(|value| value != default);
    let regex = other(spec.regex.as_deref(), REGEX_DEFAULT);
    let separator = other(spec.separator.as_deref(), SEPARATOR_DEFAULT);
    let replacement = other(spec.replacement.as_deref(), REPLACEMENT_DEFAULT);
    let modulus = spec.modulus.unwrap_or(0) != 0;
    match action {
        Action::HashMod => demand(modulus, "modulus", "needs a `modulus` over 0"),
        Action::Lowercase | Action::Uppercase => {
            demand(!replacement, "replacement", "takes no `replacement`")
        }
        Action::KeepEqual | Action::DropEqual => {
            let only = "takes only `source_labels` and `target_label`";
            demand(!regex, "regex", only)?;
            demand(!modulus, "modulus", only)?;
            demand(!separator, "separator", only)?;
            demand(!replacement, "replacement", only)
        }
        Action::LabelDrop | Action::LabelKeep => {
            let only = "takes only `regex`";
            demand(spec.source_labels.is_none(), "source_labels", only)?;
            demand(target.is_empty(), "target_label", only)?;
            demand(!modulus, "modulus", only)?;
            demand(!separator, "separator", only)?;
            demand(!replacement, "replacement", only)
        }
        Action::LabelMap => {
            let is_empty = spec.replacement.as_deref() == Some("");
            demand(!is_empty, "replacement", "needs a `replacement`")
        }
        Action::Replace | Action::Keep | Action::Drop => Ok(()),
    }
}

fn anchored(pattern: &str) -> Result<Regex, RuleError> {
    let compile = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(REGEX_SIZE_BYTES_MAX)
            .build()
    };
    // By itself first: a lone bracket must not find its partner in what is put around it.
    let compiled = compile(pattern).and_then(|_alone| compile(&format!("^(?s:{pattern})$")));
    compiled.map_err(|error| {
        let last = error.to_string();
        let reason = last.lines().last().unwrap_or_default().trim();
        RuleError {
            key: "regex",
            message: format!(
                "`{pattern}` is no regular expression: {}",
                reason.trim_start_matches("error: ")
            ),
        }
    })
}

impl Rule {
    /// Changes labels; false when what bears them is dropped.
    pub fn apply(&self, labels: &mut Labels<'_>) -> bool {
        match self.action {
            Action::Keep => return self.is_match(&self.value(labels)),
            Action::Drop => return !self.is_match(&self.value(labels)),
            Action::KeepEqual => return labels.get(&self.target_label) == self.value(labels),
            Action::DropEqual => return labels.get(&self.target_label) != self.value(labels),
            Action::Replace => self.replace(labels),
            Action::HashMod => {
                let hash = Md5::digest(self.value(labels).as_bytes());
                let low = hash
                    .iter()
                    .skip(8)
                    .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                let bucket = low.checked_rem(self.modulus).unwrap_or(0);
                labels.set(self.target_label.clone(), bucket.to_string());
            }
            Action::Lowercase => {
                let value = self.value(labels).to_lowercase();
                labels.set(self.target_label.clone(), value);
            }
            Action::Uppercase => {
                let value = self.value(labels).to_uppercase();
                labels.set(self.target_label.clone(), value);
            }
            Action::LabelMap => self.map(labels),
            Action::LabelDrop => labels.retain(|name| !self.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.is_match(name)),
        }
        true
    }

    fn is_match(&self, text: &str) -> bool {
        self.matches_all || self.regex.is_match(text)
    }

    /// The values of the source labels, joined.
    fn value(&self, labels: &Labels<'_>) -> String {
        let mut value = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                value.push_str(&self.separator);
            }
            value.push_str(labels.get(name));
        }
        value
    }

    fn replace(&self, labels: &mut Labels<'_>) {
        let value = self.value(labels);
        if let (true, Some(target), Some(text)) = (
            self.matches_all,
            self.target.constant(),
            self.replacement.constant(),
        ) && !target.is_empty()
        {
            labels.set(target.to_owned(), text.to_owned());
            return;
        }
        let Some(captures) = self.regex.captures(&value) else {
            return;
        };
        let target = self.target.expand(&captures);
        if !target.is_empty() {
            labels.set(target, self.replacement.expand(&captures));
        }
    }

    fn map(&self, labels: &mut Labels<'_>) {
        let copies: Vec<(String, String)> = labels
            .iter()
            .filter_map(|(name, value)| {
                let captures = self.regex.captures(name)?;
                Some((self.replacement.expand(&captures), value.to_owned()))
            })
            .collect();
        for (name, value) in copies.into_iter().filter(|(name, _)| !name.is_empty()) {
            labels.set(name, value);
        }
    }
}
