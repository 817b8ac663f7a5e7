//! How exporters are doing, from the first failed attempt on.
//!
//! In: what lanes tell of every attempt. Out: an [`ExporterStanding`] for the status, the metrics and readiness.
//! An exporter is `retrying` while any request of it has failed and was not answered since, `rejecting` for
//! [`rejections::REJECTING_FOR`] after the destination refused records for good, `draining` once nothing more comes and it sends
//! what is left. Memory: one entry per lane and the last error, of at most [`ERROR_BYTES_MAX`] without secrets.

mod gauges;
mod rejections;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use vervet_model::{Clock, UnixNanos};

use super::retry::{Failure, Reach};
use crate::processors::mask_secrets;
pub(super) use gauges::StandingsCollector;
pub use rejections::LeftOut;
use rejections::Rejections;

/// What is kept and shown of an error.
const ERROR_BYTES_MAX: usize = 512;

/// What an exporter is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExporterState {
    /// The last answers were good, or nothing was to be sent.
    Ok,
    /// A request has failed and is tried again.
    Retrying,
    /// Data flows, but the destination refused some of it for good.
    Rejecting,
    /// The agent ends: what is left is sent.
    Draining,
}

/// How one exporter is doing at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExporterStanding {
    pub state: ExporterState,
    /// Since when it is so (RFC 3339).
    pub since: String,
    pub for_seconds: u64,
    /// Failed attempts of the requests that are tried again.
    pub attempts: u64,
    /// When the next one is (RFC 3339); absent when none is due, or one is under way.
    pub next_attempt: Option<String>,
    pub next_attempt_in_seconds: Option<f64>,
    /// The destination has asked not to be sent anything before that.
    pub waits_as_asked: bool,
    /// The last error there was, however long ago.
    pub last_error: Option<LastError>,
    /// What the destination left out of requests it took; absent when nothing was since the process started.
    pub left_out: Option<LeftOut>,
    /// What it refuses, while it does.
    #[serde(skip)]
    pub(crate) rejections: Vec<String>,
    /// What it refused within an hour, and does not any more.
    #[serde(skip)]
    pub(crate) past_rejections: Vec<String>,
    /// The times behind the texts (nanoseconds since the epoch).
    #[serde(skip)]
    pub(crate) since_unix_nano: i64,
    #[serde(skip)]
    pub(crate) next_attempt_unix_nano: Option<i64>,
}

/// Why an attempt failed, or records were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// RFC 3339.
    pub at: String,
    pub ago_seconds: u64,
    /// Such as `Unavailable` or `413`.
    pub status: String,
    pub message: String,
    #[serde(skip)]
    pub(crate) at_unix_nano: i64,
}

/// One exporter's, filled by its lanes.
pub(crate) struct Standing {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

/// All exporters', by name. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Standings(Arc<RwLock<BTreeMap<String, Arc<Standing>>>>);

struct Inner {
    /// By sequence: requests that failed and are tried again.
    failing: BTreeMap<u64, Failing>,
    /// Nothing is tried before this, as the destination asked.
    hold_until: UnixNanos,
    /// It has ended with something left, because the destination did not answer.
    gave_up: bool,
    rejections: Rejections,
    draining_since: Option<UnixNanos>,
    ok_since: UnixNanos,
    last_error: Option<(UnixNanos, String, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: UnixNanos,
    attempts: u64,
    /// `None` while an attempt is under way.
    next: Option<UnixNanos>,
    /// The last attempt was not answered.
    is_unanswered: bool,
}

impl Standings {
    /// A new one, in the place of its predecessor's.
    pub(crate) fn open(&self, exporter: &str, clock: Arc<dyn Clock>) -> Arc<Standing> {
        let standing = Arc::new(Standing::new(clock));
        let mut standings = self.0.write();
        standings.insert(exporter.to_owned(), Arc::clone(&standing));
        standing
    }

    /// The exporter is no more.
    pub(crate) fn remove(&self, exporter: &str) {
        self.0.write().remove(exporter);
    }

    /// Whether one has ended with something left.
    pub(crate) fn any_gave_up(&self) -> bool {
        let standings = self.0.read();
        standings.values().any(|one| one.inner.lock().gave_up)
    }

