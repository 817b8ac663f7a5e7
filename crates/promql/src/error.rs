//! Why a query has no answer, and which class of error the Prometheus HTTP API calls it.

use std::fmt;

use vervet_model::MatcherError;

use crate::queryable::QueryableError;

/// A place in the query text: both count from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The position of a byte offset in a query.
    pub fn of(query: &str, offset: usize) -> Self {
        let before = query.get(..offset).unwrap_or(query);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The `errorType` of the Prometheus HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    BadData,
    Execution,
    Timeout,
}

impl ErrorType {
    /// The word in the JSON answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
        }
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no valid query: the caller must change it.
    #[error("{}parse error: {message}", at(*.position))]
    Parse {
        message: String,
        position: Option<Position>,
    },
    /// A label matcher has an invalid regular expression: the caller must change it.
    #[error("parse error: {0}")]
    Matcher(#[from] MatcherError),
    /// The parameters around the query (time range, step, result type) are invalid.
    #[error("{0}")]
    InvalidParameter(String),
    /// A valid part of the language that this engine does not evaluate.
    #[error("{}not supported: {what}", at(*.position))]
    Unsupported {
        what: String,
        position: Option<Position>,
    },
    /// The query is valid, but its data has no answer (for example ambiguous vector matching).
    #[error("{0}")]
    Execution(String),
    /// Narrow the query or its time range.
    #[error(
        "query processing would load too many samples into memory in query execution (limit {limit})"
    )]
    TooManySamples { limit: usize },
    /// Narrow the query.
    #[error("query processing would load too many series in query execution (limit {limit})")]
    TooManySeries { limit: usize },
    /// The time for one query is over.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The memory of this query, or of all of them, is used up.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// As many queries run and wait as may; try again later.
    #[error("too many queries are running and waiting; try again later")]
    Busy,
    /// The store failed; a retry may help.
    #[error("expanding series: {0}")]
    Store(#[source] QueryableError),
}

/// A limit on memory ends a query. `what` names what there was no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Narrow the query or its time range, or take a larger step.
    #[error(
        "the query needs more than the {} of memory that one query may take, for {what}; select fewer series, \
         a shorter time or a larger step",
        bytes(*limit)
    )]
    Query { what: &'static str, limit: usize },
    /// Other queries hold the memory; try again later.
    #[error(
        "queries together need more than the {} of memory that they may take; this one was stopped at {what}; \
         try again later",
        bytes(*limit)
    )]
    Together { what: &'static str, limit: usize },
}

fn bytes(count: usize) -> String {
    const MIB: usize = 1 << 20;
    match count % MIB {
        0 => format!("{} MiB", count / MIB),
        _ => format!("{count} bytes"),
    }
}

fn at(position: Option<Position>) -> String {
    position.map_or_else(String::new, |position| format!("{position}: "))
}

impl QueryError {
    /// The class of this error in the Prometheus HTTP API (`bad_data` is HTTP 400, `execution` 422,
    /// `timeout` 503).
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Parse { .. } | Self::Matcher(_) | Self::InvalidParameter(_) => ErrorType::BadData,
            Self::Unsupported { .. } => ErrorType::BadData,
            Self::Timeout | Self::Busy | Self::Memory(MemoryError::Together { .. }) => {
                ErrorType::Timeout
            }
            Self::Execution(_)
            | Self::Memory(MemoryError::Query { .. })
            | Self::TooManySamples { .. }
            | Self::TooManySeries { .. }
            | Self::Store(_) => ErrorType::Execution,
        }
    }
}

impl From<QueryableError> for QueryError {
    fn from(error: QueryableError) -> Self {
        match error {
            QueryableError::TooManySeries { limit } => Self::TooManySeries { limit },
            QueryableError::TooManySamples { limit } => Self::TooManySamples { limit },
            QueryableError::Timeout => Self::Timeout,
            QueryableError::Memory(error) => Self::Memory(error),
            QueryableError::Store(_) => Self::Store(error),
        }
    }
}
