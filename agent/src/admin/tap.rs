//! `/api/vervet/v1/tap`: records as they are about to be stored, one line of JSON each, until the client goes away.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::{StatusCode, header};
use serde::Deserialize;
use vervet_model::Signal;

use super::SelfView;
use crate::config::unknown;
use crate::tap::{TapError, TapQuery};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TapParameters {
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    receiver: Option<String>,
    #[serde(default, rename = "where")]
    condition: Option<String>,
    #[serde(default)]
    grep: Option<String>,
    #[serde(default)]
    limit: Option<u64>,
}

pub(super) async fn tap(
    State(view): State<SelfView>,
    Query(parameters): Query<TapParameters>,
) -> Response {
    let pipeline = parameters.pipeline.as_deref().unwrap_or("logs");
    let signal = Signal::ALL
        .into_iter()
        .find(|signal| signal.as_str() == pipeline);
    let Some(signal) = signal else {
        let known = Signal::ALL.map(|signal| signal.as_str());
        let message = unknown("pipeline", pipeline, &known);
        return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response();
    };
    let query = TapQuery {
        signal,
        receiver: parameters.receiver,
        condition: parameters.condition,
        grep: parameters.grep,
        limit: parameters.limit,
    };
    match view.tap.open(query, &view.clock, view.end.clone()) {
        Ok(tap) => {
            let lines = stream::unfold(tap, |mut tap| async move {
                let chunk = tap.next().await?;
                Some((Ok::<_, Infallible>(chunk), tap))
            });
            let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
            (kind, Body::from_stream(lines)).into_response()
        }
        Err(error @ TapError::TooMany) => {
            (StatusCode::TOO_MANY_REQUESTS, format!("{error}\n")).into_response()
        }
        Err(error @ (TapError::Condition(_) | TapError::Unknown(_))) => {
            (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
        }
    }
}
