//! Times as loggers write them. A time without a zone is taken as UTC.
//!
//! The common shape, ISO 8601 and its relatives (`2024-01-02T03:04:05.678Z`, `2024-01-02 03:04:05,678`,
//! `2024/01/02 03:04:05 +0100`), is read by hand; the rest goes through a list of patterns.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::Parsed;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// No time as text is longer (bytes).
const TEXT_BYTES_MAX: usize = 64;

/// A time read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) unix_nano: u64,
    /// Whether the text names the offset from UTC.
    pub(super) zoned: bool,
}

/// The setting `time`.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// Patterns tried before the known shapes.
    pub(super) formats: Vec<String>,
    /// Where times without an offset were written.
    pub(super) zone: Option<TimeZone>,
}

impl Stamp {
    pub(super) fn exact(unix_nano: u64) -> Self {
        Self {
            unix_nano,
            zoned: true,
        }
    }
}

impl Times {
    /// The time that the whole of `text` is.
    #[inline]
    pub(super) fn parse(&self, text: &str) -> Option<Stamp> {
        let configured = self.formats.iter().find_map(|format| {
            let (stamp, end) = take_pattern(format, text.trim())?;
            (end == text.trim().len()).then_some(stamp)
        });
        configured.or_else(|| parse(text))
    }

    /// The time that stands at the beginning of `text`, and how many bytes it takes; a known shape needs its year in
    /// front, but for PHP's `02-Jan-2024 03:04:05 UTC`.
    #[inline]
    pub(super) fn take(&self, text: &str) -> Option<(Stamp, usize)> {
        let configured = self
            .formats
            .iter()
            .find_map(|format| take_pattern(format, text));
        configured
            .or_else(|| take(text.as_bytes()))
            .or_else(|| take_php(text.as_bytes()))
    }

    /// Makes `stamp` the time of a record.
    #[inline]
    pub(super) fn put(&self, stamp: Stamp, parsed: &mut Parsed<'_>) {
        parsed.time_is_local = !stamp.zoned && self.zone.is_none();
        parsed.time_unix_nano = match &self.zone {
            Some(zone) if !stamp.zoned => in_zone(stamp.unix_nano, zone),
            _ => stamp.unix_nano,
        };
    }
}

/// The moment at which clocks in `zone` showed what clocks in UTC show at `unix_nano`.
fn in_zone(unix_nano: u64, zone: &TimeZone) -> u64 {
    let moment = || -> Option<u64> {
        let shown = Timestamp::from_nanosecond(i128::from(unix_nano)).ok()?;
        let civil = shown.to_zoned(TimeZone::UTC).datetime();
        let moment = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
        u64::try_from(moment.as_nanosecond()).ok()
    };
    moment().unwrap_or(unix_nano)
}

/// A time by a configured pattern (the conversions of `strptime`) at the beginning of `text`.
fn take_pattern(format: &str, text: &str) -> Option<(Stamp, usize)> {
    let (broken_down, end) = BrokenDownTime::parse_prefix(format, text).ok()?;
    let zoned = broken_down.offset().is_some() || broken_down.iana_time_zone().is_some();
    let nanos = if zoned {
        broken_down.to_timestamp().ok()?.as_nanosecond()
    } else {
        let civil = broken_down.to_datetime().ok()?;
        let moment = civil.to_zoned(TimeZone::UTC).ok()?;
        moment.timestamp().as_nanosecond()
    };
    let unix_nano = u64::try_from(nanos).ok()?;
    Some((Stamp { unix_nano, zoned }, end))
}

/// The time that the whole of `text` is, in a known shape; `None` when it is none or lies before 1970.
pub(super) fn parse(text: &str) -> Option<Stamp> {
    let text = text.trim();
    if let Some((stamp, end)) = take(text.as_bytes()) {
        if end == text.len() {
            return Some(stamp);
        }
        // `... CET`: an abbreviation is no offset.
        let zone = text.get(end..).and_then(|rest| rest.strip_prefix(' '));
        if zone.is_some_and(is_abbreviation) && !stamp.zoned {
            return Some(stamp);
        }
    }
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        let number = match text.parse::<i64>() {
            Ok(number) => from_integer(number),
            Err(_not_whole) => from_float(text.parse().ok()?),
        };
        return number.map(Stamp::exact);
    }
    parse_uncommon(text)
}

