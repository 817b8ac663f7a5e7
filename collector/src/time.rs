//! Times and durations as the query APIs write them.

use std::time::Duration;

use vervet_model::{UnixMillis, UnixNanos};

/// Prometheus durations: `1h30m`, `15s`, `250ms`, `2w`, also a bare number of seconds.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    const UNITS: [(&str, u64); 7] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let mut rest = text;
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .filter(|length| *length > 0)?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Duration::from_millis(total_ms))
}

/// A time for people: RFC 3339 in UTC, to the second.
pub(crate) fn text(time: UnixNanos) -> String {
    let second = time.0.div_euclid(1_000_000_000);
    jiff::Timestamp::from_second(second)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// A time of the Prometheus API: seconds since the epoch with fractions, or RFC 3339.
pub(crate) fn parse_prometheus_time(text: &str) -> Option<UnixMillis> {
    if let Ok(seconds) = text.parse::<f64>() {
        const LIMIT_SECONDS: f64 = 9.0e12;
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        let millis = (seconds.abs() < LIMIT_SECONDS).then_some((seconds * 1000.0).round() as i64);
        return millis.map(UnixMillis);
    }
    rfc3339(text).map(UnixNanos::to_millis)
}

/// A time of the Loki API: nanoseconds, seconds (up to ten digits, or with a fraction), or RFC 3339.
pub(crate) fn parse_loki_time(text: &str) -> Option<UnixNanos> {
    const SECONDS_DIGITS_MAX: usize = 10;
    match text.parse::<i64>() {
        Ok(number) if text.trim_start_matches('-').len() > SECONDS_DIGITS_MAX => {
            Some(UnixNanos(number))
        }
        _ => match text.parse::<f64>() {
            Ok(_) => parse_prometheus_time(text).map(UnixMillis::to_nanos),
            Err(_not_a_number) => rfc3339(text),
        },
    }
}

fn rfc3339(text: &str) -> Option<UnixNanos> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(UnixNanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_people_end_at_the_second() {
        let time = UnixNanos(1_728_000_000_000_000_001);
        assert_eq!(text(time), "2024-10-04T00:00:00Z");
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("1d", Some(86_400_000)),
            ("5x", None),
            ("", None),
            ("m", None),
            ("-5s", None),
        ] {
            assert_eq!(
                parse_duration(text).map(|d| d.as_millis()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn times() {
        assert_eq!(
            parse_prometheus_time("1700000000.5"),
            Some(UnixMillis(1_700_000_000_500))
        );
        assert_eq!(
            parse_prometheus_time("2023-11-14T22:13:20Z"),
            Some(UnixMillis(1_700_000_000_000))
        );
        assert_eq!(parse_prometheus_time("soon"), None);
        assert_eq!(parse_prometheus_time("1e300"), None);
        assert_eq!(
            parse_loki_time("1700000000"),
            Some(UnixNanos(1_700_000_000_000_000_000))
        );
        assert_eq!(
            parse_loki_time("1700000000000000001"),
            Some(UnixNanos(1_700_000_000_000_000_001))
        );
    }
}
