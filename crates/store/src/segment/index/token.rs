//! What is looked up in the token blooms, as 64-bit hashes.
//!
//! A word is a longest run of letters, digits, underscores and bytes beyond ASCII, case-sensitive. Tokens are
//! the words of a body, trace and span ids, the whole values of attributes together with their key, and the
//! keys that a map holds. Keys count by their name among structured metadata, in which `.`, `-` and `/` are
//! underscores, so that a lookup by that name finds all keys it stands for.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seeds keep tokens of different kinds apart. They are part of the format.
const BODY_SEED: u64 = 1;
const ID_SEED: u64 = 2;
const KEY_SEED: u64 = 3;
const RESOURCE_KEY_SEED: u64 = 4;
const ATTRIBUTE_SEED: u64 = 5;

/// Which bytes are of words.
const WORD_BYTES: [bool; 256] = {
    let mut is_word = [false; 256];
    let mut byte = 0_u8;
    loop {
        is_word[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
        if byte == u8::MAX {
            break is_word;
        }
        byte += 1;
    }
};

pub(crate) fn is_word_byte(byte: u8) -> bool {
    WORD_BYTES.get(usize::from(byte)).copied().unwrap_or(true)
}

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.bytes().position(is_word_byte)?;
        let from = rest.get(start..)?;
        let length = from
            .bytes()
            .position(|byte| !is_word_byte(byte))
            .unwrap_or(from.len());
        // Bytes beyond ASCII are word bytes, so a word ends at a character's boundary.
        let (word, after) = from.split_at_checked(length)?;
        rest = after;
        Some(word)
    })
}

/// The words that every text which holds `part` must have: those that `part` itself ends on both sides.
pub(crate) fn whole_words(part: &str) -> impl Iterator<Item = &str> {
    let start = part.as_ptr().addr();
    words(part).filter(move |word| {
        let at = word.as_ptr().addr() - start;
        at > 0 && at + word.len() < part.len()
    })
}

pub(crate) fn body_word(word: &str) -> u64 {
    xxh3_64_with_seed(word.as_bytes(), BODY_SEED)
}

/// A trace or span id.
pub(crate) fn id(id: &[u8]) -> u64 {
    xxh3_64_with_seed(id, ID_SEED)
}

/// An attribute key, prepared to be hashed with many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn new(key: &str) -> Self {
        let name: Vec<u8> = key
            .bytes()
            .map(|byte| match byte {
                b'.' | b'-' | b'/' => b'_',
                other => other,
            })
            .collect();
        Self(xxh3_64_with_seed(&name, KEY_SEED))
    }

    /// The attribute has this value, whether it is the record's or its resource's.
    pub(crate) fn with_value(self, value: &str) -> u64 {
        xxh3_64_with_seed(value.as_bytes(), self.0 ^ ATTRIBUTE_SEED)
    }

    /// The map of the record's attributes holds the key.
    pub(crate) fn in_own_map(self) -> u64 {
        self.0
    }

    /// The map of resource attributes holds the key.
    pub(crate) fn in_resource_map(self) -> u64 {
        self.0.rotate_left(32) ^ RESOURCE_KEY_SEED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_word_characters() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(words(text).collect::<Vec<_>>(), expect, "{text:?}");
        };
        check("GET /api/v2 200", &["GET", "api", "v2", "200"]);
        check("  trace_id=0af7;", &["trace_id", "0af7"]);
        check("Größe:größer", &["Größe", "größer"]);
        check("", &[]);
        check("...", &[]);
    }

    #[test]
    fn only_words_that_end_inside_are_certain() {
        let check = |part: &str, expect: &[&str]| {
            assert_eq!(whole_words(part).collect::<Vec<_>>(), expect, "{part:?}");
        };
        check("error", &[]);
        check("an error in", &["error"]);
        check(" error", &[]);
        check("=error ", &["error"]);
        check("a b c", &["b"]);
    }

    #[test]
    fn keys_count_by_their_metadata_name() {
        assert_eq!(KeyHash::new("order.id"), KeyHash::new("order_id"));
        assert_ne!(KeyHash::new("order.id"), KeyHash::new("orderid"));
        let key = KeyHash::new("a");
        assert_ne!(key.with_value("1"), KeyHash::new("b").with_value("1"));
        assert_ne!(key.in_own_map(), key.in_resource_map());
    }
}
