//! Finds the places of a text where its digits may differ from those of others.
//!
//! A place is a word of hexadecimal digits (lower case, four at least, one of them 0 to 9), a group of them behind such
//! a word and a dash, as in a UUID, or else any run of decimal digits.

use std::ops::Range;

use memchr::memchr;

use crate::tables::packed::{DIGITS_MAX, MARK};

/// Longer texts (bytes) stay as they are.
const TEXT_BYTES_MAX: usize = 2_048;
const PLACES_MAX: usize = 32;
/// Bytes that are searched at a time.
const WORD_BYTES: usize = 8;
/// A shorter word of letters and digits is a name more often than a number.
const HEX_WORD_MIN: usize = 4;

const OTHER: u8 = 0;
const DECIMAL: u8 = 1;
const HEX_LETTER: u8 = 2;
const LETTER: u8 = 3;

const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b'0'..=b'9' => DECIMAL,
            b'a'..=b'f' => HEX_LETTER,
            b'g'..=b'z' | b'A'..=b'Z' | 0x80.. => LETTER,
            _ => OTHER,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

/// The places of a text in order. `false` when it has none or is not to be packed.
pub(super) fn places(text: &str, places: &mut Vec<Range<usize>>) -> bool {
    places.clear();
    let bytes = text.as_bytes();
    if bytes.len() > TEXT_BYTES_MAX || memchr(MARK as u8, bytes).is_some() {
        return false;
    }
    // Most words have no digit, and are not looked at.
    let mut at = 0;
    while let Some(digit) = next_digit(bytes, at) {
        let before = bytes.get(at..digit).unwrap_or_default();
        let letters = before
            .iter()
            .rev()
            .take_while(|byte| class(**byte) != OTHER);
        at = word(bytes, digit - letters.count(), places);
        while bytes.get(at) == Some(&b'-') && places.last().is_some_and(|last| last.end == at) {
            at = word(bytes, at + 1, places);
        }
        if places.len() > PLACES_MAX {
            places.clear();
            return false;
        }
    }
    !places.is_empty()
}

fn next_digit(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let (words, tail) = rest.as_chunks::<WORD_BYTES>();
    for (place, word) in words.iter().enumerate() {
        let marks = digit_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            let byte = usize::try_from(marks.trailing_zeros() / u8::BITS).ok()?;
            return Some(at + place * WORD_BYTES + byte);
        }
    }
    let place = tail.iter().position(u8::is_ascii_digit)?;
    Some(at + rest.len() - tail.len() + place)
}

/// The high bit of each byte that is a decimal digit.
fn digit_marks(word: u64) -> u64 {
    const HIGH: u64 = 0x80 * EACH_BYTE;
    const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
    // Sums of seven bits each stay within their byte.
    let low = word & !HIGH;
    let from_zero = low + (0x80 - b'0' as u64) * EACH_BYTE;
    let beyond_nine = low + (0x80 - (b'9' as u64 + 1)) * EACH_BYTE;
    from_zero & !beyond_nine & !word & HIGH
}

/// Adds the places of the word that begins at `start`, and returns its end.
fn word(bytes: &[u8], start: usize, places: &mut Vec<Range<usize>>) -> usize {
    let (mut decimals, mut is_hex) = (0, true);
    let mut end = start;
    while let Some(class) = bytes.get(end).map(|byte| class(*byte)) {
        match class {
            OTHER => break,
            DECIMAL => decimals += 1,
            LETTER => is_hex = false,
            _ => {}
        }
        end += 1;
    }
    let length = end - start;
    let follows_hex = || {
        let dash = start.checked_sub(1);
        dash.is_some_and(|dash| {
            bytes.get(dash) == Some(&b'-') && places.last().is_some_and(|last| last.end == dash)
        })
    };
    if is_hex && (HEX_WORD_MIN..=DIGITS_MAX).contains(&length) && (decimals > 0 || follows_hex()) {
        places.push(start..end);
        return end;
    }
    if decimals > 0 {
        runs(bytes, start..end, places);
    }
    end
}

/// Adds the runs of decimal digits within a word.
fn runs(bytes: &[u8], word: Range<usize>, places: &mut Vec<Range<usize>>) {
    let mut run: Option<usize> = None;
    for at in word.start..=word.end {
        let is_decimal = at < word.end && bytes.get(at).is_some_and(u8::is_ascii_digit);
        match (run, is_decimal) {
            (None, true) => run = Some(at),
            (Some(start), false) => {
                // A longer number is rare enough to stay.
                if at - start <= DIGITS_MAX {
                    places.push(start..at);
                }
                run = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_digit_is_the_first(bytes in prop::collection::vec(any::<u8>(), 0..40), at in 0..40_usize) {
            let expect = bytes.iter().skip(at).position(u8::is_ascii_digit);
            let expect = expect.map(|place| at + place);
            prop_assert_eq!(next_digit(&bytes, at), expect);
        }

        #[test]
        fn only_digits_are_marked(byte in any::<u8>(), place in 0..8_u32) {
            let marks = digit_marks(u64::from(byte) << (8 * place));
            let expect = u64::from(byte.is_ascii_digit()) * (0x80 << (8 * place));
            prop_assert_eq!(marks, expect);
        }
    }
}
