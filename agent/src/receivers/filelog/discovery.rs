//! Finds the files that globs name, and tells what has changed since the last look.
//!
//! A pattern is walked component by component: folders are only listed where a component is a glob, `**` stands for
//! any number of folders. What a folder held is remembered with its time of modification, so that a look at a
//! folder in which no name has changed costs one `stat`; symbolic links are looked at every time, and followed
//! where they may lead ([`links`]). At most
//! [`DEPTH_MAX`] levels below a `**` and [`FILES_MAX`] files.

mod bases;
mod links;
mod listing;
mod patterns;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::identity::FileId;
use bases::Bases;
use listing::Listing;
use patterns::Part;
pub(super) use patterns::Patterns;

/// Levels of folders a `**` stands for, at most.
const DEPTH_MAX: usize = 32;
/// Files followed at once, at most.
const FILES_MAX: usize = 100_000;
/// Paths complained of that are remembered, at most; beyond nothing more is said.
const COMPLAINTS_MAX: usize = 1_000;

/// What is different since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Files that no glob named before.
    pub(super) appeared: Vec<(FileId, PathBuf)>,
    /// Files that go by another name.
    pub(super) renamed: Vec<(FileId, PathBuf)>,
    /// Files that no glob names any more.
    pub(super) vanished: Vec<FileId>,
    /// Folders that are new.
    pub(super) folders: Vec<PathBuf>,
    /// Folders that are gone.
    pub(super) folders_gone: Vec<PathBuf>,
    /// What was asked for but cannot be followed, each said once.
    pub(super) complaints: Vec<Complaint>,
}

/// Why something a glob names is not followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// A device, a FIFO, a socket.
    NotRegular(PathBuf),
    /// A folder that was there before, or that may not be listed.
    Folder(PathBuf, io::ErrorKind),
    /// What a link leads to lies outside of the folders it may lead to.
    Link(PathBuf),
    TooMany,
}

/// The files that globs name, as of the last look.
#[derive(Debug)]
pub(super) struct Discovery {
    patterns: Patterns,
    bases: Bases,
    listings: HashMap<(usize, PathBuf), Listing>,
    names: HashMap<FileId, Vec<PathBuf>>,
    files_max: usize,
    /// There are files beyond that.
    is_over: bool,
    /// Folders, and the look that found them last.
    folders: HashMap<PathBuf, u64>,
    /// Folders that must be listed whatever their time says.
    dirty: HashSet<PathBuf>,
    everything: bool,
    complained: HashSet<PathBuf>,
    /// Globs, by their place, that have not named a file yet.
    unmatched: BTreeSet<usize>,
    look: u64,
}

/// One look under way.
struct Look<'d> {
    discovery: &'d mut Discovery,
    changes: Changes,
    /// The name, before this look, of every file whose names have changed.
    before: HashMap<FileId, Option<PathBuf>>,
}

impl Discovery {
    pub(super) fn new(patterns: Patterns) -> Self {
        Self {
            unmatched: (0..patterns.include.len()).collect(),
            bases: Bases::new(patterns.folders()),
            patterns,
            listings: HashMap::new(),
            names: HashMap::new(),
            files_max: FILES_MAX,
            is_over: false,
            folders: HashMap::new(),
            dirty: HashSet::new(),
            everything: true,
            complained: HashSet::new(),
            look: 0,
        }
    }

    /// Names in `folder` have changed, or may have.
    pub(super) fn mark(&mut self, folder: PathBuf) {
        self.dirty.insert(folder);
    }

    /// Times are not trusted at the next look.
    pub(super) fn mark_all(&mut self) {
        self.everything = true;
    }

    /// Whether globs name `path`, were it a file.
    pub(super) fn wants(&self, path: &Path) -> bool {
        self.patterns.match_path(path)
    }

    /// Whether the last look has found a file under that name.
    pub(super) fn names(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        (0..self.patterns.include.len()).any(|pattern| {
            let by_folder = self.listings.get(&(pattern, folder.to_owned()));
            by_folder.is_some_and(|listing| listing.matched.contains_key(name))
                || self.listings.contains_key(&(pattern, path.to_owned()))
        })
    }

