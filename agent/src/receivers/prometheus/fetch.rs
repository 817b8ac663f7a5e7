//! The request to a target, and its body as it arrives.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use vervet_exposition::{Limits, Parser, format_of};

use super::http::HttpClient;
use super::job::JobConfig;
use super::pass::Pass;
use super::target::Target;
use super::trouble::ScrapeError;
use crate::budget::{MemoryBudget, MemoryKind, MemoryPermit};

/// Room taken for what a body becomes, before it grows.
const ROOM_BYTES: usize = 64 << 10;
/// So much of a body is read before other tasks have their turn.
const PIECE_BYTES: usize = 16 << 10;
const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";

/// What a request is made with.
pub(super) struct Fetch<'a> {
    pub(super) job: &'a JobConfig,
    pub(super) client: &'a HttpClient,
    pub(super) target: &'a Target,
    pub(super) accept: &'a str,
    pub(super) budget: &'a MemoryBudget,
}

impl Fetch<'_> {
    /// Asks the target and hands its body to `pass`. Returns the room that this takes.
    ///
    /// # Errors
    /// The scrape has failed; some of the body may have been handed over.
    pub(super) async fn fetch(&self, pass: &mut Pass<'_>) -> Result<MemoryPermit, ScrapeError> {
        let seconds = self.target.timeout.as_secs_f64().to_string();
        let request = self.client.get(self.target.url.clone()).await?;
        let request = request
            .header(ACCEPT, self.accept)
            .header(TIMEOUT_HEADER, seconds);
        let response = request.send().await.map_err(ScrapeError::request)?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status()));
        }
        let media_type = response.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let format = format_of(media_type.unwrap_or_default(), self.job.fallback)?;
        let parser = Parser::new(format, Limits::default())
            .with_native(self.job.native_histograms)
            .with_classic_of_native(self.job.classic_of_native);
        self.read(response, parser, pass).await
    }

    async fn read(
        &self,
        mut response: Response,
        mut parser: Parser,
        pass: &mut Pass<'_>,
    ) -> Result<MemoryPermit, ScrapeError> {
        let bytes_max = self.job.limits.body_bytes;
        let declared = usize::try_from(response.content_length().unwrap_or(0));
        if declared.unwrap_or(usize::MAX) > bytes_max {
            return Err(ScrapeError::TooLarge(bytes_max));
        }
        // Waits for room only here, where it holds none: targets that wait for each other would never end.
        let mut room = self.budget.acquire(MemoryKind::Source, ROOM_BYTES).await;
        let mut bytes = 0_usize;
        while let Some(chunk) = response.chunk().await.map_err(ScrapeError::request)? {
            bytes = bytes.saturating_add(chunk.len());
            if bytes > bytes_max {
                return Err(ScrapeError::TooLarge(bytes_max));
            }
            for piece in chunk.chunks(PIECE_BYTES) {
                let fed = parser.feed(piece, pass);
                fed.map_err(|error| ScrapeError::unusable(error, pass))?;
                if !room.try_grow_to(pass.bytes()) {
                    return Err(ScrapeError::NoMemory);
                }
                tokio::task::consume_budget().await;
            }
        }
        let ended = parser.finish(pass);
        ended.map_err(|error| ScrapeError::unusable(error, pass))?;
        Ok(room)
    }
}
