//! What a destination has refused for good: requests and parts of them, which become dead letters, and records that it left
//! out of a request it took (partial success). Of those it tells a number and a reason but not which they are, so that
//! they cannot be kept.

use std::time::Duration;

use serde::Serialize;
use vervet_model::UnixNanos;

use super::super::retry::Failure;
use super::text;

/// How long an exporter counts as rejecting after the last refusal.
pub(super) const REJECTING_FOR: Duration = Duration::from_secs(60);
/// How long after it what was refused is told.
const TOLD_FOR: Duration = Duration::from_secs(3_600);

/// Records that the destination left out of requests it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Since the process started.
    pub records: u64,
    /// When it last did (RFC 3339).
    pub at: String,
    pub ago_seconds: u64,
    /// What it last said about it.
    pub message: String,
    #[serde(skip)]
    pub(crate) at_unix_nano: i64,
}

#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// The first and the last that are still held against it.
    span: Option<(UnixNanos, UnixNanos)>,
    /// The last that became a dead letter, with its error, and the last that could not be kept.
    refused: Option<(UnixNanos, String)>,
    not_kept: Option<(UnixNanos, String)>,
    left_out: Option<(UnixNanos, u64, String)>,
}

impl Rejections {
    pub(super) fn refused(&mut self, now: UnixNanos, failure: &Failure, is_kept: bool) {
        self.happened(now);
        let of_its_kind = match is_kept {
            true => &mut self.refused,
            false => &mut self.not_kept,
        };
        *of_its_kind = Some((now, format!("{}: {}", failure.status, failure.message)));
    }

    pub(super) fn left_out(&mut self, now: UnixNanos, records: u64, message: &str) {
        self.happened(now);
        let before = self.left_out.as_ref().map_or(0, |(_, records, _)| *records);
        self.left_out = Some((now, before.saturating_add(records), message.to_owned()));
    }

    fn happened(&mut self, now: UnixNanos) {
        let first = self.since(now).unwrap_or(now);
        self.span = Some((first, now));
    }

    /// Since when it rejects, if it does.
    pub(super) fn since(&self, now: UnixNanos) -> Option<UnixNanos> {
        let (first, last) = self.span?;
        is_recent(last, now).then_some(first)
    }

    /// When it no longer counts as rejecting, or did not any more.
    pub(super) fn over(&self) -> Option<UnixNanos> {
        self.span
            .map(|(_, last)| last.saturating_add(REJECTING_FOR))
    }

    pub(super) fn all_left_out(&self, now: UnixNanos) -> Option<LeftOut> {
        let (at, records, message) = self.left_out.as_ref()?;
        Some(LeftOut {
            records: *records,
            at: text(*at),
            ago_seconds: now.since(*at).as_secs(),
            message: message.clone(),
            at_unix_nano: at.0,
        })
    }

    /// What there is to say of those that are still held against it.
    pub(super) fn told(&self, now: UnixNanos) -> Vec<String> {
        let since = self.since(now).map(text).unwrap_or_default();
        let refused = self.refused.iter().filter(|(at, _)| is_recent(*at, now));
        let refused = refused.map(|(_, error)| {
            format!("records refused for good since {since}, see the dead letters: {error}")
        });
        let not_kept = self.not_kept.iter().filter(|(at, _)| is_recent(*at, now));
        let not_kept = not_kept.map(|(_, error)| {
            format!(
                "records refused for good since {since} could not be put aside and are lost: {error}"
            )
        });
        let left_out = self.left_out.iter();
        let left_out = left_out.filter(|(at, ..)| is_recent(*at, now));
        refused
            .chain(not_kept)
            .chain(left_out.map(tell_left_out))
            .collect()
    }

    /// What there is to say of those that are not held against it any more.
    pub(super) fn told_of_before(&self, now: UnixNanos) -> Vec<String> {
        let is_told = |at: UnixNanos| !is_recent(at, now) && now.since(at) < TOLD_FOR;
        let refused = self.refused.iter().filter(|(at, _)| is_told(*at));
        let refused = refused.map(|(at, error)| {
            format!(
                "records were refused for good, the last at {}, see the dead letters: {error}",
                text(*at)
            )
        });
        let not_kept = self.not_kept.iter().filter(|(at, _)| is_told(*at));
        let not_kept = not_kept.map(|(at, error)| {
            format!(
                "records were refused for good that could not be put aside and are lost, the last at {}: {error}",
                text(*at)
            )
        });
        let left_out = self.left_out.iter().filter(|(at, ..)| is_told(*at));
        refused
            .chain(not_kept)
            .chain(left_out.map(tell_left_out))
            .collect()
    }
}

fn tell_left_out((at, records, message): &(UnixNanos, u64, String)) -> String {
    format!(
        "the destination left out {records} records of requests it took, the last at {}; it does not say which, so they are \
         in no dead letter: {message}",
        text(*at)
    )
}

fn is_recent(at: UnixNanos, now: UnixNanos) -> bool {
    now.since(at) < REJECTING_FOR
}