    pub(crate) fn of(&self, exporter: &str) -> Option<ExporterStanding> {
        self.0.read().get(exporter).map(|standing| standing.now())
    }

    pub(crate) fn all(&self) -> Vec<(String, ExporterStanding)> {
        let standings = self.0.read();
        let all = standings.iter();
        all.map(|(name, standing)| (name.clone(), standing.now()))
            .collect()
    }
}

impl Standing {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            failing: BTreeMap::new(),
            hold_until: UnixNanos(0),
            rejections: Rejections::default(),
            draining_since: None,
            gave_up: false,
            ok_since: clock.now(),
            last_error: None,
        };
        Self {
            clock,
            inner: Mutex::new(inner),
        }
    }

    /// A request is being sent.
    pub(super) fn tries(&self, sequence: u64) {
        if let Some(failing) = self.inner.lock().failing.get_mut(&sequence) {
            failing.next = None;
        }
    }

    /// It failed and is sent again after `pause`; the destination may have asked for one for all.
    pub(super) fn failed(
        &self,
        sequence: u64,
        failure: &Failure,
        pause: Duration,
        asked: Option<Duration>,
    ) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        if let Some(asked) = asked {
            inner.hold_until = inner.hold_until.max(now.saturating_add(asked));
        }
        inner.note(now, failure);
        let failing = inner.failing.entry(sequence).or_insert(Failing {
            since: now,
            attempts: 0,
            next: None,
            is_unanswered: true,
        });
        failing.attempts += 1;
        failing.is_unanswered = failure.reach != Reach::Answered;
        failing.next = Some(now.saturating_add(pause));
    }

    /// The buffer has taken a record that was to be tried again; what holds of it holds of the next one.
    pub(super) fn goes_on(&self, before: u64, next: u64) {
        let mut inner = self.inner.lock();
        if let Some(failing) = inner.failing.remove(&before) {
            inner.failing.insert(next, failing);
        }
    }

    /// It was answered, well or not.
    pub(super) fn answered(&self, sequence: u64) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        if inner.failing.remove(&sequence).is_some() && inner.failing.is_empty() {
            inner.ok_since = now;
        }
    }

    /// What the destination said is worth being shown. Whether anything is refused for good is not known yet.
    pub(super) fn noted(&self, failure: &Failure) {
        let now = self.clock.now();
        self.inner.lock().note(now, failure);
    }

    /// The destination refused records for good, which are dead letters if they could be `kept`.
    pub(super) fn refused(&self, failure: &Failure, is_kept: bool) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        inner.rejections.refused(now, failure, is_kept);
        inner.note(now, failure);
    }

    /// The destination left `records` out of a request that it took.
    pub(super) fn left_out(&self, records: u64, failure: &Failure) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        inner.rejections.left_out(now, records, &failure.message);
        inner.note(now, failure);
    }

    /// Whether requests are to be tried again, and of none the last attempt was answered, well or not.
    pub(super) fn is_unanswered(&self) -> bool {
        let inner = self.inner.lock();
        let mut failing = inner.failing.values();
        !inner.failing.is_empty() && failing.all(|failing| failing.is_unanswered)
    }

    /// The exporter ends with something left.
    pub(super) fn gives_up(&self) {
        self.inner.lock().gave_up = true;
    }

    /// Nothing more comes.
    pub(super) fn drains(&self) {
        let now = self.clock.now();
        self.inner.lock().draining_since.get_or_insert(now);
    }

    fn now(&self) -> ExporterStanding {
        self.inner.lock().at(self.clock.now())
    }
}

impl Inner {
    fn note(&mut self, now: UnixNanos, failure: &Failure) {
        self.last_error = Some((now, failure.status.clone(), failure.message.clone()));
    }

