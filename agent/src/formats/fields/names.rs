//! Names of fields and what they are for.

use std::collections::BTreeMap;

use vervet_model::Severity;

/// How many purposes a field can have.
pub(super) const ROLES: usize = 5;
/// The rank after all others.
pub(super) const WORST: u8 = u8::MAX;
/// Ranks below are those of configured names.
const BUILT_IN: u8 = 128;

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
            _ => return None,
        },
        6 => match key {
            "spanId" => (Role::Span, 1),
            "spanID" => (Role::Span, 2),
            _ => return None,
        },
        7 => match key {
            "message" => (Role::Message, 1),
            "traceId" => (Role::Trace, 1),
            "traceID" => (Role::Trace, 2),
            "span_id" => (Role::Span, 0),
            "span.id" => (Role::Span, 3),
            "asctime" => (Role::Time, 4),
            _ => return None,
        },
        8 => match key {
            "severity" => (Role::Level, 1),
            "trace_id" => (Role::Trace, 0),
            "trace.id" => (Role::Trace, 3),
            "datetime" => (Role::Time, 6),
            _ => return None,
        },
        9 => match key {
            "timestamp" => (Role::Time, 1),
            "levelname" => (Role::Level, 3),
            "log.level" => (Role::Level, 4),
            _ => return None,
        },
        10 => match key {
            "@timestamp" => (Role::Time, 0),
            "otelSpanID" => (Role::Span, 4),
            "level_name" => (Role::Level, 6),
            _ => return None,
        },
        11 if key == "otelTraceID" => (Role::Trace, 4),
        _ => return None,
    };
    Some((role, BUILT_IN + rank))
}
