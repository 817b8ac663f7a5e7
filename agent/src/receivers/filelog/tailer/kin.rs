//! Content that was read before, under another inode.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Tailer;
use super::names::CONTAINER_LINKS;
use crate::pipeline::FileFate;
use crate::receivers::filelog::content::{self, Compression};
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::{FileId, Mark, Prefix, TAIL_BYTES};
use crate::receivers::filelog::pasts::{Candidate, Kinship, Past, ends_with};
use crate::receivers::filelog::pod_roots::PodPath;
use crate::receivers::filelog::rotated::{is_copy_of, is_rotation_of, originals, origins_behind};

/// Hexadecimal digits of a container's id.
const CONTAINER_ID_CHARS: usize = 64;

impl Tailer {
    /// Finds out, before the first byte of a file is read, whether its content is known.
    ///
    /// # Errors
    /// The file cannot be read; or it is compressed, and damaged or not whole yet.
    pub(super) fn introduce(
        &mut self,
        file: &mut TailedFile,
        opened: &std::fs::File,
    ) -> io::Result<()> {
        let candidate = Candidate {
            is_doubted: file.is_doubted,
            ..Candidate::new(&file.path, opened)?
        };
        let live = self.live_original(file.id, &candidate)?;
        file.copy_of = live.map(|(original, _)| original);
        if file.copy_of.is_none() {
            // Nothing has been read of that one: only their beginnings can be compared.
            let named = self.unread_original(file.id, &candidate);
            file.copy_of = named.or_else(|| self.unread_deleted(file.id, &candidate));
            if file.copy_of.is_some() {
                return Ok(());
            }
        }
        // Little may have been read of the original, and more of something before it that begins the same.
        let mark = live.map(|(_, mark)| mark);
        let kinship = self.pasts.kinship(&candidate, mark.as_ref(), |_| true)?;
        if kinship != Kinship::Stranger {
            file.copy_of = None;
        }
        self.relate(file, kinship);
        Ok(())
    }

    /// A file that is still followed and of which the candidate is a copy, and up to where both hold what was read.
    fn live_original(
        &mut self,
        id: FileId,
        candidate: &Candidate<'_>,
    ) -> io::Result<Option<(FileId, Mark)>> {
        let similar: Vec<FileId> = self.live.find(&candidate.beginning).collect();
        for original in similar.into_iter().filter(|original| *original != id) {
            // What has been cut off meanwhile must be known first.
            self.look_at(original);
            let Some(file) = self.files.get(&original) else {
                continue;
            };
            // What is left of an original without a name may have been rotated further meanwhile.
            let is_related = match file.gone_at {
                Some(_) => is_rotation_of,
                None => is_copy_of,
            };
            let mut names = [&file.path, file.origin()].into_iter();
            if !names.any(|name| is_related(candidate.path, name)) {
                continue;
            }
            if file.copy_of.is_some() || file.compression.is_some() || file.mark.offset == 0 {
                continue;
            }
            let recent = file.open.as_ref().map(|open| open.recent());
            match candidate.kinship(&file.mark, recent.unwrap_or_default())? {
                Kinship::Stranger => {}
                Kinship::Continues(mark) | Kinship::Covered(mark) => {
                    return Ok(Some((original, mark)));
                }
            }
            if candidate.compression.is_none()
                && candidate.bytes < file.mark.offset
                && holds(file, candidate)?
            {
                let mark = Mark {
                    offset: candidate.bytes,
                    ..Mark::default()
                };
                return Ok(Some((original, mark)));
            }
        }
        Ok(None)
    }

    /// A file that begins as the candidate does, where no more can be compared yet: nothing has been read of it, or
    /// the candidate is a copy under way that holds less than a beginning.
    fn unread_original(&self, id: FileId, candidate: &Candidate<'_>) -> Option<FileId> {
        let is_growing = candidate.is_growing(self.context.clock.now());
        originals(candidate.path).find_map(|path| {
            let metadata = std::fs::metadata(&path).ok()?;
            let original = (metadata.dev(), metadata.ino());
            let file = self.files.get(&original)?;
            let is_longer = is_growing && metadata.len() > candidate.bytes;
            let is_possible = file.copy_of.is_none() && (file.mark.offset == 0 || is_longer);
            if original == id || !is_possible || metadata.len() == 0 {
                return None;
            }
            let beginning = content::beginning(&content::open(&path).ok()?, None).ok()?;
            let alike = Prefix::of(&beginning).fits(&candidate.beginning)
                || Prefix::of(&candidate.beginning).fits(&beginning);
            alike.then_some(original)
        })
    }

