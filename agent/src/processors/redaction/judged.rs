//! Values of keys that hold secrets, but also counts, names and states: `token=9f86d081884c7d65`, `token: 512`,
//! `token: IDENTIFIER`. A value goes if it looks like a secret: one word without the shape of a number, an address, a date or
//! words of a language.

use super::names::{self, Secrecy};
use super::states;

/// Shortest value that may be a secret (bytes).
const SECRET_BYTES_MIN: usize = 8;
/// Shortest number in quotes that may be a one-time code (digits).
const CODE_DIGITS_MIN: usize = 6;
/// Shortest value without digits that may be a secret (bytes): a word is not so long.
const LETTERS_MIN: usize = 20;
/// Shortest value of letters and signs that may be a secret where its capitals stand as in no words (bytes).
const MIXED_MIN: usize = 12;
/// Shortest base64 that is told from a path (bytes).
const BASE64_MIN: usize = 10;
/// Shortest part of a path that is told to be of base64 (bytes).
const SEGMENT_MIN: usize = 6;
/// What stands behind numbers.
const UNITS: [&[u8]; 48] = [
    b"ns",
    b"us",
    b"ms",
    b"s",
    b"sec",
    b"secs",
    b"second",
    b"seconds",
    b"m",
    b"min",
    b"mins",
    b"minute",
    b"minutes",
    b"h",
    b"hour",
    b"hours",
    b"d",
    b"day",
    b"days",
    b"w",
    b"b",
    b"k",
    b"kb",
    b"mb",
    b"gb",
    b"tb",
    b"kib",
    b"mib",
    b"gib",
    b"tib",
    b"byte",
    b"bytes",
    b"x",
    b"px",
    b"hz",
    b"mhz",
    b"ghz",
    b"times",
    b"items",
    b"requests",
    b"tokens",
    b"errors",
    b"tests",
    b"checks",
    b"st",
    b"nd",
    b"rd",
    b"th",
];
/// Digits that words end in: `service-2`, `v12`.
const WORD_DIGITS_MAX: usize = 2;
/// Digits that are a part of a name by themselves, such as a year.
const PART_DIGITS_MAX: usize = 4;
/// What tokens are of that are no secrets: pages of answers, and what parsers read.
const OTHERS: [&[u8]; 11] = [
    b"page",
    b"next",
    b"continuation",
    b"continue",
    b"sync",
    b"skip",
    b"cursor",
    b"cancellation",
    b"expected",
    b"unexpected",
    b"illegal",
];

/// What a test, a step or a switch tells: `pass=ok`, `secrets: none`.
const STATES: [&[u8]; 26] = [
    b"ok",
    b"yes",
    b"no",
    b"on",
    b"off",
    b"none",
    b"null",
    b"nil",
    b"undefined",
    b"true",
    b"false",
    b"pass",
    b"passed",
    b"fail",
    b"failed",
    b"skip",
    b"skipped",
    b"error",
    b"errors",
    b"done",
    b"first",
    b"second",
    b"third",
    b"final",
    b"enabled",
    b"disabled",
];

/// Whether a value is secret by what its key says. `is_apart`: it stands as values do, not as a word of a sentence might.
pub(super) fn is_secret(secrecy: Secrecy, value: &[u8], is_quoted: bool, is_apart: bool) -> bool {
    match secrecy {
        Secrecy::Always => true,
        Secrecy::Sure => !states::is_state(value, b""),
        Secrecy::Folder => !states::is_state(value, b"") && !is_folder(value),
        Secrecy::Likely => match is_apart {
            true => is_likely(value, is_quoted),
            false => looks_secret(value, is_quoted),
        },
        Secrecy::Judged => looks_secret(value, is_quoted),
        Secrecy::Counted => !value.iter().all(u8::is_ascii_digit) && looks_secret(value, is_quoted),
    }
}

/// Whether a value is neither a count nor a state nor a place.
fn is_likely(value: &[u8], is_quoted: bool) -> bool {
    if value.iter().all(u8::is_ascii_digit) {
        return is_quoted && value.len() >= CODE_DIGITS_MIN;
    }
    let is_any = value.iter().any(u8::is_ascii_alphanumeric);
    let is_state = STATES.iter().any(|state| value.eq_ignore_ascii_case(state));
    is_any && !is_state && !is_place(value) && !is_measure(value)
}

/// Whether the word before a key says that it is no secret's: `next_page_`, `unexpected `.
pub(super) fn is_of_something_else(before: &[u8]) -> bool {
    let is_between = |byte: &u8| matches!(byte, b'_' | b'-' | b'.' | b' ');
    let word = match before.split_last() {
        Some((last, rest)) if is_between(last) => rest,
        _ => before,
    };
    OTHERS.iter().any(|other| {
        let at = word.len().checked_sub(other.len());
        at.is_some_and(|at| {
            let end = word.get(at..).unwrap_or_default();
            end.eq_ignore_ascii_case(other) && names::begins_word(word, at)
        })
    })
}

