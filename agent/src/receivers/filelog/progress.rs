//! How far each `filelog` receiver has read its files: what the tailers tell, for the status, the metrics and readiness.
//!
//! In: [`FilelogProgress::update`] with all files of one receiver, about once a second and also while it waits for room.
//! Out: [`FilelogProgress::snapshot`]. Memory: the [`FILES_MAX`] files that are furthest behind by receiver, and totals.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;

use crate::figures::bytes;
use crate::health::STUCK_AFTER;

/// Files kept by name of one receiver, at most: those furthest behind.
pub const FILES_MAX: usize = 100;
/// Globs named in a warning.
const GLOBS_TOLD_MAX: usize = 5;

/// One file as its tailer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileView<'a> {
    pub path: &'a str,
    /// Bytes in the file, as last looked at.
    pub size: u64,
    /// The next byte to read.
    pub offset: u64,
    /// Bytes not read yet; of a compressed file, compressed bytes.
    pub behind_bytes: u64,
    /// How its lines are read.
    pub format: &'a str,
    /// It has another name than the one it was found under.
    pub rotated: bool,
    /// No glob finds it any more.
    pub gone: bool,
    /// It has no name at all any more.
    pub deleted: bool,
    /// The last attempt to read it failed, and it is tried again.
    pub unreadable: bool,
}

/// One file that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStatus {
    pub receiver: String,
    pub path: String,
    pub size: u64,
    pub offset: u64,
    pub behind_bytes: u64,
    pub format: String,
    pub rotated: bool,
    /// No glob finds it any more; it may exist under another name.
    #[serde(rename = "outside_globs")]
    pub gone: bool,
    /// It has no name at all any more.
    pub deleted: bool,
}

/// All files of one receiver together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FileTotals {
    pub files: u64,
    pub behind_files: u64,
    pub behind_bytes: u64,
    pub rotated: u64,
    #[serde(rename = "outside_globs")]
    pub gone: u64,
    /// Of the bytes behind, those of deleted files: a stop would lose them.
    pub lost_by_stop_bytes: u64,
    /// Files that could not be read and are tried again.
    pub unreadable: u64,
    /// Folders of the globs that were there and are gone.
    pub folders_gone: u64,
    /// Bytes of OTLP that were read of files that are gone since and that wait for room in the buffer: a stop that finds
    /// none would lose them.
    pub waiting_lost_by_stop_bytes: u64,
}

/// What is known of all receivers' files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FilesStatus {
    /// By receiver.
    pub totals: BTreeMap<String, FileTotals>,
    /// Those furthest behind, the furthest first; at most [`FILES_MAX`].
    pub files: Vec<FileStatus>,
    /// Globs that match no file yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_files: Vec<GlobStatus>,
}

/// A glob that matches no file yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GlobStatus {
    pub receiver: String,
    pub glob: String,
}

/// The table. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FilelogProgress(Arc<Mutex<BTreeMap<String, Receiver>>>);

#[derive(Debug, Default)]
struct Receiver {
    totals: FileTotals,
    /// Furthest behind first.
    files: Vec<FileStatus>,
    /// Globs that match no file yet, and of how many.
    without_files: Vec<String>,
    globs: usize,
    /// Links that globs match and that are not followed.
    links_refused: u64,
    folders_gone: Vec<String>,
    /// Changes whenever anything was read.
    offsets: u64,
    /// Since when there are bytes behind and nothing is read.
    stands_since: Option<Instant>,
}

