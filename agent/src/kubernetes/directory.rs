//! The handle that everybody looks pods up with, and the one their source feeds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use globset::GlobSet;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::sync::Notify;
use vervet_model::{Clock, UnixMillis};

use super::ASKED_MAX;
use super::document::PodDocument;
use super::metrics::KubernetesMetrics;
use super::pod::{Pod, bare_id, parse_ip};
pub use super::policy::LogPolicy;
use super::store::Pods;

/// How long it is remembered that a pod was waited for in vain.
const ASKED_KEPT: Duration = Duration::from_secs(600);
/// Complaints of one kind in the agent's log are this far apart.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The pods of this node. Clones share it; the default knows none and waits for none.
#[derive(Clone, Default)]
pub struct PodDirectory(Option<Arc<Shared>>);

/// Whether a pod's metadata is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Known,
    /// It may come soon: what a new pod writes is better read a little later.
    Pending,
    /// It was waited for long enough, or nothing will come.
    GaveUp,
}

/// What a pod is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Uid(&'a str),
    /// With or without the runtime's name before it.
    Container(&'a str),
    Ip(IpAddr),
}

/// Why a resource got nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// It has no attribute that names a pod.
    NoPodKey,
    /// The source answers and names no such pod.
    UnknownPod,
    /// The pod was waited for in vain.
    TimedOut,
    /// The source does not answer.
    SourceDown,
}

/// How the source of pods is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// `kubelet` or `api`.
    pub source: &'static str,
    /// Where it is asked.
    pub endpoint: String,
    /// The last request was answered with what was asked for.
    pub up: bool,
    pub last_success_unix_millis: Option<i64>,
    pub last_error: Option<String>,
    pub last_error_unix_millis: Option<i64>,
    pub pods: usize,
    pub tombstones: usize,
    /// Counts changes of pods' metadata.
    pub generation: u64,
}

/// What a directory is made with.
#[derive(Clone)]
pub(crate) struct DirectorySettings {
    pub(crate) source: &'static str,
    pub(crate) endpoint: String,
    /// How long an unknown pod is waited for.
    pub(crate) wait: Duration,
    /// How long a pod that is gone is remembered.
    pub(crate) tombstones: Duration,
    /// Annotations to keep.
    pub(crate) annotations: GlobSet,
    pub(crate) metrics: KubernetesMetrics,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The source's end of a directory.
#[derive(Clone)]
pub(crate) struct PodFeed(Arc<Shared>);

struct Shared {
    settings: DirectorySettings,
    pods: RwLock<Pods>,
    /// That of `pods`, to be read without the lock.
    generation: AtomicU64,
    /// Unknown pods, and since when they are asked for.
    asked: Mutex<HashMap<String, Asked>>,
    state: Mutex<SourceState>,
    /// Somebody asked for a pod that is not known.
    wanted: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    since: Instant,
    given_up: bool,
}

#[derive(Debug, Default)]
struct SourceState {
    up: bool,
    last_success: Option<UnixMillis>,
    last_error: Option<(UnixMillis, String)>,
    error_logged: Option<Instant>,
    mistake_logged: Option<Instant>,
    /// When the request was sent whose answer named every pod that runs here.
    complete_as_of: Option<Instant>,
}

impl PodDirectory {
    /// Knows no pods and waits for none.
    pub fn none() -> Self {
        Self(None)
    }

    /// A directory, and what fills it. Tests fill it themselves.
    pub(crate) fn new(settings: DirectorySettings) -> (Self, PodFeed) {
        let shared = Arc::new(Shared {
            settings,
            pods: RwLock::default(),
            generation: AtomicU64::new(0),
            asked: Mutex::default(),
            state: Mutex::default(),
            wanted: Notify::new(),
        });
        (Self(Some(Arc::clone(&shared))), PodFeed(shared))
    }

    /// Changes whenever anything that is known of any pod changes. One atomic read.
    pub fn generation(&self) -> u64 {
        let shared = self.0.as_ref();
        shared.map_or(0, |shared| shared.generation.load(Ordering::Acquire))
    }

    /// The generation that brought what is known of this pod; `None` while nothing is. A resource that was made
    /// at an earlier one is out of date.
    pub fn generation_of(&self, uid: &str) -> Option<u64> {
        let pods = self.0.as_ref()?.pods.read();
        pods.by_uid(uid).map(|entry| entry.generation)
    }

    /// Whether a pod's metadata is there. An unknown one is pending for the configured wait from the first time
    /// it is asked for; then, or when the kubelet says that there is no such pod, it is given up.
    pub fn known(&self, uid: &str) -> Presence {
        self.0
            .as_ref()
            .map_or(Presence::GaveUp, |shared| shared.known(uid, Instant::now()))
    }

    /// How a container's logs are to be read, by its pod's annotations.
    pub fn log_policy(&self, uid: &str, container: &str) -> LogPolicy {
        let Some(shared) = &self.0 else {
            return LogPolicy::default();
        };
        let pods = shared.pods.read();
        pods.by_uid(uid)
            .map(|entry| entry.pod.policy(container))
            .unwrap_or_default()
    }

