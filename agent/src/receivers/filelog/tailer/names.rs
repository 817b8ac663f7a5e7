//! Files that get, change and lose their names.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::opening::NotOpened;
use super::{Start, Tailer};
use crate::receivers::filelog::content::Compression;
use crate::receivers::filelog::discovery::{Changes, Complaint};
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::{FileId, Mark};
use crate::receivers::filelog::pasts::{Past, Pasts};
use crate::receivers::filelog::{FilelogConfig, StartAt};

/// What is known of an inode.
enum Known {
    Nothing,
    /// So much was read of the file that has it.
    Same(Past),
    /// Something was read of another file that had it, or of this one before it was cut.
    Another,
}

/// Where container runtimes keep links to the files of pods.
pub(super) const CONTAINER_LINKS: &str = "/var/log/containers";

impl Tailer {
    pub(super) fn sweep(&mut self, now: Instant) {
        let changes = self.discovery.sweep();
        self.take_in(changes, now);
    }

    pub(super) fn take_in(&mut self, changes: Changes, now: Instant) {
        let refused = changes.complaints.iter();
        let refused = refused.filter(|complaint| matches!(complaint, Complaint::Link(_)));
        self.counts.links_refused.inc_by(refused.count() as u64);
        changes.complaints.iter().for_each(complain);
        let found = changes.appeared.iter().chain(&changes.renamed);
        let found = found.map(|(_, path)| path.as_path());
        self.watcher
            .searched(found, |path| self.discovery.names(path));
        self.has_news |= !changes.appeared.is_empty() || !changes.vanished.is_empty();
        for folder in changes.folders_gone {
            self.watcher.forget_folder(&folder);
        }
        for folder in &changes.folders {
            self.watcher.watch_folder(folder);
        }
        // What came into a folder before it was watched has not been told of.
        let is_late = !changes.folders.is_empty();
        changes
            .folders
            .into_iter()
            .for_each(|folder| self.discovery.mark(folder));
        if is_late {
            self.due.sweep = now;
        }
        for id in changes.vanished {
            if let Some(file) = self.files.get_mut(&id) {
                file.gone_at = Some(now);
                file.forget_examined();
                self.counts.rotations.inc();
                self.note_rotated(id);
                self.check_gone(id);
            }
        }
        for (id, path) in changes.renamed {
            self.renamed(id, path, now);
        }
        for (id, path) in changes.appeared {
            self.follow(id, path, None, now);
        }
        self.tell_of_unmatched();
        if self.first_sweep {
            self.first_sweep = false;
            if self.start.is_unmarked && self.config.spec.start_at == StartAt::End {
                // Also where there is no file: what comes while the agent is down is not there at the first start.
                self.sink.note_position(Pasts::marker(), now);
            }
            self.start = Start::default();
            let lost: Vec<PathBuf> = self.pasts.all().map(|past| past.path.clone()).collect();
            lost.iter().for_each(|path| self.search_near(path));
        }
        self.search(now);
    }

    /// Globs that name no file: in the log once, in the status until they do.
    fn tell_of_unmatched(&mut self) {
        self.tell_of_folders_gone();
        let unmatched = self.discovery.unmatched();
        if !self.first_sweep && unmatched.len() == self.unmatched_told {
            return;
        }
        self.unmatched_told = unmatched.len();
        let globs = unmatched
            .iter()
            .filter_map(|at| self.config.spec.include.get(*at));
        let globs: Vec<String> = globs.cloned().collect();
        let receiver = self.context.output.receiver();
        if self.first_sweep && !globs.is_empty() {
            tracing::warn!(
                receiver,
                globs = globs.join(", "),
                "globs that match no file yet"
            );
        }
        let progress = &self.context.metrics.filelog.progress;
        progress.waits_for(receiver, globs, self.config.spec.include.len());
        progress.refuses(receiver, self.counts.links_refused.get());
    }