    /// A file that has been deleted before anything was read of it, and that begins as the candidate does. It is read
    /// through the descriptor of its first look.
    fn unread_deleted(&mut self, id: FileId, candidate: &Candidate<'_>) -> Option<FileId> {
        let unread = self.unread_by_prefix.find(&candidate.beginning);
        let alike = unread.chain(self.live.find(&candidate.beginning));
        alike.filter(|twin| *twin != id).find(|twin| {
            let Some(file) = self.files.get_mut(twin) else {
                return false;
            };
            let is_unread = file.mark.offset == 0 && file.has_descriptor();
            if !is_unread || file.copy_of.is_some() || file.compression.is_some() {
                return false;
            }
            let is_deleted = matches!(file.look(), Ok(Some(look)) if look.deleted);
            let names = [&file.path, file.origin()];
            is_deleted
                && names.iter().any(|name| is_copy_of(candidate.path, name))
                && file.begins_as(&candidate.beginning)
        })
    }

    /// So that a copy that is read first knows the original, also one that is deleted by then.
    pub(super) fn learn_beginning(&mut self, file: &mut TailedFile, opened: &std::fs::File) {
        self.forget_beginning(file);
        if let Ok(None) = Compression::of(opened)
            && let Ok(prefix) = content::prefix(opened, None)
        {
            file.unread_prefix = prefix;
            self.unread_by_prefix.insert(prefix, file.id);
        }
    }

    /// Something is read of it, or it is over.
    pub(super) fn forget_beginning(&mut self, file: &mut TailedFile) {
        let prefix = std::mem::take(&mut file.unread_prefix);
        self.unread_by_prefix.remove(prefix, file.id);
    }

    /// Whether a copy beside the file holds what was read of it, and more.
    pub(super) fn has_copy(&self, mark: &Mark, path: &Path) -> bool {
        let entries = path.parent().map(std::fs::read_dir);
        let entries = entries.into_iter().flatten().flatten().flatten();
        let copies = entries.map(|entry| entry.path());
        let mut copies = copies.filter(|copy| is_copy_of(copy, path));
        copies.any(|copy| {
            let opened = content::open(&copy);
            let kinship =
                opened.and_then(|opened| Candidate::new(&copy, &opened)?.kinship(mark, &[]));
            matches!(kinship, Ok(Kinship::Continues(_)))
        })
    }

    /// Takes over what is known of the content.
    fn relate(&mut self, file: &mut TailedFile, kinship: Kinship) {
        let mark = match kinship {
            Kinship::Stranger => return,
            Kinship::Continues(mark) | Kinship::Covered(mark) => mark,
        };
        tracing::info!(path = %file.path.display(), offset = mark.offset, "content was read before under another name, going on");
        file.mark = mark;
        self.counts.continued.inc();
        self.sink.note(file, Instant::now());
    }

    /// The content of a file has ended: its copies are compared with what was read of it, and go on from there.
    pub(super) fn release_copies(&mut self, original: FileId) {
        let files = self.files.values_mut();
        for file in files.filter(|file| file.copy_of == Some(original)) {
            file.copy_of = None;
            self.unread.push(file);
        }
    }

