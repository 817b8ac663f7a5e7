//! Private keys that are logged line by line, so that each line is a record, with a prefix of its own or without.
//!
//! In: the texts of a stream's records in order; out: which part of one belongs to a key. Full lines of a key are told by
//! themselves; this finds the others, above all the last and shorter one, because of what stood before them in the same
//! stream: in records with the same resource.
//!
//! Limits: [`STREAMS_MAX`] streams at a time, for each [`PATIENCE_NANOS`] and [`MISSES_MAX`] records in between.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use vervet_model::{Clock, UnixNanos};
use vervet_wire::otlp::{Resource, Value};

/// Streams in which the rest of a key is awaited; beyond that an older one is given up.
const STREAMS_MAX: usize = 256;
/// How long the next line of a key is awaited.
const PATIENCE_NANOS: i64 = 10_000_000_000;
/// Records of others that may stand between two lines of a key.
const MISSES_MAX: u8 = 8;
/// The first line behind `-----BEGIN` is not shorter (bytes).
const FIRST_BYTES_MIN: usize = 32;
/// Widths of lines that are told from other words by themselves: PEM's and OpenSSH's (bytes).
const WIDTHS: [usize; 2] = [64, 70];

/// The streams in which a key has begun and not ended.
pub(super) struct Blocks {
    open: Mutex<HashMap<u64, Block>>,
    /// How many they are, for a look without the lock.
    count: AtomicUsize,
    clock: Arc<dyn Clock>,
}

/// A key of which more is to come.
struct Block {
    /// Bytes of its last line; 0 behind its beginning.
    width: usize,
    /// Whether its beginning was seen.
    begun: bool,
    /// Records since then that were none of its lines.
    misses: u8,
    until: UnixNanos,
}

/// How a text ends that leaves a key open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    width: usize,
    begun: bool,
}

impl Blocks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            open: Mutex::default(),
            count: AtomicUsize::new(0),
            clock,
        }
    }

    /// A text of the stream left a key open.
    pub(super) fn open(&self, resource: &Resource<'_>, opening: Opening) {
        let until = UnixNanos(self.clock.now().0.saturating_add(PATIENCE_NANOS));
        let mut open = self.open.lock();
        let stream = stream(resource);
        if open.len() >= STREAMS_MAX && !open.contains_key(&stream) {
            let oldest = open.iter().min_by_key(|(_, block)| block.until);
            if let Some(oldest) = oldest.map(|(stream, _)| *stream) {
                open.remove(&oldest);
            }
        }
        let block = Block {
            width: opening.width,
            begun: opening.begun,
            misses: 0,
            until,
        };
        open.insert(stream, block);
        self.count.store(open.len(), Ordering::Relaxed);
    }

    /// The part of the stream's next text that belongs to its open key, if one is.
    pub(super) fn rest(&self, resource: &Resource<'_>, text: &str) -> Option<Range<usize>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let now = self.clock.now();
        let mut open = self.open.lock();
        open.retain(|_, block| block.until >= now);
        let stream = stream(resource);
        let found = open.get_mut(&stream).map(|block| block.take(text, now));
        let (found, goes_on) = found.unwrap_or((None, true));
        if !goes_on {
            open.remove(&stream);
        }
        self.count.store(open.len(), Ordering::Relaxed);
        found
    }
}

impl Block {
    /// The part of `text` that belongs to the key, and whether more may come.
    fn take(&mut self, text: &str, now: UnixNanos) -> (Option<Range<usize>>, bool) {
        if memchr::memmem::find(text.as_bytes(), b"-----END ").is_some() {
            return (None, false);
        }
        let word = last_word(text.as_bytes()).filter(|word| self.is_line(text, word));
        let Some(word) = word else {
            self.misses += 1;
            return (None, self.misses <= MISSES_MAX);
        };
        let goes_on = word.len() >= self.width;
        self.width = word.len();
        self.misses = 0;
        self.until = UnixNanos(now.0.saturating_add(PATIENCE_NANOS));
        (Some(word), goes_on)
    }

    fn is_line(&self, text: &str, word: &Range<usize>) -> bool {
        if self.width == 0 || word.len() > self.width {
            return word.len() >= FIRST_BYTES_MIN;
        }
        // A word of the language is not taken for the end of what may have been no key.
        self.begun && self.misses == 0 || is_mixed(text.get(word.clone()).unwrap_or_default())
    }
}

fn stream(resource: &Resource<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for attribute in &resource.attributes {
        attribute.key.hash(&mut hasher);
        match &attribute.value {
            Value::String(text) => text.hash(&mut hasher),
            Value::Int(number) => number.hash(&mut hasher),
            _ => {}
        }
    }
    hasher.finish()
}

/// How the text leaves a key open, if it does: it is a line of one, or one has begun and not ended in it.
pub(super) fn opening(text: &str) -> Option<Opening> {
    if let Some(line) = key_line(text.as_bytes()) {
        return Some(Opening {
            width: line.len(),
            begun: false,
        });
    }
    let (_, behind) = text.rsplit_once("-----BEGIN ")?;
    let (label, rest) = behind.split_once("-----")?;
    let is_open = label.ends_with("PRIVATE KEY") && !rest.contains("-----END ");
    is_open.then(|| Opening {
        width: last_word(rest.as_bytes()).map_or(0, |word| word.len()),
        begun: true,
    })
}

/// A line of a key's block that stands alone or behind a prefix: as many characters of base64 as such lines have.
pub(super) fn key_line(text: &[u8]) -> Option<Range<usize>> {
    let place = last_word(text).filter(|word| WIDTHS.contains(&word.len()))?;
    let line = text.get(place.clone())?;
    let has = |kind: fn(&u8) -> bool| line.iter().any(kind);
    // Hexadecimal digests have one case, long names no digits.
    let fits =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    (fits && !line.ends_with(b"=")).then_some(place)
}

/// The last word of a text, if it may be base64: what ends a line or a quoted text may stand behind it, and before it a
/// blank, or a sign that ends a prefix.
fn last_word(text: &[u8]) -> Option<Range<usize>> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut end = text.trim_ascii_end();
    for behind in [&b"\""[..], b"'", b"\\n", b"\\r"] {
        end = end.strip_suffix(behind).unwrap_or(end);
    }
    let padding = end.iter().rev().take(2).take_while(|byte| **byte == b'=');
    let plain = end.get(..end.len() - padding.count())?;
    let length = plain
        .iter()
        .rev()
        .take_while(|byte| is_base64(byte))
        .count();
    let start = plain.len() - length;
    let begins = match start.checked_sub(1).and_then(|at| text.get(at)) {
        None => true,
        Some(before) => {
            before.is_ascii_whitespace()
                || matches!(
                    before,
                    b'|' | b':' | b']' | b'>' | b')' | b'}' | b'"' | b'\'' | b',' | b';'
                )
        }
    };
    (length > 0 && begins).then_some(start..end.len())
}

/// Whether a word has a digit or a sign in it, or a capital behind its first letter.
fn is_mixed(word: &str) -> bool {
    let letters = word.bytes().all(|byte| byte.is_ascii_alphabetic());
    !letters || word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
}
