//! Attributes in the map columns.

use arrow::array::{Array, AsArray, MapArray, StringArray};

/// Characters of attribute keys that metadata names write as underscores.
const REPLACED: [u8; 3] = *b".-/";

/// The name that an attribute has among structured metadata.
pub(crate) fn metadata_name(key: &str) -> String {
    key.replace(REPLACED.map(char::from), "_")
}

/// Which key is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Exact(String),
    /// Any key with this [`metadata_name`].
    Metadata(String),
}

impl Key {
    pub(crate) fn is(&self, key: &str) -> bool {
        match self {
            Self::Exact(name) => key == name,
            Self::Metadata(name) => {
                let same = |(key, name): (u8, u8)| match REPLACED.contains(&key) {
                    true => name == b'_',
                    false => name == key,
                };
                key.len() == name.len() && key.bytes().zip(name.bytes()).all(same)
            }
        }
    }
}

/// A map from text to text.
#[derive(Clone, Copy)]
pub(crate) struct TextMap<'a> {
    map: &'a MapArray,
    keys: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> TextMap<'a> {
    /// `None` when the array is no such map.
    pub(crate) fn new(array: &'a dyn Array) -> Option<Self> {
        let map = array.as_map_opt()?;
        Some(Self {
            map,
            keys: map.keys().as_string_opt()?,
            values: map.values().as_string_opt()?,
        })
    }

    /// The entry of a row that has the key. Of several, the first by key; of those, the one that stands first.
    pub(crate) fn get(self, row: usize, key: &Key) -> Option<(&'a str, &'a str)> {
        if self.map.is_null(row) {
            return None;
        }
        let offsets = self.map.value_offsets();
        let entry = |index: usize| usize::try_from(*offsets.get(index)?).ok();
        let mut entries = entry(row)?..entry(row + 1)?;
        let has_key = |at: &usize| key.is(self.keys.value(*at));
        let found = match key {
            Key::Exact(_) => entries.find(has_key),
            Key::Metadata(_) => entries
                .filter(has_key)
                .min_by_key(|at| self.keys.value(*at)),
        }?;
        let value = match self.values.is_null(found) {
            true => "",
            false => self.values.value(found),
        };
        Some((self.keys.value(found), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metadata_name_stands_for_several_keys() {
        let check = |name: &str, key: &str, expect: bool| {
            let asked = Key::Metadata(name.to_owned());
            assert_eq!(asked.is(key), expect, "{name} {key}");
            assert_eq!(metadata_name(key) == name, expect, "{name} {key}");
        };
        check("order_id", "order.id", true);
        check("order_id", "order_id", true);
        check("order_id", "order/id", true);
        check("order.id", "order.id", false);
        check("order_id", "orderXid", false);
        check("order_id", "order.i", false);
        assert!(!Key::Exact("order_id".to_owned()).is("order.id"));
    }
}
