//! Numbers, names of months, times of day, and the calendar.

use super::zone::Offset;
use super::{NANOS_PER_SECOND, Stamp};

/// Year, month and day.
pub(super) type Date = (i64, i64, i64);

/// Seconds and nanoseconds since midnight.
pub(in crate::formats) type ClockTime = (i64, i64);

/// `03:04:05`, with a fraction or without, also `3:04:05 AM`, at `from`: the time, and the place behind it.
#[inline]
pub(in crate::formats) fn take_clock(bytes: &[u8], from: usize) -> Option<(ClockTime, usize)> {
    if has(bytes, from + 2, b':') {
        take_minutes(bytes, digits(bytes, from, 2)?, from + 3)
    } else if has(bytes, from + 1, b':') {
        take_minutes(bytes, digits(bytes, from, 1)?, from + 2)
    } else {
        None
    }
}

/// What stands behind the hour.
#[inline]
fn take_minutes(bytes: &[u8], hour: i64, from: usize) -> Option<(ClockTime, usize)> {
    if !has(bytes, from + 2, b':') {
        return None;
    }
    let (minute, second) = (digits(bytes, from, 2)?, digits(bytes, from + 3, 2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, end) = fraction(bytes, from + 5);
    let (hour, end) = match half_of_day(bytes, end) {
        Some((half, end)) if (1..=12).contains(&hour) => (hour % 12 + half, end),
        _ => (hour, end),
    };
    Some(((hour * 3_600 + minute * 60 + second, nanos), end))
}

/// ` AM` or ` PM` at `from`, in any case: the hours that it adds to those behind noon or midnight, and the place behind it.
/// Newer versions of Java and of JavaScript's engines write a narrow no-break space.
#[inline]
fn half_of_day(bytes: &[u8], from: usize) -> Option<(i64, usize)> {
    let blank = match bytes.get(from)? {
        b'A' | b'a' | b'P' | b'p' => 0,
        b' ' => 1,
        0xc2 if has(bytes, from + 1, 0xa0) => 2,
        0xe2 if has(bytes, from + 1, 0x80) && has(bytes, from + 2, 0xaf) => 3,
        _ => return None,
    };
    let half = match bytes.get(from + blank)? {
        b'A' | b'a' => 0,
        b'P' | b'p' => 12,
        _ => return None,
    };
    let end = from + blank + 2;
    let is_word = bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
    let ends = matches!(bytes.get(end - 1), Some(b'M' | b'm')) && !is_word;
    ends.then_some((half, end))
}

/// The number of the month whose English name is abbreviated at `from`.
pub(in crate::formats) fn month(bytes: &[u8], from: usize) -> Option<i64> {
    const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let name = bytes.get(from..from + 3)?;
    let index = NAMES.chunks_exact(3).position(|known| known == name)?;
    i64::try_from(index + 1).ok()
}

/// Nanoseconds since 1970 at which clocks in UTC show this; `None` when there is no such day.
#[inline]
pub(super) fn nanos_of((year, month, day): Date, (second, nanos): ClockTime) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + second;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

/// A day without a year: in the latest year in which it is not later than a day after `observed_unix_nano`.
pub(in crate::formats) fn in_latest_year(
    month: i64,
    day: i64,
    clock: ClockTime,
    observed_unix_nano: u64,
) -> Option<Stamp> {
    const NANOS_PER_DAY: u64 = 86_400_000_000_000;
    // Years back until there was a 29th of February for sure.
    const YEARS_BACK: i64 = 8;
    let latest = observed_unix_nano.saturating_add(NANOS_PER_DAY);
    let days = i64::try_from(latest / NANOS_PER_DAY).ok()?;
    let year = 1970 + days * 400 / 146_097;
    (0..=YEARS_BACK + 1)
        .filter_map(|back| nanos_of((year + 1 - back, month, day), clock))
        .filter_map(|nanos| Stamp::new(nanos, Offset::None))
        .find(|stamp| stamp.unix_nano <= latest)
}

#[inline]
pub(in crate::formats) fn digits(bytes: &[u8], at: usize, count: usize) -> Option<i64> {
    bytes
        .get(at..at + count)?
        .iter()
        .try_fold(0, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
}

/// One digit or more, at most `count`: the number, and the place behind it.
pub(super) fn take_number(bytes: &[u8], from: usize, count: usize) -> Option<(i64, usize)> {
    let rest = bytes.get(from..)?;
    let count = rest
        .iter()
        .take(count)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let number = digits(bytes, from, count).filter(|_| count > 0)?;
    Some((number, from + count))
}

/// Whether `byte` stands at `at`.
#[inline]
pub(super) fn has(bytes: &[u8], at: usize, byte: u8) -> bool {
    bytes.get(at) == Some(&byte)
}

/// Nanoseconds after `.` or `,`; digits beyond the ninth are passed over.
fn fraction(bytes: &[u8], at: usize) -> (i64, usize) {
    let rest = bytes.get(at + 1..).unwrap_or_default();
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(bytes.get(at), Some(b'.' | b',')) || count == 0 {
        return (0, at);
    }
    let (mut nanos, mut scale) = (0, NANOS_PER_SECOND);
    for byte in rest.iter().take(count.min(9)) {
        scale /= 10;
        nanos += i64::from(byte - b'0') * scale;
    }
    (nanos, at + 1 + count)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day is last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469
}
