//! Values of named parameters in URLs and forms.

use std::ops::Range;

use super::judged;
use super::work;

/// Longest name of a parameter that is looked up (bytes).
const NAME_MAX: usize = 64;

/// The parameters whose values must not be seen.
#[derive(Debug, Clone)]
pub(super) struct QueryParameters(Vec<String>);

impl QueryParameters {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase());
        Self(names.collect())
    }

    /// Calls `found` for the value of each named parameter that stands after `?`, `&` or `#`, or begins the text.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let signs = memchr::memchr3_iter(b'?', b'&', b'#', text).map(|at| at + 1);
        let mut floor = 0;
        for start in std::iter::once(0).chain(signs) {
            if start < floor {
                continue;
            }
            if let Some(value) = self.value_at(text, start) {
                floor = value.end;
                found(value);
            }
        }
    }

    fn knows(&self, name: &[u8]) -> bool {
        let is_known = |name: &[u8]| {
            let mut known = self.0.iter();
            known.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        match memchr::memchr(b'%', name) {
            None => is_known(name),
            // Servers read it so: `%74oken`.
            Some(_) => is_known(&unescaped(name)),
        }
    }

    fn value_at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let rest = text.get(start..)?;
        // `&amp;`, as pages write it.
        let (rest, start) = match rest.strip_prefix(b"amp;") {
            Some(rest) => (rest, start + 4),
            None => (rest, start),
        };
        let equals = memchr::memchr(b'=', rest.get(..rest.len().min(NAME_MAX))?)?;
        let name = rest.get(..equals)?;
        if !self.knows(name) {
            return None;
        }
        let value = rest.get(equals + 1..)?;
        let is_end = |byte: u8| {
            matches!(
                byte,
                b'&' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'|'
            ) || byte <= b' '
        };
        let length = value.iter().take_while(|byte| !is_end(**byte)).count();
        work::read(length);
        let at = start + equals + 1;
        // At the front of a text a name may be that of a signal, or of a symbol: `sig=SIGTERM`.
        let (value, behind) = value.split_at_checked(length)?;
        let is_form = start > 0 || behind.first() == Some(&b'&');
        (length > 0 && (is_form || !judged::is_constant(value))).then_some(at..at + length)
    }
}

/// With `%74` as `t`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| *byte == b'%');
        let decoded = digits.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = decoded.unwrap_or((*byte, after));
        out.push(byte);
        rest = after;
    }
    out
}
