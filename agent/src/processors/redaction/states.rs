//! What is said of a secret where it should stand: `api_key: missing`, `password=must be at least 8 characters`,
//! `{"password": ["is too short"]}`.

/// Longest text that is one (bytes): what is longer hides a secret, or is one.
const BYTES_MAX: usize = 96;
/// Words of one that begins with none of [`BEGINNINGS`].
const WORDS_MAX: usize = 3;
/// Words that are one by themselves, or end one.
const ALONE: [&[u8]; 30] = [
    b"missing",
    b"expired",
    b"invalid",
    b"required",
    b"unset",
    b"absent",
    b"revoked",
    b"rotated",
    b"incorrect",
    b"wrong",
    b"undefined",
    b"unknown",
    b"unavailable",
    b"rejected",
    b"denied",
    b"forbidden",
    b"unauthorized",
    b"mismatch",
    b"mismatched",
    b"malformed",
    b"found",
    b"provided",
    b"none",
    b"set",
    b"enabled",
    b"disabled",
    b"loaded",
    b"created",
    b"updated",
    b"deleted",
];
/// Words that one begins with.
const BEGINNINGS: [&[u8]; 18] = [
    b"not", b"is", b"was", b"are", b"has", b"have", b"must", b"cannot", b"can't", b"should",
    b"does", b"doesn't", b"did", b"will", b"too", b"may", b"needs", b"This",
];

/// Whether a value is one. `behind` is the text behind a value without quotes.
pub(super) fn is_state(value: &[u8], behind: &[u8]) -> bool {
    if value.len() > BYTES_MAX {
        return false;
    }
    let value = value.trim_ascii();
    let mut words = value.split(|byte| *byte == b' ');
    let first = words.next().unwrap_or_default();
    let next = match words.next() {
        Some(next) => next,
        None if ALONE.contains(&without_stop(first)) => return true,
        None => match behind {
            [b' ', rest @ ..] => first_word(rest),
            _ => return false,
        },
    };
    if BEGINNINGS.contains(&first) {
        return is_plain(without_stop(next));
    }
    let words = || value.split(|byte| *byte == b' ');
    let last = words().next_back().unwrap_or_default();
    let is_short = (2..=WORDS_MAX).contains(&words().count());
    is_short
        && ALONE.contains(&without_stop(last))
        && words().all(|word| is_plain(without_stop(word)))
}

fn without_stop(word: &[u8]) -> &[u8] {
    match word {
        [rest @ .., b'.' | b',' | b';' | b':' | b'!'] => rest,
        _ => word,
    }
}

/// The letters that a text begins with.
fn first_word(text: &[u8]) -> &[u8] {
    let near = text.get(..text.len().min(BYTES_MAX)).unwrap_or_default();
    let end = near.iter().position(|byte| !byte.is_ascii_alphabetic());
    near.get(..end.unwrap_or(near.len())).unwrap_or_default()
}

/// A word of the language, in small letters.
fn is_plain(word: &[u8]) -> bool {
    word.len() > 1 && word.iter().all(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_from_secrets() {
        for (value, behind) in [
            ("missing", ""),
            ("expired", " for user 7"),
            ("invalid,", " try again"),
            ("not", " found"),
            ("must", " be at least 8 characters"),
            ("header missing", ""),
            ("token not found", ""),
            ("is too short (minimum is 8 characters)", ""),
            ("can't be blank", ""),
            ("This field is required.", ""),
        ] {
            assert!(is_state(value.as_bytes(), behind.as_bytes()), "{value}");
        }
        for (value, behind) in [
            ("", ""),
            ("hunter2", " is wrong"),
            ("not", ""),
            ("must", " 8x"),
            ("is X9!ab", ""),
            ("correct horse battery staple", ""),
            ("correct horse battery missing", ""),
            ("Missing1", ""),
            ("abc123 missing", ""),
        ] {
            assert!(!is_state(value.as_bytes(), behind.as_bytes()), "{value}");
        }
        let long = format!("is {}", "so ".repeat(BYTES_MAX));
        assert!(!is_state(long.as_bytes(), b""));
    }
}