/// A time as a whole number of seconds, milliseconds, microseconds or nanoseconds, told apart by size.
pub(super) fn from_integer(number: i64) -> Option<u64> {
    const SMALLEST_SECONDS: u64 = 100_000_000;
    let number = u64::try_from(number)
        .ok()
        .filter(|number| *number >= SMALLEST_SECONDS)?;
    match number {
        0..100_000_000_000 => number.checked_mul(1_000_000_000),
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => number.checked_mul(1_000),
        _ => Some(number),
    }
}

/// As [`from_integer`], with a fraction; seconds keep microseconds, which is what 64 bits hold.
pub(super) fn from_float(number: f64) -> Option<u64> {
    if !number.is_finite() || !(1e8..1e19).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let micros = |micros: f64| from_integer(micros.round() as i64);
    if number < 1e11 {
        micros(number * 1e6)
    } else if number < 1e14 {
        micros(number * 1e3)
    } else {
        micros(number)
    }
}

/// Reads a time at the beginning of `bytes`: the time and how many bytes it takes.
pub(super) fn take(bytes: &[u8]) -> Option<(Stamp, usize)> {
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
    let (clock, end) = take_clock(bytes, CLOCK_AT)?;
    let (offset_seconds, zone_end) = zone(bytes, end);
    let stamp = stamp(date, clock, offset_seconds, zone_end > end)?;
    Some((stamp, zone_end))
}

/// `02/Jan/2024:03:04:05 +0000` at `at`: the time, and the place behind it.
pub(super) fn take_access(bytes: &[u8], at: usize) -> Option<(Stamp, usize)> {
    let date = (
        digits(bytes, at + 7, 4)?,
        month(bytes, at + 3)?,
        digits(bytes, at, 2)?,
    );
    let (clock, end) = take_clock(bytes, at + 12)?;
    let (offset_seconds, zone_end) = zone(bytes, end);
    let is_shaped = [(2, b'/'), (6, b'/'), (11, b':')]
        .iter()
        .all(|(place, byte)| bytes.get(at + place) == Some(byte));
    let stamp = stamp(date, clock, offset_seconds, zone_end > end)?;
    is_shaped.then_some((stamp, zone_end))
}

/// `02-Jan-2024 03:04:05 UTC`
fn take_php(bytes: &[u8]) -> Option<(Stamp, usize)> {
    const CLOCK_AT: usize = 12;
    let is_shaped =
        (bytes.get(2), bytes.get(6), bytes.get(11)) == (Some(&b'-'), Some(&b'-'), Some(&b' '));
    if !is_shaped {
        return None;
    }
    let date = (digits(bytes, 7, 4)?, month(bytes, 3)?, digits(bytes, 0, 2)?);
    let (clock, end) = take_clock(bytes, CLOCK_AT)?;
    let (offset_seconds, zone_end) = zone(bytes, end);
    let stamp = stamp(date, clock, offset_seconds, zone_end > end)?;
    Some((stamp, zone_end))
}

/// `Jan  2 03:04:05`, in the latest year in which it is not later than a day after `observed_unix_nano`.
#[inline]
pub(super) fn take_classic(bytes: &[u8], observed_unix_nano: u64) -> Option<(Stamp, usize)> {
    const CLOCK_AT: usize = 7;
    if bytes.get(3) != Some(&b' ') || bytes.get(6) != Some(&b' ') {
        return None;
    }
    let month = month(bytes, 0)?;
    let day_at = if bytes.get(4) == Some(&b' ') { 5 } else { 4 };
    let day = digits(bytes, day_at, 6 - day_at)?;
    let (clock, end) = take_clock(bytes, CLOCK_AT)?;
    let stamp = in_latest_year(month, day, clock, observed_unix_nano)?;
    Some((stamp, end))
}

/// Seconds and nanoseconds since midnight.
pub(super) type ClockTime = (i64, i64);

