//! Values of columns that are named in a list before them: `Key (email, password)=(a, b)`, `(name, password) VALUES ('a', 'b')`.

use std::ops::Range;

use super::super::work;
use super::gap;
use super::markup::space;

/// Longest list of names (bytes).
const NAMES_BYTES_MAX: usize = 512;
/// Longest list of values (bytes).
const VALUES_BYTES_MAX: usize = 4096;
const VALUES: &[u8] = b"values";
/// Whether a quote behind so many backslashes ends a text.
type Closes = fn(usize) -> bool;

/// One value of a row.
struct Item {
    place: Range<usize>,
    row_end: usize,
    /// The row was not cut off.
    is_closed: bool,
}
/// What stands for a value that is given elsewhere.
const PLACEHOLDERS: &[u8] = b"?$:@%";

/// The values of the column whose name ends in what begins at `name` and ends, with its quotes, at `behind`; in several rows all
/// from the first to the last.
pub(super) fn value(text: &[u8], name: usize, behind: usize) -> Option<Range<usize>> {
    if !matches!(text.get(gap(text, behind))?, b',' | b')' | b':') {
        return None;
    }
    let before = text.get(name.saturating_sub(NAMES_BYTES_MAX)..name)?;
    let (index, depth) = names_before(before)?;
    let after = text.get(behind..text.len().min(behind + NAMES_BYTES_MAX))?;
    let (end, more) = names_after(after, depth)?;
    let at = space(text, behind + end);
    let rest = text.get(at..)?;
    if let Some(rest) = rest.strip_prefix(b"=") {
        let open = gap(text, text.len() - rest.len());
        return (text.get(open) == Some(&b'('))
            .then(|| of_detail(text, open + 1, index, index + more + 1))?;
    }
    let word = rest.get(..VALUES.len())?;
    let open = space(text, at + VALUES.len());
    (word.eq_ignore_ascii_case(VALUES) && text.get(open) == Some(&b'('))
        .then(|| of_rows(text, open, index))?
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"_.$\"'`[]:\\-".contains(&byte)
}

/// How many names stand before, in the same list, and in how many functions the name is: `lower(email::text)`.
fn names_before(text: &[u8]) -> Option<(usize, usize)> {
    let (mut depth, mut commas, mut functions) = (0_usize, 0, 0);
    let mut innermost = None;
    for (at, byte) in text.iter().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' if depth > 0 => depth -= 1,
            b'(' => {
                let before = at.checked_sub(1).and_then(|at| text.get(at));
                if !before.is_some_and(u8::is_ascii_alphanumeric) {
                    return Some((commas, functions));
                }
                // A function, or the name of a table before its only list.
                innermost = innermost.or(Some((commas, functions)));
                (commas, functions) = (0, functions + 1);
            }
            b',' if depth == 0 => commas += 1,
            byte if is_part(*byte) => {}
            _ => break,
        }
    }
    innermost
}

/// Where the list ends, out of so many functions, and how many names stand behind in it.
fn names_after(text: &[u8], functions: usize) -> Option<(usize, usize)> {
    let (mut depth, mut commas) = (functions, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b')' => return Some((at + 1, commas)),
            b',' if depth == 0 => commas += 1,
            byte if is_part(*byte) => {}
            _ => return None,
        }
    }
    None
}

/// The value of an error's detail, where values have no quotes; all of them if they cannot be told apart.
fn of_detail(text: &[u8], start: usize, index: usize, count: usize) -> Option<Range<usize>> {
    let rest = text.get(start..text.len().min(start + VALUES_BYTES_MAX))?;
    let ends = |at: &usize| {
        let next = rest.get(at + 1);
        next.is_none_or(|byte| *byte <= b' ' || b".,;\"'\\".contains(byte))
    };
    let mut closing = memchr::memchr_iter(b')', rest).filter(ends);
    let end = closing.next().unwrap_or(rest.len());
    work::read(end);
    let inner = rest.get(..end)?;
    let mut places = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(inner, b", ").chain([inner.len()]) {
        places.push(start + from..start + at);
        from = at + 2;
    }
    let place = match places.len() == count {
        true => places.get(index)?.clone(),
        false => start..start + inner.len(),
    };
    secret(text, place)
}

