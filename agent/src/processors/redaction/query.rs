//! Values of named parameters in URLs and forms.

use std::ops::Range;

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

    fn value_at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let rest = text.get(start..)?;
        // `&amp;`, as pages write it.
        let (rest, start) = match rest.strip_prefix(b"amp;") {
            Some(rest) => (rest, start + 4),
            None => (rest, start),
        };
        let equals = memchr::memchr(b'=', rest.get(..rest.len().min(NAME_MAX))?)?;
        let name = rest.get(..equals)?;
        let known = self
            .0
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if !known {
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
        let at = start + equals + 1;
        (length > 0).then_some(at..at + length)
    }
}
