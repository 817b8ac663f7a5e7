//! Globs, taken apart at their slashes.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::links::LinkRoots;
use crate::config::no_home;
use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// The globs of one receiver.
#[derive(Debug, Clone)]
pub(in crate::receivers::filelog) struct Patterns {
    pub(super) include: Vec<Pattern>,
    included: GlobSet,
    exclude: GlobSet,
    links: Arc<LinkRoots>,
}

pub(super) type Pattern = Vec<Part>;

/// One component of a pattern.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(PathBuf),
    Glob(GlobMatcher),
    /// `**`
    AnyFolders,
}

impl Patterns {
    /// # Errors
    /// Which pattern is no glob, and why.
    pub(in crate::receivers::filelog) fn new(
        include: &[String],
        exclude: &[String],
    ) -> Result<Self, String> {
        for pattern in include.iter().chain(exclude) {
            no_home(pattern)?;
        }
        if let Some(folder) = include.iter().find(|pattern| pattern.ends_with('/')) {
            return Err(format!(
                "`{folder}` names a folder, not files; write `{folder}*` for the files in it"
            ));
        }
        let parts = include
            .iter()
            .map(|pattern| parts(pattern))
            .collect::<Result<Vec<_>, _>>()?;
        let include_paths = absolute(include)?;
        Ok(Self {
            links: Arc::new(LinkRoots::of(&parts)),
            include: parts,
            included: set(&include_paths)?,
            exclude: set(exclude)?,
        })
    }

    /// Other folders below which links may lead, besides those of the globs.
    ///
    /// # Errors
    /// One of them is no absolute path.
    pub(in crate::receivers::filelog) fn with_link_roots(
        mut self,
        roots: &[String],
    ) -> Result<Self, String> {
        for root in roots {
            no_home(root)?;
        }
        Arc::make_mut(&mut self.links).set(roots)?;
        Ok(self)
    }

    /// Whether the file that `path` leads to may be read: it lies where a link may lead, or no link is on the way. `None`
    /// when it leads nowhere.
    pub(in crate::receivers::filelog) fn may_lead(&self, path: &Path) -> Option<bool> {
        self.links.allow(path)
    }

    /// Whether an open file lies where a link may lead.
    pub(super) fn may_read(&self, opened: &File) -> bool {
        self.links.hold(opened)
    }

    /// Why a file that globs name is not read, as it is on this machine; `None` when it is, or is not there.
    pub(in crate::receivers::filelog) fn refusal(&self, path: &Path) -> Option<String> {
        let metadata = std::fs::metadata(path).ok()?;
        if !metadata.is_file() {
            return Some("it is no regular file".to_owned());
        }
        if self.may_lead(path) != Some(false) {
            return None;
        }
        let target = std::fs::canonicalize(path).ok()?;
        let folders: BTreeSet<String> = self
            .links
            .folders()
            .map(|folder| folder.display().to_string())
            .collect();
        let folders: Vec<String> = folders.into_iter().collect();
        Some(format!(
            "it leads to {}, which is not below {}; `link_roots` names folders that links may lead to",
            target.display(),
            folders.join(" or ")
        ))
    }

    /// The folders before the first wildcards of the globs.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.links.own()
    }

    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.exclude.is_match(path)
    }

    pub(in crate::receivers::filelog) fn match_path(&self, path: &Path) -> bool {
        self.included.is_match(path) && !self.excludes(path)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build().map_err(|error| error.to_string())
}

fn absolute(patterns: &[String]) -> Result<Vec<String>, String> {
    let absolute = |pattern: &String| match std::path::absolute(pattern) {
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(error) => Err(format!("`{pattern}` is no path: {error}")),
    };
    patterns.iter().map(absolute).collect()
}

fn glob(pattern: &str) -> Result<globset::Glob, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map_err(|error| format!("`{pattern}` is no glob: {}", error.kind()))
}

fn parts(pattern: &str) -> Result<Pattern, String> {
    glob(pattern)?;
    let absolute =
        std::path::absolute(pattern).map_err(|error| format!("`{pattern}` is no path: {error}"))?;
    absolute
        .components()
        .map(|component| part(component, pattern))
        .collect()
}

fn part(component: Component<'_>, pattern: &str) -> Result<Part, String> {
    let text = component.as_os_str().to_string_lossy();
    if text == "**" {
        return Ok(Part::AnyFolders);
    }
    if !text.contains(['*', '?', '[', '{', '\\']) {
        return Ok(Part::Literal(PathBuf::from(component.as_os_str())));
    }
    let glob = glob(&text).map_err(|_split| {
        format!("`{pattern}` has alternatives over several directories; write one glob for each")
    })?;
    Ok(Part::Glob(glob.compile_matcher()))
}
