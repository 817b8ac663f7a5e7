//! Why a scrape brought nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use vervet_exposition::{ContentTypeError, ParseError};

use super::http::HttpError;
use super::pass::Pass;
use super::series::SeriesError;
use crate::agent::with_causes;

/// The next scrape may succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    #[error("the request cannot be made: {0}")]
    Client(#[from] HttpError),
    #[error("the request failed: {}", with_causes(.0))]
    Request(#[source] reqwest::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the target answered {0}")]
    Status(StatusCode),
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    #[error("the body is over {0} bytes")]
    TooLarge(usize),
    /// The memory budget is used up.
    #[error("no memory is left for the samples")]
    NoMemory,
    #[error(transparent)]
    Malformed(ParseError),
    #[error("sample_limit exceeded: {samples} samples, the limit is {limit}")]
    SampleLimit { samples: usize, limit: usize },
    #[error(transparent)]
    Series(#[from] SeriesError),
    #[error("{0}")]
    TargetLimit(Arc<str>),
}

impl ScrapeError {
    pub(super) fn request(error: reqwest::Error) -> Self {
        // The address is told beside it, and may hold a password.
        Self::Request(error.without_url())
    }

    /// What ended the reading of a body: the body itself, or one of its series.
    pub(super) fn unusable(error: ParseError, pass: &mut Pass<'_>) -> Self {
        match pass.refused() {
            Some(refused) => Self::Series(refused),
            None => Self::Malformed(error),
        }
    }

    /// The value of the label `reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Request(error) if error.is_connect() => "connect",
            Self::Request(_) => "request",
            Self::Timeout(_) => "timeout",
            Self::Status(_) => "status",
            Self::ContentType(_) => "content_type",
            Self::TooLarge(_) => "too_large",
            Self::NoMemory => "no_memory",
            Self::Malformed(_) => "malformed",
            Self::SampleLimit { .. } => "sample_limit",
            Self::Series(error) => error.reason(),
            Self::TargetLimit(_) => "target_limit",
        }
    }
}
