//! Values of keys in markup, also where it is escaped: `<password>x</password>`, `<add key="ApiKey" value="x"/>`,
//! `<property name="password">x</property>`, `<name>password</name><value>x</value>`, `<td>password</td><td>x</td>`.
//!
//! Without a tag that closes, `<password>` is a placeholder (`usage: <user> <password>`). Each look goes on to the next tag or to
//! a bound, so that many keys take linear time.

use std::ops::Range;

use memchr::memmem;

use super::super::edges;
use super::super::names::Secrecy;
use super::super::work;
use super::{apart, gap};

/// How tags begin and end, as they stand and in the escapes of markup and JSON.
const ANGLES: [(&[u8], &[u8]); 12] = [
    (b"<", b">"),
    (b"&lt;", b"&gt;"),
    (b"&amp;lt;", b"&amp;gt;"),
    (b"\\u003c", b"\\u003e"),
    (b"\\u003C", b"\\u003E"),
    (b"%3C", b"%3E"),
    (b"%3c", b"%3e"),
    (b"\\x3c", b"\\x3e"),
    (b"\\x3C", b"\\x3E"),
    (b"&#60;", b"&#62;"),
    (b"&#x3c;", b"&#x3e;"),
    (b"&#x3C;", b"&#x3E;"),
];
/// The slash of a closing tag, as it stands and in the escapes of addresses and JSON.
const SLASHES: [&[u8]; 6] = [b"/", b"\\/", b"%2F", b"%2f", b"&#47;", b"\\u002f"];
/// Longest name of an element or attribute (bytes).
const NAME_BYTES_MAX: usize = 64;
/// Longest escape, without the sign that begins it (bytes).
const ESCAPE_BYTES_MAX: usize = 5;
/// Longest tag (bytes).
const TAG_BYTES_MAX: usize = 512;
/// Tags that may stand around a text, one in the other.
const TAGS_MAX: usize = 4;
/// How far an element with other elements in it is looked through (bytes).
const ELEMENT_BYTES_MAX: usize = 4096;
/// Attributes whose text is the name of what the element holds.
const NAMING: [&[u8]; 6] = [b"name", b"key", b"id", b"type", b"property", b"header"];
/// Elements whose text is the name of what the next one holds.
const NAMING_ELEMENTS: [&[u8]; 7] = [b"name", b"key", b"td", b"th", b"dt", b"header", b"string"];
/// Those of tables and lists that people read.
const CELLS: [&[u8]; 3] = [b"td", b"th", b"dt"];
/// Elements that hold the value of the element around them, and nothing for people.
const VALUE_ELEMENTS: [&[u8]; 3] = [b"value", b"string", b"![CDATA"];
/// Elements of forms, whose text is for people.
const FORM: [&[u8]; 9] = [
    b"input",
    b"button",
    b"label",
    b"a",
    b"meta",
    b"select",
    b"option",
    b"form",
    b"textarea",
];
const VALUE: &[u8] = b"value";

type Angles = (&'static [u8], &'static [u8]);

/// The value of the key `name`, behind which stand `quotes`.
pub(super) fn value(
    text: &[u8],
    name: Range<usize>,
    quotes: Range<usize>,
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    let start = name_start(text, name.start);
    let before = text.get(..start)?;
    let may_end_angle = matches!(
        before.last(),
        Some(b'<' | b'>' | b';' | b'c' | b'C' | b'e' | b'E')
    );
    let is = |end: fn(Angles) -> &'static [u8]| {
        ANGLES
            .into_iter()
            .find(|angles| before.ends_with(end(*angles)))
    };
    if !may_end_angle {
        let marks = text.get(quotes.clone())?;
        return attribute(text, before.strip_suffix(marks)?, quotes.end, secrecy);
    }
    if let Some(angles) = is(|(open, _)| open) {
        let at = behind_tag(text, quotes.start, angles)?;
        return content(text, at, angles, text.get(start..quotes.start)?, secrecy);
    }
    if let Some(angles) = is(|(_, close)| close) {
        return next_element(text, name.end, angles, secrecy);
    }
    let marks = text.get(quotes.clone())?;
    attribute(text, before.strip_suffix(marks)?, quotes.end, secrecy)
}

