//! Requests to the admin listener of a running agent.

use std::time::Duration;

use anyhow::Context;
use reqwest::Response;

/// Time to connect, and for each piece of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for `path_and_query`; an answer that is no success is an error with its text.
pub(super) async fn get(admin: &str, path_and_query: &str) -> anyhow::Result<Response> {
    let url = format!("http://{admin}{path_and_query}");
    let client = crate::http::client(|builder| {
        builder
            .no_proxy()
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
    })?;
    let answer = client.get(&url).send().await;
    let answer = answer.with_context(|| format!("no agent answers at {admin}"))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let text = body(answer, 64 << 10).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    anyhow::bail!("{admin} answers {status}: {}", text.trim())
}

/// The whole body of an answer.
pub(super) async fn body(mut answer: Response, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= bytes_max,
            "the answer is too large"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
