//! Durations and sizes as Prometheus writes them.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// `1h30m`: units `y`, `w`, `d`, `h`, `m`, `s` and `ms`, each once, the largest first; or `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// `10MB`: powers of 1024, with or without an `i`; or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// Units by size, the largest first, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Span {
    /// `None` when the text is no duration.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self(Duration::ZERO));
        }
        let (mut rest, mut millis, mut units) = (text, 0_u64, UNITS.as_slice());
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let (number, tail) = split_number(rest)?;
            let end = tail
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at_checked(end)?;
            let at = units.iter().position(|(name, _)| *name == unit)?;
            let (_, factor) = units.get(at)?;
            units = units.get(at + 1..)?;
            millis = millis.checked_add(number.checked_mul(*factor)?)?;
            rest = tail;
        }
        Some(Self(Duration::from_millis(millis)))
    }

    /// As Prometheus writes it: years and weeks only when nothing is left over.
    pub(crate) fn text(self) -> String {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return "0s".to_owned();
        }
        let mut text = String::new();
        for (name, factor) in UNITS {
            let count = millis / factor;
            let is_exact = millis % factor == 0;
            if count > 0 && (is_exact || !matches!(name, "y" | "w")) {
                text.push_str(&format!("{count}{name}"));
                millis %= factor;
            }
        }
        text
    }
}

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text)?;
        let power = match unit {
            "" | "B" => 0,
            "KB" | "KiB" => 1,
            "MB" | "MiB" => 2,
            "GB" | "GiB" => 3,
            "TB" | "TiB" => 4,
            "PB" | "PiB" => 5,
            _ => return None,
        };
        number.checked_mul(1 << (10 * power)).map(Self)
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let no_span = || {
            D::Error::custom(format!(
                "{text:?} is not a duration such as 15s, 1m or 1h30m"
            ))
        };
        Self::parse(&text).ok_or_else(no_span)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let no_size = || D::Error::custom(format!("{text:?} is not a size such as 512KB or 10MB"));
        Self::parse(&text).ok_or_else(no_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_as_prometheus_does() {
        for (text, millis) in [
            ("0", 0),
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("1w2d", 9 * 86_400_000),
            ("1y", 365 * 86_400_000),
            ("250ms", 250),
        ] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(Span::parse(text), Some(span), "{text}");
        }
        for bad in [
            "",
            "15",
            "s",
            "1s1m",
            "1m1m",
            "-1s",
            "1.5s",
            " 1s",
            "99999999999999999999y",
        ] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
        for text in ["0s", "15s", "1m30s", "700ms", "9d", "2w", "1y", "1h0m"] {
            let span = Span::parse(text).expect("a span");
            assert_eq!(span.text(), text.replace("h0m", "h"));
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        let bytes = |text| Size::parse(text).map(|size| size.0);
        assert_eq!(bytes("10MB"), Some(10 << 20));
        assert_eq!(bytes("1KiB"), Some(1 << 10));
        assert_eq!(bytes("0"), Some(0));
        assert_eq!(
            (bytes("MB"), bytes("10mb"), bytes("99999999PB")),
            (None, None, None)
        );
    }
}
