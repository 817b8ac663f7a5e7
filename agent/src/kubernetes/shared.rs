//! What a directory and its source have in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::ASKED_MAX;
use super::directory::{DirectorySettings, Key, Miss, Presence, SourceStatus};
use super::pod::{Pod, bare_id};
use super::store::Pods;

pub(super) struct Shared {
    pub(super) settings: DirectorySettings,
    pub(super) pods: RwLock<Pods>,
    /// That of `pods`, to be read without the lock.
    pub(super) generation: AtomicU64,
    /// Unknown pods, and since when they are asked for.
    pub(super) asked: Mutex<HashMap<String, Asked>>,
    pub(super) state: Mutex<SourceState>,
    /// Somebody asked for a pod that is not known.
    pub(super) wanted: Notify,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) since: Instant,
    pub(super) given_up: bool,
}

#[derive(Debug, Default)]
pub(super) struct SourceState {
    pub(super) up: bool,
    pub(super) last_success: Option<Instant>,
    pub(super) last_error: Option<(Instant, String)>,
    pub(super) error_logged: Option<Instant>,
    pub(super) mistake_logged: Option<Instant>,
    /// When the request was sent whose answer named every pod that runs here.
    pub(super) complete_as_of: Option<Instant>,
}

impl Shared {
    pub(super) fn new(settings: DirectorySettings) -> Self {
        Self {
            settings,
            pods: RwLock::default(),
            generation: AtomicU64::new(0),
            asked: Mutex::default(),
            state: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    pub(super) fn find(&self, keys: &[Key<'_>]) -> Result<Arc<Pod>, Miss> {
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

    pub(super) fn known(&self, uid: &str, now: Instant) -> Presence {
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

    pub(super) fn status(&self) -> SourceStatus {
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
            since_success_seconds: state.last_success.map(seconds_since),
            last_error: error,
            since_error_seconds: at.map(seconds_since),
            pods: live,
            tombstones: gone,
            generation,
        }
    }
}

fn seconds_since(at: Instant) -> u64 {
    at.elapsed().as_secs()
}