/// The values of one column in all rows.
fn of_rows(text: &[u8], open: usize, index: usize) -> Option<Range<usize>> {
    let text = text.get(..text.len().min(open + VALUES_BYTES_MAX))?;
    let mut found: Option<Range<usize>> = None;
    let mut at = open;
    while text.get(at) == Some(&b'(') {
        let (place, end) = item(text, at + 1, index)?;
        if let Some(place) = secret(text, place) {
            found = Some(found.map_or(place.start, |found| found.start)..place.end);
        }
        let next = space(text, end);
        if text.get(next) != Some(&b',') {
            break;
        }
        at = space(text, next + 1);
    }
    found
}

/// The item with this number of a row that begins at `start`, and the row's end.
///
/// `\'` ends a text in some databases and not in others. Of the ways to read it those count by which the row is closed; what is
/// the item by one of them is taken for it.
fn item(text: &[u8], start: usize, index: usize) -> Option<(Range<usize>, usize)> {
    const WAYS: [Closes; 3] = [|slashes| slashes % 2 == 0, |_| true, |slashes| slashes == 0];
    let row = text.get(start..)?;
    let is_plain = memchr::memmem::find(row, b"\\'").is_none();
    let ways = if is_plain { &WAYS[..1] } else { &WAYS };
    let read = ways
        .iter()
        .filter_map(|closes| item_by(text, start, index, *closes));
    let read: Vec<Item> = read.collect();
    let any_closed = read.iter().any(|item| item.is_closed);
    let counting = read.into_iter();
    counting
        .filter(|item| item.is_closed || !any_closed)
        .map(|item| (item.place, item.row_end))
        .reduce(|(a, a_end), (b, b_end)| {
            let place = a.start.min(b.start)..a.end.max(b.end);
            (place, a_end.max(b_end))
        })
}

/// The same, where a quote behind so many backslashes ends a text or not.
fn item_by(text: &[u8], start: usize, index: usize, closes: Closes) -> Option<Item> {
    let (mut depth, mut number, mut from, mut at) = (0_usize, 0, start, start);
    let mut found = None;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\'' => {
                let rest = text.get(at + 1..)?;
                let is_end = |end: &usize| {
                    let before = rest.get(..*end).unwrap_or_default().iter().rev();
                    closes(before.take_while(|byte| **byte == b'\\').count())
                };
                let end = memchr::memchr_iter(b'\'', rest).find(is_end);
                at += 1 + end.unwrap_or(rest.len());
            }
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b',' | b')' if depth == 0 => {
                if number == index {
                    found = Some(from..at);
                }
                number += 1;
                from = at + 1;
                if *byte == b')' {
                    work::read(at - start);
                    return found.map(|place| Item {
                        place,
                        row_end: at + 1,
                        is_closed: true,
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
    // Cut off.
    let end = text.len();
    work::read(end - start);
    let rest = (number == index).then_some(from..end);
    found.or(rest).map(|place| Item {
        place,
        row_end: end,
        is_closed: false,
    })
}

/// A value without its quotes, if there is one.
fn secret(text: &[u8], place: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(place.clone())?;
    let start = place.start + (value.len() - value.trim_ascii_start().len());
    let value = value.trim_ascii();
    let first = value.first()?;
    let is_nothing = PLACEHOLDERS.contains(first) || value.eq_ignore_ascii_case(b"null");
    if is_nothing || value.starts_with(b"<key:") {
        return None;
    }
    let end = start + value.len();
    let is_quoted = value.len() >= 2 && matches!(first, b'\'' | b'"') && value.ends_with(&[*first]);
    let place = if is_quoted {
        start + 1..end - 1
    } else {
        start..end
    };
    (!place.is_empty() && !text.get(place.clone())?.starts_with(b"<key:")).then_some(place)
}
