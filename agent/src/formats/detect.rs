//! What format a stream of lines is of.
//!
//! A stream is one file, or one stream of a container in it. It has settled when [`SETTLE_RECORDS`] records in
//! a row were of one format, and changes its mind after [`CHANGE_RECORDS`] in a row of another.

use super::{LogFormat, access, klog, logfmt, syslog};

/// Records of one format in a row after which a stream is said to be of it.
const SETTLE_RECORDS: u8 = 4;
/// Records of another format in a row after which a stream is said to have changed.
const CHANGE_RECORDS: u8 = 16;
/// Changes that are told for one stream; one that keeps changing is mixed.
const NEWS_MAX: u8 = 4;

/// Watches one stream read with `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detector {
    settled: Option<LogFormat>,
    candidate: LogFormat,
    run: u8,
    told: u8,
    news: bool,
}

impl Detector {
    /// The format of the stream, once there were enough records.
    pub fn settled(&self) -> Option<LogFormat> {
        self.settled
    }

    /// The format of the last record; `Auto` when it was of none.
    pub fn latest(&self) -> LogFormat {
        match (self.run, self.settled) {
            (0, Some(settled)) => settled,
            _ => self.candidate,
        }
    }

    /// The format when it is new since the last call.
    pub fn take_news(&mut self) -> Option<LogFormat> {
        let news = std::mem::take(&mut self.news);
        self.settled.filter(|_| news)
    }

    pub(super) fn saw(&mut self, format: LogFormat) {
        if self.settled == Some(format) {
            self.run = 0;
            return;
        }
        self.run = if self.candidate == format {
            self.run.saturating_add(1)
        } else {
            1
        };
        self.candidate = format;
        let needed = match self.settled {
            None => SETTLE_RECORDS,
            Some(_) => CHANGE_RECORDS,
        };
        if self.run >= needed {
            self.settled = Some(format);
            self.run = 0;
            self.news = self.told < NEWS_MAX;
            self.told = self.told.saturating_add(1);
        }
    }
}

/// The structured formats that a text which begins like this can be of.
#[inline]
pub(super) fn guesses(text: &str) -> &'static [LogFormat] {
    const NONE: &[LogFormat] = &[];
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'{') => &[LogFormat::Json],
        Some(b'0'..=b'9') if bytes.get(4) == Some(&b'-') => {
            &[LogFormat::Postgres, LogFormat::Syslog]
        }
        Some(b'0'..=b'9') if bytes.get(4) == Some(&b'/') => &[LogFormat::NginxError],
        Some(b' ' | b'\t' | b'[' | b'"' | 0x1b) | None => NONE,
        Some(_) if syslog::begins(bytes) => &[LogFormat::Syslog],
        Some(_) if klog::begins(bytes) => &[LogFormat::Klog],
        Some(_) if logfmt::begins(text) => &[LogFormat::Logfmt, LogFormat::Access],
        Some(_) if access::begins(bytes) => &[LogFormat::Access],
        Some(_) => NONE,
    }
}
