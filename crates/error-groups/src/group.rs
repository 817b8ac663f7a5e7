//! Groups and events as the store answers them; times are milliseconds since the Unix epoch.

use serde::{Deserialize, Serialize};

use crate::fingerprint::Component;
use crate::occurrence::OccurrenceSource;
use crate::stack::{Exception, Frame, Language};

/// Where a group stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    Open,
    /// Fixed; a later occurrence opens it again as a regression.
    Resolved,
    /// Counted, never reported.
    Ignored,
}

/// What an occurrence did to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChangeKind {
    /// Seen for the first time.
    New,
    /// Was resolved and came back.
    Regression,
    /// Seen again.
    Seen,
}

/// One group touched by a call of `apply`: one entry for each group, the strongest kind wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    pub kind: GroupChangeKind,
    pub group_id: String,
    pub service_name: String,
    /// Of the newest counted occurrence.
    pub environment: String,
    /// Of the newest counted occurrence.
    pub service_version: String,
    pub title: String,
    /// Occurrences counted by this call; duplicates are not counted.
    pub count: u64,
}

/// The order of a list of groups; always descending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    #[default]
    LastSeen,
    FirstSeen,
    /// By the count within the asked range.
    Count,
}

/// Which groups to list. The default asks for the newest 100 of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListQuery {
    pub service: Option<String>,
    pub environment: Option<String>,
    pub state: Option<GroupState>,
    /// Words that all must occur in title, culprit, type or message; case is ignored for ASCII.
    pub text: Option<String>,
    /// Groups seen at or after this time, to the minute.
    pub since_unix_ms: Option<i64>,
    /// Groups seen before this time, to the minute.
    pub until_unix_ms: Option<i64>,
    pub limit: usize,
    pub offset: usize,
    pub sort: SortBy,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            service: None,
            environment: None,
            state: None,
            text: None,
            since_unix_ms: None,
            until_unix_ms: None,
            limit: 100,
            offset: 0,
            sort: SortBy::LastSeen,
        }
    }
}

/// The count of one bucket of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountPoint {
    /// The start of the bucket.
    pub time_unix_ms: i64,
    pub count: u64,
}

/// The count under one name, for example one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCount {
    pub name: String,
    pub count: u64,
    pub first_seen_unix_ms: i64,
    pub last_seen_unix_ms: i64,
}

/// Some of the groups that match, and how many match in all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupPage {
    pub groups: Vec<GroupSummary>,
    pub total: u64,
}

/// A group as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSummary {
    pub id: String,
    pub service_name: String,
    pub title: String,
    pub culprit: String,
    pub exception_type: String,
    pub message: String,
    /// `error`, or `fatal` for a failure known to be unhandled.
    pub level: String,
    pub language: Option<Language>,
    pub state: GroupState,
    pub first_seen_unix_ms: i64,
    pub last_seen_unix_ms: i64,
    pub first_version: String,
    pub last_version: String,
    pub resolved_at_unix_ms: Option<i64>,
    pub resolved_in_version: Option<String>,
    /// Whether the group came back after its last resolution.
    pub regressed: bool,
    pub regressed_at_unix_ms: Option<i64>,
    /// When the store heard of the group first: later than `first_seen_unix_ms` where its records were late.
    pub noticed_at_unix_ms: i64,
    /// When the store heard that it came back.
    pub regression_noticed_at_unix_ms: Option<i64>,
    /// Occurrences ever.
    pub count: u64,
    /// Occurrences within the asked range (and environment).
    pub count_in_range: u64,
    /// Environments it was seen in.
    pub environments: Vec<String>,
    /// Sparkline: non-empty buckets within the asked range, oldest first, at most 60.
    pub series: Vec<CountPoint>,
    /// The width of a bucket of `series`.
    pub series_step_ms: i64,
}

/// A stored occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEvent {
    pub id: i64,
    pub time_unix_ms: i64,
    /// Every place the failure was seen in.
    pub sources: Vec<OccurrenceSource>,
    pub service_version: String,
    pub environment: String,
    pub host_name: String,
    pub exception_type: String,
    pub message: String,
    pub logger: String,
    pub handled: Option<bool>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub frames: Vec<Frame>,
    pub causes: Vec<Exception>,
    /// The stack as it arrived.
    pub stacktrace: String,
    pub attributes: Vec<(String, String)>,
}

/// A group with its newest events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDetail {
    pub group: GroupSummary,
    pub fingerprint_version: u32,
    /// Hashes as of `Fingerprint`.
    pub fingerprint: String,
    pub top_frame_hash: String,
    pub message_hash: String,
    /// Why these occurrences are one group.
    pub components: Vec<Component>,
    pub by_version: Vec<NamedCount>,
    pub by_environment: Vec<NamedCount>,
    /// Newest first.
    pub events: Vec<ErrorEvent>,
}