/// Behind a closing tag at `at`, and the space after it, if one is there: `<b>password:</b> x`.
pub(super) fn behind_closing(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if !matches!(rest.first(), Some(b'<' | b'&' | b'%' | b'\\')) {
        return at;
    }
    let behind = ANGLES.into_iter().find_map(|(open, close)| {
        let name = slashed(rest.strip_prefix(open)?)?;
        let name_at = text.len() - name.len();
        let behind = text.get(name_end(text, name_at)..)?.strip_prefix(close)?;
        Some(text.len() - behind.len())
    });
    behind.map_or(at, |behind| gap(text, behind))
}

/// Where the name begins whose last words begin at `at`.
pub(super) fn name_start(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let near = before.iter().rev().take(NAME_BYTES_MAX);
    let length = near.take_while(is_part).count();
    let from = before.len() - length;
    // What an escape ends in is no part of a name.
    let sign = from.checked_sub(1).and_then(|at| text.get(at));
    let escape = match sign {
        Some(b'\\' | b'%') => {
            let mut ends = (1..=length.min(ESCAPE_BYTES_MAX)).map(|end| from + end);
            ends.find_map(|end| {
                let escape = edges::escape_length(before.get(..end)?)?;
                (end - escape == from || end - escape + 1 == from).then_some(end - from)
            })
        }
        _ => None,
    };
    at - length + escape.unwrap_or(0)
}

/// A text behind the slash that it begins with.
fn slashed(text: &[u8]) -> Option<&[u8]> {
    SLASHES.iter().find_map(|slash| text.strip_prefix(*slash))
}

/// Behind the tag whose name ends at `at`; `None` when it is not open, or closes itself.
fn behind_tag(text: &[u8], at: usize, (open, close): Angles) -> Option<usize> {
    let rest = text.get(at..text.len().min(at + TAG_BYTES_MAX))?;
    let end = memmem::find(rest, close)?;
    let attributes = rest.get(..end)?;
    let is_apart = matches!(
        attributes,
        [] | [b' ' | b'\t' | b'\r' | b'\n', ..] | [b'\\', b'n' | b'r' | b't', ..]
    );
    let is_tag =
        is_apart && !attributes.ends_with(b"/") && memmem::find(attributes, open).is_none();
    is_tag.then_some(at + end + close.len())
}

/// The text that begins at `at`, in further elements too, up to a closing tag.
fn content(
    text: &[u8],
    at: usize,
    angles: Angles,
    element: &[u8],
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    const CDATA: &[u8] = b"![CDATA[";
    let (open, _) = angles;
    let first = space(text, at);
    let mut start = first;
    for _ in 0..TAGS_MAX {
        let Some(inner) = text.get(start..)?.strip_prefix(open) else {
            break;
        };
        let name_at = start + open.len();
        if inner.starts_with(CDATA) {
            return cdata(text, name_at + CDATA.len());
        }
        if slashed(inner).is_some() {
            return None;
        }
        start = space(text, behind_tag(text, name_end(text, name_at), angles)?);
    }
    let rest = text.get(start..)?;
    let length = memmem::find(rest, open);
    work::read(length.unwrap_or(rest.len()));
    let Some(length) = length else {
        return cut_off(text, start);
    };
    let end = start + length;
    slashed(text.get(end + open.len()..)?)?;
    let is_more =
        start > first && !secrecy.is_judged() && !closes_element(text, end, angles, element);
    let end = match is_more {
        true => whole_element(text, end, open, element).unwrap_or(end),
        false => end,
    };
    secret(text, start..end)
}