/// `03:04:05`, with a fraction or without, at `at`: the time, and the place behind it.
pub(super) fn take_clock(bytes: &[u8], at: usize) -> Option<(ClockTime, usize)> {
    if bytes.get(at + 2) != Some(&b':') || bytes.get(at + 5) != Some(&b':') {
        return None;
    }
    let (hour, minute, second) = (
        digits(bytes, at, 2)?,
        digits(bytes, at + 3, 2)?,
        digits(bytes, at + 6, 2)?,
    );
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, end) = fraction(bytes, at + 8);
    Some(((hour * 3_600 + minute * 60 + second, nanos), end))
}

/// The number of the month whose English name is abbreviated at `at`.
pub(super) fn month(bytes: &[u8], at: usize) -> Option<i64> {
    const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let name = bytes.get(at..at + 3)?;
    let index = NAMES.chunks_exact(3).position(|known| known == name)?;
    i64::try_from(index + 1).ok()
}

fn stamp(
    (year, month, day): (i64, i64, i64),
    (second, nanos): ClockTime,
    offset_seconds: i64,
    zoned: bool,
) -> Option<Stamp> {
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + second - offset_seconds;
    let unix_nano = seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)?;
    let unix_nano = u64::try_from(unix_nano).ok()?;
    Some(Stamp { unix_nano, zoned })
}

/// A day without a year: in the latest year in which it is not later than a day after `observed_unix_nano`.
pub(super) fn in_latest_year(
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
        .filter_map(|back| stamp((year + 1 - back, month, day), clock, 0, false))
        .find(|stamp| stamp.unix_nano <= latest)
}

/// A time that was read as UTC, but was written at an offset from it.
pub(super) fn at_offset(stamp: Stamp, offset_seconds: i64) -> Option<Stamp> {
    let nanos = offset_seconds.checked_mul(NANOS_PER_SECOND)?;
    let unix_nano = stamp.unix_nano.checked_add_signed(-nanos)?;
    Some(Stamp::exact(unix_nano))
}

pub(super) fn digits(bytes: &[u8], at: usize, count: usize) -> Option<i64> {
    bytes
        .get(at..at + count)?
        .iter()
        .try_fold(0, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
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

/// The offset from UTC in seconds, if one follows: `Z`, `+01:00`, `+0100`, ` +0100`, ` UTC`.
fn zone(bytes: &[u8], at: usize) -> (i64, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    if matches!(rest.first(), Some(b'Z' | b'z')) {
        return (0, at + 1);
    }
    if rest.starts_with(b" UTC") || rest.starts_with(b" GMT") {
        return (0, at + 4);
    }
    let sign_at = if rest.first() == Some(&b' ') {
        at + 1
    } else {
        at
    };
    let sign = match bytes.get(sign_at) {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (0, at),
    };
    let colon = usize::from(bytes.get(sign_at + 3) == Some(&b':'));
    match (
        digits(bytes, sign_at + 1, 2),
        digits(bytes, sign_at + 3 + colon, 2),
    ) {
        (Some(hours), Some(minutes)) if hours < 24 && minutes < 60 => {
            (sign * (hours * 3_600 + minutes * 60), sign_at + 5 + colon)
        }
        _ => (0, at),
    }
}

/// `CET`, which different people read differently.
pub(super) fn is_abbreviation(zone: &str) -> bool {
    (2..=5).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_uppercase())
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

fn parse_uncommon(text: &str) -> Option<Stamp> {
    const PATTERNS: [&str; 8] = [
        "%d/%b/%Y:%H:%M:%S %z",
        "%Y-%m-%d %H:%M:%S%.f %z",
        "%a %b %d %H:%M:%S %z %Y",
        "%a %b %d %H:%M:%S %Y",
        "%d/%b/%Y:%H:%M:%S",
        "%b %d, %Y %H:%M:%S",
        "%m/%d/%Y %H:%M:%S",
        "%d.%m.%Y %H:%M:%S%.f",
    ];
    let zoned: Option<Timestamp> = text
        .parse()
        .ok()
        .or_else(|| Some(rfc2822::parse(text).ok()?.timestamp()));
    match zoned {
        Some(timestamp) => u64::try_from(timestamp.as_nanosecond())
            .ok()
            .map(Stamp::exact),
        None => PATTERNS.iter().find_map(|pattern| {
            let (stamp, end) = take_pattern(pattern, text)?;
            (end == text.len()).then_some(stamp)
        }),
    }
}