impl FilelogProgress {
    /// Replaces what is known of one receiver's files by all it follows now.
    pub fn update<'a>(&self, receiver: &str, files: impl IntoIterator<Item = FileView<'a>>) {
        self.update_at(receiver, files, Instant::now());
    }

    fn update_at<'a>(
        &self,
        receiver: &str,
        files: impl IntoIterator<Item = FileView<'a>>,
        now: Instant,
    ) {
        let (mut totals, mut offsets) = (FileTotals::default(), 0_u64);
        let mut furthest: BinaryHeap<Reverse<(u64, Ranked<'a>)>> = BinaryHeap::new();
        for file in files {
            totals.add(&file);
            offsets = offsets.wrapping_add(file.offset);
            let least = furthest.peek().map_or(0, |Reverse((behind, _))| *behind);
            if furthest.len() < FILES_MAX || file.behind_bytes > least {
                furthest.push(Reverse((file.behind_bytes, Ranked(file))));
                if furthest.len() > FILES_MAX {
                    furthest.pop();
                }
            }
        }
        let furthest = furthest.into_sorted_vec();
        let files = furthest
            .into_iter()
            .map(|Reverse((_, Ranked(file)))| FileStatus::new(receiver, &file));
        let files = files.collect();
        let mut receivers = self.0.lock();
        let known = receivers.entry(receiver.to_owned()).or_default();
        let moved = known.offsets != offsets || known.totals.files != totals.files;
        known.stands_since = match known.stands_since {
            _ if totals.behind_bytes == 0 => None,
            Some(since) if !moved => Some(since),
            _ => Some(now),
        };
        totals.folders_gone = known.folders_gone.len() as u64;
        (known.totals, known.files, known.offsets) = (totals, files, offsets);
    }

    /// So much that was read of files that are gone waits for room in the buffer.
    pub fn loses(&self, receiver: &str, waiting_bytes: u64) {
        if let Some(known) = self.0.lock().get_mut(receiver) {
            known.totals.waiting_lost_by_stop_bytes = waiting_bytes;
        }
    }

    /// Of so many `globs` of a receiver these match no file yet.
    pub fn waits_for(&self, receiver: &str, without_files: Vec<String>, globs: usize) {
        let mut receivers = self.0.lock();
        if without_files.is_empty() && !receivers.contains_key(receiver) {
            return;
        }
        let known = receivers.entry(receiver.to_owned()).or_default();
        (known.without_files, known.globs) = (without_files, globs);
    }

    /// So many links that the globs of a receiver match are not followed.
    pub fn refuses(&self, receiver: &str, links: u64) {
        if let Some(known) = self.0.lock().get_mut(receiver) {
            known.links_refused = links;
        }
    }

    /// These folders of its globs were there and are gone.
    pub fn lacks(&self, receiver: &str, folders: Vec<String>) {
        let mut receivers = self.0.lock();
        let known = receivers.entry(receiver.to_owned()).or_default();
        known.totals.folders_gone = folders.len() as u64;
        known.folders_gone = folders;
    }

    /// Forgets a receiver that has ended.
    pub fn remove(&self, receiver: &str) {
        self.0.lock().remove(receiver);
    }

    /// What is known now.
    pub fn snapshot(&self) -> FilesStatus {
        let receivers = self.0.lock();
        let mut files: Vec<FileStatus> = receivers
            .values()
            .flat_map(|receiver| receiver.files.iter().cloned())
            .collect();
        files.sort_by(|one, other| {
            other
                .behind_bytes
                .cmp(&one.behind_bytes)
                .then_with(|| one.path.cmp(&other.path))
        });
        files.truncate(FILES_MAX);
        let totals = receivers
            .iter()
            .map(|(name, receiver)| (name.clone(), receiver.totals));
        let without_files = receivers.iter().flat_map(|(name, receiver)| {
            let globs = receiver.without_files.iter();
            globs.map(|glob| GlobStatus {
                receiver: name.clone(),
                glob: glob.clone(),
            })
        });
        FilesStatus {
            totals: totals.collect(),
            files,
            without_files: without_files.take(FILES_MAX).collect(),
        }
    }

    /// The totals by receiver.
    pub fn totals(&self) -> Vec<(String, FileTotals)> {
        let receivers = self.0.lock();
        receivers
            .iter()
            .map(|(name, receiver)| (name.clone(), receiver.totals))
            .collect()
    }

    /// The receivers that have found no file, and those that hold the only descriptors of bytes they have not read yet, or
    /// the only copy of lines that are not stored yet.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.without_files();
        warnings.extend(self.without_folders());
        let totals = self.totals().into_iter();
        for (name, totals) in totals {
            let told = [
                (totals.lost_by_stop_bytes, "not read yet"),
                (
                    totals.waiting_lost_by_stop_bytes,
                    "read and waiting for room in the buffer",
                ),
            ];
            let told = told.into_iter().filter(|(lost, _)| *lost > 0);
            warnings.extend(told.map(|(lost, how)| {
                let lost = bytes(lost as f64);
                format!("receiver {name}: a stop now would lose {lost} of deleted files, {how}")
            }));
        }
        let totals = self.totals().into_iter();
        let unreadable = totals.filter(|(_, totals)| totals.unreadable > 0);
        warnings.extend(unreadable.map(|(name, totals)| {
            let FileTotals {
                unreadable, files, ..
            } = totals;
            format!(
                "receiver {name}: {unreadable} of {files} files cannot be read, the log says why; they are tried again"
            )
        }));
        warnings
    }

    /// The receivers that had folders which are gone.
    fn without_folders(&self) -> Vec<String> {
        let receivers = self.0.lock();
        let lacking = receivers
            .iter()
            .filter(|(_, receiver)| !receiver.folders_gone.is_empty());
        let told = lacking.map(|(name, receiver)| {
            let folders = receiver.folders_gone.iter().take(GLOBS_TOLD_MAX);
            let folders: Vec<&str> = folders.map(String::as_str).collect();
            let folders = folders.join(", ");
            format!("receiver {name}: gone, with the logs in it: {folders}")
        });
        told.collect()
    }

    /// The receivers of whose globs none has matched a file yet. Of several globs some may be for other machines.
    fn without_files(&self) -> Vec<String> {
        let receivers = self.0.lock();
        let without = receivers.iter().filter(|(_, receiver)| {
            receiver.globs > 0 && receiver.without_files.len() == receiver.globs
        });
        let told = without.map(|(name, receiver)| {
            let shown = receiver.without_files.iter().take(GLOBS_TOLD_MAX);
            let shown: Vec<&str> = shown.map(String::as_str).collect();
            let more = receiver.without_files.len() - shown.len();
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let globs = shown.join(", ");
            match receiver.links_refused {
                0 => format!("receiver {name}: matches no file yet: {globs}{more}"),
                links => format!(
                    "receiver {name}: reads no file: {globs}{more}; {links} links that match lead elsewhere and are not \
                     followed, `link_roots` names folders that links may lead to"
                ),
            }
        });
        told.collect()
    }

    /// The receivers that have bytes to read and have read none for [`STUCK_AFTER`].
    pub(crate) fn complaints(&self, now: Instant) -> Vec<String> {
        let receivers = self.0.lock();
        let stuck = receivers.iter().filter_map(|(name, receiver)| {
            let stood = now.saturating_duration_since(receiver.stands_since?);
            let behind = receiver.totals.behind_bytes;
            (stood > STUCK_AFTER).then(|| {
                format!(
                    "receiver {name}: {behind} bytes behind, nothing has been read for {} s",
                    stood.as_secs()
                )
            })
        });
        stuck.collect()
    }
}

