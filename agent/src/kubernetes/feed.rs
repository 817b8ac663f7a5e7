//! The source's end of a directory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::document::PodDocument;
use super::pod::Pod;
use super::shared::Shared;
use super::store::Pods;

/// How long it is remembered that a pod was waited for in vain.
const ASKED_KEPT: Duration = Duration::from_secs(600);
/// Complaints of one kind in the agent's log are this far apart.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Tells a directory what the source says.
#[derive(Clone)]
pub(crate) struct PodFeed(Arc<Shared>);

impl PodFeed {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// All pods there are. `complete_as_of` tells when the question was sent, if every pod that ran then is
    /// certain to be in the answer.
    pub(super) fn replace(&self, documents: Vec<PodDocument>, complete_as_of: Option<Instant>) {
        let named = documents.len();
        let pods: Vec<Pod> = documents
            .into_iter()
            .filter_map(|document| self.read(document))
            .collect();
        let incomplete = named - pods.len();
        let over = self.change(|known| known.replace(pods, Instant::now()));
        let refused = u64::try_from(incomplete + over).unwrap_or(u64::MAX);
        self.0.settings.metrics.refused_pods.inc_by(refused);
        if complete_as_of.is_some() {
            self.0.state.lock().complete_as_of = complete_as_of;
        }
    }

    /// A pod that is new or has changed.
    pub(super) fn put(&self, document: PodDocument) {
        self.0.settings.metrics.events.inc();
        let has_room = match self.read(document) {
            Some(pod) => self.change(|known| known.put(pod)),
            None => false,
        };
        if !has_room {
            self.0.settings.metrics.refused_pods.inc();
        }
    }

    /// A pod that is gone.
    pub(super) fn remove(&self, uid: &str) {
        self.0.settings.metrics.events.inc();
        self.change(|known| known.remove(uid, Instant::now()));
    }

    /// The source has answered with what was asked for.
    pub(super) fn succeeded(&self) {
        let mut state = self.0.state.lock();
        state.last_success = Some(Instant::now());
        if !state.up {
            state.up = true;
            state.error_logged = None;
            tracing::info!(endpoint = %self.0.settings.endpoint, "source of pods answers");
        }
        drop(state);
        self.0.settings.metrics.requested("ok");
        self.0.settings.metrics.up.set(1);
    }

    /// Something came over a watch.
    pub(super) fn heard(&self) {
        self.0.state.lock().last_success = Some(Instant::now());
    }

    /// Everything has to be listed anew.
    pub(super) fn expired(&self) {
        self.0.settings.metrics.requested("expired");
    }

    /// The source cannot be asked. What is known stays.
    pub(super) fn failed(&self, reason: &'static str, error: String) {
        let mut state = self.0.state.lock();
        if is_due(&mut state.error_logged) {
            tracing::warn!(endpoint = %self.0.settings.endpoint, error, "source of pods does not answer");
        }
        state.up = false;
        state.last_error = Some((Instant::now(), error));
        drop(state);
        self.0.settings.metrics.requested(reason);
        self.0.settings.metrics.up.set(0);
    }

    /// Resolves when a pod that is not known was asked for since the last time.
    pub(super) async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// Forgets what is old.
    pub(super) fn expire(&self, now: Instant) {
        let kept = self.0.settings.tombstones;
        self.change(|known| known.expire(now, kept));
        self.0
            .asked
            .lock()
            .retain(|_, asked| now.saturating_duration_since(asked.since) < ASKED_KEPT);
    }

    fn read(&self, document: PodDocument) -> Option<Pod> {
        let pod = Pod::from_document(document, &self.0.settings.annotations)?;
        let mistakes = &pod.wishes.mistakes;
        if !mistakes.is_empty() {
            let pods = self.0.pods.read();
            let before = pods.by_uid(&pod.uid).map(|entry| &entry.pod.wishes);
            if before.is_none_or(|before| before.mistakes != *mistakes) {
                self.0.settings.metrics.annotation_mistakes.inc();
                if is_due(&mut self.0.state.lock().mistake_logged) {
                    tracing::warn!(namespace = %pod.namespace, pod = %pod.name, ?mistakes, "pod asks for what is not known");
                }
            }
        }
        Some(pod)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Pods) -> T) -> T {
        let mut pods = self.0.pods.write();
        let result = change(&mut pods);
        self.0
            .generation
            .store(pods.generation(), Ordering::Release);
        let metrics = &self.0.settings.metrics;
        metrics.pods.set(signed(pods.live()));
        metrics.tombstones.set(signed(pods.gone()));
        result
    }
}

fn is_due(logged: &mut Option<Instant>) -> bool {
    let due = logged.is_none_or(|at| at.elapsed() > LOG_INTERVAL);
    if due {
        *logged = Some(Instant::now());
    }
    due
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
