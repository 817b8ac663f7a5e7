//! Durations as Prometheus writes them: `30s`, `1h30m`, `1d`, `0`; units `y w d h m s ms` in that order.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Each unit with its length in milliseconds, longest first.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The text is no Prometheus duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration; write it like 30s, 5m or 1h30m")]
pub struct DurationError {
    pub text: String,
}

/// Reads a duration: digits and a unit, repeated, each unit at most once and longest first; or `0`.
///
/// # Errors
/// The text has another form or does not fit 64 bits of milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError {
        text: text.to_owned(),
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units_left = UNITS.as_slice();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_lowercase())
                .len();
        let (unit, tail) = tail.split_at(letters);
        let index = units_left
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(error)?;
        let factor = units_left.get(index).map_or(0, |(_, factor)| *factor);
        units_left = units_left.get(index + 1..).unwrap_or_default();
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor));
        millis = part
            .and_then(|part| millis.checked_add(part))
            .ok_or_else(error)?;
        rest = tail;
    }
    if text.is_empty() {
        Err(error())
    } else {
        Ok(Duration::from_millis(millis))
    }
}

/// Writes a duration so that [`parse_duration`] reads it back; parts below a millisecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = millis(duration).unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in UNITS {
        if rest >= factor && (!matches!(unit, "y" | "w") || rest.is_multiple_of(factor)) {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    text
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration in a configuration file, written as Prometheus writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PromDuration(pub Duration);

impl fmt::Debug for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for PromDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for text in ["30s", "5m", "1h30m", "1d", "250ms", "1w", "2y", "0s"] {
            assert_eq!(format_duration(parse_duration(text).expect("valid")), text);
        }
        assert_eq!(parse_duration("0").expect("valid"), Duration::ZERO);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "5",
            "m",
            "1m1h",
            "1m1m",
            "-1m",
            "1.5h",
            "5 m",
            "99999999999999999999y",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