    /// Folders of the globs that are gone: in the status until they are back.
    fn tell_of_folders_gone(&mut self) {
        let gone = self.discovery.folders_gone();
        if gone.len() == self.folders_gone_told {
            return;
        }
        self.folders_gone_told = gone.len();
        let gone = gone.iter().map(|folder| folder.display().to_string());
        let progress = &self.context.metrics.filelog.progress;
        progress.lacks(self.context.output.receiver(), gone.collect());
    }

    /// The inode goes by another name.
    fn renamed(&mut self, id: FileId, path: PathBuf, now: Instant) {
        let Some(mut file) = self.files.remove(&id) else {
            // What it was called before may not be read.
            return self.follow(id, path, None, now);
        };
        self.counts.rotations.inc();
        let opened = match file.has_descriptor() {
            true => None,
            false => self.open_as(id, &path, false).ok(),
        };
        let name = first_name(&self.config, &path);
        let is_other = opened
            .as_ref()
            .is_some_and(|opened| matches!(file.past().is_of(opened, Path::new(&name)), Ok(false)));
        if !take_first_name(&mut file, name) && is_other {
            // The file is gone, and another one has got its inode.
            self.files.insert(id, file);
            self.give_up(id);
            return self.follow(id, path, None, now);
        }
        file.path = path;
        let is_rotated = has_other_name(&file);
        if is_rotated {
            file.forget_examined();
        }
        self.keep_first_look(&mut file, opened);
        self.files.insert(id, file);
        if is_rotated {
            self.note_rotated(id);
        }
        self.look_at(id);
        self.rest_first_look(id);
    }

    /// A file that was closed and has lost its last known name: when it is nowhere, it is over.
    fn check_gone(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id).filter(|file| file.open.is_none()) else {
            return;
        };
        if !matches!(file.look(), Ok(Some(_))) {
            // It may only have been renamed: then the search finds its inode.
            return self.give_up(id);
        }
        self.look_at(id);
    }

    /// Follows a file from now on; `gone` tells since when no glob finds it.
    pub(super) fn follow(
        &mut self,
        id: FileId,
        path: PathBuf,
        gone_at: Option<Instant>,
        now: Instant,
    ) {
        if let Some(file) = self.files.get_mut(&id) {
            take_first_name(file, first_name(&self.config, &path));
            (file.gone_at, file.path) = (gone_at, path);
            return self.look_at(id);
        }
        let opened = match self.open_as(id, &path, gone_at.is_some()) {
            Ok(opened) => Some(opened),
            Err(NotOpened::Refused) => return,
            Err(NotOpened::Another) => {
                self.look_again_near(&path);
                None
            }
        };
        let name = first_name(&self.config, &path);
        let known = self.past_of(id, opened.as_ref(), Path::new(&name));
        self.followed_again(id);
        let is_another = matches!(known, Known::Another);
        let past = match known {
            Known::Same(past) => Some(past),
            Known::Another | Known::Nothing => None,
        };
        // A file keeps the name it was first read under.
        let first_name = past
            .as_ref()
            .map_or(name, |past| past.path.to_string_lossy().into_owned());
        let mark = past.as_ref().map(|past| past.mark).unwrap_or_default();
        let mut file = TailedFile::new(id, path, first_name, mark, now);
        file.gone_at = gone_at;
        file.format = self.config.spec.format.as_str();
        if let Some(past) = &past {
            file.finished_bytes = past.finished_bytes;
            file.fate = past.fate.clone();
            file.fate.set_gone(false);
        }
        // Of a file that was read before it must be known at once: its size says nothing about its place.
        if past.is_some()
            && let Some(opened) = &opened
        {
            file.compression = Compression::of(opened).unwrap_or_default();
        }
        self.counts.files.inc();
        self.live.insert(mark.prefix, id);
        if self.first_sweep
            && past.is_none()
            && self.starts_at_end(&file.path)
            && let Some(opened) = &opened
            && file.skip_to_end(opened).is_ok()
        {
            self.sink.note(&file, now);
        }
        if is_another {
            // Or what was read of the other one would be taken for this one's after the next start.
            self.sink.note(&file, now);
        }
        self.keep_first_look(&mut file, opened);
        let is_rotated = has_other_name(&file);
        self.files.insert(id, Box::new(file));
        if is_rotated {
            self.note_rotated(id);
        }
        self.look_at(id);
        self.rest_first_look(id);
    }

    /// The name led nowhere, or elsewhere: the file may have been renamed since it was found.
    pub(super) fn look_again_near(&mut self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.discovery.mark(folder.to_owned());
            self.due.sweep = Instant::now();
        }
    }

    /// Whether of a file that is there at the start, and of which nothing is known, only what comes is read.
    fn starts_at_end(&self, path: &Path) -> bool {
        let is_new = match &self.start.globs_before {
            Some(globs) => !globs.match_path(path),
            None => self.start.is_first,
        };
        is_new && self.config.spec.start_at == StartAt::End
    }

    /// What was read of that file before; not of another one that had its inode.
    fn past_of(&mut self, id: FileId, opened: Option<&File>, name: &Path) -> Known {
        let Some(past) = self.pasts.take(id) else {
            return Known::Nothing;
        };
        match opened.map(|file| past.is_of(file, name)) {
            Some(Ok(true)) => Known::Same(past),
            // It cannot be read now; reading it will tell.
            Some(Err(_)) | None => Known::Same(past),
            Some(Ok(false)) => {
                let position = self.cut_past(past);
                self.sink.note_position(position, Instant::now());
                Known::Another
            }
        }
    }

    /// A name that the globs know was given up for another, perhaps before a sweep saw it.
    pub(super) fn moved(&mut self, from: &Path, to: PathBuf) {
        use std::os::unix::fs::MetadataExt;
        if !self.discovery.wants(from) || self.discovery.wants(&to) {
            return;
        }
        let Ok(metadata) = std::fs::symlink_metadata(&to) else {
            return;
        };
        let id = (metadata.dev(), metadata.ino());
        if !metadata.is_file() {
            return;
        }
        match self.files.get_mut(&id) {
            Some(file) => file.path = to,
            None => {
                let now = Instant::now();
                self.watcher.found(&to);
                self.follow(id, to, Some(now), now);
                // Its records tell the name that it was written under.
                if let Some(file) = self
                    .files
                    .get_mut(&id)
                    .filter(|file| file.mark == Mark::default())
                {
                    file.first_name = from.to_string_lossy().into_owned();
                }
                self.note_rotated(id);
                self.counts.rotations.inc();
            }
        }
    }
}