    /// Whether an exclusion names `path`.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.patterns.excludes(path)
    }

    /// Whether globs name a file `name` in another folder than that of `path`, of those they have led to.
    pub(super) fn wants_beside(&self, path: &Path, name: &str) -> bool {
        let folders = self.folders.keys().map(PathBuf::as_path);
        let mut others = folders.filter(|folder| Some(*folder) != path.parent());
        others.any(|folder| self.wants(&folder.join(name)))
    }

    /// The globs that have not named a file yet, as places among the included ones.
    pub(super) fn unmatched(&self) -> &BTreeSet<usize> {
        &self.unmatched
    }

    /// Folders of the globs that were there and are gone.
    pub(super) fn folders_gone(&self) -> Vec<&Path> {
        self.bases.gone()
    }

    fn is_full(&self) -> bool {
        self.names.len() >= self.files_max
    }

    /// Looks for what has changed.
    pub(super) fn sweep(&mut self) -> Changes {
        self.look += 1;
        let patterns = self.patterns.clone();
        let mut look = Look {
            discovery: self,
            changes: Changes::default(),
            before: HashMap::new(),
        };
        for (index, pattern) in patterns.include.iter().enumerate() {
            look.walk(index, PathBuf::new(), pattern, DEPTH_MAX);
        }
        look.drop_unvisited();
        look.use_room();
        let changes = look.finish();
        if !self.unmatched.is_empty() && !changes.appeared.is_empty() {
            let named = self.listings.iter();
            let named = named.filter(|(_, listing)| !listing.matched.is_empty());
            for ((pattern, _), _) in named {
                self.unmatched.remove(pattern);
            }
        }
        let folders = &self.folders;
        self.bases.looked(|folder| folders.contains_key(folder));
        self.dirty.clear();
        self.everything = false;
        changes
    }
}

