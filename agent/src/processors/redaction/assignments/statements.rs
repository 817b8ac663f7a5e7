//! Values that stand behind their keys with nothing but a space between, in languages that write them so: `WITH PASSWORD 'x'` of SQL,
//! `:password "x"` of Lisps, `login bob password x` of netrc, `ENV DB_PASSWORD x`; of PHP's `s:8:"password";s:1:"x";`; and
//! `Duplicate entry 'x' for key 'users.api_key'`, where they stand before; of `setPassword("x")` and `Password("x")`.

use std::ops::Range;

use super::super::names::Secrecy;
use super::super::work;
use super::apart;
use super::markup::name_start;

/// Words before a name whose value is the next word.
const COMMANDS: [&[u8]; 4] = [b"ENV ", b"ARG ", b"setenv ", b"SETENV "];
/// How far back `Duplicate entry` and `machine` are looked for (bytes).
const LOOK_BACK: usize = 256;

/// The value behind the key `name`, which has no quotes, and the space after it.
pub(super) fn value(
    text: &[u8],
    name: Range<usize>,
    at: usize,
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    let start = name_start(text, name.start);
    let before = text.get(..start)?;
    let is_lisp = text.get(start) == Some(&b':') && text.get(at) == Some(&b'"');
    let is_command = COMMANDS.iter().any(|command| before.ends_with(command));
    if is_lisp {
        return apart::assigned(text, at, b'=', secrecy);
    }
    if is_command || is_login(before) {
        return apart::operand(text, at, secrecy);
    }
    let name = text.get(name)?;
    let is_password = [&b"password"[..], b"passwd"];
    let is_password = is_password
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    is_password.then(|| of_statement(text, at))?
}

/// The text in brackets behind what sets it (`setPassword("x")`), or behind the name of its type (`Password("x")`).
pub(super) fn argument(
    text: &[u8],
    name: Range<usize>,
    bracket: usize,
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    let start = name_start(text, name.start);
    let whole = text.get(start..name.end)?;
    let method = whole.rsplit(|byte| *byte == b'.').next()?;
    let is_setter = [&b"set"[..], b"with", b"Set", b"With"]
        .iter()
        .any(|verb| method.starts_with(verb));
    let is_type = start == name.start && whole.first().is_some_and(u8::is_ascii_uppercase);
    let is_text = matches!(text.get(bracket + 1)?, b'"' | b'\'');
    ((is_setter || is_type) && is_text)
        .then(|| apart::assigned(text, bracket + 1, b'=', secrecy))?
}

/// Whether a text ends in `machine x login y`, as netrc has it.
fn is_login(before: &[u8]) -> bool {
    let near = before.get(before.len().saturating_sub(LOOK_BACK)..);
    let near = near.unwrap_or_default();
    let mut words = near
        .rsplit(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let _name = words.next();
    let is_login = words.next() == Some(b"login");
    let _host = words.next();
    is_login && matches!(words.next(), Some(b"machine"))
}

/// One word in quotes: `WITH PASSWORD 'x'`, `mysql_native_password BY 'x'`.
fn of_statement(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let words = [&b"BY "[..], b"by ", b"AS ", b"as ", b"FOR ", b"for "];
    let rest = words
        .into_iter()
        .find_map(|word| rest.strip_prefix(word))
        .unwrap_or(rest);
    let rest = rest
        .strip_prefix(b"N")
        .or(rest.strip_prefix(b"E"))
        .unwrap_or(rest);
    let (quote, value) = rest.split_first()?;
    if !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_graphic() && *byte != quote;
    let length = value.iter().take_while(is_part).count();
    work::read(length);
    let start = text.len() - value.len();
    let is_text = value.get(..length)?.iter().any(u8::is_ascii_alphanumeric);
    let is_value = is_text && value.get(length) == Some(quote) && value.first() != Some(&b'<');
    is_value.then_some(start..start + length)
}

/// The text behind the name of PHP's `s:8:"password";s:1:"x";`. `behind` is where the name's quotes end, `marks` are these.
pub(super) fn serialized(text: &[u8], behind: usize, marks: &[u8]) -> Option<Range<usize>> {
    let rest = text.get(behind..)?.strip_prefix(b";s:")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest
        .get(digits..)?
        .strip_prefix(b":")?
        .strip_prefix(marks)?;
    let start = text.len() - rest.len();
    let length = memchr::memmem::find(rest, marks).unwrap_or(rest.len());
    work::read(length);
    (length > 0 && rest.first() != Some(&b'<')).then_some(start..start + length)
}

/// The entry that MySQL found twice under the key `name`.
pub(super) fn duplicate(text: &[u8], name: usize) -> Option<Range<usize>> {
    let before = text.get(..name_start(text, name))?;
    let before = before.strip_suffix(b"'")?.strip_suffix(b" for key ")?;
    let near = before.get(before.len().saturating_sub(LOOK_BACK)..)?;
    let at = memchr::memmem::rfind(near, b"entry '")?;
    let start = before.len() - near.len() + at + 7;
    let value = before.get(start..)?.strip_suffix(b"'")?;
    (!value.is_empty() && value.first() != Some(&b'<')).then_some(start..start + value.len())
}
