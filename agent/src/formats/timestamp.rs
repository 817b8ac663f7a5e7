//! Times as loggers write them. A time without a zone is taken as UTC.
//!
//! The common shape, ISO 8601 and its relatives (`2024-01-02T03:04:05.678Z`, `2024-01-02 03:04:05,678`,
//! `2024/01/02 03:04:05 +0100`), and those that stand in front of text are read by hand; the rest goes through a list of
//! patterns.

mod parts;
mod shapes;
mod zone;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::Parsed;
pub(super) use parts::{digits, in_latest_year, month, take_clock};
use shapes::take_uncommon;
pub(super) use shapes::{take, take_access, take_classic};
pub(super) use zone::is_abbreviation;
use zone::{Name, Offset};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// No time as text is longer (bytes).
const TEXT_BYTES_MAX: usize = 64;

/// A time read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Exact, or as if clocks in UTC had shown the time.
    pub(super) unix_nano: u64,
    zone: Zone,
}

/// What the text tells of where its time was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Untold,
    /// The offset from UTC, which has been applied.
    Told,
    /// A name, which has not.
    Named(Name),
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
            zone: Zone::Told,
        }
    }

    /// Of a time as if it had been written in UTC. `None` when it lies before 1970.
    #[inline]
    fn new(nanos: i64, offset: Offset<'_>) -> Option<Self> {
        let unix_nano = |nanos: i64| u64::try_from(nanos).ok();
        let zone = match offset {
            Offset::Seconds(seconds) => {
                let nanos = nanos.checked_sub(seconds * NANOS_PER_SECOND)?;
                return Some(Self::exact(unix_nano(nanos)?));
            }
            Offset::Region(name) => return Some(Self::in_region(unix_nano(nanos)?, name)),
            Offset::Named(name) => Zone::Named(name),
            Offset::None => Zone::Untold,
        };
        let unix_nano = unix_nano(nanos)?;
        Some(Self { unix_nano, zone })
    }

    #[cold]
    fn in_region(unix_nano: u64, name: &str) -> Self {
        match TimeZone::get(name) {
            Ok(zone) => Self::exact(in_zone(unix_nano, &zone)),
            Err(_unknown) => Self {
                unix_nano,
                zone: Zone::Named(Name::UNKNOWN),
            },
        }
    }

    /// The same time, written in a zone of this name.
    pub(super) fn named(self, zone: &str) -> Self {
        let zone = Zone::Named(Name::new(zone.as_bytes()));
        Self { zone, ..self }
    }

    pub(super) fn is_exact(self) -> bool {
        self.zone == Zone::Told
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

    /// The time that stands at the beginning of `text`, and how many bytes it takes; a known shape needs its
    /// year.
    #[inline]
    pub(super) fn take(&self, text: &str) -> Option<(Stamp, usize)> {
        let configured = self
            .formats
            .iter()
            .find_map(|format| take_pattern(format, text));
        configured
            .or_else(|| take(text.as_bytes()))
            .or_else(|| take_uncommon(text.as_bytes()))
    }

    /// Makes `stamp` the time of a record.
    #[inline]
    pub(super) fn put(&self, stamp: Stamp, parsed: &mut Parsed<'_>) {
        let exact = match stamp.zone {
            Zone::Told => Some(stamp.unix_nano),
            Zone::Untold => self.here(stamp.unix_nano),
            Zone::Named(name) => self.at_named(stamp.unix_nano, name),
        };
        parsed.time_unix_nano = exact.unwrap_or(stamp.unix_nano);
        parsed.time_is_local = exact.is_none();
        parsed.zone_is_unknown = exact.is_none() && stamp.zone != Zone::Untold;
    }

    /// A time that was written in the configured zone.
    fn here(&self, unix_nano: u64) -> Option<u64> {
        Some(in_zone(unix_nano, self.zone.as_ref()?))
    }

    /// A time that was written in a zone of this name: in the configured one, if people there call it so, or else where the
    /// name is known from. `CST` is China's, too.
    #[cold]
    fn at_named(&self, unix_nano: u64, name: Name) -> Option<u64> {
        let here = self.here(unix_nano);
        if here.is_some_and(|nanos| self.is_called(name, nanos)) {
            return here;
        }
        match name.offset_seconds() {
            Some(seconds) => unix_nano.checked_add_signed(-seconds * NANOS_PER_SECOND),
            None => here,
        }
    }

    /// Whether the configured zone has this name at a moment.
    fn is_called(&self, name: Name, unix_nano: u64) -> bool {
        let moment = Timestamp::from_nanosecond(i128::from(unix_nano));
        let (Some(zone), Ok(moment)) = (&self.zone, moment) else {
            return false;
        };
        name.is(zone.to_offset_info(moment).abbreviation())
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
    let zone = if zoned { Zone::Told } else { Zone::Untold };
    Some((Stamp { unix_nano, zone }, end))
}

/// The time that the whole of `text` is, in a known shape; `None` when it is none or lies before 1970.
pub(super) fn parse(text: &str) -> Option<Stamp> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if let Some((stamp, end)) = take(bytes).or_else(|| take_uncommon(bytes)) {
        if end == text.len() {
            return Some(stamp);
        }
        let name = text.get(end..).and_then(|rest| rest.strip_prefix(' '));
        if let Some(name) = name.filter(|name| is_abbreviation(name))
            && stamp.zone == Zone::Untold
        {
            return Some(stamp.named(name));
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

/// A time that was read as UTC, but was written at an offset from it.
pub(super) fn at_offset(stamp: Stamp, offset_seconds: i64) -> Option<Stamp> {
    let nanos = offset_seconds.checked_mul(NANOS_PER_SECOND)?;
    let unix_nano = stamp.unix_nano.checked_add_signed(-nanos)?;
    Some(Stamp::exact(unix_nano))
}

fn parse_uncommon(text: &str) -> Option<Stamp> {
    const PATTERNS: [&str; 6] = [
        "%d/%b/%Y:%H:%M:%S %z",
        "%Y-%m-%d %H:%M:%S%.f %z",
        "%a %b %d %H:%M:%S %z %Y",
        "%d/%b/%Y:%H:%M:%S",
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