    fn at(&self, now: UnixNanos) -> ExporterStanding {
        let failing = self.failing.values();
        let retrying = failing.clone().map(|failing| failing.since).min();
        let (over, rejecting) = (self.rejections.over(), self.rejections.since(now));
        let (state, since) = match (self.draining_since, retrying, rejecting) {
            (Some(since), ..) => (ExporterState::Draining, since),
            (None, Some(since), _) => (ExporterState::Retrying, since),
            (None, None, Some(since)) => (ExporterState::Rejecting, since),
            (None, None, None) => (
                ExporterState::Ok,
                over.map_or(self.ok_since, |over| over.max(self.ok_since)),
            ),
        };
        let under_way = failing.clone().any(|failing| failing.next.is_none());
        let next = failing.clone().filter_map(|failing| failing.next).min();
        // What is to be tried waits for that, whatever its own pause is.
        let as_asked = retrying.is_some() && self.hold_until > now;
        let next = match as_asked {
            true => Some(next.unwrap_or(self.hold_until).max(self.hold_until)),
            false => next.filter(|_| !under_way),
        };
        let last_error = self.last_error.as_ref();
        ExporterStanding {
            state,
            since: text(since),
            for_seconds: now.since(since).as_secs(),
            attempts: failing.map(|failing| failing.attempts).sum(),
            waits_as_asked: as_asked,
            next_attempt: next.map(text),
            next_attempt_in_seconds: next.map(|next| next.since(now).as_secs_f64()),
            last_error: last_error.map(|(at, status, message)| LastError {
                at: text(*at),
                ago_seconds: now.since(*at).as_secs(),
                status: status.clone(),
                message: message.clone(),
                at_unix_nano: at.0,
            }),
            left_out: self.rejections.all_left_out(now),
            rejections: self.rejections.told(now),
            past_rejections: self.rejections.told_of_before(now),
            since_unix_nano: since.0,
            next_attempt_unix_nano: next.map(|next| next.0),
        }
    }
}

impl ExporterState {
    pub const ALL: [Self; 4] = [Self::Ok, Self::Retrying, Self::Rejecting, Self::Draining];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retrying => "retrying",
            Self::Rejecting => "rejecting",
            Self::Draining => "draining",
        }
    }
}

impl ExporterStanding {
    /// What there is to say of it in a line, if it is not well.
    pub(crate) fn trouble(&self) -> Option<String> {
        let error = self
            .last_error
            .as_ref()
            .map(|error| format!("{}: {}", error.status, error.message));
        let error = error.unwrap_or_default();
        let seconds = self.for_seconds;
        let next = match (&self.next_attempt, self.next_attempt_in_seconds) {
            (Some(at), Some(_)) if self.waits_as_asked => {
                format!("waits until {at} as the destination asked")
            }
            (_, Some(pause)) => format!("the next in {pause:.1} s"),
            (_, None) => "another one under way".to_owned(),
        };
        match self.state {
            ExporterState::Ok => None,
            ExporterState::Retrying => Some(format!(
                "retrying for {seconds} s, {} failed attempts, {next}: {error}",
                self.attempts
            )),
            ExporterState::Rejecting => Some(self.rejections.join("; ")),
            ExporterState::Draining if self.attempts > 0 => Some(format!(
                "draining for {seconds} s, {} failed attempts, {next}: {error}",
                self.attempts
            )),
            ExporterState::Draining => Some(format!("draining for {seconds} s")),
        }
    }
}

/// An error's text fit to be shown: no secrets, no control characters, not endless. `known` are secrets that went with
/// the request.
pub(super) fn shown(message: &str, known: &[String]) -> String {
    let mut message = message.to_owned();
    for secret in known.iter().filter(|secret| !secret.is_empty()) {
        message = message.replace(secret.as_str(), "<secret:*>");
    }
    let message = mask_secrets(&without_user(&message));
    let printable: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(&printable, ERROR_BYTES_MAX)
}

/// Without the user and password that a URL in the text may have.
fn without_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let is_end = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | ')');
        let end = after.find(is_end).unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_user, host)) => {
                out.push_str("<user:*>@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn cut(text: &str, bytes_max: usize) -> String {
    match text
        .char_indices()
        .find(|(at, c)| at + c.len_utf8() > bytes_max)
    {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// To the millisecond: a person reads it.
fn text(at: UnixNanos) -> String {
    let nanos = u64::try_from(at.0).unwrap_or(0);
    crate::explain::time_text(nanos - nanos % 1_000_000)
}

impl fmt::Debug for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.all()).finish()
    }
}

#[cfg(test)]
mod tests;