/// Whether a value looks like a secret. A number does only in quotes, where codes stand.
pub(super) fn looks_secret(value: &[u8], is_quoted: bool) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == value.len() {
        return is_quoted && digits >= CODE_DIGITS_MIN;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.~+/=:|%!*@$#,".contains(byte);
    if value.len() < SECRET_BYTES_MIN || !value.iter().all(is_part) || is_place(value) {
        return false;
    }
    if digits == 0 {
        let is_long = value.len() >= LETTERS_MIN && is_random(value);
        return is_long || (value.len() >= MIXED_MIN && is_scattered(value));
    }
    !is_measure(value) && !is_wordy(value) && !is_constant(value)
}

/// A name in capitals with a number behind it: `T_STRING123`.
pub(super) fn is_constant(value: &[u8]) -> bool {
    const DIGITS_MAX: usize = 3;
    const LETTERS_MIN: usize = 5;
    let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    let (word, _) = value
        .split_at_checked(value.len() - digits)
        .unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    digits <= DIGITS_MAX && word.len() >= LETTERS_MIN && word.iter().all(is_part)
}

/// A path, an address or a placeholder: `/run/token1`, `https://...`, `$TOKEN_1`, `%TOKEN_1%`.
pub(super) fn is_place(value: &[u8]) -> bool {
    match value {
        [b'/', rest @ ..] => !is_base64(rest),
        [b'$', rest @ ..] => is_variable(rest),
        [b'%', rest @ ..] => is_format(rest),
        [b'.' | b'#', ..] => true,
        _ => memchr::memmem::find(value, b"://").is_some(),
    }
}

/// A path from the root, as the shell's `PWD` is one.
pub(super) fn is_folder(value: &[u8]) -> bool {
    value.starts_with(b"/") && is_place(value)
}

/// Whether what stands behind a `/` is base64, not the rest of a path: padded, or with a part that has capitals, letters and
/// digits mixed.
fn is_base64(rest: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let is_mixed = |part: &[u8]| part.len() >= SEGMENT_MIN && has_all_kinds(part) && !is_word(part);
    rest.len() >= BASE64_MIN
        && rest.iter().all(is_part)
        && (rest.ends_with(b"=") || rest.split(|byte| *byte == b'/').any(is_mixed))
}

/// Whether a name, in brackets or not, stands behind a `$`.
fn is_variable(rest: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:".contains(byte);
    let is_name = rest.iter().all(is_part) && (is_wordy(rest) || !has_all_kinds(rest));
    matches!(rest.first(), Some(b'{' | b'(')) || is_name
}

/// Whether what stands behind a `%` is filled in later, or is an escape of an address.
fn is_format(rest: &[u8]) -> bool {
    const SHORT: usize = 3;
    rest.len() <= SHORT
        || rest.ends_with(b"%")
        || matches!(rest, [b'{' | b'(', ..] | [b'2', b'F' | b'f', ..])
}

