//! Names of fields and what they are for.

use std::collections::BTreeMap;

use vervet_model::Severity;

/// How many purposes a field can have.
pub(super) const ROLES: usize = 5;
/// The rank after all others.
pub(super) const WORST: u8 = u8::MAX;
/// Ranks below are those of configured names.
const BUILT_IN: u8 = 128;
/// From here on, below [`BUILT_IN`] ranks, names that tell little: the value must show what it is.
const VAGUE: u8 = 60;

/// Whether a name of this rank tells little.
#[inline]
pub(super) fn is_vague(rank: u8) -> bool {
    (BUILT_IN + VAGUE..WORST).contains(&rank)
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Time,
    Level,
    Message,
    Trace,
    Span,
}

/// Configured names, best first, and configured levels.
#[derive(Debug, Clone, Default)]
pub(in crate::formats) struct Roles {
    pub(in crate::formats) time: Vec<String>,
    pub(in crate::formats) severity: Vec<String>,
    pub(in crate::formats) message: Vec<String>,
    /// By word, in lower case.
    pub(in crate::formats) levels: BTreeMap<String, Severity>,
}

impl Roles {
    /// The role and rank of a name that is configured.
    #[inline]
    pub(super) fn of(&self, key: &str) -> Option<(Role, u8)> {
        if self.time.is_empty() && self.severity.is_empty() && self.message.is_empty() {
            return None;
        }
        let mut named = self.named();
        named
            .find(|(_, _, name)| *name == key)
            .map(|(role, rank, _)| (role, rank))
    }

    /// Configured names that lead into the object `key`, with the rest of their path.
    pub(super) fn below<'s>(
        &'s self,
        key: &'s str,
    ) -> impl Iterator<Item = (Role, u8, &'s str)> + 's {
        self.named().filter_map(move |(role, rank, name)| {
            let path = name.strip_prefix(key)?.strip_prefix('.')?;
            Some((role, rank, path))
        })
    }

    fn named(&self) -> impl Iterator<Item = (Role, u8, &str)> {
        let lists = [
            (Role::Time, &self.time),
            (Role::Level, &self.severity),
            (Role::Message, &self.message),
        ];
        lists
            .into_iter()
            .flat_map(|(role, names)| (0..BUILT_IN).zip(names).map(move |(r, n)| (role, r, n)))
            .map(|(role, rank, name)| (role, rank, name.as_str()))
    }

    /// What the configuration says of a level word.
    #[inline]
    pub(in crate::formats) fn level(&self, word: &str) -> Option<Severity> {
        if self.levels.is_empty() {
            return None;
        }
        self.levels.get(&word.trim().to_lowercase()).copied()
    }

    pub(super) fn level_of_number(&self, number: i64) -> Option<Severity> {
        if self.levels.is_empty() {
            return None;
        }
        self.level(&number.to_string())
    }
}

/// The role and rank of a name that is known. By length first: most names are ruled out by it.
pub(super) fn built_in(key: &str) -> Option<(Role, u8)> {
    let (role, rank) = match key.len() {
        1 => match key {
            // zap in development.
            "T" => (Role::Time, VAGUE),
            "L" => (Role::Level, VAGUE),
            "M" => (Role::Message, VAGUE),
            _ => return None,
        },
        2 => match key {
            "ts" => (Role::Time, 3),
            "@t" => (Role::Time, 5),
            "@l" => (Role::Level, 5),
            "@m" => (Role::Message, 4),
            _ => return None,
        },
        3 => match key {
            "msg" => (Role::Message, 0),
            "lvl" => (Role::Level, 2),
            "@tr" => (Role::Trace, 5),
            "@sp" => (Role::Span, 5),
            "@mt" => (Role::Message, 5),
            _ => return None,
        },
        4 => match key {
            "time" => (Role::Time, 2),
            "body" => (Role::Message, 2),
            _ => return None,
        },
        5 => match key {
            "level" => (Role::Level, 0),
            "event" => (Role::Message, 3),
            "Level" => (Role::Level, VAGUE + 1),
            _ => return None,
        },
        6 => match key {
            "spanId" => (Role::Span, 1),
            "spanID" => (Role::Span, 2),
            "SpanId" => (Role::Span, 6),
            _ => return None,
        },
        7 => match key {
            "message" => (Role::Message, 1),
            "traceId" => (Role::Trace, 1),
            "traceID" => (Role::Trace, 2),
            "span_id" => (Role::Span, 0),
            "span.id" => (Role::Span, 3),
            "asctime" => (Role::Time, 4),
            "TraceId" => (Role::Trace, 6),
            "Message" => (Role::Message, VAGUE + 1),
            _ => return None,
        },
        8 => match key {
            "severity" => (Role::Level, 1),
            "trace_id" => (Role::Trace, 0),
            "trace.id" => (Role::Trace, 3),
            "datetime" => (Role::Time, 6),
            "LogLevel" => (Role::Level, 9),
            _ => return None,
        },
        _ => return built_in_long(key).map(|(role, rank)| (role, BUILT_IN + rank)),
    };
    Some((role, BUILT_IN + rank))
}

