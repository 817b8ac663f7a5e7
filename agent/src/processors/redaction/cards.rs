//! Card numbers in running text.
//!
//! A card number is at least [`DIGITS_MIN`] digits with at most two separators between two of them, so any stretch of
//! text that holds one has such a byte at every 13th place: the search looks at one byte in 13 and
//! reads a stretch only where that byte fits. Every byte is read a bounded number of times.

use std::ops::Range;

use super::edges::{begins_word, behind_escape};

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
/// Digits of cards that are used in one country.
const NATIONAL_DIGITS: usize = 16;
/// Separators between two digits, at most.
const SEPARATORS_MAX: usize = 2;
/// How numbers are grouped on cards; the last group may be shorter where its number is a range of lengths.
const GROUPINGS: [&[Range<usize>]; 5] = [
    &[4..5, 4..5, 4..5, 4..5],
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
            let start = match begins_stripe(text, stretch.start) {
                true => stretch.start,
                false => behind_escape(text, stretch.start),
            };
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

/// Digits, and what may stand between them: `%20` is made of them, too. Behind ASCII stand the bytes of spaces and hyphens that do not break.
fn is_part(byte: u8) -> bool {
    matches!(
        byte,
        b'0'..=b'9' | b' ' | b'-' | b'.' | b'+' | b'%' | 0xc2 | 0xa0 | 0xe2 | 0x80 | 0x87..=0x95 | 0xaf
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
        // Narrow spaces, hyphens and dashes, the sign minus.
        [0xe2, 0x80, 0x87..=0x95 | 0xaf, ..] | [0xe2, 0x88, 0x92, ..] => Some((3, 1)),
        [0x80..=0xff, ..] => Some((1, SEPARATORS_MAX + 1)),
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
    let is_whole = index == 0 && rest.len() > 1 && is_even(rest);
    if is_whole && is_card_of(rest.len()) {
        let end = rest.last().map_or(first.end, |last| last.end);
        let is_part = is_in_fraction(text, rest) || is_in_uuid(text, first.start..end);
        return (!is_part).then_some(rest.len());
    }
    if first.len() >= DIGITS_MIN {
        let is_part = is_fraction(text, first.start) || is_in_hex(text, first.start..first.end);
        return (is_card_of(1) && !is_part).then_some(1);
    }
    GROUPINGS.into_iter().find_map(|grouping| {
        let used = rest.get(..grouping.len())?;
        let fits = used.iter().zip(grouping).all(|(g, r)| r.contains(&g.len()));
        let is_card = fits && is_card_of(grouping.len()) && !is_in_fraction(text, used);
        let end = used.last().map_or(first.end, |last| last.end);
        (is_card && !is_in_uuid(text, first.start..end)).then_some(grouping.len())
    })
}

/// Whether all groups have as many digits, the last at most so many: other columns of numbers are no card's.
fn is_even(groups: &[Group]) -> bool {
    let Some((last, others)) = groups.split_last() else {
        return false;
    };
    let length = others.first().map_or(0, Group::len);
    others.iter().all(|group| group.len() == length) && last.len() <= length
}

/// Whether digits stand behind the point of a decimal number.
fn is_fraction(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    matches!(before, [.., digit, b'.'] if digit.is_ascii_digit())
}

/// Whether the groups are the two sides of a decimal number, or begin behind its point.
fn is_in_fraction(text: &[u8], groups: &[Group]) -> bool {
    match groups {
        [_, last] => is_fraction(text, last.start),
        [first, ..] => is_fraction(text, first.start),
        [] => false,
    }
}

/// Whether groups of digits are part of a UUID.
fn is_in_uuid(text: &[u8], digits: Range<usize>) -> bool {
    const LENGTH: usize = 36;
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'-';
    let before = text.get(..digits.start).unwrap_or_default().iter().rev();
    let start = digits.start - before.take(LENGTH).take_while(is_part).count();
    let word = text.get(start..).unwrap_or_default();
    let length = word.iter().take(LENGTH + 1).take_while(is_part).count();
    let is_hyphen = |at: &usize| word.get(*at) == Some(&b'-');
    length == LENGTH && HYPHENS.iter().all(is_hyphen) && digits.end <= start + LENGTH
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
    if begins_track(before, after) {
        return false;
    }
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

/// Whether `%B` and more digits than of an escape stand before and behind `at`.
fn begins_stripe(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let digits = text.get(at..text.len().min(at + DIGITS_MIN));
    let is_number = digits.is_some_and(|digits| digit_run(digits) == DIGITS_MIN);
    before.ends_with(b"%B") && is_number
}

/// Whether a card's number stands between these, as its stripe (`%B...^`) or its chip (`...D2512...F`) has it.
fn begins_track(before: &[u8], after: &[u8]) -> bool {
    /// The month it is valid to, and its service code.
    const DIGITS_MIN: usize = 7;
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (before, after) {
        ([.., b'B'], [b'^', ..]) => true,
        (before, [b'D', rest @ ..]) => {
            let is_month = matches!(
                rest,
                [_, _, b'0', b'1'..=b'9', ..] | [_, _, b'1', b'0'..=b'2', ..]
            );
            let begins = !before.last().is_some_and(u8::is_ascii_alphanumeric);
            begins && is_month && digits(rest) >= DIGITS_MIN
        }
        _ => false,
    }
}

/// A number between whose groups stands an escaped space, which is behind the first at `sign`: `4111&nbsp;1111&nbsp;...`.
pub(super) fn spaced(text: &[u8], sign: Range<usize>) -> Option<Range<usize>> {
    const GROUP_MAX: usize = 6;
    let space = text.get(sign.clone())?;
    let before = text.get(..sign.start)?.iter().rev();
    let first = before
        .take(GROUP_MAX + 1)
        .take_while(|byte| byte.is_ascii_digit());
    let start = sign.start - first.count();
    let (mut digits, mut at) = (Vec::new(), start);
    loop {
        let group = digit_run(text.get(at..text.len().min(at + DIGITS_MAX + 1))?);
        digits.extend(text.get(at..at + group)?.iter().map(|digit| digit - b'0'));
        at += group;
        let is_more = (1..=GROUP_MAX).contains(&group) && digits.len() <= DIGITS_MAX;
        match text.get(at..)?.strip_prefix(space) {
            Some([next, ..]) if is_more && next.is_ascii_digit() => at += space.len(),
            _ => break,
        }
    }
    is_card(&digits).then_some(start..at)
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
    let plausible = match issuer {
        2221..=2720 | 3000..=6999 => true,
        // Mir and Troy.
        2200..=2204 => digits.len() >= NATIONAL_DIGITS,
        9792 => digits.len() == NATIONAL_DIGITS,
        _ => false,
    };
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