    /// How the source is doing; `None` when there is none.
    pub fn status(&self) -> Option<SourceStatus> {
        self.0.as_ref().map(|shared| shared.status())
    }

    /// The pod that goes by the first of the keys that leads to one, or why there is none. Counted.
    pub(crate) fn find(&self, keys: &[Key<'_>]) -> Result<Arc<Pod>, Miss> {
        let shared = self.0.as_ref().ok_or(Miss::NoPodKey)?;
        let metrics = &shared.settings.metrics;
        let found = shared.find(keys);
        match &found {
            Ok(_) => {
                metrics.found.inc();
            }
            Err(miss) => metrics.missed(*miss),
        }
        found
    }
}

impl Shared {
    fn find(&self, keys: &[Key<'_>]) -> Result<Arc<Pod>, Miss> {
        let first = keys.first().ok_or(Miss::NoPodKey)?;
        let found = {
            let pods = self.pods.read();
            let entry = keys.iter().find_map(|key| match key {
                Key::Uid(uid) => pods.by_uid(uid),
                Key::Container(id) => pods.by_container(bare_id(id)),
                Key::Ip(ip) => pods.by_ip(*ip),
            });
            entry.map(|entry| Arc::clone(&entry.pod))
        };
        found.ok_or_else(|| self.why_missing(first))
    }

    fn why_missing(&self, key: &Key<'_>) -> Miss {
        if !self.state.lock().up {
            return Miss::SourceDown;
        }
        match key {
            Key::Uid(uid) if self.asked.lock().get(*uid).is_some_and(|a| a.given_up) => {
                Miss::TimedOut
            }
            _ => Miss::UnknownPod,
        }
    }

    fn known(&self, uid: &str, now: Instant) -> Presence {
        let is_known = self.pods.read().by_uid(uid).is_some();
        let complete_as_of = self.state.lock().complete_as_of;
        let mut asked = self.asked.lock();
        if is_known {
            if asked.remove(uid).is_some_and(|asked| !asked.given_up) {
                self.settings.metrics.waited("known");
            }
            return Presence::Known;
        }
        if !asked.contains_key(uid) {
            if asked.len() >= ASKED_MAX {
                self.settings.metrics.waited("too_many");
                return Presence::GaveUp;
            }
            let first = Asked {
                since: now,
                given_up: false,
            };
            asked.insert(uid.to_owned(), first);
            self.wanted.notify_one();
        }
        let Some(entry) = asked.get_mut(uid) else {
            return Presence::GaveUp;
        };
        if entry.given_up {
            return Presence::GaveUp;
        }
        let outcome = if complete_as_of.is_some_and(|complete| complete > entry.since) {
            "unknown_pod"
        } else if now.saturating_duration_since(entry.since) >= self.settings.wait {
            "timed_out"
        } else {
            return Presence::Pending;
        };
        entry.given_up = true;
        self.settings.metrics.waited(outcome);
        Presence::GaveUp
    }

    fn status(&self) -> SourceStatus {
        let (live, gone, generation) = {
            let pods = self.pods.read();
            (pods.live(), pods.gone(), pods.generation())
        };
        let state = self.state.lock();
        let (at, error) = state.last_error.clone().unzip();
        SourceStatus {
            source: self.settings.source,
            endpoint: self.settings.endpoint.clone(),
            up: state.up,
            last_success_unix_millis: state.last_success.map(|at| at.0),
            last_error: error,
            last_error_unix_millis: at.map(|at| at.0),
            pods: live,
            tombstones: gone,
            generation,
        }
    }
}

impl PodFeed {
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
        let now = self.0.settings.clock.now().to_millis();
        let mut state = self.0.state.lock();
        state.last_success = Some(now);
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
        let now = self.0.settings.clock.now().to_millis();
        self.0.state.lock().last_success = Some(now);
    }

    /// Everything has to be listed anew.
    pub(super) fn expired(&self) {
        self.0.settings.metrics.requested("expired");
    }

    /// The source cannot be asked. What is known stays.
    pub(super) fn failed(&self, reason: &'static str, error: String) {
        let now = self.0.settings.clock.now().to_millis();
        let mut state = self.0.state.lock();
        if is_due(&mut state.error_logged) {
            tracing::warn!(endpoint = %self.0.settings.endpoint, error, "source of pods does not answer");
        }
        state.up = false;
        state.last_error = Some((now, error));
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

impl<'a> Key<'a> {
    /// The address as a key; `None` when it is none.
    pub(crate) fn ip(text: &'a str) -> Option<Self> {
        parse_ip(text).map(Self::Ip)
    }
}

impl Miss {
    /// The value of the label `reason`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoPodKey => "no_pod_key",
            Self::UnknownPod => "unknown_pod",
            Self::TimedOut => "timed_out",
            Self::SourceDown => "source_down",
        }
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

impl std::fmt::Debug for PodDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PodDirectory").field(&self.status()).finish()
    }
}
