//! Values that complaints must not repeat: what `${env:NAME}` and `${file:/path}` were replaced by, what stands in
//! settings for secrets, and `name:password@` in addresses. A secret put in the wrong place is still one, and
//! complaints end in logs and tickets.

use std::collections::HashSet;

use super::error::Problem;
use super::yaml::{Node, Value};

/// What stands in the place of a value.
const HIDDEN: &str = "[hidden]";
/// Anything shorter is only hidden where it is quoted: it may be any word of a sentence (bytes).
const UNQUOTED_BYTES_MIN: usize = 4;
/// Settings whose values, and all below them, are secret.
const SECRET_KEYS: [&str; 7] = [
    "bearer_token",
    "credentials",
    "headers",
    "key",
    "password",
    "secret",
    "token",
];

/// Less of a value tells nothing of it (bytes).
const PART_BYTES_MIN: usize = 6;

/// Values to be hidden.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// The longest first.
    values: Vec<String>,
    /// Names of settings and components: they are no secrets, whatever a value is.
    names: HashSet<String>,
}

impl Hidden {
    /// What was put in the place of a reference, and the whole value it became part of.
    pub(super) fn add(&mut self, value: &str) {
        let value = value.trim();
        if !value.is_empty() && !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
            // A longer one may hold a shorter one.
            self.values
                .sort_by_key(|value| std::cmp::Reverse(value.len()));
        }
    }

    /// What is secret because of where it stands.
    pub(super) fn add_secrets(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar { text, .. } => {
                if let Some(user_info) = user_info(text) {
                    self.add(user_info);
                    self.add(
                        user_info
                            .split_once(':')
                            .map_or("", |(_, password)| password),
                    );
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.add_secrets(item)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.names.insert(key.name.clone());
                    match SECRET_KEYS.contains(&key.name.as_str()) {
                        true => self.add_all(value),
                        false => self.add_secrets(value),
                    }
                }
            }
        }
    }

    fn add_all(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar { text, .. } => self.add(text),
            Value::List(items) => items.iter().for_each(|item| self.add_all(item)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| self.add_all(value)),
        }
    }

    /// Takes the values out of what is said.
    pub(super) fn hide(&self, problem: &mut Problem) {
        if self.values.is_empty() {
            return;
        }
        let mut message = problem.message.clone();
        for value in &self.values {
            if value.len() < UNQUOTED_BYTES_MIN || self.names.contains(value) {
                continue;
            }
            for form in [value.clone(), value.escape_debug().to_string()] {
                message = message.replace(&form, HIDDEN);
            }
        }
        for quote in ['`', '"'] {
            message = self.hide_quoted(&message, quote);
        }
        problem.message = message;
    }

    /// Hides quoted texts that are parts of values.
    fn hide_quoted(&self, message: &str, quote: char) -> String {
        let tells = |value: &String, text: &str| {
            value == text || text.len() >= PART_BYTES_MIN && value.contains(text)
        };
        let is_part = |text: &str| {
            let is_open = text == HIDDEN || self.names.contains(text);
            !is_open && self.values.iter().any(|value| tells(value, text))
        };
        let parts: Vec<&str> = message.split(quote).collect();
        let shown = parts.iter().enumerate().map(|(index, part)| {
            let is_quoted = index % 2 == 1 && index + 1 < parts.len();
            if is_quoted && is_part(part) {
                HIDDEN
            } else {
                part
            }
        });
        shown.collect::<Vec<_>>().join(&quote.to_string())
    }
}

/// `name:password` of an address.
fn user_info(text: &str) -> Option<&str> {
    let (_scheme, rest) = text.split_once("://")?;
    let (user_info, _host) = rest.rsplit_once('@')?;
    (!user_info.is_empty()).then_some(user_info)
}
