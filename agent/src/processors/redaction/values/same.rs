//! What is covered in one part of a log record is covered in all: a body and the attributes that were read from it show the same value, and
//! only one of them may show the key or the word that tells of it.

use std::borrow::Cow;

use vervet_wire::otlp::{KeyValue, Value};

use super::super::judged;
use super::{Fate, KEY_RULE, Redactor};

/// Shortest value that is looked for in the other parts (bytes).
const BYTES_MIN: usize = 6;
/// Shortest value of letters alone that is looked for in the body: a shorter one may be any word.
const LETTERS_MIN: usize = 12;
/// Values that are looked for in the body, at most.
const WHOLES_MAX: usize = 16;
/// Values of attributes that are looked for in the body, at most.
const LOOKS_MAX: usize = 64;

/// What was found in a part of the data.
#[derive(Debug, Default)]
pub(in crate::processors::redaction) struct Noted {
    /// The rule of each place.
    pub(in crate::processors::redaction) rules: Vec<usize>,
    /// Texts that went whole because of their keys.
    wholes: Vec<String>,
}

impl Noted {
    pub(super) fn push(&mut self, rule: usize) {
        self.rules.push(rule);
    }

    pub(super) fn extend(&mut self, rules: Vec<usize>) {
        self.rules.extend(rules);
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// A value goes whole because of its key.
    pub(super) fn whole(&mut self, value: &Value<'_>) {
        let text = match value {
            Value::String(text) => text,
            Value::Array(values) => return values.iter().for_each(|value| self.part(value)),
            Value::Map(entries) => return entries.iter().for_each(|entry| self.part(&entry.value)),
            _ => return,
        };
        let least = match text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            true => LETTERS_MIN,
            false => BYTES_MIN,
        };
        if text.len() >= least && self.wholes.len() < WHOLES_MAX {
            self.wholes.push(text.as_ref().to_owned());
        }
    }

    /// A value goes with what is around it. Names may stand there, too.
    fn part(&mut self, value: &Value<'_>) {
        match value {
            Value::String(text) if !judged::looks_secret(text.as_bytes(), false) => {}
            value => self.whole(value),
        }
    }
}

/// A body before and after it was searched.
struct Body<'b> {
    before: &'b str,
    after: &'b str,
    /// Values that may still be compared with it.
    looks: usize,
}

impl Body<'_> {
    /// Whether all places of `text` in the body were covered. Words and paths may stand by chance in what was.
    fn hides(&mut self, text: &str) -> bool {
        let is_part = |byte: u8| byte.is_ascii_alphabetic() || b" _-.".contains(&byte);
        let is_words = text.len() < LETTERS_MIN && text.bytes().all(is_part);
        let is_other = is_words || judged::is_place(text.as_bytes());
        if text.len() < BYTES_MIN || is_other || self.looks == 0 {
            return false;
        }
        self.looks -= 1;
        self.before.contains(text) && !self.after.contains(text)
    }
}

impl Redactor {
    /// Searches a body that is a text, behind the `attributes` of its record.
    pub(super) fn body(
        &self,
        text: &mut Cow<'_, str>,
        attributes: &mut Vec<KeyValue<'_>>,
        noted: &mut Noted,
    ) -> Fate {
        let mut fate = Fate::Stays;
        if let Some(covered) = self.scanner.text(text) {
            let before = std::mem::replace(text, Cow::Owned(covered.text));
            fate = self.fate(covered.rules, noted);
            let mut body = Body {
                before: &before,
                after: text,
                looks: LOOKS_MAX,
            };
            self.hidden(attributes, &mut body, noted);
        }
        for whole in std::mem::take(&mut noted.wholes) {
            if let Some(covered) = self.scanner.cover_each(text, &whole) {
                *text = Cow::Owned(covered);
                let found = self.fate(vec![self.key_rule()], noted);
                if matches!(fate, Fate::Stays) {
                    fate = found;
                }
            }
        }
        fate
    }

    /// Covers the attributes whose keys or values the body hides.
    fn hidden(&self, attributes: &mut Vec<KeyValue<'_>>, body: &mut Body<'_>, noted: &mut Noted) {
        attributes.retain_mut(|attribute| {
            if self.except.contains(attribute.key.as_ref()) {
                return true;
            }
            if judged::looks_secret(attribute.key.as_bytes(), true) && body.hides(&attribute.key) {
                noted.push(self.key_rule());
                attribute.key = Cow::Owned(self.covered(&attribute.key));
            }
            self.stays_hidden(&mut attribute.value, body, noted)
        });
    }

    /// Covers a value that the body hides; false when it must go.
    fn stays_hidden(&self, value: &mut Value<'_>, body: &mut Body<'_>, noted: &mut Noted) -> bool {
        match value {
            Value::String(text) if body.hides(text.as_ref()) => {
                noted.push(self.key_rule());
                *text = Cow::Owned(self.covered(text));
                !self.drop
            }
            Value::Array(values) => {
                values.retain_mut(|value| self.stays_hidden(value, body, noted));
                true
            }
            Value::Map(entries) => {
                self.hidden(entries, body, noted);
                true
            }
            _ => true,
        }
    }

    fn covered(&self, secret: &str) -> String {
        let mut cover = String::new();
        self.scanner.cover(KEY_RULE, secret, &mut cover);
        cover
    }

    /// Bytes that are no text as a whole, their valid parts searched; with the rule of each place that was covered.
    pub(super) fn parts(&self, bytes: &[u8]) -> Option<(Vec<u8>, Vec<usize>)> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rules = Vec::new();
        for part in bytes.utf8_chunks() {
            match self.scanner.text(part.valid()) {
                Some(covered) => {
                    out.extend_from_slice(covered.text.as_bytes());
                    rules.extend(covered.rules);
                }
                None => out.extend_from_slice(part.valid().as_bytes()),
            }
            out.extend_from_slice(part.invalid());
        }
        (!rules.is_empty()).then_some((out, rules))
    }
}
