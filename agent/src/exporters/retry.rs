//! Which answers are worth another attempt, and when.
//!
//! Only an answer about the request itself rejects it. A destination that is missing, forbidden or broken may be
//! mended, and the data is on disk until then.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use rand::Rng;
use tonic::{Code, Status};
use vervet_model::UnixNanos;
use vervet_wire::DecodeError;
use vervet_wire::grpc::NoAnswer;
use vervet_wire::protobuf::{Reader, seconds_and_nanos};

const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";
/// Longest pause a destination can ask for.
const PUSHBACK_MAX: Duration = Duration::from_secs(60);
/// What is shown of a destination's message (bytes).
const MESSAGE_BYTES_MAX: usize = 512;
/// How the client words the status of an answer that is no gRPC.
const TOO_LARGE_STATUS: &str = "HTTP status code 413";
const RETRY_INFO_TYPE: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

/// What to do after a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request can never succeed, though parts of it may.
    Rejected,
    /// Try again, not before the delay asked for.
    Retry { after: Option<Duration> },
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// There was no connection: nothing of it has left.
    NotSent,
    /// It may have arrived, but there is no answer.
    Unanswered,
    Answered,
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) verdict: Verdict,
    pub(super) reach: Reach,
    /// Such as `INVALID_ARGUMENT` or `413`.
    pub(super) status: String,
    pub(super) message: String,
}

impl Failure {
    /// Worth another attempt; nothing was asked for.
    pub(super) fn passing(reach: Reach, status: &str, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Retry { after: None },
            reach,
            status: status.to_owned(),
            message: message.into(),
        }
    }
}

/// `RESOURCE_EXHAUSTED` without a delay means too large (OTLP specification, "OTLP/gRPC Response"). Servers made with
/// tonic say `OUT_OF_RANGE` to that, which is to be retried otherwise, and proxies HTTP's 413.
pub(super) fn judge_grpc(status: &Status) -> Failure {
    let after = pushback(status).or_else(|| retry_info(status.details()).ok().flatten());
    let after = after.map(|delay| delay.min(PUSHBACK_MAX));
    let verdict = match status.code() {
        Code::InvalidArgument => Verdict::Rejected,
        Code::ResourceExhausted if after.is_none() => Verdict::Rejected,
        Code::OutOfRange if after.is_none() && speaks_of_size(status.message()) => {
            Verdict::Rejected
        }
        _ if status.message().ends_with(TOO_LARGE_STATUS) => Verdict::Rejected,
        _ => Verdict::Retry { after },
    };
    let reach = match NoAnswer::of(status) {
        Some(NoAnswer::NotConnected) => Reach::NotSent,
        Some(NoAnswer::Lost) => Reach::Unanswered,
        None => Reach::Answered,
    };
    Failure {
        verdict,
        reach,
        status: format!("{:?}", status.code()),
        message: shown(status.message()),
    }
}

fn speaks_of_size(message: &str) -> bool {
    const MARKS: [&str; 3] = ["too large", "larger than", "exceeds"];
    let message = message.to_ascii_lowercase();
    MARKS.iter().any(|mark| message.contains(mark))
}

fn pushback(status: &Status) -> Option<Duration> {
    let value = status.metadata().get(PUSHBACK_KEY)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_millis)
}

/// The delay of a `google.rpc.RetryInfo` among a `google.rpc.Status`'s details.
fn retry_info(status: &[u8]) -> Result<Option<Duration>, DecodeError> {
    for detail in messages(status, 3)? {
        let is_retry_info = messages(detail, 1)?.contains(&RETRY_INFO_TYPE);
        for info in messages(detail, 2)?.into_iter().filter(|_| is_retry_info) {
            if let Some(delay) = messages(info, 1)?.first() {
                return duration(delay).map(Some);
            }
        }
    }
    Ok(None)
}

fn messages(message: &[u8], wanted: u32) -> Result<Vec<&[u8]>, DecodeError> {
    let mut found = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        if number == wanted {
            found.push(field.bytes(number)?);
        }
    }
    Ok(found)
}

/// A `google.protobuf.Duration`; a negative one is none.
fn duration(message: &[u8]) -> Result<Duration, DecodeError> {
    let (seconds, nanos) = seconds_and_nanos(message)?;
    let nanos = u32::try_from(nanos.clamp(0, 999_999_999)).unwrap_or(0);
    Ok(Duration::new(u64::try_from(seconds).unwrap_or(0), nanos))
}

/// Only 400, 413 and 422 speak of the request itself, and the first and the last not where they are a web page or speak of
/// TLS: those are a proxy's, a guard's or another program's, which never looked at it. Everything else is retried,
/// beyond the list of the OTLP specification ("OTLP/HTTP Response"): a way that is not the right one and a server that
/// breaks are no reason to lose data. A web page with 413 is a proxy's too, but its limit is of the request's size.
pub(super) fn judge_http(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: UnixNanos,
) -> Failure {
    let after = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| retry_after(value.to_str().ok()?, now))
        .map(|delay| delay.min(PUSHBACK_MAX));
    let verdict = match status.as_u16() {
        400 | 422 if !is_web_page(headers, message) && !speaks_of_tls(message) => Verdict::Rejected,
        413 => Verdict::Rejected,
        _ => Verdict::Retry { after },
    };
    Failure {
        verdict,
        reach: Reach::Answered,
        status: status.as_u16().to_string(),
        message: shown(message),
    }
}

fn is_web_page(headers: &HeaderMap, body: &str) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let begins = |text: &str, with: &str| {
        let start = text.trim_start().get(..with.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    begins(kind, "text/html") || begins(body, "<html") || begins(body, "<!doctype html")
}

/// Whether a port that wants TLS answered to a request without it.
pub(super) fn speaks_of_tls(message: &str) -> bool {
    const MARKS: [&str; 3] = [
        "HTTP request to an HTTPS server",
        "plain HTTP request was sent to HTTPS port",
        "plain HTTP to an SSL-enabled server port",
    ];
    MARKS.iter().any(|mark| message.contains(mark))
}

/// Seconds or a date (RFC 9110, 10.2.3), however far away. A date that is over asks for nothing.
fn retry_after(text: &str, now: UnixNanos) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let Ok(date) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) else {
        // The last hours of the year 9999, which mean never, are beyond what a timestamp holds.
        let date = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text);
        return date.is_ok().then_some(Duration::MAX);
    };
    let nanos = date.as_nanosecond().saturating_sub(now.0.into()).max(0);
    Some(Duration::from_nanos(
        u64::try_from(nanos).unwrap_or(u64::MAX),
    ))
}

/// A foreign text fit for a log line: no control characters, and not endless.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if shown.len() + c.len_utf8() > MESSAGE_BYTES_MAX {
            shown.push_str("...");
            break;
        }
        shown.push(if c.is_control() { ' ' } else { c });
    }
    shown
}

/// Pauses whose longest doubles, each drawn from zero to it (full jitter).
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(initial: Duration, max: Duration) -> Self {
        Self {
            next: initial.min(max),
            max,
        }
    }

    /// The pause before the next attempt, at least what was asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.0..=1.0));
        self.next = (self.next * 2).min(self.max);
        pause.max(asked.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
