//! Whether the files of the buffer are where they should be, and take something.

use tokio::time::Instant;
use vervet_journal::JournalError;

use super::{BufferWriter, LOOK_INTERVAL, STORING};
use crate::agent::with_causes;
use crate::buffer::blocking;
use crate::health::Want;

/// What is tried to be written to a disk that took nothing: more than most batches.
const PROBE_BYTES: usize = 1 << 20;

impl BufferWriter {
    /// Looks after the files. Whoever was refused may not come back to find out that the disk takes something again.
    pub(super) async fn look(&mut self) {
        self.next_look = Instant::now() + LOOK_INTERVAL;
        let health = &self.parts.health;
        let was_refused = health.wants() == Want::Volume || !health.faults().is_empty();
        let is_idle = self.pending.is_empty();
        let journal = self.journal.clone();
        let looked = blocking(move || {
            // One that is closed is where it was; with nothing to append nobody else tries to open it.
            if journal.stats().poisoned && is_idle {
                journal.mend()?;
            }
            journal.look()?;
            match was_refused && is_idle {
                true => journal.probe_volume(PROBE_BYTES).map(|()| true),
                false => Ok(false),
            }
        });
        let looked = looked.await;
        self.store_positions_again().await;
        match looked {
            Ok(false) => {}
            Ok(true) => {
                self.failed_attempts = 0;
                self.parts.health.moved();
                self.parts.health.works(STORING);
            }
            // It is complained of as that.
            Err(JournalError::NoSpace { .. }) => {}
            Err(error) => {
                let told = Some(with_causes(&error));
                self.parts.health.fails(STORING, told);
            }
        }
    }

    /// Where files were put back, those of the cursors are gone, too, and come back with the next commits.
    async fn store_positions_again(&mut self) {
        let put_back = self.journal.stats().put_back;
        if put_back == self.put_back {
            return;
        }
        self.put_back = put_back;
        let books = &self.parts.books;
        let exporters = books.exporters();
        exporters.iter().for_each(|name| books.not_stored(name));
        // So that they look.
        self.parts.booked.send_modify(|_same| {});
        self.store_positions().await;
    }
}
