//! Durations such as `10s` and sizes such as `64MiB`, as configuration text.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// A span of time written as one or more of `<number><unit>`, units `ms`, `s`, `m`, `h`, `d`: `10s`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

/// A number of bytes written with a unit: `512KiB`, `64MiB`, `4GiB`, `1TiB`, or a plain number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl HumanDuration {
    /// Reads `text`; `None` when it is no duration or too long for 64 bits of milliseconds.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut millis = 0_u64;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let (number, tail) = split_number(rest)?;
            let unit_end = tail
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let factor = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            millis = millis.checked_add(number.checked_mul(factor)?)?;
            rest = tail;
        }
        Some(Self(Duration::from_millis(millis)))
    }
}

impl ByteSize {
    /// Reads `text`; `None` when it is no size or does not fit 64 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text.trim())?;
        let factor = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return None,
        };
        number.checked_mul(factor).map(Self)
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "\"{text}\" is not a duration such as 10s, 5m or 1h30m"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64MiB")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "\"{text}\" is not a size such as 512KiB, 64MiB or 4GiB"
                    ))
                })
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_their_parts() {
        let millis = |text| HumanDuration::parse(text).map(|d| d.0.as_millis());
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("250ms"), Some(250));
        for bad in [
            "",
            "10",
            "s",
            "10 s",
            "-1s",
            "99999999999999999999s",
            "300000000000d",
        ] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary_and_checked() {
        let bytes = |text| ByteSize::parse(text).map(|s| s.0);
        assert_eq!(bytes("64MiB"), Some(64 << 20));
        assert_eq!(bytes("512"), Some(512));
        for bad in ["", "64MB", "MiB", "-1MiB", "99999999999TiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
