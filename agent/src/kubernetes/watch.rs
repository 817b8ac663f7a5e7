//! Lists objects at the API server, this node's pods for example, and watches them from there on.
//!
//! A watch that ends is taken up again from the last version seen; when that has expired (410), everything is
//! listed anew. A list has at most [`PAGES_MAX`] pages and [`LIST_BYTES_MAX`] bytes. A watch over which nothing has come for a while, not even a bookmark, is taken for dead.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use memchr::memchr;
use serde::de::DeserializeOwned;

use super::client::{SourceClient, SourceError, next_chunk};
use super::document::{List, NoList, ObjectDocument, Page, PodDocument, WatchEvent, version};
use super::source::{Backoff, parse};
use super::{BODY_BYTES_MAX, EVENT_BYTES_MAX, PODS_MAX, PodFeed};
use crate::agent::with_causes;

/// Objects a page of a list.
const PAGE_OBJECTS: &str = "500";
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

/// Who is told of the objects.
pub(crate) trait ObjectFeed: Send {
    type Document: ObjectDocument + DeserializeOwned + Send + 'static;
    /// Objects of one list, at most.
    const OBJECTS_MAX: usize;

    /// All objects there are.
    fn replace(&self, documents: Vec<Self::Document>);
    /// One that is new or has changed.
    fn put(&self, document: Self::Document);
    /// One that is gone.
    fn remove(&self, document: Self::Document);
    /// The server has answered with what was asked for.
    fn succeeded(&self);
    /// Something came over the watch.
    fn heard(&self);
    /// Everything has to be listed anew.
    fn expired(&self);
    /// The server cannot be asked. What is known stays.
    fn failed(&self, reason: &'static str, error: String);
}

impl ObjectFeed for PodFeed {
    type Document = PodDocument;
    const OBJECTS_MAX: usize = PODS_MAX;

    fn replace(&self, documents: Vec<PodDocument>) {
        PodFeed::replace(self, documents, None);
    }

    fn put(&self, document: PodDocument) {
        PodFeed::put(self, document);
    }

    fn remove(&self, document: PodDocument) {
        if let Some(uid) = document.metadata.and_then(|metadata| metadata.uid) {
            PodFeed::remove(self, &uid);
        }
    }

    fn succeeded(&self) {
        PodFeed::succeeded(self);
    }

    fn heard(&self) {
        PodFeed::heard(self);
    }

    fn expired(&self) {
        PodFeed::expired(self);
    }

    fn failed(&self, reason: &'static str, error: String) {
        PodFeed::failed(self, reason, error);
    }
}

/// Keeps a feed up to date.
pub(crate) struct Watch<F> {
    pub(crate) client: SourceClient,
    pub(crate) feed: F,
    /// The path of the collection: `/api/v1/pods`.
    pub(crate) path: String,
    /// `fieldSelector` and `labelSelector`, as far as there are any.
    pub(crate) selectors: Vec<(&'static str, String)>,
}

/// How far the objects are known.
struct Progress {
    version: Option<String>,
    /// Something came since the last pause.
    moved: bool,
    /// The server's cache may answer a list: it knows less than the whole, but costs it little.
    cached: bool,
}

impl<F: ObjectFeed> Watch<F> {
    /// Runs for ever.
    pub(crate) async fn run(mut self) {
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
                    self.feed.failed(error.reason(), with_causes(&error));
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

    /// Learns of all objects: the version that is then known.
    async fn list(&mut self, cached: bool) -> Result<String, SourceError> {
        let mut objects: Vec<F::Document> = Vec::new();
        let mut next: Option<String> = None;
        let mut bytes = 0;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE_OBJECTS)];
            match &next {
                Some(next) => query.push(("continue", next)),
                None if cached => query.push(("resourceVersion", "0")),
                None => {}
            }
            let query = with_selectors(&self.selectors, &query);
            let body = self.client.document(&self.path, &query).await?;
            bytes += body.len();
            if bytes > LIST_BYTES_MAX {
                return Err(SourceError::TooLarge(LIST_BYTES_MAX));
            }
            let list: List<F::Document> = parse(body).await?;
            let page = Page::try_from(list)?;
            objects.extend(page.objects);
            next = page.next;
            if next.is_none() {
                let version = page.version.ok_or(NoList(F::Document::LIST_KIND))?;
                self.feed.replace(objects);
                self.feed.succeeded();
                return Ok(version);
            }
            // Half a list would make the other half's objects look gone.
            if objects.len() > F::OBJECTS_MAX {
                return Err(SourceError::TooMany(F::OBJECTS_MAX));
            }
        }
        Err(SourceError::TooManyPages(PAGES_MAX))
    }

    async fn watch(&mut self, version: &str, progress: &mut Progress) -> Result<(), SourceError> {
        let query = [
            ("watch", "1"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
        ];
        let query = with_selectors(&self.selectors, &query);
        let mut response = self.client.stream(&self.path, &query).await?;
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
        let event = match WatchEvent::<F::Document>::parse(line) {
            Ok(event) => event,
            Err(error) => {
                // The event is lost, so the watch can only be made good by a list.
                progress.version = None;
                return Err(SourceError::Malformed(error));
            }
        };
        let version = match event {
            WatchEvent::Put(object) => {
                let version = version(&*object).map(str::to_owned);
                self.feed.put(*object);
                version
            }
            WatchEvent::Deleted(object) => {
                let version = version(&*object).map(str::to_owned);
                self.feed.remove(*object);
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

fn with_selectors<'q>(
    selectors: &'q [(&'static str, String)],
    query: &[(&'q str, &'q str)],
) -> Vec<(&'q str, &'q str)> {
    let selectors = selectors.iter().map(|(name, text)| (*name, text.as_str()));
    selectors.chain(query.iter().copied()).collect()
}
