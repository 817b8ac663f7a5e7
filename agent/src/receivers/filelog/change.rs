//! Another configuration for a receiver at work.
//!
//! The thread that reads takes it over between two rounds, with every file, place, watch and descriptor it has: there is
//! no moment in which nobody looks.

use std::sync::Arc;

use parking_lot::Mutex;

use super::FilelogConfig;
use crate::kubernetes::PodDirectory;
use crate::pipeline::SignalSet;
use crate::processors::Chains;

/// What a receiver is to become.
pub(crate) struct Change {
    pub(crate) config: FilelogConfig,
    pub(crate) chains: Chains,
    pub(crate) pods: PodDirectory,
    pub(crate) resource: Vec<(String, String)>,
    /// What its pipelines take.
    pub(crate) signals: SignalSet,
}

/// Where a change is left for the receiver; a newer one takes the place of one that was not taken yet.
#[derive(Clone, Default)]
pub(crate) struct ChangeSlot(Arc<Mutex<Option<Box<Change>>>>);

impl ChangeSlot {
    pub(crate) fn put(&self, change: Change) {
        *self.0.lock() = Some(Box::new(change));
    }

    pub(super) fn take(&self) -> Option<Box<Change>> {
        self.0.lock().take()
    }
}
