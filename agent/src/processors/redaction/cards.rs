//! Card numbers in running text.
//!
//! A card number is at least [`DIGITS_MIN`] digits with at most two separators between two of them, so any stretch of
//! text that holds one has such a byte at every 13th place: the search looks at one byte in 13 and
//! reads a stretch only where that byte fits. Every byte is read a bounded number of times.

use std::ops::Range;

use super::edges::{begins_word, behind_escape};

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
/// Separators between two digits, at most.
const SEPARATORS_MAX: usize = 2;
/// How numbers are grouped on cards; the last group may be shorter where its number is a range of lengths.
const GROUPINGS: [&[Range<usize>]; 5] = [
    &[4..5, 4..5, 4..5, 1..5],
    &[4..5, 4..5, 4..5, 4..5, 1..4],
    &[4..5, 6..7, 4..6],
    &[6..7, 7..14],
    &[8..9, 8..9],
];

/// Calls `found` for every card number in `text`, in order.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut probe = DIGITS_MIN - 1;
    let mut floor = 0;
    while let Some(byte) = text.get(probe) {
        if !is_part(*byte) {
            probe += DIGITS_MIN;
            continue;
        }
        let before = text.get(floor..probe).unwrap_or_default();
        let left = before.iter().rev().take_while(|b| is_part(**b)).count();
        let after = text.get(probe..).unwrap_or_default();
        let right = after.iter().take_while(|b| is_part(**b)).count();
        let stretch = probe - left..probe + right;
        if stretch.len() >= DIGITS_MIN {
            let start = behind_escape(text, stretch.start);
            in_stretch(text, start..stretch.end, &mut found);
        }
        floor = stretch.end;
        probe = stretch.end + DIGITS_MIN;
    }
}

/// Whether a whole number is a card number.
pub(super) fn is_card_number(number: u64) -> bool {
    let mut digits = [0_u8; 20];
    let mut rest = number;
    let mut length = 0;
    for slot in digits.iter_mut().rev() {
        *slot = u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    is_card(digits.get(20 - length..).unwrap_or_default())
}

/// Digits, and what may stand between them: `%20` is made of them, too.
fn is_part(byte: u8) -> bool {
    matches!(
        byte,
        b'0'..=b'9' | b' ' | b'-' | b'.' | b'+' | b'%' | 0xc2 | 0xa0
    )
}

/// A group of digits without separators: its place in the text and in the digits of the sequence.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
    first: usize,
}

impl Group {
    fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Looks at each sequence of groups with few enough separators between them.
fn in_stretch(text: &[u8], stretch: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    let mut groups: Vec<Group> = Vec::new();
    let mut digits: Vec<u8> = Vec::new();
    let mut separators = 0;
    let mut at = stretch.start;
    while at < stretch.end {
        let rest = text.get(at..stretch.end).unwrap_or_default();
        if let Some((length, weight)) = separator(rest) {
            separators += weight;
            at += length;
            continue;
        }
        if separators > SEPARATORS_MAX {
            in_sequence(text, &groups, &digits, found);
            groups.clear();
            digits.clear();
        }
        separators = 0;
        let length = digit_run(rest).max(1);
        let first = digits.len();
        digits.extend(rest.iter().take(length).map(|b| b.wrapping_sub(b'0')));
        groups.push(Group {
            start: at,
            end: at + length,
            first,
        });
        at += length;
    }
    in_sequence(text, &groups, &digits, found);
}

fn digit_run(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// The length of a separator at the front and how many it counts for; other percent-encoded characters than space,
/// hyphen and plus end a number.
fn separator(rest: &[u8]) -> Option<(usize, usize)> {
    match rest {
        [b'%', b'2', b'0' | b'D' | b'd' | b'B' | b'b', ..] => Some((3, 1)),
        [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            Some((3, SEPARATORS_MAX + 1))
        }
        [0xc2, 0xa0, ..] => Some((2, 1)),
        [byte, ..] if !byte.is_ascii_digit() => Some((1, 1)),
        _ => None,
    }
}

fn in_sequence(text: &[u8], groups: &[Group], digits: &[u8], found: &mut impl FnMut(Range<usize>)) {
    if digits.len() < DIGITS_MIN {
        return;
    }
    let mut index = 0;
    while let Some(first) = groups.get(index) {
        match card_groups(text, groups, index, digits) {
            Some(used) => {
                let end = groups.get(index + used - 1).map_or(first.end, |g| g.end);
                found(first.start..end);
                index += used;
            }
            None => index += 1,
        }
    }
}

/// How many groups from `index` on make a card number.
fn card_groups(text: &[u8], groups: &[Group], index: usize, digits: &[u8]) -> Option<usize> {
    let rest = groups.get(index..)?;
    let first = rest.first()?;
    let number = |used: usize| {
        let last = rest.get(used - 1)?;
        digits.get(first.first..last.first + last.len())
    };
    let is_card_of = |used: usize| number(used).is_some_and(is_card);
    if index == 0 && rest.len() > 1 && is_card_of(rest.len()) {
        return Some(rest.len());
    }
    if first.len() >= DIGITS_MIN {
        return (is_card_of(1) && !is_in_hex(text, first.start..first.end)).then_some(1);
    }
    GROUPINGS.into_iter().find_map(|grouping| {
        let used = rest.get(..grouping.len())?;
        let fits = used.iter().zip(grouping).all(|(g, r)| r.contains(&g.len()));
        (fits && is_card_of(grouping.len())).then_some(grouping.len())
    })
}

/// Whether the digits are part of a hexadecimal number such as a trace id.
fn is_in_hex(text: &[u8], digits: Range<usize>) -> bool {
    const LOOK: usize = 64;
    // What an escape ends in belongs to no number.
    let from = match begins_word(text, digits.start) {
        true => digits.start,
        false => digits.start.saturating_sub(LOOK),
    };
    let before = text.get(from..digits.start);
    let after = text.get(digits.end..text.len().min(digits.end + LOOK));
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let word = |b: &&u8| b.is_ascii_alphanumeric();
    let mut letters = before
        .iter()
        .rev()
        .take_while(word)
        .chain(after.iter().take_while(word))
        .filter(|b| b.is_ascii_alphabetic())
        .peekable();
    letters.peek().is_some() && letters.all(u8::is_ascii_hexdigit)
}

/// The Luhn check on digits that begin like those of a card, for the lengths cards have.
fn is_card(digits: &[u8]) -> bool {
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) {
        return false;
    }
    let issuer = digits
        .iter()
        .take(4)
        .fold(0_u32, |n, d| n * 10 + u32::from(*d));
    // Mastercard's second range; 3 to 6 are all card schemes (American Express, Visa, Maestro, ...).
    let plausible = matches!(issuer, 2221..=2720 | 3000..=6999);
    plausible && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let doubled = u32::from(*digit) << (index % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}