impl Look<'_> {
    fn walk(&mut self, pattern: usize, base: PathBuf, parts: &[Part], depth: usize) {
        match parts {
            [] => {}
            [Part::Literal(name)] => self.visit_file(pattern, &base, name),
            [Part::Literal(name), rest @ ..] => self.walk(pattern, base.join(name), rest, depth),
            [Part::Glob(_)] => self.visit_folder(pattern, &base, parts),
            [Part::Glob(glob), rest @ ..] => {
                for name in self.subfolders(pattern, &base, |name| glob.is_match(name)) {
                    self.walk(pattern, base.join(name), rest, depth);
                }
            }
            [Part::AnyFolders, rest @ ..] => {
                self.walk(pattern, base.clone(), rest, depth);
                if depth > 0 {
                    // A link to a folder is not entered: it could lead back here.
                    for name in self.real_subfolders(pattern, &base) {
                        self.walk(pattern, base.join(name), parts, depth - 1);
                    }
                }
            }
        }
    }

    /// Brings the listing of a folder up to date: whether it was read anew.
    fn refresh(&mut self, pattern: usize, folder: &Path) -> bool {
        let discovery = &mut *self.discovery;
        let key = (pattern, folder.to_owned());
        let listing = discovery.listings.entry(key).or_default();
        if listing.visited == discovery.look {
            return listing.is_fresh;
        }
        listing.visited = discovery.look;
        let forced = discovery.everything || discovery.dirty.contains(folder);
        match listing.refresh(folder, forced) {
            Ok(fresh) => {
                discovery.complained.remove(folder);
                self.found(folder);
                fresh
            }
            Err(error) => {
                let was_there = discovery.folders.contains_key(folder);
                let worth = was_there || error.kind() != io::ErrorKind::NotFound;
                if worth && discovery.complained.insert(folder.to_owned()) {
                    let complaint = Complaint::Folder(folder.to_owned(), error.kind());
                    self.changes.complaints.push(complaint);
                }
                true
            }
        }
    }

    fn found(&mut self, folder: &Path) {
        let look = self.discovery.look;
        match self.discovery.folders.get_mut(folder) {
            Some(found_at) => *found_at = look,
            None => {
                self.discovery.folders.insert(folder.to_owned(), look);
                self.changes.folders.push(folder.to_owned());
            }
        }
    }

    fn subfolders(
        &mut self,
        pattern: usize,
        folder: &Path,
        wanted: impl Fn(&std::ffi::OsStr) -> bool,
    ) -> Vec<std::ffi::OsString> {
        self.refresh(pattern, folder);
        let listing = self.discovery.listings.get(&(pattern, folder.to_owned()));
        let names = listing.into_iter().flat_map(Listing::folders_and_links);
        names
            .filter(|name| wanted(name))
            .map(ToOwned::to_owned)
            .collect()
    }

    fn real_subfolders(&mut self, pattern: usize, folder: &Path) -> Vec<std::ffi::OsString> {
        self.refresh(pattern, folder);
        let listing = self.discovery.listings.get(&(pattern, folder.to_owned()));
        let names = listing.into_iter().flat_map(Listing::folders);
        names.map(ToOwned::to_owned).collect()
    }

    fn visit_folder(&mut self, pattern: usize, folder: &Path, parts: &[Part]) {
        let [Part::Glob(glob)] = parts else { return };
        let fresh = self.refresh(pattern, folder);
        let key = (pattern, folder.to_owned());
        // A folder in which nothing has changed, and that holds no link, needs no closer look.
        let changes = |listing: &Listing| fresh || listing.matched.values().any(|m| m.is_link);
        if !self.discovery.listings.get(&key).is_some_and(changes) {
            return;
        }
        let Some(mut listing) = self.discovery.listings.remove(&key) else {
            return;
        };
        let known = std::mem::take(&mut listing.matched);
        if fresh {
            listing.matched = listing
                .entries
                .iter()
                .filter(|entry| !entry.is_folder() && glob.is_match(&entry.name))
                .filter_map(|entry| {
                    let path = folder.join(&entry.name);
                    let same = known
                        .get(&entry.name)
                        .filter(|known| known.inode == entry.inode);
                    let id = match same.filter(|_| entry.is_file()) {
                        Some(known) => Some(known.id),
                        None => self.identify(&path, same.map(|known| known.id)),
                    };
                    Some((entry.name.clone(), entry.matched(id?)))
                })
                .collect();
        } else {
            listing.matched.clone_from(&known);
            for (name, matched) in listing
                .matched
                .iter_mut()
                .filter(|(_, matched)| matched.is_link)
            {
                if let Some(id) = self.identify(&folder.join(name), Some(matched.id)) {
                    matched.id = id;
                }
            }
        }
        self.compare(folder, &known, &listing.matched);
        self.discovery.listings.insert(key, listing);
    }

    /// A pattern without a glob in its last component names one file.
    fn visit_file(&mut self, pattern: usize, folder: &Path, name: &Path) {
        let path = folder.join(name);
        let look = self.discovery.look;
        if folder.is_dir() {
            self.found(folder);
        }
        let key = (pattern, path.clone());
        let mut listing = self.discovery.listings.remove(&key).unwrap_or_default();
        (listing.visited, listing.is_of_file) = (look, true);
        let known = std::mem::take(&mut listing.matched);
        let before = known.values().next().map(|matched| matched.id);
        let found = self.identify(&path, before);
        listing.matched = found
            .map(|id| (name.as_os_str().to_owned(), listing::Matched::link(id)))
            .into_iter()
            .collect();
        self.compare(folder, &known, &listing.matched);
        self.discovery.listings.insert(key, listing);
    }

    /// The identity of a regular file that no exclusion names and that may be read. One that is `known` may.
    fn identify(&mut self, path: &Path, known: Option<FileId>) -> Option<FileId> {
        if self.discovery.patterns.excludes(path) {
            return None;
        }
        let metadata = fs::metadata(path).ok()?;
        if metadata.is_file() {
            let id = (metadata.dev(), metadata.ino());
            if known == Some(id) {
                return Some(id);
            }
            match self.discovery.patterns.may_lead(path) {
                Some(true) => return Some(id),
                Some(false) => self.complain(path, Complaint::Link),
                // It was renamed or switched meanwhile.
                None => {}
            }
        } else if !metadata.is_dir() {
            self.complain(path, Complaint::NotRegular);
        }
        None
    }

    /// Once for a path.
    fn complain(&mut self, path: &Path, complaint: fn(PathBuf) -> Complaint) {
        if self.discovery.refuse(path) {
            self.changes.complaints.push(complaint(path.to_owned()));
        }
    }

    fn compare(&mut self, folder: &Path, before: &listing::Matches, after: &listing::Matches) {
        for (name, matched) in before {
            if after.get(name).map(|now| now.id) != Some(matched.id) {
                self.unname(matched.id, &folder.join(name));
            }
        }
        for (name, matched) in after {
            if before.get(name).map(|then| then.id) != Some(matched.id) {
                let mut path = folder.join(name);
                path.shrink_to_fit();
                self.name(matched.id, path);
            }
        }
    }

    fn note(&mut self, id: FileId) {
        let first = self
            .discovery
            .names
            .get(&id)
            .and_then(|names| names.first());
        self.before.entry(id).or_insert_with(|| first.cloned());
    }

    fn name(&mut self, id: FileId, path: PathBuf) {
        if self.discovery.is_full() && !self.discovery.names.contains_key(&id) {
            self.discovery.is_over = true;
            if self.discovery.complained.insert(PathBuf::new()) {
                self.changes.complaints.push(Complaint::TooMany);
            }
            return;
        }
        self.note(id);
        let names = self.discovery.names.entry(id).or_default();
        // Nearly every file has one.
        names.reserve_exact(1);
        names.push(path);
    }

    fn unname(&mut self, id: FileId, path: &Path) {
        self.note(id);
        if let Some(names) = self.discovery.names.get_mut(&id) {
            if let Some(at) = names.iter().position(|known| known == path) {
                names.remove(at);
            }
            if names.is_empty() {
                self.discovery.names.remove(&id);
            }
        }
    }

    /// Folders that the globs did not lead to this time.
    fn drop_unvisited(&mut self) {
        let look = self.discovery.look;
        let gone: Vec<_> = self
            .discovery
            .listings
            .extract_if(|_, listing| listing.visited != look)
            .collect();
        for ((_, path), listing) in gone {
            for (name, matched) in &listing.matched {
                self.unname(matched.id, &listing.path_of(&path, name));
            }
        }
        let folders = &mut self.discovery.folders;
        let gone = folders.extract_if(|_, found_at| *found_at != look);
        self.changes
            .folders_gone
            .extend(gone.map(|(folder, _)| folder));
        let listings = self.discovery.listings.values_mut();
        listings.for_each(Listing::keep_little);
    }

    /// Names files that there was no room for.
    fn use_room(&mut self) {
        let discovery = &mut *self.discovery;
        let room = discovery.files_max.saturating_sub(discovery.names.len());
        if !discovery.is_over || room == 0 {
            return;
        }
        let mut found: HashMap<FileId, Vec<PathBuf>> = HashMap::new();
        for ((_, path), listing) in &discovery.listings {
            for (name, matched) in &listing.matched {
                let id = matched.id;
                let is_new = !discovery.names.contains_key(&id);
                if is_new && (found.len() < room || found.contains_key(&id)) {
                    found
                        .entry(id)
                        .or_default()
                        .push(listing.path_of(path, name));
                }
            }
        }
        discovery.is_over = found.len() >= room;
        for (id, paths) in found {
            paths.into_iter().for_each(|path| self.name(id, path));
        }
    }

    fn finish(mut self) -> Changes {
        for (id, before) in self.before {
            let after = self
                .discovery
                .names
                .get(&id)
                .and_then(|names| names.first());
            match (before, after) {
                (None, Some(path)) => self.changes.appeared.push((id, path.clone())),
                (Some(_), None) => self.changes.vanished.push(id),
                (Some(before), Some(after)) if before != *after => {
                    self.changes.renamed.push((id, after.clone()));
                }
                _ => {}
            }
        }
        self.changes
    }
}

#[cfg(test)]
mod tests;
