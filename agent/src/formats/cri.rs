//! The lines container runtimes write: `<time> <stdout|stderr> <P|F> <what the container wrote>`.

use super::timestamp;

/// The prefix of one line of a container log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CriLine {
    pub time_unix_nano: u64,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The container's line goes on in the next line of this stream.
    pub partial: bool,
    /// Where the content begins (bytes from the line's beginning).
    pub content_at: usize,
}

/// Reads the prefix; `None` when the line is not one of a container runtime.
pub fn split_cri(line: &[u8]) -> Option<CriLine> {
    const SHORTEST_TIME: usize = 20;
    if line.get(4) != Some(&b'-') || line.get(10) != Some(&b'T') {
        return None;
    }
    let (time, time_end) = timestamp::take(line)?;
    let rest = line.get(time_end..).filter(|_| time_end >= SHORTEST_TIME)?;
    let (stream, rest) = match rest.strip_prefix(b" stdout ") {
        Some(rest) => ("stdout", rest),
        None => ("stderr", rest.strip_prefix(b" stderr ")?),
    };
    // Tags after the first, separated by colons, have no meaning yet.
    let tags_end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let tags = rest.get(..tags_end)?;
    let partial = match tags.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let content_at = line.len() - rest.len() + (tags_end + 1).min(rest.len());
    Some(CriLine {
        time_unix_nano: time.unix_nano,
        stream,
        partial,
        content_at,
    })
}
