//! The three signals of OpenTelemetry.

use std::fmt;

/// A kind of telemetry. The numeric value is part of on-disk formats and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    Logs = 1,
    Metrics = 2,
    Traces = 3,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Logs, Self::Metrics, Self::Traces];

    /// The lower-case name used in metric labels, URLs and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }

    /// The signal with the given on-disk value.
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| *signal as u8 == value)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
