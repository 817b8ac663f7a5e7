//! Replaces the values in a message by placeholders, so that messages of one failure are equal.
//!
//! Placeholders: `<url> <email> <uuid> <date> <ip> <quoted> <hex> <id> <num>`. At most
//! [`PARAMETERISED_BYTES_MAX`] bytes are read. One pass of an automaton, linear in the text.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::occurrence::prefix;

/// How much of a message counts for grouping.
pub const PARAMETERISED_BYTES_MAX: usize = 1024;

/// Tokens with letters and digits are taken for identifiers from this length on.
const ID_LEN_MIN: usize = 8;

/// What to look for, in order of precedence at one place.
const PATTERN: &str = r#"(?x)
      (?P<url>   \b[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>)\]]+ )
    | (?P<email> \b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+ )
    | (?P<uuid>  \b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b )
    | (?P<date>  \b\d{4}-\d{2}-\d{2}
                 (?:[T\x20]\d{2}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?
               | \b\d{2}:\d{2}:\d{2}(?:[.,]\d+)? )
    | (?P<ip>    \b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b
               | (?:\b[0-9a-fA-F]{1,4})?(?:::?[0-9a-fA-F]{1,4}){3,7}\b
               | ::1\b )
    | (?P<quoted> "[^"\n]*" | `[^`\n]*` | \B'[^'\n]*' )
    | (?P<hex>   \b0x[0-9a-fA-F]+\b )
    | (?P<num>   \b\d+(?:\.\d+)?\b )
    | (?P<token> \b\w*\d\w*(?:-\w+)*\b )
"#;

static VALUES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());

/// `message` with placeholders instead of values, blanks at its ends removed.
pub fn parameterise(message: &str) -> Cow<'_, str> {
    let message = prefix(message.trim(), PARAMETERISED_BYTES_MAX).trim_end();
    match VALUES.as_ref() {
        Some(values) => values.replace_all(message, placeholder),
        None => Cow::Borrowed(message),
    }
}

fn placeholder(found: &Captures<'_>) -> String {
    const NAMED: [(&str, &str); 8] = [
        ("url", "<url>"),
        ("email", "<email>"),
        ("uuid", "<uuid>"),
        ("date", "<date>"),
        ("ip", "<ip>"),
        ("quoted", "<quoted>"),
        ("hex", "<hex>"),
        ("num", "<num>"),
    ];
    match NAMED.iter().find(|(name, _)| found.name(name).is_some()) {
        Some((_, placeholder)) => (*placeholder).to_owned(),
        None => token(found.get(0).map_or("", |all| all.as_str())),
    }
}

/// A token with at least one digit: a hash, an identifier, or a word with a number in it.
fn token(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.len() >= ID_LEN_MIN && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return "<hex>".to_owned();
    }
    if text.len() >= ID_LEN_MIN && digits >= 2 {
        return "<id>".to_owned();
    }
    let mut result = String::with_capacity(text.len() + 5);
    let mut in_number = false;
    for c in text.chars() {
        if !c.is_ascii_digit() {
            result.push(c);
        } else if !in_number {
            result.push_str("<num>");
        }
        in_number = c.is_ascii_digit();
    }
    result
}

#[cfg(test)]
mod tests;
