//! Deletes files that were replaced or dropped, once nobody reads them.
//!
//! A query of this process holds the files of its cut; a reader of the catalog that is another process is
//! given the grace of the configuration.

use vervet_model::UnixNanos;

use crate::catalog::Reclaimed;
use crate::{Store, StoreError};

impl Store {
    /// Deletes the files that left the catalog before the grace began and that no query reads. Blocks.
    ///
    /// # Errors
    /// The catalog failed or a file could not be deleted; what is left is tried again at the next call.
    pub fn reclaim(&self, now: UnixNanos) -> Result<Reclaimed, StoreError> {
        let _one_at_a_time = self.0.upkeep.step.lock();
        let held = {
            let mut committer = self.0.committer.lock();
            // A view that lags behind the catalog may show files that ended.
            self.0.show_stale(&mut committer)?;
            committer.held()
        };
        let before = now.saturating_sub(self.0.config.upkeep.reader_grace);
        let reclaimed = self.0.catalog.reclaim(before, &held)?;
        self.0.upkeep.memory.lock().waiting = reclaimed;
        Ok(reclaimed)
    }
}
