//! Files that were deleted before they could be opened: what stood in them is lost. They are counted, and told of at most once
//! a minute.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Tailer;
use crate::receivers::filelog::file::TailedFile;

/// Time between two lines of the log.
const TOLD_INTERVAL: Duration = Duration::from_secs(60);

/// Those that nothing was said of.
#[derive(Default)]
pub(super) struct Missed {
    files: u64,
    last: PathBuf,
    told_at: Option<Instant>,
}

impl Tailer {
    /// A file came under that name and is gone.
    pub(super) fn missed(&mut self, path: PathBuf) {
        // What is refused under a name is nobody's loss.
        if self.discovery.wants(&path) && !self.discovery.has_refused(&path) {
            self.counts.missed_files.inc();
            self.missed.files += 1;
            self.missed.last = path;
            self.has_news = true;
        }
    }

    /// A file is given up that was found, and that is gone without ever having been opened or looked at.
    pub(super) fn miss_unseen(&mut self, file: &TailedFile) {
        let is_seen = file.has_descriptor() || file.is_known() || file.seen_modified() > 0;
        if !is_seen && file.gone_at.is_some() {
            self.missed(PathBuf::from(&file.first_name));
        }
    }

    pub(super) fn tell_of_missed(&mut self, now: Instant) {
        let told_at = self.missed.told_at;
        let is_due = told_at.is_none_or(|at| now.duration_since(at) >= TOLD_INTERVAL);
        if self.missed.files > 0 && is_due {
            self.missed.told_at = Some(now);
            self.tell_of_all_missed();
        }
    }

    pub(super) fn tell_of_all_missed(&mut self) {
        if self.missed.files > 0 {
            tracing::warn!(
                files = std::mem::take(&mut self.missed.files),
                last = %self.missed.last.display(),
                "files were deleted before they could be opened, what they held is lost"
            );
        }
    }
}
