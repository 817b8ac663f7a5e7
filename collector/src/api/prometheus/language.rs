//! Queries as texts: laid out, as syntax trees, and what belongs to them beside samples.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use serde_json::json;
use vervet_model::UnixMillis;
use vervet_promql::{Features, QueryError};

use super::Answer;
use crate::api::Shared;
use crate::api::params::Params;
use crate::api::response::{Failure, success};
use crate::time::parse_prometheus_time;

pub(crate) async fn format_query(State(context): State<Shared>, params: Params) -> Answer {
    let text = shown(&context, &params, vervet_promql::format_query).await?;
    Ok(success(text))
}

pub(crate) async fn parse_query(State(context): State<Shared>, params: Params) -> Answer {
    let tree = shown(&context, &params, vervet_promql::parse_query).await?;
    let body = format!(r#"{{"status":"success","data":{tree}}}"#);
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// What `show` makes of the parameter `query`.
async fn shown(
    context: &Shared,
    params: &Params,
    show: fn(&str, Features) -> Result<String, QueryError>,
) -> Result<String, Failure> {
    let query = params.require("query", |text| Some(text.to_owned()))?;
    let features = context.queries.features();
    // A long query takes milliseconds.
    let shown = tokio::task::spawn_blocking(move || show(&query, features))
        .await
        .map_err(|error| Failure::from(QueryError::Execution(error.to_string())))?;
    shown.map_err(invalid_query)
}

/// No exemplars are stored, so there are none; a request is checked as if there were.
pub(crate) async fn query_exemplars(State(context): State<Shared>, params: Params) -> Answer {
    let time = |name| params.parse(name, parse_prometheus_time);
    let start = time("start")?.unwrap_or(UnixMillis(i64::MIN));
    let end = time("end")?.unwrap_or(UnixMillis(i64::MAX));
    if end < start {
        return Err(Failure::invalid("end timestamp must not be before start timestamp").into());
    }
    shown(&context, &params, vervet_promql::format_query).await?;
    Ok(success(json!([])))
}

fn invalid_query(error: QueryError) -> Failure {
    Failure::invalid(format!("invalid parameter \"query\": {error}"))
}
