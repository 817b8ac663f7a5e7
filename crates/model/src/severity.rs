//! Log severity by OpenTelemetry's numbers (1..=24, 0 meaning unset).

use std::fmt;

/// A severity number of the OpenTelemetry log data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Severity(u8);

impl Severity {
    pub const UNSPECIFIED: Self = Self(0);
    pub const TRACE: Self = Self(1);
    pub const DEBUG: Self = Self(5);
    pub const INFO: Self = Self(9);
    pub const WARN: Self = Self(13);
    pub const ERROR: Self = Self(17);
    pub const FATAL: Self = Self(21);

    /// The severity with this OpenTelemetry number; numbers outside 1..=24 mean unset.
    pub fn from_number(number: i32) -> Self {
        match u8::try_from(number) {
            Ok(number @ 1..=24) => Self(number),
            _ => Self::UNSPECIFIED,
        }
    }

    /// Reads the level words that loggers of applications write, in any case: `warn`, `WARNING`, `crit`, `E`, ...
    ///
    /// `CRITICAL` is their highest level in Python and .NET, and fatal in Appendix B of OpenTelemetry's log data model
    /// (`LogLevel.Critical`). What ranks above it elsewhere must not rank below it here.
    pub fn from_text(text: &str) -> Option<Self> {
        const LONGEST_WORD: usize = 13;
        let text = text.trim();
        let mut lower = [0; LONGEST_WORD];
        let lower = lower.get_mut(..text.len())?;
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        let severity = match std::str::from_utf8(lower).ok()? {
            "trace" | "trce" | "t" | "finest" | "silly" | "verbose" => Self::TRACE,
            "debug" | "d" | "finer" | "dbg" | "dbug" => Self::DEBUG,
            "fine" => Self(6),
            "info" | "i" | "information" | "informational" | "log" | "http" => Self::INFO,
            "notice" => Self(10),
            "warn" | "w" | "warning" => Self::WARN,
            "error" | "e" | "err" | "fail" | "severe" => Self::ERROR,
            "dpanic" => Self(20),
            "fatal" | "f" | "panic" | "critical" | "crit" | "c" => Self::FATAL,
            "alert" | "emerg" | "emergency" => Self::FATAL,
            _ => return None,
        };
        Some(severity)
    }

    /// As [`Severity::from_text`], of syslog's levels, where `crit` and `alert` stand between errors and `emerg`: 18 and 19 in
    /// Appendix B of OpenTelemetry's log data model. nginx and PHP's PSR-3 have the same levels.
    pub fn from_syslog_text(text: &str) -> Option<Self> {
        let is = |word: &str| text.trim().eq_ignore_ascii_case(word);
        if is("crit") || is("critical") {
            return Some(Self(18));
        }
        if is("alert") {
            return Some(Self(19));
        }
        Self::from_text(text)
    }

    /// The OpenTelemetry number, 0 when unset.
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }

    /// The value of the `level` label: one word per range of four numbers.
    pub fn level(self) -> &'static str {
        match self.0 {
            1..=4 => "trace",
            5..=8 => "debug",
            9..=12 => "info",
            13..=16 => "warn",
            17..=20 => "error",
            21..=24 => "fatal",
            _ => "unknown",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_common_loggers() {
        for (word, level) in [
            ("WARN", "warn"),
            ("warning", "warn"),
            ("CRITICAL", "fatal"),
            ("crit", "fatal"),
            ("alert", "fatal"),
            ("I", "info"),
            ("panic", "fatal"),
        ] {
            assert_eq!(
                Severity::from_text(word).map(Severity::level),
                Some(level),
                "{word}"
            );
        }
        assert_eq!(Severity::from_text("banana"), None);
    }

    #[test]
    fn words_of_syslog() {
        let words = ["err", "CRIT", "critical", "alert", "emerg", "banana"];
        let numbers = words.map(|word| Severity::from_syslog_text(word).map(Severity::number));
        let expected = [Some(17), Some(18), Some(18), Some(19), Some(21), None];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn numbers_out_of_range_mean_unset() {
        assert_eq!(Severity::from_number(25), Severity::UNSPECIFIED);
        assert_eq!(Severity::from_number(-1).level(), "unknown");
        assert_eq!(Severity::from_number(17), Severity::ERROR);
    }
}
