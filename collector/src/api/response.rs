//! The shapes of answers and errors.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use vervet_error_groups::ErrorStoreError;
use vervet_promql::{ErrorType, QueryError};
use vervet_store::StoreError;

use super::params::{InvalidParam, UnknownParam};

/// Why a request failed, for the caller; each API has its own words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    InvalidArgument,
    NotFound,
    QueryFailed,
    Timeout,
    /// Too much is going on; the same request may succeed later.
    Busy,
    /// What the request needs is held by others; the same request may succeed later.
    Unavailable,
    Internal,
}

impl ErrorCode {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::QueryFailed => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Prometheus's `errorType`.
    fn error_type(self) -> &'static str {
        match self {
            Self::InvalidArgument => "bad_data",
            Self::NotFound => "not_found",
            Self::QueryFailed => "execution",
            Self::Timeout => "timeout",
            Self::Busy | Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The `code` of our own API.
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::QueryFailed => "query_failed",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The status, with the time after which it is worth to try again where there is such.
    fn head(self) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        if matches!(self, Self::Busy | Self::Timeout | Self::Unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        (self.status(), headers)
    }
}

/// When a refused query may be sent again (s).
const RETRY_AFTER_SECONDS: u64 = 2;

/// A failure before it has the shape of an API.
#[derive(Debug)]
pub(super) struct Failure {
    code: ErrorCode,
    message: String,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The body of our own API.
    pub(super) fn vervet_json(&self) -> serde_json::Value {
        json!({"error": {"code": self.code.as_str(), "message": self.message}})
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }
}

impl From<UnknownParam> for Failure {
    fn from(error: UnknownParam) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<InvalidParam> for Failure {
    fn from(error: InvalidParam) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let code = match error.error_type() {
            _ if matches!(error, QueryError::Busy) => ErrorCode::Busy,
            ErrorType::Execution if matches!(error, QueryError::Memory(_)) => {
                let message = format!("{error} (limits.query_memory)");
                return Self::new(ErrorCode::QueryFailed, message);
            }
            ErrorType::Timeout if matches!(error, QueryError::Memory(_)) => {
                let message = format!("{error} (twice limits.query_memory)");
                return Self::new(ErrorCode::Unavailable, message);
            }
            ErrorType::BadData => ErrorCode::InvalidArgument,
            ErrorType::Execution => ErrorCode::QueryFailed,
            ErrorType::Timeout => ErrorCode::Timeout,
        };
        Self::new(code, error.to_string())
    }
}

impl From<crate::logql::LogqlError> for Failure {
    fn from(error: crate::logql::LogqlError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            error if error.is_user_error() => Some(ErrorCode::QueryFailed),
            StoreError::Timeout { .. } => Some(ErrorCode::Timeout),
            StoreError::Busy => Some(ErrorCode::Busy),
            _ => None,
        };
        if let Some(code) = code {
            return Self::new(code, error.to_string());
        }
        if matches!(error, StoreError::Timeout { .. }) {
            return Self::new(ErrorCode::Timeout, error.to_string());
        }
        tracing::error!(%error, "query failed");
        Self::new(
            ErrorCode::Internal,
            "the store failed to answer; see the collector's log",
        )
    }
}

impl From<ErrorStoreError> for Failure {
    fn from(error: ErrorStoreError) -> Self {
        match error {
            ErrorStoreError::UnknownGroup { .. } => {
                Self::new(ErrorCode::NotFound, error.to_string())
            }
            other => {
                tracing::error!(error = %other, "error groups failed");
                Self::new(
                    ErrorCode::Internal,
                    "the error groups cannot be read; see the collector's log",
                )
            }
        }
    }
}

/// Prometheus: `{"status":"error","errorType":...,"error":...}`. Loki's API is answered alike.
pub(super) struct PrometheusFailure(Failure);

/// Our own APIs: `{"error":{"code":...,"message":...}}`.
pub(super) struct VervetFailure(Failure);

impl<F: Into<Failure>> From<F> for PrometheusFailure {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl<F: Into<Failure>> From<F> for VervetFailure {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for PrometheusFailure {
    fn into_response(self) -> Response {
        let Failure { code, message } = self.0;
        let (status, headers) = code.head();
        (
            status,
            headers,
            Json(json!({"status": "error", "errorType": code.error_type(), "error": message})),
        )
            .into_response()
    }
}

impl IntoResponse for VervetFailure {
    fn into_response(self) -> Response {
        let (status, headers) = self.0.code.head();
        (status, headers, Json(self.0.vervet_json())).into_response()
    }
}

/// Prometheus: `{"status":"success","data":...}`.
pub(super) fn success(data: impl Serialize) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

/// The same with what is missing from the answer, if anything is.
pub(super) fn success_with(data: impl Serialize, warnings: &[String]) -> Response {
    if warnings.is_empty() {
        return success(data);
    }
    Json(json!({"status": "success", "data": data, "warnings": warnings})).into_response()
}

/// Names what is missing from the answer, if anything is.
pub(super) fn add_warnings(answer: &mut Value, warnings: &[String]) {
    if !warnings.is_empty() {
        answer["warnings"] = json!(warnings);
    }
}

#[cfg(test)]
mod tests {
    use vervet_promql::MemoryError;

    use super::*;

    #[test]
    fn limits_on_memory_say_which_setting_and_whether_to_come_back() {
        let what = "the groups of an aggregation";
        let limit = 256 << 20;
        let own = Failure::from(QueryError::from(MemoryError::Query { what, limit }));
        assert_eq!(own.code, ErrorCode::QueryFailed);
        assert_eq!(own.code.head().0, StatusCode::UNPROCESSABLE_ENTITY);
        for part in [what, "256 MiB", "limits.query_memory"] {
            assert!(own.message.contains(part), "{}", own.message);
        }
        let all = Failure::from(QueryError::from(MemoryError::Together { what, limit }));
        let (status, headers) = all.code.head();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(headers.contains_key(header::RETRY_AFTER));
        assert!(all.message.contains("twice limits.query_memory"));
    }
}
