//! Requests to the admin listener of a running agent.

use std::time::Duration;

use anyhow::Context;
use reqwest::Response;

/// Time to connect, and for each piece of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for `path`; an answer that is no success is an error with its text.
pub(super) async fn get(admin: &str, path: &str) -> anyhow::Result<Response> {
    ask(admin, path, &[], Some(TIMEOUT)).await
}

/// As [`get`], for an answer that may pause and has no end.
pub(super) async fn stream(
    admin: &str,
    path: &str,
    parameters: &[(&str, &str)],
) -> anyhow::Result<Response> {
    ask(admin, path, parameters, None).await
}

async fn ask(
    admin: &str,
    path: &str,
    parameters: &[(&str, &str)],
    read_timeout: Option<Duration>,
) -> anyhow::Result<Response> {
    let url = format!("http://{admin}{path}");
    let url = reqwest::Url::parse_with_params(&url, parameters)
        .with_context(|| format!("`{admin}` is no address such as 127.0.0.1:7421"))?;
    let client = crate::http::client(|builder| {
        let builder = builder.no_proxy().connect_timeout(TIMEOUT);
        match read_timeout {
            Some(timeout) => builder.read_timeout(timeout),
            None => builder,
        }
    })?;
    let answer = client.get(url).send().await;
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
