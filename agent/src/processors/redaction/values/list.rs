//! Redaction of lists: an item may be the value of the one before.

use std::borrow::Cow;

use vervet_wire::otlp::Value;

use super::super::lists::{self, Place};
use super::{Fate, KEY_RULE, Noted, Redactor, is_secret_by};

/// Longest item that is looked up as a key (bytes).
const KEY_BYTES_MAX: usize = 64;

impl Redactor {
    /// `place` is how the items stand, if what is around the list tells it.
    pub(super) fn list(
        &self,
        values: &mut Vec<Value<'_>>,
        place: Option<Place>,
        noted: &mut Noted,
    ) {
        self.behind_keys(values, place, noted);
        values.retain_mut(|value| match value {
            Value::Array(inner) => {
                self.list(inner, Some(Place::InnerPair), noted);
                true
            }
            value => matches!(self.value(value, noted), Fate::Stays),
        });
    }

    /// Covers the items that are values of the items before them.
    fn behind_keys(&self, values: &mut Vec<Value<'_>>, place: Option<Place>, noted: &mut Noted) {
        let place = match (values.len(), place) {
            (_, Some(Place::InTurns)) => Place::InTurns,
            (2, Some(Place::InnerPair)) => Place::InnerPair,
            (2, _) => Place::Pair,
            _ => Place::Among,
        };
        let goes = |pair: &[Value<'_>]| match pair {
            [Value::String(key), value] => self.is_item_of(key, value, place),
            _ => false,
        };
        let secret: Vec<bool> = values.windows(2).map(goes).collect();
        if !secret.contains(&true) {
            return;
        }
        let mut secret = std::iter::once(false).chain(secret);
        values.retain_mut(|value| {
            if secret.next() != Some(true) || self.is_nothing(value) {
                return true;
            }
            noted.push(self.key_rule());
            noted.whole(value);
            if !self.drop {
                let mut cover = String::new();
                self.scanner.cover(KEY_RULE, &value.to_text(), &mut cover);
                *value = Value::String(Cow::Owned(cover));
            }
            !self.drop
        });
    }

    fn is_item_of(&self, key: &str, value: &Value<'_>, place: Place) -> bool {
        if key.len() > KEY_BYTES_MAX || key.contains(' ') {
            return false;
        }
        let Some(secrecy) = self.secrecy(key) else {
            return false;
        };
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_ref()),
            Value::Int(_) | Value::Double(_) | Value::Bytes(_) | Value::Array(_) => value.to_text(),
            Value::Empty | Value::Bool(_) | Value::Map(_) => return false,
        };
        is_secret_by(secrecy, value) && lists::is_value(key.as_bytes(), text.as_bytes(), place)
    }
}
