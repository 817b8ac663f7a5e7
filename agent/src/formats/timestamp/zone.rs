//! What text tells about the zone of a time: an offset from UTC, or a name.
//!
//! Abbreviations have the offset that RFC 2822 gives them, or the only one that people use them for. `BST` and
//! `IST` have several and tell nothing by themselves.

use super::parts::{digits, has, take_number};

const HOUR: i64 = 3_600;
const HALF_HOUR: i64 = 1_800;
/// The longest abbreviation (bytes).
const ABBREVIATION_BYTES_MAX: usize = 5;

/// The abbreviation of a zone, as written; empty for a name of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) struct Name {
    letters: [u8; ABBREVIATION_BYTES_MAX],
}

/// What stands behind a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offset<'t> {
    None,
    /// From UTC.
    Seconds(i64),
    Named(Name),
    /// `Europe/Berlin`
    Region(&'t str),
}

impl Name {
    /// A name of which nothing is known.
    pub(super) const UNKNOWN: Self = Self {
        letters: [0; ABBREVIATION_BYTES_MAX],
    };

    pub(super) fn new(text: &[u8]) -> Self {
        let mut name = Self::UNKNOWN;
        match name.letters.get_mut(..text.len()) {
            Some(letters) => letters.copy_from_slice(text),
            None => return Self::UNKNOWN,
        }
        name
    }

    fn as_bytes(&self) -> &[u8] {
        let end = self.letters.iter().position(|letter| *letter == 0);
        self.letters
            .get(..end.unwrap_or(ABBREVIATION_BYTES_MAX))
            .unwrap_or_default()
    }

    pub(super) fn is(&self, abbreviation: &str) -> bool {
        self.as_bytes() == abbreviation.as_bytes()
    }

    pub(super) fn offset_seconds(&self) -> Option<i64> {
        offset_of(self.as_bytes()).flatten()
    }
}

/// Seconds from UTC; `None` for what is no abbreviation, `Some(None)` for one that has several meanings.
fn offset_of(name: &[u8]) -> Option<Option<i64>> {
    let hours = match name {
        b"UTC" | b"GMT" | b"WET" => 0,
        b"WEST" | b"CET" => 1,
        b"CEST" | b"EET" | b"SAST" => 2,
        b"EEST" | b"MSK" | b"IDT" => 3,
        b"PKT" => 5,
        b"HKT" | b"AWST" => 8,
        b"JST" | b"KST" => 9,
        b"ACST" => return Some(Some(9 * HOUR + HALF_HOUR)),
        b"AEST" => 10,
        b"ACDT" => return Some(Some(10 * HOUR + HALF_HOUR)),
        b"AEDT" => 11,
        b"NZST" => 12,
        b"NZDT" => 13,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" | b"AKDT" => -8,
        b"AKST" => -9,
        b"HST" => -10,
        b"BST" | b"IST" => return Some(None),
        _ => return None,
    };
    Some(Some(hours * HOUR))
}

/// What follows at `from`: `Z`, `+01:00`, `+0100`, ` +0100`, `+01`, ` UTC`, ` CET`, ` GMT+0100`, ` Europe/Berlin`, and the
/// place behind it.
#[inline]
pub(super) fn zone(bytes: &[u8], from: usize) -> (Offset<'_>, usize) {
    let nothing = (Offset::None, from);
    match bytes.get(from) {
        Some(b'Z' | b'z') => (Offset::Seconds(0), from + 1),
        Some(b'+' | b'-') => signed(bytes, from)
            .or_else(|| whole_hours(bytes, from))
            .unwrap_or(nothing),
        Some(b' ') => match bytes.get(from + 1) {
            Some(b'U' | b'G') if is_utc(bytes, from + 1) => Some((Offset::Seconds(0), from + 4)),
            Some(b'A'..=b'Z') => named(bytes, from + 1),
            Some(b'+' | b'-') => signed(bytes, from + 1),
            _ => None,
        }
        .unwrap_or(nothing),
        _ => nothing,
    }
}

/// The names that most times have, with nothing behind them.
#[inline]
fn is_utc(bytes: &[u8], from: usize) -> bool {
    let is_name = matches!(bytes.get(from..from + 3), Some(b"UTC" | b"GMT"));
    is_name && matches!(bytes.get(from + 3), None | Some(b' ' | b']' | b','))
}

/// `+01:00`, `+0100`
fn signed(bytes: &[u8], from: usize) -> Option<(Offset<'static>, usize)> {
    let minutes_at = from + 3 + usize::from(has(bytes, from + 3, b':'));
    let hours = digits(bytes, from + 1, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(bytes, minutes_at, 2).filter(|minutes| *minutes < 60)?;
    let seconds = hours * HOUR + minutes * 60;
    Some((
        Offset::Seconds(with_sign(bytes, from, seconds)),
        minutes_at + 2,
    ))
}

/// `+01`, as PostgreSQL writes it
fn whole_hours(bytes: &[u8], from: usize) -> Option<(Offset<'static>, usize)> {
    let (hours, end) = take_number(bytes, from + 1, 2).filter(|(hours, _)| *hours < 24)?;
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-');
    let is_end = !bytes.get(end).is_some_and(goes_on);
    is_end.then(|| (Offset::Seconds(with_sign(bytes, from, hours * HOUR)), end))
}

fn with_sign(bytes: &[u8], at: usize, seconds: i64) -> i64 {
    if has(bytes, at, b'-') {
        -seconds
    } else {
        seconds
    }
}

/// The name of a zone at `from`, if it is known to be one.
fn named(bytes: &[u8], from: usize) -> Option<(Offset<'_>, usize)> {
    let rest = bytes.get(from..)?;
    let letters = rest.iter().take(ABBREVIATION_BYTES_MAX + 1);
    let letters = letters.take_while(|byte| byte.is_ascii_uppercase()).count();
    let ends = |end: usize| {
        let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
        !rest.get(end).is_some_and(goes_on)
    };
    let name = rest.get(..letters)?;
    if letters == 1 {
        let (offset, end) = region(rest)?;
        return ends(end).then_some((offset, from + end));
    }
    let end = from + letters;
    if matches!(name, b"GMT" | b"UTC") && matches!(bytes.get(end), Some(b'+' | b'-')) {
        return signed(bytes, end).or_else(|| whole_hours(bytes, end));
    }
    offset_of(name).filter(|_| ends(letters))?;
    Some((Offset::Named(Name::new(name)), end))
}

/// `Europe/Berlin`, `America/Argentina/Buenos_Aires`
fn region(rest: &[u8]) -> Option<(Offset<'_>, usize)> {
    const AREAS: [&[u8]; 11] = [
        b"Africa/",
        b"America/",
        b"Antarctica/",
        b"Arctic/",
        b"Asia/",
        b"Atlantic/",
        b"Australia/",
        b"Etc/",
        b"Europe/",
        b"Indian/",
        b"Pacific/",
    ];
    let area = AREAS.iter().find(|area| rest.starts_with(area))?;
    rest.get(area.len())
        .filter(|byte| byte.is_ascii_uppercase())?;
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte);
    let end = rest.iter().take_while(in_name).count();
    let name = std::str::from_utf8(rest.get(..end)?).ok()?;
    Some((Offset::Region(name), end))
}

/// `CET`, or what looks like it.
pub(in crate::formats) fn is_abbreviation(zone: &str) -> bool {
    (2..=ABBREVIATION_BYTES_MAX).contains(&zone.len())
        && zone.bytes().all(|byte| byte.is_ascii_uppercase())
}
