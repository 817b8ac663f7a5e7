//! Lists this node's pods at the API server and watches them from there on.
//!
//! A watch that ends is taken up again from the last version seen; when that has expired (410), everything is
//! listed anew. A list has at most [`PAGES_MAX`] pages and [`LIST_BYTES_MAX`] bytes. A watch over which nothing has come for a while, not even a bookmark, is taken for dead.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::client::{SourceClient, SourceError, next_chunk};
use super::document::{NoPodList, Page, PodDocument, PodList, WatchEvent};
use super::source::{Backoff, parse};
use super::{BODY_BYTES_MAX, EVENT_BYTES_MAX, PODS_MAX, PodFeed};

const PATH: &str = "/api/v1/pods";
/// Pods a page of a list.
const PAGE_PODS: &str = "500";
/// Pages of one list, at most: more than [`PODS_MAX`] pods need, however few a server puts on a page.
const PAGES_MAX: usize = 100;
/// Bytes of one list, all pages together.
const LIST_BYTES_MAX: usize = BODY_BYTES_MAX;
/// When the server ends a watch (seconds).
const WATCH_SECONDS: &str = "300";
/// Servers send a bookmark about once a minute.
const QUIET_MAX: Duration = Duration::from_secs(150);
/// A watch that lived for so long has worked, whatever it ended with.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
const GONE: u16 = 410;

pub(super) struct Watch {
    pub(super) client: SourceClient,
    pub(super) feed: PodFeed,
    /// `spec.nodeName=<node>`
    pub(super) selector: String,
}

/// How far the pods are known.
struct Progress {
    version: Option<String>,
    /// Something came since the last pause.
    moved: bool,
    /// The server's cache may answer a list: it knows less than the whole, but costs it little.
    cached: bool,
}

impl Watch {
    /// Runs for ever.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut progress = Progress {
            version: None,
            moved: false,
            cached: true,
        };
        loop {
            let ended = self.follow(&mut progress).await;
            if std::mem::take(&mut progress.moved) {
                backoff.reset();
            }
            let mut asked = None;
            match ended {
                Ok(()) => {}
                Err(SourceError::Expired) => {
                    self.feed.expired();
                    progress.version = None;
                    progress.cached = false;
                }
                Err(error) => {
                    asked = error.retry_after();
                    self.feed.failed(error.reason(), error.with_causes());
                }
            }
            tokio::time::sleep(backoff.next(asked)).await;
        }
    }

    async fn follow(&mut self, progress: &mut Progress) -> Result<(), SourceError> {
        let version = match progress.version.clone() {
            Some(version) => version,
            None => {
                let version = self.list(progress.cached).await?;
                progress.cached = true;
                progress.version = Some(version.clone());
                version
            }
        };
        self.watch(&version, progress).await
    }

    /// Learns of all pods: the version that is then known.
    async fn list(&mut self, cached: bool) -> Result<String, SourceError> {
        let mut pods: Vec<PodDocument> = Vec::new();
        let mut next: Option<String> = None;
        let selector = self.selector.clone();
        let mut bytes = 0;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("fieldSelector", selector.as_str()), ("limit", PAGE_PODS)];
            match &next {
                Some(next) => query.push(("continue", next)),
                None if cached => query.push(("resourceVersion", "0")),
                None => {}
            }
            let body = self.client.document(PATH, &query).await?;
            bytes += body.len();
            if bytes > LIST_BYTES_MAX {
                return Err(SourceError::TooLarge(LIST_BYTES_MAX));
            }
            let list: PodList = parse(body).await?;
            let page = Page::try_from(list)?;
            pods.extend(page.pods);
            next = page.next;
            if next.is_none() {
                let version = page.version.ok_or(NoPodList)?;
                self.feed.replace(pods, None);
                self.feed.succeeded();
                return Ok(version);
            }
            // Half a list would make the other half's pods look gone.
            if pods.len() > PODS_MAX {
                return Err(SourceError::TooManyPods);
            }
        }
        Err(SourceError::TooManyPages(PAGES_MAX))
    }

    async fn watch(&mut self, version: &str, progress: &mut Progress) -> Result<(), SourceError> {
        let selector = self.selector.clone();
        let query = [
            ("watch", "1"),
            ("fieldSelector", selector.as_str()),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
        ];
        let mut response = self.client.stream(PATH, &query).await?;
        self.feed.succeeded();
        let started = Instant::now();
        let mut buffer = BytesMut::new();
        loop {
            progress.moved |= started.elapsed() > SETTLED_AFTER;
            let chunk = tokio::time::timeout(QUIET_MAX, next_chunk(&mut response)).await;
            let chunk = chunk.map_err(|_elapsed| SourceError::Timeout(QUIET_MAX))??;
            let Some(chunk) = chunk else { return Ok(()) };
            buffer.extend_from_slice(&chunk);
            while let Some(end) = memchr(b'\n', &buffer) {
                let line = buffer.split_to(end);
                buffer.advance(1);
                if !line.trim_ascii().is_empty() {
                    self.take(&line, progress)?;
                }
            }
            if buffer.len() > EVENT_BYTES_MAX {
                // It cannot be passed over, so the watch can only be made good by a list.
                progress.version = None;
                return Err(SourceError::TooLarge(EVENT_BYTES_MAX));
            }
        }
    }

    fn take(&self, line: &[u8], progress: &mut Progress) -> Result<(), SourceError> {
        let event = match WatchEvent::parse(line) {
            Ok(event) => event,
            Err(error) => {
                // The event is lost, so the watch can only be made good by a list.
                progress.version = None;
                return Err(SourceError::Malformed(error));
            }
        };
        let version = match event {
            WatchEvent::Put(pod) => {
                let version = pod.version().map(str::to_owned);
                self.feed.put(*pod);
                version
            }
            WatchEvent::Deleted(pod) => {
                let version = pod.version().map(str::to_owned);
                if let Some(uid) = pod.metadata.and_then(|metadata| metadata.uid) {
                    self.feed.remove(&uid);
                }
                version
            }
            WatchEvent::Bookmark(version) => version,
            WatchEvent::Error(status) if status.code == Some(GONE) => {
                return Err(SourceError::Expired);
            }
            WatchEvent::Error(status) => {
                let text = status.message.or(status.reason).unwrap_or_default();
                return Err(SourceError::Ended(text));
            }
            WatchEvent::Other => None,
        };
        progress.moved = true;
        if let Some(version) = version {
            progress.version = Some(version);
        }
        self.feed.heard();
        Ok(())
    }
}
