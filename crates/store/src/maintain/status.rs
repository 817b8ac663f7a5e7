//! What there is to do and what is left alone.

use std::path::Path;
use std::sync::Arc;

use vervet_model::UnixNanos;

use super::Debt;
use crate::Store;

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub path: Arc<Path>,
    pub reason: String,
    /// When it was last tried.
    pub since: UnixNanos,
}

/// The state of the upkeep, as of its last steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpkeepStatus {
    /// What compaction is to merge.
    pub debt: Debt,
    /// Files that were replaced or dropped and are not deleted yet.
    pub waiting_files: u64,
    pub waiting_bytes: u64,
    /// Files that compaction leaves alone because it cannot read them.
    pub set_aside: Vec<SetAside>,
}

impl Store {
    /// What the upkeep has found.
    pub fn upkeep_status(&self) -> UpkeepStatus {
        let memory = self.0.upkeep.memory.lock();
        UpkeepStatus {
            debt: memory.debt,
            waiting_files: memory.waiting.waiting_files,
            waiting_bytes: memory.waiting.waiting_bytes,
            set_aside: memory.set_aside.values().cloned().collect(),
        }
    }
}