fn has_all_kinds(text: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| text.iter().any(kind);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// A number with a unit, a date or an address: no letters among its digits.
fn is_measure(value: &[u8]) -> bool {
    let is_number = |byte: &&u8| byte.is_ascii_digit() || b".,:-/+%".contains(byte);
    let number = value.iter().take_while(is_number).count();
    let unit = value.get(number..).unwrap_or_default();
    let begins = value.first().is_some_and(u8::is_ascii_digit);
    let is_unit = || UNITS.iter().any(|known| unit.eq_ignore_ascii_case(known));
    begins && (unit.is_empty() || is_unit())
}

/// Words and small numbers with signs between: `user-service-v2`.
fn is_wordy(value: &[u8]) -> bool {
    value
        .split(|byte| !byte.is_ascii_alphanumeric())
        .all(is_word)
}

fn is_word(part: &[u8]) -> bool {
    let letters = part
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let (word, rest) = part.split_at_checked(letters).unwrap_or_default();
    let rest_max = match word.is_empty() {
        true => PART_DIGITS_MAX,
        false => WORD_DIGITS_MAX,
    };
    rest.len() <= rest_max && rest.iter().all(u8::is_ascii_digit) && !is_random(word)
}

/// Letters and signs, the letters with capitals as no words have them.
fn is_scattered(value: &[u8]) -> bool {
    const CAPITALS_APART: usize = 4;
    const CAPITALS_MIN: usize = 3;
    let rises = rises(value);
    (rises >= CAPITALS_MIN && rises * CAPITALS_APART >= value.len()) || is_clustered(value)
}

/// Capitals all over, and so many consonants side by side as in few words.
fn is_clustered(text: &[u8]) -> bool {
    const CAPITALS_APART: usize = 6;
    let rises = rises(text);
    rises > 0 && rises * CAPITALS_APART >= text.len() && has_clusters(text)
}

/// How often a capital stands behind a small letter.
fn rises(text: &[u8]) -> usize {
    let rises = text.windows(2).filter(|pair| {
        matches!(pair, [before, next] if before.is_ascii_lowercase() && next.is_ascii_uppercase())
    });
    rises.count()
}

/// Whether so many consonants stand side by side as in few words.
fn has_clusters(text: &[u8]) -> bool {
    const CONSONANTS: usize = 5;
    let mut parts =
        text.split(|byte| !byte.is_ascii_alphabetic() || b"aeiouyAEIOUY".contains(byte));
    parts.any(|part| part.len() >= CONSONANTS)
}

/// Letters as no word has them: far too many in one piece, or capitals all over.
fn is_random(text: &[u8]) -> bool {
    const CAPITALS_APART: usize = 5;
    const CAPITALS_APART_SHORT: usize = 4;
    if !text
        .iter()
        .all(|byte| byte.is_ascii_alphabetic() || b"+/=".contains(byte))
    {
        return false;
    }
    let rises = rises(text);
    let is_one_case = rises == 0 && text.len() > LETTERS_MIN;
    let is_short = text.len() < SECRET_BYTES_MIN;
    is_one_case
        || (!is_short && rises * CAPITALS_APART > text.len())
        || (is_short && rises > 1 && rises * CAPITALS_APART_SHORT > text.len())
        || is_clustered(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_look_like_secrets() {
        for value in [
            "9f86d081884c7d65",
            "abc123def456",
            "550e8400-e29b-41d4-a716-446655440000",
            "s.4zKx9QmW2pLr8Tn",
            "dQw4w9WgXcQ",
            "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=",
            "fcm:APA91bHun4MxP5egoKMwt2KZ",
            "abcdefghijklmnopqrstuvwxyz",
            "KxQzWmPlRtNvBcDsFgHjYu",
            "aKxQzWmPlRtNvBcDsFgHjYu",
            "aKxbQzcWmdPlfRtgNvhBcj",
        ] {
            assert!(looks_secret(value.as_bytes(), false), "{value}");
        }
        assert!(looks_secret(b"123456", true));
    }

    #[test]
    fn base64_is_no_path_and_random_letters_are_no_words() {
        for value in [
            "/kSu0iwRU/iAuIx8IMKSlEymwQw/t3W4Jcg15CHlr7S=",
            "/czC68hybMGMdFdyPqFNscZ0+4eTsdRUwlnsLJWr",
            "7vfpLqPoybGT",
            "9IgEkJpFuktN",
            "$K9CScSwn*ZQ",
            "%B4xk9QmW2pLr8Tn",
            "kQbZrTxVmNpL-sDf",
            "aBxK-9qWe",
        ] {
            assert!(looks_secret(value.as_bytes(), false), "{value}");
        }
        for value in [
            "/var/lib/kubelet/pods/volume1",
            "/api/v1/Users/token2",
            "$MyToken1",
            "${TOKEN_2}",
            "%TOKEN_12%",
            "%{token1}",
            "12500seconds",
            "RightShiftAssignment",
            "T_STRING123",
            "EndOfFileToken",
            "X-Api-Key-Identifier",
        ] {
            assert!(!looks_secret(value.as_bytes(), false), "{value}");
        }
    }

    #[test]
    fn few_random_tokens_are_taken_for_words() {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const TOKENS: usize = 2000;
        for (length, missed_max) in [(12, 140), (16, 80), (24, 16), (32, 8)] {
            let mut state = 7_u64;
            let mut token = || -> Vec<u8> {
                let letters = (0..length).map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    ALPHABET[usize::try_from(state >> 58).unwrap()]
                });
                letters.collect()
            };
            let missed = (0..TOKENS).filter(|_| !looks_secret(&token(), false));
            let missed = missed.count();
            assert!(missed <= missed_max, "{length}: {missed}");
        }
    }

    #[test]
    fn counts_names_and_states_do_not() {
        for value in [
            "512",
            "1250000",
            "12500ms",
            "1,250,000",
            "87.5%",
            "2024-11-27",
            "10.0.0.1:8080",
            "bearer",
            "IDENTIFIER",
            "expired",
            "LEFT_PAREN",
            "user-service-v2",
            "shop-2024-11",
            "com.shop.auth.TokenProvider",
            "ClientCredentialsTokenProvider",
            "/var/run/secrets/token1",
            "https://auth.shop.example/token2",
            "$TOKEN_1234",
            "is not valid 4 you",
            "a1b2",
            "",
        ] {
            assert!(!looks_secret(value.as_bytes(), false), "{value}");
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            assert!(
                is_number || !looks_secret(value.as_bytes(), true),
                "{value}"
            );
        }
    }
}
