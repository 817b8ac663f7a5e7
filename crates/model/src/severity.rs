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

    /// Reads the level words that loggers write, in any case: `warn`, `WARNING`, `crit`, `E`, ...
    pub fn from_text(text: &str) -> Option<Self> {
        const LONGEST_WORD: usize = 13;
        let text = text.trim();
        let mut lower = [0; LONGEST_WORD];
        let lower = lower.get_mut(..text.len())?;
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        let severity = match std::str::from_utf8(lower).ok()? {
            "trace" | "trce" | "t" | "finest" | "silly" | "verbose" => Self::TRACE,
            "debug" | "d" | "fine" | "finer" | "dbg" | "dbug" => Self::DEBUG,
            "info" | "i" | "information" | "informational" | "log" | "http" => Self::INFO,
            "notice" => Self(10),
            "warn" | "w" | "warning" => Self::WARN,
            "error" | "e" | "err" | "fail" | "severe" => Self::ERROR,
            "critical" | "crit" | "c" => Self(18),
            "alert" => Self(19),
            "dpanic" => Self(20),
            "fatal" | "f" | "panic" | "emerg" | "emergency" => Self::FATAL,
            _ => return None,
        };
        Some(severity)
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
            ("CRITICAL", "error"),
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
    fn numbers_out_of_range_mean_unset() {
        assert_eq!(Severity::from_number(25), Severity::UNSPECIFIED);
        assert_eq!(Severity::from_number(-1).level(), "unknown");
        assert_eq!(Severity::from_number(17), Severity::ERROR);
    }
}
