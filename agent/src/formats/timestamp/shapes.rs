//! Times in the shapes that are read by hand.

use super::Stamp;
use super::parts::{
    ClockTime, Date, digits, has, in_latest_year, month, nanos_of, take_clock, take_number,
};
use super::zone::zone;

/// Reads a time at the beginning of `bytes`: the time and how many bytes it takes.
pub(in crate::formats) fn take(bytes: &[u8]) -> Option<(Stamp, usize)> {
    const CLOCK_AT: usize = 11;
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || bytes.get(7) != Some(&separator) {
        return None;
    }
    let date = (
        digits(bytes, 0, 4)?,
        digits(bytes, 5, 2)?,
        digits(bytes, 8, 2)?,
    );
    if !matches!(bytes.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    dated(bytes, date, CLOCK_AT)
}

/// A time of one of the less common shapes at the beginning of `bytes`.
#[inline]
pub(super) fn take_uncommon(bytes: &[u8]) -> Option<(Stamp, usize)> {
    match bytes.first()? {
        b'0'..=b'9' => take_php(bytes).or_else(|| take_american(bytes)),
        b'A'..=b'Z' => take_named(bytes),
        _ => None,
    }
}

/// `02/Jan/2024:03:04:05 +0000` at `from`: the time, and the place behind it.
pub(in crate::formats) fn take_access(bytes: &[u8], from: usize) -> Option<(Stamp, usize)> {
    let date = (
        digits(bytes, from + 7, 4)?,
        month(bytes, from + 3)?,
        digits(bytes, from, 2)?,
    );
    let is_shaped =
        has(bytes, from + 2, b'/') && has(bytes, from + 6, b'/') && has(bytes, from + 11, b':');
    is_shaped.then(|| dated(bytes, date, from + 12))?
}

/// `02-Jan-2024 03:04:05 UTC`
fn take_php(bytes: &[u8]) -> Option<(Stamp, usize)> {
    const CLOCK_AT: usize = 12;
    if !(has(bytes, 2, b'-') && has(bytes, 6, b'-') && has(bytes, 11, b' ')) {
        return None;
    }
    let date = (digits(bytes, 7, 4)?, month(bytes, 3)?, digits(bytes, 0, 2)?);
    dated(bytes, date, CLOCK_AT)
}

/// `1/2/2024, 3:04:05 AM`, with a comma or without. Only with `AM` or `PM` does the month come first for sure.
fn take_american(bytes: &[u8]) -> Option<(Stamp, usize)> {
    if !has(bytes, 1, b'/') && !has(bytes, 2, b'/') {
        return None;
    }
    let (month, end) = take_number(bytes, 0, 2)?;
    let (day, end) = take_number(bytes, behind(bytes, end, b'/')?, 2)?;
    let year_at = behind(bytes, end, b'/')?;
    let date = (digits(bytes, year_at, 4)?, month, day);
    let comma = usize::from(has(bytes, year_at + 4, b','));
    let clock_at = behind(bytes, year_at + 4 + comma, b' ')?;
    let (clock, end) = take_clock(bytes, clock_at)?;
    let is_halved = matches!(bytes.get(end - 1), Some(b'M' | b'm'));
    is_halved.then(|| zoned(bytes, date, clock, end))?
}

/// `Jan 2, 2024 3:04:05 AM`, as java.util.logging writes it, and `Tue Jan  2 03:04:05 CET 2024` of C, with a zone or without.
fn take_named(bytes: &[u8]) -> Option<(Stamp, usize)> {
    const DAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
    if !has(bytes, 3, b' ') {
        return None;
    }
    let name = bytes.get(..3)?;
    if !DAYS.chunks_exact(3).any(|day| day == name) {
        let month = month(bytes, 0)?;
        let (day, end) = take_number(bytes, 4, 2)?;
        let year_at = behind(bytes, behind(bytes, end, b',')?, b' ')?;
        let date = (digits(bytes, year_at, 4)?, month, day);
        let comma = usize::from(has(bytes, year_at + 4, b','));
        return dated(bytes, date, behind(bytes, year_at + 4 + comma, b' ')?);
    }
    let month = month(bytes, 4)?;
    let (day, end) = day(bytes, 8)?;
    let (clock, end) = take_clock(bytes, behind(bytes, end, b' ')?)?;
    let (offset, end) = zone(bytes, end);
    let year_at = behind(bytes, end, b' ')?;
    let date = (digits(bytes, year_at, 4)?, month, day);
    let stamp = Stamp::new(nanos_of(date, clock)?, offset)?;
    Some((stamp, year_at + 4))
}

/// `Jan  2 03:04:05`, in the latest year in which it is not later than a day after `observed_unix_nano`.
#[inline]
pub(in crate::formats) fn take_classic(
    bytes: &[u8],
    observed_unix_nano: u64,
) -> Option<(Stamp, usize)> {
    if !has(bytes, 3, b' ') || !has(bytes, 6, b' ') {
        return None;
    }
    let month = month(bytes, 0)?;
    let (day, end) = day(bytes, 4)?;
    let (clock, end) = take_clock(bytes, behind(bytes, end, b' ')?)?;
    let stamp = in_latest_year(month, day, clock, observed_unix_nano)?;
    Some((stamp, end))
}

/// A day of a month in two columns: ` 2`, `02`.
fn day(bytes: &[u8], from: usize) -> Option<(i64, usize)> {
    let blank = usize::from(has(bytes, from, b' '));
    Some((digits(bytes, from + blank, 2 - blank)?, from + 2))
}

/// The place behind `byte`, if it stands at `from`.
fn behind(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    has(bytes, from, byte).then_some(from + 1)
}

/// A time of day at `clock_at` and its zone, of a known date.
#[inline]
fn dated(bytes: &[u8], date: Date, clock_at: usize) -> Option<(Stamp, usize)> {
    let (clock, end) = take_clock(bytes, clock_at)?;
    zoned(bytes, date, clock, end)
}

/// The zone at `from` of a known date and time of day.
#[inline]
fn zoned(bytes: &[u8], date: Date, clock: ClockTime, from: usize) -> Option<(Stamp, usize)> {
    let (offset, end) = zone(bytes, from);
    Some((Stamp::new(nanos_of(date, clock)?, offset)?, end))
}