impl FileTotals {
    fn add(&mut self, file: &FileView<'_>) {
        self.files += 1;
        self.behind_files += u64::from(file.behind_bytes > 0);
        self.behind_bytes = self.behind_bytes.saturating_add(file.behind_bytes);
        self.rotated += u64::from(file.rotated);
        self.gone += u64::from(file.gone);
        self.unreadable += u64::from(file.unreadable);
        if file.deleted {
            self.lost_by_stop_bytes = self.lost_by_stop_bytes.saturating_add(file.behind_bytes);
        }
    }
}

impl FileStatus {
    fn new(receiver: &str, file: &FileView<'_>) -> Self {
        Self {
            receiver: receiver.to_owned(),
            path: file.path.to_owned(),
            size: file.size,
            offset: file.offset,
            behind_bytes: file.behind_bytes,
            format: file.format.to_owned(),
            rotated: file.rotated,
            gone: file.gone,
            deleted: file.deleted,
        }
    }
}

/// A file among those equally far behind: the first path comes first.
#[derive(PartialEq, Eq)]
struct Ranked<'a>(FileView<'a>);

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.path.cmp(self.0.path)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn file(path: &str, offset: u64, size: u64) -> FileView<'_> {
        FileView {
            path,
            size,
            offset,
            behind_bytes: size - offset,
            format: "cri",
            rotated: false,
            gone: path.contains("gone"),
            deleted: false,
            unreadable: path.contains("unreadable"),
        }
    }

    #[test]
    fn folders_that_are_gone_are_a_warning_until_they_are_back() {
        let progress = FilelogProgress::default();
        progress.update("files", [file("/a", 1, 1)]);
        progress.lacks("files", vec!["/var/log/app".to_owned()]);
        progress.update("files", []);
        assert_eq!(
            progress.warnings(),
            ["receiver files: gone, with the logs in it: /var/log/app"]
        );
        assert_eq!(progress.totals()[0].1.folders_gone, 1);
        progress.lacks("files", Vec::new());
        assert!(progress.warnings().is_empty());
        assert_eq!(progress.totals()[0].1.folders_gone, 0);
    }

    #[test]
    fn files_that_cannot_be_read_are_a_warning() {
        let progress = FilelogProgress::default();
        progress.update("host", [file("/a", 0, 10)]);
        assert_eq!(progress.warnings(), [""; 0]);
        progress.update("host", [file("/unreadable", 0, 10), file("/a", 0, 10)]);
        assert_eq!(
            progress.warnings(),
            ["receiver host: 1 of 2 files cannot be read, the log says why; they are tried again"]
        );
    }

    #[test]
    fn the_files_furthest_behind_are_named_and_all_are_counted() {
        let progress = FilelogProgress::default();
        let names: Vec<String> = (0..300).map(|number| format!("/log/{number:03}")).collect();
        progress.update(
            "pods",
            (0..300)
                .zip(&names)
                .map(|(behind, name)| file(name, 7, 7 + behind)),
        );
        progress.update("host", [file("/gone", 0, 1000), file("/idle", 5, 5)]);
        let status = progress.snapshot();
        assert_eq!(status.files.len(), FILES_MAX);
        let first: Vec<_> = status
            .files
            .iter()
            .take(2)
            .map(|file| (&*file.path, file.behind_bytes))
            .collect();
        assert_eq!(first, [("/gone", 1000), ("/log/299", 299)]);
        assert_eq!(status.files.last().map(|file| file.behind_bytes), Some(201));
        let pods = status.totals["pods"];
        assert_eq!(
            (pods.files, pods.behind_files, pods.behind_bytes),
            (300, 299, 299 * 150)
        );
        assert_eq!(
            (status.totals["host"].gone, status.totals["host"].files),
            (1, 2)
        );
    }

    #[test]
    fn links_that_are_not_followed_are_told_where_no_file_is_read() {
        let progress = FilelogProgress::default();
        progress.waits_for("a", vec!["/l/*".to_owned()], 1);
        assert_eq!(
            progress.warnings(),
            ["receiver a: matches no file yet: /l/*"]
        );
        progress.refuses("a", 2);
        let warnings = progress.warnings();
        assert!(
            warnings[0].starts_with("receiver a: reads no file: /l/*; 2 links"),
            "{warnings:?}"
        );
        progress.waits_for("a", Vec::new(), 1);
        assert_eq!(progress.warnings(), [""; 0]);
    }

    #[test]
    fn a_receiver_is_stuck_when_bytes_wait_and_no_offset_moves() {
        let (progress, start) = (FilelogProgress::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        progress.update_at("pods", [file("/a", 0, 10)], at(0));
        progress.update_at("pods", [file("/a", 0, 99)], at(60));
        assert_eq!(progress.complaints(at(60)), [""; 0]);
        assert_eq!(
            progress.complaints(at(61)),
            ["receiver pods: 99 bytes behind, nothing has been read for 61 s"]
        );
        progress.update_at("pods", [file("/a", 1, 99)], at(62));
        assert_eq!(progress.complaints(at(120)), [""; 0]);
        progress.update_at("pods", [file("/a", 99, 99)], at(121));
        assert_eq!(progress.complaints(at(999)), [""; 0], "nothing is behind");
    }
}