    /// The rest of a file may be found beside the name it had.
    pub(super) fn search_near(&mut self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.searches.insert(folder.to_owned());
        }
    }

    /// Looks for files that no glob names and that hold more of content that was read.
    pub(super) fn search(&mut self, now: Instant) {
        for folder in std::mem::take(&mut self.searches) {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            for entry in entries {
                // Compared by type first: most entries need no more.
                if entry.file_type().is_ok_and(|kind| kind.is_file())
                    && let Ok(metadata) = entry.metadata()
                {
                    let id = (metadata.dev(), metadata.ino());
                    if !self.files.contains_key(&id) {
                        self.consider(id, entry.path(), &metadata, now);
                    }
                }
            }
        }
    }

    fn consider(&mut self, id: FileId, path: PathBuf, metadata: &std::fs::Metadata, now: Instant) {
        let goes_on = match self.pasts.get(id) {
            Some(past) => {
                let has_more = match past.finished_bytes {
                    0 => metadata.len() > past.mark.offset,
                    finished => metadata.len() != finished,
                };
                has_more
                    && self.is_asked_for(&path, past)
                    && still_holds(past, &path).unwrap_or(false)
            }
            None => self.resumes_elsewhere(id, &path, now).unwrap_or(false),
        };
        if goes_on {
            self.follow(id, path, Some(now), now);
            self.counts.rotations.inc();
        }
    }

    /// Whether what goes on at `path` is to be read, if only because a glob names the file under the name it was read
    /// under. What was left when the globs became others stays where it is.
    fn is_asked_for(&self, path: &Path, past: &Past) -> bool {
        let (is_wanted, name) = (|path| self.wants(path), &past.path);
        is_wanted(path) || is_wanted(name) || self.was_rotated(name)
    }

    /// Whether the name is a rotated form of what globs name: in its folder, for a copy is read under its own name, or in
    /// another one, where it was first read under a name that is not remembered.
    fn was_rotated(&self, name: &Path) -> bool {
        let is_wanted = |origin: &String| {
            self.wants(&name.with_file_name(origin)) || self.discovery.wants_beside(name, origin)
        };
        !self.discovery.excludes(name) && origins_behind(name).iter().any(is_wanted)
    }

    /// Whether globs name the file, or the link that a container runtime keeps to it.
    fn wants(&self, path: &Path) -> bool {
        let pods = &self.config.spec.pod_roots;
        let pod = || pods.pod_of(path.to_str()?);
        self.discovery.wants(path)
            || pod().is_some_and(|pod| self.discovery.wants(&container_link(&pod)))
    }

    fn resumes_elsewhere(&mut self, id: FileId, path: &Path, now: Instant) -> io::Result<bool> {
        let opened = content::open(path)?;
        let candidate = Candidate::new(path, &opened)?;
        let is_asked_for = |past: &Past| self.is_asked_for(path, past);
        let mark = match self.pasts.kinship(&candidate, None, is_asked_for)? {
            Kinship::Stranger => return Ok(false),
            Kinship::Continues(mark) | Kinship::Covered(mark) => mark,
        };
        if candidate.compression.is_some() || candidate.bytes > mark.offset {
            return Ok(true);
        }
        // All of it was read; later, when less is known of that, it must not be taken for a copy of something else.
        let past = Past {
            id,
            path: path.to_owned(),
            mark,
            recent: Vec::new(),
            finished_bytes: 0,
            fate: FileFate::default(),
        };
        let name = path.to_string_lossy().into_owned();
        self.sink.note_position(mark.position(name, id, 0), now);
        self.pasts.insert(past);
        Ok(false)
    }

    /// Forgets paths that failed and are gone.
    pub(super) fn forget_failures(&mut self) {
        let files = &self.files;
        let known: HashSet<&Path> = files.values().map(|file| file.path.as_path()).collect();
        self.failed.retain(|path| known.contains(path.as_path()));
    }
}

/// The name of a runtime's link to the log of a container, whose id is not known.
fn container_link(pod: &PodPath<'_>) -> PathBuf {
    let (name, namespace, container) = (pod.pod, pod.namespace, pod.container);
    let id = "0".repeat(CONTAINER_ID_CHARS);
    Path::new(CONTAINER_LINKS).join(format!("{name}_{namespace}_{container}-{id}.log"))
}

fn still_holds(past: &Past, path: &Path) -> io::Result<bool> {
    let opened = content::open(path)?;
    let is_compressed = past.finished_bytes > 0;
    Ok(past.is_of(&opened, path)? && (is_compressed || past.mark.fits_file(&opened)?))
}

/// Whether the file holds, where the shorter candidate ends, the same bytes.
fn holds(file: &TailedFile, candidate: &Candidate<'_>) -> io::Result<bool> {
    let Some(from) = candidate.bytes.checked_sub(1) else {
        return Ok(false);
    };
    let closed;
    let original = match &file.open {
        Some(open) => open.file(),
        None => {
            closed = content::open(&file.path)?;
            &closed
        }
    };
    let expected = content::before(original, from + 1, TAIL_BYTES)?;
    ends_with(candidate.file, candidate.bytes, &expected)
}
