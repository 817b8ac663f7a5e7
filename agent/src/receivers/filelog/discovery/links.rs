//! Where symbolic links may lead.
//!
//! Who can write into a watched folder can put a link there, and the agent may read what they may not. So a link is followed
//! when its target lies below a folder of the globs themselves, or one that the configuration names. Links in the part
//! of a glob before its first wildcard are the configuration's own.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::patterns::{Part, Pattern};
use super::{COMPLAINTS_MAX, Discovery};
use crate::receivers::filelog::watch;

/// Where logs of the system lie; a glob below it may be led to these.
const SYSTEM_LOGS: &str = "/var/log";
/// Container runtimes write to the latter, and the kubelet puts links to it into the former.
const SYSTEM_ROOTS: [&str; 2] = [SYSTEM_LOGS, "/var/lib/docker/containers"];

/// Folders below which links may lead.
#[derive(Debug, Clone)]
pub(super) struct LinkRoots {
    /// Those of the globs.
    own: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl LinkRoots {
    pub(super) fn of(patterns: &[Pattern]) -> Self {
        let own: Vec<PathBuf> = patterns.iter().map(folder).collect();
        let is_system = own.iter().any(|root| root.starts_with(SYSTEM_LOGS));
        let others = SYSTEM_ROOTS.iter().filter(|_| is_system);
        Self {
            others: others.map(PathBuf::from).collect(),
            own,
        }
    }

    pub(super) fn set(&mut self, roots: &[String]) -> Result<(), String> {
        if let Some(root) = roots.iter().find(|root| !Path::new(root).is_absolute()) {
            return Err(format!("link_roots: `{root}` is no absolute path"));
        }
        self.others = roots.iter().map(PathBuf::from).collect();
        Ok(())
    }

    /// Those of the globs.
    pub(super) fn own(&self) -> impl Iterator<Item = &Path> {
        self.own.iter().map(PathBuf::as_path)
    }

    /// The folders, those of the globs first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.own.iter().chain(&self.others).map(PathBuf::as_path)
    }

    /// Whether what `path` leads to lies below one of the roots; `None` when it leads nowhere. Another moment it may lead
    /// elsewhere: see [`LinkRoots::hold`].
    pub(super) fn allow(&self, path: &Path) -> Option<bool> {
        let target = std::fs::canonicalize(path).ok()?;
        Some(self.are_above(&target))
    }

    /// Whether an open file lies below one of the roots, whatever its name leads to by now.
    pub(super) fn hold(&self, opened: &File) -> bool {
        watch::place(opened).is_some_and(|place| self.are_above(&place))
    }

    /// Whether one of the roots, which may themselves be links, is above a place without links.
    fn are_above(&self, place: &Path) -> bool {
        // Such a place below a root's own name shows that no link is in that name.
        self.folders().any(|root| place.starts_with(root))
            || self
                .folders()
                .filter_map(|root| std::fs::canonicalize(root).ok())
                .any(|root| place.starts_with(root))
    }
}

impl Discovery {
    /// Whether an open file lies where links may lead.
    pub(in super::super) fn may_read(&self, opened: &File) -> bool {
        self.patterns.may_read(opened)
    }

    /// What `path` led to when it was opened may not be read: whether nothing was said of it yet.
    pub(in super::super) fn refuse(&mut self, path: &Path) -> bool {
        self.complained.len() < COMPLAINTS_MAX && self.complained.insert(path.to_owned())
    }

    /// Whether what `path` leads to, or led to, is not read.
    pub(in super::super) fn has_refused(&self, path: &Path) -> bool {
        self.complained.contains(path)
    }
}

/// The folder before a glob's first wildcard; of a glob without one, the file's.
fn folder(pattern: &Pattern) -> PathBuf {
    let literals = pattern.iter().map_while(|part| match part {
        Part::Literal(name) => Some(name),
        Part::Glob(_) | Part::AnyFolders => None,
    });
    let mut folder: PathBuf = literals.collect();
    if pattern.iter().all(|part| matches!(part, Part::Literal(_))) {
        folder.pop();
    }
    folder
}