/// Whether only closing tags stand between `at` and the end of an element.
fn closes_element(text: &[u8], at: usize, angles: Angles, element: &[u8]) -> bool {
    let (open, close) = angles;
    let mut at = at;
    for _ in 0..=TAGS_MAX {
        let tag = text.get(at..).and_then(|rest| rest.strip_prefix(open));
        let Some(name) = tag.and_then(slashed) else {
            return false;
        };
        if name.starts_with(element) {
            return true;
        }
        let from = text.len() - name.len();
        let behind = text.get(name_end(text, from)..);
        let Some(behind) = behind.and_then(|rest| rest.strip_prefix(close)) else {
            return false;
        };
        at = space(text, text.len() - behind.len());
    }
    false
}

/// The end of what an element holds, from a place in it on.
fn whole_element(text: &[u8], at: usize, open: &[u8], element: &[u8]) -> Option<usize> {
    let rest = text.get(at..text.len().min(at + ELEMENT_BYTES_MAX))?;
    memmem::find_iter(rest, open)
        .find(|place| {
            let tag = rest.get(place + open.len()..).unwrap_or_default();
            let name = slashed(tag);
            name.is_some_and(|name| name.starts_with(element))
        })
        .map(|place| at + place)
}

fn cdata(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..text.len().min(start + ELEMENT_BYTES_MAX))?;
    let length = memmem::find(rest, b"]]").unwrap_or(rest.len());
    work::read(length);
    secret(text, start..start + length)
}

/// A word that begins right behind a tag, where the text, or the quoted text it stands in, was cut off.
fn cut_off(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    if !rest.first().is_some_and(u8::is_ascii_alphanumeric) || text.get(start - 1)? <= &b' ' {
        return None;
    }
    let is_end = |byte: &u8| *byte <= b' ' || matches!(byte, b'"' | b'\\');
    let length = rest.iter().position(is_end).unwrap_or(rest.len());
    work::read(length);
    let is_cut = rest
        .get(length)
        .is_none_or(|byte| *byte == b'"' || *byte == b'\\');
    is_cut.then_some(start..start + length)
}

/// What stands between two tags, without the space around, if it is anything.
fn secret(text: &[u8], place: Range<usize>) -> Option<Range<usize>> {
    let inner = text.get(place.clone())?;
    let start = place.start + (inner.len() - inner.trim_ascii_start().len());
    let length = inner.trim_ascii().len();
    (length > 0).then_some(start..start + length)
}

