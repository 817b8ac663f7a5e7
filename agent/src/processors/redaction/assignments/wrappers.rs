//! What languages write around a text: `Some("x")`, `Secret("x")`, `sql.NullString{String:"x"}`, `new Secret('x')`; and the letters
//! before its quotes: `N'x'`, `@"x"`, `r#"x"#`.

use super::gap;

/// Wrappers, one in the other.
const WRAPPERS_MAX: usize = 4;
/// Longest name of one (bytes).
const NAME_BYTES_MAX: usize = 64;
/// Those that may hold a text without quotes.
const OPEN: [&[u8]; 2] = [b"Some(", b"Ok("];
/// What may stand before the quotes of a text.
const PREFIXES: [&[u8]; 24] = [
    b"b", b"B", b"r", b"R", b"u", b"U", b"f", b"F", b"n", b"N", b"e", b"E", b"x", b"X", b"L", b"q",
    b"Q", b"@", b"$", b"$@", b"@$", b"br", b"rb", b"u8",
];
const HASHES_MAX: usize = 3;

/// Passes over wrappers and prefixes, to the quotes of the text in them; stays where there is none.
pub(super) fn unwrapped(text: &[u8], at: usize) -> usize {
    let mut inner = at;
    for _ in 0..WRAPPERS_MAX {
        let rest = text.get(inner..).unwrap_or_default();
        match rest.first() {
            None | Some(b'"' | b'\'' | b'`' | b'\\') => return inner,
            Some(byte) if byte.is_ascii_digit() => break,
            _ => {}
        }
        if let Some(length) = prefix(rest) {
            return inner + length;
        }
        match wrapper(text, inner) {
            Some(behind) => inner = behind,
            None => break,
        }
    }
    // Without quotes only what is known to be one was a wrapper.
    let rest = text.get(at..).unwrap_or_default();
    let open = OPEN.iter().find(|open| rest.starts_with(open));
    at + open.map_or(0, |open| open.len())
}

/// The length of the letters before quotes.
fn prefix(text: &[u8]) -> Option<usize> {
    PREFIXES.iter().find_map(|letters| {
        let rest = text.strip_prefix(*letters)?;
        let is_raw = letters.ends_with(b"r");
        let hashes = rest
            .iter()
            .take(if is_raw { HASHES_MAX } else { 0 })
            .take_while(|byte| **byte == b'#')
            .count();
        let slashes = rest.iter().skip(hashes).take_while(|byte| **byte == b'\\');
        let quote = rest.get(hashes + slashes.count());
        matches!(quote, Some(b'"' | b'\'')).then_some(letters.len() + hashes)
    })
}

/// Behind the opening bracket of a wrapper, and the name of its first field.
fn wrapper(text: &[u8], at: usize) -> Option<usize> {
    let mut from = at;
    if text.get(from..)?.starts_with(b"new ") {
        from += 4;
    }
    let name = name_length(text, from);
    let opens = text.get(from + name);
    if name == 0 || !matches!(opens, Some(b'(' | b'{')) {
        // `ref "x"`, `&"x"`, a macro: `s!("x")`.
        let is_macro = name > 0 && text.get(from + name..)?.starts_with(b"!(");
        return is_macro.then_some(from + name + 2);
    }
    // PHP's `string(7) "x"`.
    let inner = gap(text, from + name + 1);
    let digits = text
        .get(inner..)?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits > 0 && text.get(inner + digits..)?.starts_with(b") ") {
        return Some(inner + digits + 2);
    }
    let field = name_length(text, inner);
    let behind = gap(text, inner + field);
    match text.get(behind) {
        Some(b':' | b'=') if field > 0 => Some(gap(text, behind + 1)),
        _ => Some(inner),
    }
}

fn name_length(text: &[u8], at: usize) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.:<>&*".contains(byte);
    let rest = text.get(at..).unwrap_or_default().iter();
    let length = rest.take(NAME_BYTES_MAX).take_while(is_part).count();
    // The sign of a field is no part of its name.
    let name = text.get(at..at + length).unwrap_or_default();
    length - name.iter().rev().take_while(|byte| **byte == b':').count()
}
