//! The state that survives a restart: one versioned JSON document.
//!
//! ```text
//! {"version": 1,
//!  "rules": [{"group": "file;name", "rule": "Name", "expr": "..", "labels": {..}, "alerts": [{..}]}],
//!  "notifications": [{"group_key": .., "receiver": .., "integration": 0, "sent_at": ms,
//!                     "firing": ["16 hex digits"], "resolved": [..]}]}
//! ```
//! Times are Unix milliseconds; values are text, so that NaN and infinities survive. A document of another
//! version is refused, never guessed at.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vervet_model::{Labels, UnixMillis};

use crate::alert::{ActiveAlert, AlertState};
use crate::notify::LogEntry;
use crate::rule_file::TextMap;

const VERSION: u32 = 1;

/// Keeps the state document. Calls may block; they are made from blocking threads.
pub trait StateStore: Send + Sync + 'static {
    /// The last document saved; `None` when there has been none.
    ///
    /// # Errors
    /// The document exists and cannot be read.
    fn load(&self) -> Result<Option<Vec<u8>>, StateError>;

    /// Replaces the document, durably and atomically.
    ///
    /// # Errors
    /// The old document is still in place; the manager tries again after the next evaluation.
    fn save(&self, document: &[u8]) -> Result<(), StateError>;
}

/// The alert state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The medium failed; retry.
    #[error("alert state at {}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The document is no state document; a person must look at it. Starting without it would send
    /// every notification again.
    #[error("the alert state document is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Written by another release.
    #[error("the alert state document has version {found}, this program reads version {VERSION}")]
    Version { found: u32 },
    /// A store of another kind failed; retry.
    #[error("alert state: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The document in one file: written beside it, synced, renamed over it.
#[derive(Debug, Clone)]
pub struct FileStateStore {
    path: PathBuf,
}

impl FileStateStore {
    /// The directory must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn error(&self, source: io::Error) -> StateError {
        StateError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn replace(&self, document: &[u8]) -> io::Result<()> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let mut file = File::create(&temporary)?;
        file.write_all(document)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, &self.path)?;
        match self.path.parent().filter(|parent| *parent != Path::new("")) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl StateStore for FileStateStore {
    fn load(&self) -> Result<Option<Vec<u8>>, StateError> {
        match fs::read(&self.path) {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    fn save(&self, document: &[u8]) -> Result<(), StateError> {
        self.replace(document).map_err(|error| self.error(error))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct StateDocument {
    version: u32,
    pub(crate) rules: Vec<RuleEntry>,
    pub(crate) notifications: Vec<LogEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RuleEntry {
    pub(crate) group: String,
    pub(crate) rule: String,
    pub(crate) expr: String,
    pub(crate) labels: TextMap,
    pub(crate) alerts: Vec<AlertEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AlertEntry {
    labels: TextMap,
    annotations: TextMap,
    value: String,
    state: AlertState,
    active_at: i64,
    fired_at: Option<i64>,
    resolved_at: Option<i64>,
    keep_firing_since: Option<i64>,
}

impl StateDocument {
    pub(crate) fn new(rules: Vec<RuleEntry>, notifications: Vec<LogEntry>) -> Self {
        Self {
            version: VERSION,
            rules,
            notifications,
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        Ok(serde_json::to_vec(self)?)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(StateError::Version { found: version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl From<&ActiveAlert> for AlertEntry {
    fn from(alert: &ActiveAlert) -> Self {
        let labels = alert.labels.iter();
        Self {
            labels: labels
                .map(|l| (l.name.to_string(), l.value.to_string()))
                .collect(),
            annotations: alert.annotations.clone(),
            value: alert.value.to_string(),
            state: alert.state,
            active_at: alert.active_at.0,
            fired_at: alert.fired_at.map(|at| at.0),
            resolved_at: alert.resolved_at.map(|at| at.0),
            keep_firing_since: alert.keep_firing_since.map(|at| at.0),
        }
    }
}

impl From<AlertEntry> for ActiveAlert {
    fn from(entry: AlertEntry) -> Self {
        Self {
            labels: Labels::from_pairs(&entry.labels),
            annotations: entry.annotations,
            value: entry.value.parse().unwrap_or(f64::NAN),
            state: entry.state,
            active_at: UnixMillis(entry.active_at),
            fired_at: entry.fired_at.map(UnixMillis),
            resolved_at: entry.resolved_at.map(UnixMillis),
            keep_firing_since: entry.keep_firing_since.map(UnixMillis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_store_keeps_the_last_document() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = FileStateStore::new(dir.path().join("alerts.json"));
        assert_eq!(store.load().expect("loads"), None);
        store.save(b"one").expect("saves");
        store.save(b"two").expect("saves");
        assert_eq!(
            store.load().expect("loads").as_deref(),
            Some(b"two".as_slice())
        );
        let names = fs::read_dir(dir.path()).expect("lists").count();
        assert_eq!(names, 1, "no temporary file is left");
    }

    #[test]
    fn alerts_survive_the_document_with_any_value() {
        for value in [1.5, f64::INFINITY, f64::NAN] {
            let alert = ActiveAlert {
                labels: Labels::from_pairs([("alertname", "A")]),
                annotations: TextMap::from([("a".to_owned(), "b".to_owned())]),
                value,
                state: AlertState::Firing,
                active_at: UnixMillis(1),
                fired_at: Some(UnixMillis(2)),
                resolved_at: None,
                keep_firing_since: Some(UnixMillis(3)),
            };
            let json = serde_json::to_vec(&AlertEntry::from(&alert)).expect("serialises");
            let entry: AlertEntry = serde_json::from_slice(&json).expect("parses");
            let back = ActiveAlert::from(entry);
            assert_eq!(back.value.to_bits(), value.to_bits());
            assert_eq!(
                ActiveAlert { value: 0.0, ..back },
                ActiveAlert {
                    value: 0.0,
                    ..alert
                }
            );
        }
    }
}
