//! Asks the node's kubelet for its pods, again and again, and at once when an unknown pod is asked for.

use std::time::{Duration, Instant};

use super::PodFeed;
use super::client::{SourceClient, SourceError};
use super::document::{List, Page, PodDocument};
use super::source::{Backoff, parse};
use crate::agent::with_causes;

const PATH: &str = "/pods";
/// Requests are at least this far apart, however many pods are asked for.
const PAUSE_MIN: Duration = Duration::from_millis(500);

pub(super) struct Kubelet {
    pub(super) client: SourceClient,
    pub(super) feed: PodFeed,
    pub(super) interval: Duration,
}

impl Kubelet {
    /// Runs for ever.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.poll().await {
                Ok(()) => {
                    backoff.reset();
                    self.feed.succeeded();
                    tokio::time::sleep(PAUSE_MIN.min(self.interval)).await;
                    let rest = self.interval.saturating_sub(PAUSE_MIN);
                    tokio::select! {
                        () = self.feed.wanted() => {}
                        () = tokio::time::sleep(rest) => {}
                    }
                }
                Err(error) => {
                    self.feed.failed(error.reason(), with_causes(&error));
                    tokio::time::sleep(backoff.next(error.retry_after())).await;
                }
            }
        }
    }

    /// The kubelet names a pod before it makes the folder of its logs: one it does not name is not there.
    async fn poll(&mut self) -> Result<(), SourceError> {
        let asked_at = Instant::now();
        let body = self.client.document(PATH, &[]).await?;
        let list: List<PodDocument> = parse(body).await?;
        let page = Page::try_from(list)?;
        self.feed.replace(page.objects, Some(asked_at));
        Ok(())
    }
}