/// The text of the element behind one that holds a key and ends at `at`.
fn next_element(text: &[u8], at: usize, angles: Angles, secrecy: Secrecy) -> Option<Range<usize>> {
    let (open, close) = angles;
    let rest = text.get(space(text, at)..)?;
    let closing = slashed(rest.strip_prefix(open)?)?;
    let from = text.len() - closing.len();
    let end = name_end(text, from);
    let element = text.get(from..end)?;
    let behind = text.get(end..)?.strip_prefix(close)?;
    let behind_tag = text.len() - behind.len();
    // `<b>Password</b>: x`
    let sign = gap(text, behind_tag);
    if let Some(kind @ (b':' | b'=')) = text.get(sign) {
        return apart::assigned(text, gap(text, sign + 1), *kind, secrecy);
    }
    if !NAMING_ELEMENTS
        .iter()
        .any(|known| element.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let next = space(text, behind_tag);
    let tag = text.get(next..)?.strip_prefix(open)?;
    if slashed(tag).is_some() {
        return None;
    }
    let name_at = next + open.len();
    let name = text.get(name_at..name_end(text, name_at))?;
    // The heads of a table's columns stand side by side.
    let are_heads = [element, name]
        .iter()
        .all(|cell| cell.eq_ignore_ascii_case(b"th"));
    if are_heads {
        return None;
    }
    let value = content(text, next, angles, name, secrecy)?;
    let is_cell = CELLS.iter().any(|cell| element.eq_ignore_ascii_case(cell));
    let is_label = is_cell && is_word_of_page(text.get(name_start(text, at)..at)?);
    (!is_label || !is_word_of_page(text.get(value.clone())?)).then_some(value)
}

/// Whether a text is words for people, the first with a capital: `Password`, `Reset it`.
fn is_word_of_page(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || *byte == b' ';
    let (first, rest) = text.split_first().unwrap_or((&b' ', &[]));
    first.is_ascii_uppercase() && rest.iter().all(is_part)
}

/// The value of an attribute that is the name of another, or of what its element holds. `before` is what stands before its
/// quotes, `behind` where they end.
fn attribute(text: &[u8], before: &[u8], behind: usize, secrecy: Secrecy) -> Option<Range<usize>> {
    let before = before.strip_suffix(b"=")?;
    let naming_at = name_start(text, before.len());
    let naming = text.get(naming_at..before.len())?;
    if !NAMING
        .iter()
        .any(|known| naming.eq_ignore_ascii_case(known))
    {
        return None;
    }
    // `key=password value=x`, not in a tag.
    let next = gap(text, behind);
    if next > behind
        && let Some(at) = assignment(text, next)
    {
        return apart::assigned(text, at, b'=', secrecy);
    }
    let from = naming_at.saturating_sub(TAG_BYTES_MAX);
    let head = text.get(from..naming_at)?;
    let (angles, tag_at) = ANGLES.into_iter().find_map(|angles| {
        let at = memmem::rfind(head, angles.0)?;
        let inner = head.get(at..)?;
        memmem::find(inner, angles.1)
            .is_none()
            .then_some((angles, from + at + angles.0.len()))
    })?;
    let rest = text.get(behind..text.len().min(behind + TAG_BYTES_MAX))?;
    let end = memmem::find(rest, angles.1).unwrap_or(rest.len());
    let tag = rest.get(..end)?;
    let values = memmem::find_iter(tag, VALUE).chain(memmem::find_iter(tag, b"Value"));
    let mut values = values.filter(|at| *at > 0 && tag.get(at - 1).is_some_and(|b| *b <= b' '));
    if let Some(at) = values.find_map(|at| assignment(text, behind + at)) {
        return apart::assigned(text, at, b'=', secrecy);
    }
    let element = text.get(tag_at..name_end(text, tag_at))?;
    let is_form = FORM.iter().any(|known| element.eq_ignore_ascii_case(known));
    let holds = matches!(naming, b"name" | b"key" | b"Name" | b"Key") && !is_form;
    let at = behind + end + angles.1.len();
    let is_direct = match text.get(space(text, at)..)?.strip_prefix(angles.0) {
        Some(child) => VALUE_ELEMENTS.iter().any(|known| child.starts_with(known)),
        None => true,
    };
    (holds && is_direct && end < rest.len() && !tag.ends_with(b"/"))
        .then(|| content(text, at, angles, element, secrecy))?
}

/// Behind `value=` that begins at `at`.
fn assignment(text: &[u8], at: usize) -> Option<usize> {
    let (word, _) = text.get(at..)?.split_at_checked(VALUE.len())?;
    let sign = gap(text, at + VALUE.len());
    let is_assigned = word.eq_ignore_ascii_case(VALUE) && text.get(sign) == Some(&b'=');
    is_assigned.then(|| gap(text, sign + 1))
}

fn name_end(text: &[u8], at: usize) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let rest = text.get(at..).unwrap_or_default().iter();
    at + rest.take(NAME_BYTES_MAX).take_while(is_part).count()
}

/// Passes over white space and line ends, also escaped.
pub(super) fn space(text: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at += match text.get(at..).unwrap_or_default() {
            [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
            [b'\\', b'n' | b'r' | b't', ..] => 2,
            _ => return at,
        };
    }
}
