//! `/api/v1/targets`: the targets of `prometheus` receivers, in the shape of Prometheus's API.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use super::SelfView;
use crate::receivers::prometheus::{TargetState, TargetsAnswer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetsParameters {
    #[serde(default)]
    state: TargetState,
    #[serde(default)]
    scrape_pool: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Success {
    status: &'static str,
    data: TargetsAnswer,
}

pub(super) async fn targets(
    State(view): State<SelfView>,
    Query(parameters): Query<TargetsParameters>,
) -> Json<Success> {
    let wanted = parameters
        .scrape_pool
        .as_deref()
        .filter(|pool| !pool.is_empty());
    let targets = &view.metrics.scrape.targets;
    Json(Success {
        status: "success",
        data: targets.answer(parameters.state, wanted),
    })
}
