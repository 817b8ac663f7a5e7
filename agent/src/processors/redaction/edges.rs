//! Where words begin in texts that were coloured or escaped: behind what is no letter or digit, and behind a colour (`ESC[36m`) or an escape
//! (`\n`, `%3D`, `\u003d`, `\x3d`, `\047`), whose last letter or digit belongs to no word.

/// Parameters of a colour sequence (bytes).
const COLOUR_BYTES_MAX: usize = 16;

/// Whether a word could begin at `at`.
pub(super) fn begins_word(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    match before.last() {
        Some(byte) if byte.is_ascii_alphanumeric() => ends_colour(before) || ends_escape(before),
        _ => true,
    }
}

/// Whether a colour ends a text, or the sequence that clears the rest of a line; how it is escaped does not matter.
pub(super) fn ends_colour(text: &[u8]) -> bool {
    let [rest @ .., b'm' | b'K'] = text else {
        return false;
    };
    let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(**byte, b';' | b':');
    let parts = rest.iter().rev().take(COLOUR_BYTES_MAX);
    let parts = parts.take_while(is_part).count();
    rest.get(..rest.len() - parts)
        .is_some_and(|rest| rest.ends_with(b"["))
}

/// Whether an escape ends a text.
fn ends_escape(text: &[u8]) -> bool {
    matches!(text, [.., b'\\', _] | [.., b'%', _, _]) || escape_length(text).is_some()
}

/// The length of the escape that ends a text, without the sign that begins it.
pub(super) fn escape_length(text: &[u8]) -> Option<usize> {
    let are_digits = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    let is_octal = |digit: u8| matches!(digit, b'0'..=b'7');
    match text {
        [.., b'%', a, b] if are_digits(&[*a, *b]) => Some(2),
        [.., b'\\', b'x', a, b] if are_digits(&[*a, *b]) => Some(3),
        [.., b'\\', b'0', a, b] if is_octal(*a) && is_octal(*b) => Some(3),
        [.., b'\\', b'u', a, b, c, d] if are_digits(&[*a, *b, *c, *d]) => Some(5),
        _ => None,
    }
}

/// Behind the escape in which `at` lies, whose digits look like the first ones of a number: `%2010.0.0.1`, `\u002710.0.0.1`.
pub(super) fn behind_escape(text: &[u8], at: usize) -> usize {
    const DIGITS_MAX: usize = 4;
    let may_be_inside = |byte: &u8| byte.is_ascii_hexdigit() || b"%xu\\".contains(byte);
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    if !before.is_some_and(may_be_inside) {
        return at;
    }
    let is_inside = |end: usize| {
        let length = text.get(..end).and_then(escape_length);
        length.is_some_and(|length| end - length <= at)
    };
    let mut ends = at + 1..=at + DIGITS_MAX;
    ends.rfind(|end| is_inside(*end)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_behind_colours_and_escapes() {
        for before in [
            "",
            " ",
            "\u{1b}[36m",
            "\\u001b[1;36m",
            "\\x1b[0m",
            "\\033[m",
            "^[[38;2;1;2;3m",
            "\u{1b}[K",
            "\\n",
            "%3D",
            "\\u003d",
            "\\x3D",
            "\\047",
        ] {
            assert!(begins_word(before.as_bytes(), before.len()), "{before}");
        }
        for before in ["a", "7", "items", "u003d", "[36", "36m", "\\u003"] {
            assert!(!begins_word(before.as_bytes(), before.len()), "{before}");
        }
    }

    #[test]
    fn numbers_begin_behind_the_digits_of_escapes() {
        for (text, at, end) in [
            ("%2010.0.0.1", 1, 3),
            ("\\u002710.0.0.1", 2, 6),
            ("\\x2710", 2, 4),
            ("\\u00a010", 5, 6),
            ("10.0.0.1", 0, 0),
            ("u002710", 1, 1),
        ] {
            assert_eq!(behind_escape(text.as_bytes(), at), end, "{text}");
        }
    }
}
