//! JSON lines, read in one pass straight into attribute values that borrow from the line.
//!
//! Strict: what is not JSON by RFC 8259 is not read. Beyond that: objects and arrays nested deeper than
//! [`DEPTH_MAX`] are kept as their text; a whole number that does not fit 64 bits with sign, and a number
//! too large for a double, become text; half of a surrogate pair stays as it was escaped; of a key that
//! stands twice both values are kept. Limits: [`NESTING_MAX`] levels, [`VALUES_MAX`] values; a line with more is not read.

mod number;
mod string;

use std::borrow::Cow;

use vervet_wire::LIST_ITEMS_MAX;
use vervet_wire::otlp::{KeyValue, Value};

use super::fields::Assembler;
use super::{Parsed, Settings};
pub(super) use string::string_end;
pub use string::unescape;

/// Levels of values kept apart below the top.
const DEPTH_MAX: usize = 16;
/// Levels at all.
const NESTING_MAX: usize = 128;
/// Values of one line: an empty one takes two bytes of text and dozens in memory, and a record with more attributes than
/// [`LIST_ITEMS_MAX`] is refused, those that are added on its way included.
pub(super) const VALUES_MAX: usize = LIST_ITEMS_MAX / 2;

/// Reads `line`; `None` when it is not one JSON object.
pub(super) fn parse<'a>(settings: &Settings, line: &'a str) -> Option<Parsed<'a>> {
    let mut scanner = Scanner::new(line);
    let mut record = Assembler::new(settings);
    scanner.skip_space();
    scanner.fields(0, |key, value| record.field(key, value))?;
    scanner.skip_space();
    scanner.is_done().then(|| record.finish(line))
}

/// The value at the beginning of `text`, and where it ends.
pub(super) fn value_at(text: &str) -> Option<(Value<'_>, usize)> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value(0)?;
    Some((value, scanner.at))
}

/// A place in a text that is read as JSON. Methods return `None` where it is none.
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Read so far, and kept apart.
    values: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            values: 0,
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> Option<()> {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found.then_some(())
    }

    fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The fields of an object.
    #[inline]
    fn fields(
        &mut self,
        depth: usize,
        mut each: impl FnMut(Cow<'a, str>, Value<'a>),
    ) -> Option<()> {
        self.eat(b'{')?;
        self.skip_space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.skip_space();
            self.eat(b':')?;
            self.skip_space();
            let value = self.value(depth + 1)?;
            each(key, value);
            self.skip_space();
            if self.eat(b',').is_none() {
                return self.eat(b'}');
            }
            self.skip_space();
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return None;
        }
        match self.peek()? {
            b'"' => self.string().map(Value::String),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Empty),
            b'{' | b'[' if depth >= DEPTH_MAX => self.deep(depth).map(Value::from),
            b'{' => {
                let mut entries = Vec::new();
                self.fields(depth, |key, value| entries.push(KeyValue { key, value }))?;
                Some(Value::Map(entries))
            }
            b'[' => self.array(depth),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        let end = self.at + word.len();
        let found = self.bytes.get(self.at..end) == Some(word.as_bytes());
        self.at = end;
        found.then_some(value)
    }

    fn array(&mut self, depth: usize) -> Option<Value<'a>> {
        let mut values = Vec::new();
        self.eat(b'[')?;
        self.skip_space();
        if self.eat(b']').is_some() {
            return Some(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat(b',').is_none() {
                self.eat(b']')?;
                return Some(Value::Array(values));
            }
            self.skip_space();
        }
    }

    /// The text of an object or array, checked like any other; without recursion.
    fn deep(&mut self, depth: usize) -> Option<&'a str> {
        let start = self.at;
        // What is open, from the outermost: whether it is an object.
        let mut open = Vec::new();
        loop {
            match self.peek()? {
                b'{' | b'[' if depth + open.len() >= NESTING_MAX => return None,
                byte @ (b'{' | b'[') => {
                    self.at += 1;
                    self.skip_space();
                    open.push(byte == b'{');
                    if self.peek()? != closing(byte == b'{') {
                        self.key_if(byte == b'{')?;
                        continue;
                    }
                }
                _ => {
                    let kept = self.values;
                    drop(self.value(0)?);
                    self.values = kept;
                }
            }
            // A value, or nothing, has been read: close what ends here.
            loop {
                let Some(is_object) = open.last().copied() else {
                    return self.text.get(start..self.at);
                };
                self.skip_space();
                if self.eat(closing(is_object)).is_some() {
                    open.pop();
                    continue;
                }
                self.eat(b',')?;
                self.skip_space();
                self.key_if(is_object)?;
                break;
            }
        }
    }

    /// In an object a key and a colon stand before each value.
    fn key_if(&mut self, is_object: bool) -> Option<()> {
        if is_object {
            self.string()?;
            self.skip_space();
            self.eat(b':')?;
            self.skip_space();
        }
        Some(())
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}
