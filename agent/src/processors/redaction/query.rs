//! Values of named parameters in URLs and forms.

use std::ops::Range;

use super::judged;
use super::states;
use super::work;
use super::{PARAMETERS_DEFAULT, PARAMETERS_JUDGED};

/// Longest name of a parameter that is looked up (bytes).
const NAME_MAX: usize = 64;

/// Shortest value of a parameter that is judged (bytes): codes of errors and shops are shorter.
const JUDGED_BYTES_MIN: usize = 16;
/// Signs before a parameter in addresses that were escaped once more.
pub(super) const SIGNS: [&str; 3] = ["%26", "\\u0026", "\\x26"];
/// Signs behind their names there.
const EQUALS: [&[u8]; 5] = [b"=", b"\\u003d", b"\\u003D", b"\\x3d", b"\\x3D"];
const EQUALS_PERCENT: [&[u8]; 2] = [b"%3D", b"%3d"];

/// The parameters whose values must not be seen.
#[derive(Debug, Clone)]
pub(super) struct QueryParameters {
    names: Vec<String>,
    /// Those whose values are secret if they look so.
    judged: &'static [&'static str],
}

impl QueryParameters {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase());
        Self {
            names: names.collect(),
            judged: &[],
        }
    }

    /// Those that are looked for by default.
    pub(super) fn defaults() -> Self {
        let names = PARAMETERS_DEFAULT.map(str::to_owned);
        Self {
            judged: &PARAMETERS_JUDGED,
            ..Self::new(names)
        }
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

    /// Whether the values of a parameter are secret: `Some(true)` if they look so.
    fn secrecy(&self, name: &[u8]) -> Option<bool> {
        let is = |known: &str, name: &[u8]| name.eq_ignore_ascii_case(known.as_bytes());
        let secrecy = |name: &[u8]| {
            let is_known = self.names.iter().any(|known| is(known, name));
            let is_judged = || self.judged.iter().any(|known| is(known, name));
            match is_known {
                true => Some(false),
                false => is_judged().then_some(true),
            }
        };
        match memchr::memchr(b'%', name) {
            None => secrecy(name),
            // Servers read it so: `%74oken`.
            Some(_) => secrecy(&unescaped(name)),
        }
    }

    /// The value of the parameter behind one of [`SIGNS`], which is at the range.
    pub(super) fn escaped(&self, text: &[u8], sign: Range<usize>) -> Option<Range<usize>> {
        let is_percent = text.get(sign.start) == Some(&b'%');
        let near = text.get(sign.end..text.len().min(sign.end + NAME_MAX))?;
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        let name = near.get(..near.iter().take_while(is_name).count())?;
        let behind = near.get(name.len()..)?;
        let equals = match is_percent {
            true => EQUALS_PERCENT.iter(),
            false => EQUALS.iter(),
        };
        let equals = equals.copied().find(|equals| behind.starts_with(equals))?;
        let is_judged = self.secrecy(name)?;
        let start = sign.end + name.len() + equals.len();
        let value = text.get(start..)?;
        let length = value.iter().take_while(|byte| !is_end(**byte)).count();
        work::read(length);
        let value = value.get(..length)?;
        let next = match is_percent {
            true => memchr::memmem::find(value, b"%26"),
            false => None,
        };
        let value = value.get(..next.unwrap_or(length))?;
        is_value(value, is_judged).then_some(start..start + value.len())
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
        let is_judged = self.secrecy(name)?;
        let value = rest.get(equals + 1..)?;
        let length = value.iter().take_while(|byte| !is_end(**byte)).count();
        work::read(length);
        let at = start + equals + 1;
        // At the front of a text a name may be that of a signal or a symbol, or a state or the shell's folder may follow: `sig=SIGTERM`.
        let (value, behind) = value.split_at_checked(length)?;
        let is_form = start > 0 || behind.first() == Some(&b'&');
        let is_said = || {
            judged::is_constant(value)
                || judged::is_folder(value)
                || states::is_state(value, behind)
        };
        let is_value = is_value(value, is_judged) && (is_form || !is_said());
        is_value.then_some(at..at + length)
    }
}

fn is_end(byte: u8) -> bool {
    byte <= b' ' || b"&#\"'<>\\|".contains(&byte)
}

fn is_value(value: &[u8], is_judged: bool) -> bool {
    match is_judged {
        true => value.len() >= JUDGED_BYTES_MIN && judged::looks_secret(value, false),
        false => !value.is_empty(),
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