/// The known names of more than eight bytes.
fn built_in_long(key: &str) -> Option<(Role, u8)> {
    Some(match key.len() {
        9 => match key {
            "timestamp" => (Role::Time, 1),
            "levelname" => (Role::Level, 3),
            "log.level" => (Role::Level, 4),
            "Timestamp" => (Role::Time, 8),
            "eventTime" => (Role::Time, 9),
            _ => return None,
        },
        10 => match key {
            "@timestamp" => (Role::Time, 0),
            "otelSpanID" => (Role::Span, 4),
            "level_name" => (Role::Level, 6),
            "timeMillis" => (Role::Time, 10),
            "time_local" => (Role::Time, 12),
            "mdc.spanId" => (Role::Span, 7),
            "dd.span_id" => (Role::Span, 9),
            _ => return None,
        },
        11 => match key {
            "otelTraceID" => (Role::Trace, 4),
            "mdc.traceId" => (Role::Trace, 7),
            "mdc.span_id" => (Role::Span, 8),
            "dd.trace_id" => (Role::Trace, 9),
            "traceparent" => (Role::Trace, 11),
            "X-B3-SpanId" => (Role::Span, 10),
            _ => return None,
        },
        12 => match key {
            "mdc.trace_id" => (Role::Trace, 8),
            "time_iso8601" => (Role::Time, 11),
            "X-B3-TraceId" => (Role::Trace, 10),
            _ => return None,
        },
        14 if key == "error_severity" => (Role::Level, 10),
        15 if key == "RenderedMessage" => (Role::Message, 8),
        15 if key == "MessageTemplate" => (Role::Message, 9),
        28 if key == "logging.googleapis.com/trace" => (Role::Trace, 12),
        29 if key == "logging.googleapis.com/spanId" => (Role::Span, 11),
        _ => return None,
    })
}

/// What is known inside of an object, by the object's name: paths, each with its role and rank.
pub(super) fn built_in_below(key: &str) -> &'static [(Role, u8, &'static str)] {
    const IDS: [(Role, u8, &str); 4] = [
        (Role::Trace, BUILT_IN + 20, "trace_id"),
        (Role::Trace, BUILT_IN + 21, "traceId"),
        (Role::Span, BUILT_IN + 20, "span_id"),
        (Role::Span, BUILT_IN + 21, "spanId"),
    ];
    match key {
        "log" => &[(Role::Level, WORST, "level")],
        "fields" | "mdc" | "contextMap" | "dd" => &IDS,
        "trace" => &[(Role::Trace, BUILT_IN + 22, "id")],
        "span" => &[(Role::Span, BUILT_IN + 22, "id")],
        // loguru
        "record" => &[
            (Role::Time, BUILT_IN + 20, "time.repr"),
            (Role::Level, BUILT_IN + 20, "level.name"),
            (Role::Message, BUILT_IN + 20, "message"),
        ],
        _ => &[],
    }
}
