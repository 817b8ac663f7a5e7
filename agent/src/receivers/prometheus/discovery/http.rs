//! `http_sd_configs`: a server that answers with groups of targets.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{StatusCode, Url};

use super::{Group, GroupDocument, GroupSender};
use crate::receivers::prometheus::http::{HttpClient, HttpConfig, HttpError};

/// Largest answer (bytes).
const BODY_BYTES_MAX: usize = 32 << 20;
/// Longest wait for one.
const TIMEOUT: Duration = Duration::from_secs(60);
const URL_LABEL: &str = "__meta_url";

/// One entry of `http_sd_configs`, checked.
#[derive(Debug, Clone)]
pub(crate) struct HttpDiscovery {
    pub(crate) url: Url,
    pub(crate) interval: Duration,
    pub(crate) http: HttpConfig,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the request failed: {0}")]
    Request(#[from] reqwest::Error),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the answer's content type is `{0}`, not application/json")]
    NoJson(String),
    #[error("the answer is over {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl HttpDiscovery {
    /// Asks for ever.
    pub(super) async fn run(self, groups: &GroupSender) {
        let client = Arc::new(HttpClient::new(self.http.clone()));
        loop {
            let asked = tokio::time::timeout(TIMEOUT, self.ask(&client)).await;
            match asked.unwrap_or(Err(Failure::Timeout)) {
                Ok(found) => {
                    groups.succeeded();
                    groups.put(String::new(), found);
                }
                Err(error) => groups.failed("http", self.url.as_str(), &error),
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn ask(&self, client: &HttpClient) -> Result<Vec<Group>, Failure> {
        let request = client.get(self.url.clone()).await?;
        let seconds = self.interval.as_secs_f64().to_string();
        let request = request
            .header(ACCEPT, "application/json")
            .header("X-Prometheus-Refresh-Interval-Seconds", seconds);
        let without_url = |error: reqwest::Error| error.without_url();
        let mut answer = request.send().await.map_err(without_url)?;
        if answer.status() != StatusCode::OK {
            return Err(Failure::Status(answer.status()));
        }
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Failure::NoJson(content_type.to_owned()));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(without_url)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let documents: Vec<GroupDocument> = serde_json::from_slice(&body)?;
        let url = self.url.to_string();
        let found = documents.into_iter().map(|document| {
            let mut group = Group::from(document);
            group.labels.insert(URL_LABEL.to_owned(), url.clone());
            group
        });
        Ok(found.collect())
    }
}