/// The name that a file's resource tells of. The runtime's links to container logs say less than what they lead to.
fn first_name(config: &FilelogConfig, path: &Path) -> String {
    let is_link = path.starts_with(CONTAINER_LINKS);
    let target = is_link
        .then(|| config.spec.pod_roots.behind(path))
        .flatten();
    let name = target.as_deref().unwrap_or(path);
    name.to_string_lossy().into_owned()
}

/// Gives a file its first name anew, if nothing was written under the one it had, and that is none of a rotated file: whether
/// it did.
fn take_first_name(file: &mut TailedFile, name: String) -> bool {
    let is_unwritten = !file.is_known() && file.size == 0;
    let takes = is_unwritten && !file.past().may_be_called(Path::new(&name));
    if takes {
        file.first_name = name;
    }
    takes
}

/// Whether it goes by another name than it was first read under. A runtime's link is none.
pub(super) fn has_other_name(file: &TailedFile) -> bool {
    file.path.as_os_str() != file.first_name.as_str() && !file.path.starts_with(CONTAINER_LINKS)
}

pub(super) fn complain(complaint: &Complaint) {
    match complaint {
        Complaint::NotRegular(path) => {
            tracing::warn!(path = %path.display(), "not a regular file, it is not read");
        }
        Complaint::Folder(path, kind) => {
            tracing::warn!(path = %path.display(), error = %kind, "folder cannot be listed");
        }
        Complaint::Link(path) => {
            tracing::warn!(path = %path.display(), "link leads out of the folders of the globs and of link_roots, it is not followed");
        }
        Complaint::TooMany => tracing::error!("too many files, the rest is not followed"),
    }
}
