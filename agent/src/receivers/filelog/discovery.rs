//! Finds the files that globs name.
//!
//! A pattern is walked component by component: directories are only listed where a component is a glob,
//! `**` stands for any number of directories. At most [`DEPTH_MAX`] levels below a `**` and
//! [`FILES_MAX`] files; symbolic links are followed.

use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// Levels of directories a `**` stands for, at most.
const DEPTH_MAX: usize = 32;
/// Files found in one sweep, at most.
const FILES_MAX: usize = 100_000;

/// The globs of one receiver.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    include: Vec<Vec<Part>>,
    exclude: GlobSet,
}

/// One component of a pattern.
#[derive(Debug, Clone)]
enum Part {
    Literal(PathBuf),
    Glob(GlobMatcher),
    /// `**`
    AnyDirectories,
}

impl Patterns {
    /// # Errors
    /// Which pattern is no glob, and why.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, String> {
        let include = include
            .iter()
            .map(|pattern| parts(pattern))
            .collect::<Result<_, _>>()?;
        let mut excluded = GlobSetBuilder::new();
        for pattern in exclude {
            excluded.add(glob(pattern)?);
        }
        let exclude = excluded.build().map_err(|error| error.to_string())?;
        Ok(Self { include, exclude })
    }

    /// Hands every file to `found`; the same file may be found by several patterns. Directories that cannot be
    /// listed are passed over, as they come and go.
    pub(super) fn sweep(&self, mut found: impl FnMut(PathBuf, &fs::Metadata)) {
        let mut left = FILES_MAX;
        let mut offer = |path: PathBuf| {
            if left == 0 || self.exclude.is_match(&path) {
                return;
            }
            let Ok(metadata) = fs::metadata(&path) else {
                return;
            };
            if metadata.is_file() {
                left -= 1;
                found(path, &metadata);
            }
        };
        for pattern in &self.include {
            walk(PathBuf::new(), pattern, DEPTH_MAX, &mut offer);
        }
    }
}

fn glob(pattern: &str) -> Result<globset::Glob, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map_err(|error| format!("`{pattern}` is no glob: {}", error.kind()))
}

fn parts(pattern: &str) -> Result<Vec<Part>, String> {
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
        return Ok(Part::AnyDirectories);
    }
    if !text.contains(['*', '?', '[', '{', '\\']) {
        return Ok(Part::Literal(PathBuf::from(component.as_os_str())));
    }
    let glob = glob(&text).map_err(|_split| {
        format!("`{pattern}` has alternatives over several directories; write one glob for each")
    })?;
    Ok(Part::Glob(glob.compile_matcher()))
}

fn walk(base: PathBuf, parts: &[Part], depth: usize, offer: &mut impl FnMut(PathBuf)) {
    let Some((part, rest)) = parts.split_first() else {
        offer(base);
        return;
    };
    match part {
        Part::Literal(name) => walk(base.join(name), rest, depth, offer),
        Part::Glob(glob) => {
            for entry in list(&base) {
                if glob.is_match(entry.file_name()) {
                    walk(entry.path(), rest, depth, offer);
                }
            }
        }
        Part::AnyDirectories => {
            walk(base.clone(), rest, depth, offer);
            if depth == 0 {
                return;
            }
            for entry in list(&base) {
                // A link to a directory is not entered: it could lead back here.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    walk(entry.path(), parts, depth - 1, offer);
                }
            }
        }
    }
}

fn list(directory: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &Patterns, root: &Path) -> Vec<String> {
        let mut paths = Vec::new();
        patterns.sweep(|path, _| {
            paths.push(
                path.strip_prefix(root)
                    .expect("below")
                    .to_string_lossy()
                    .into_owned(),
            );
        });
        paths.sort();
        paths.dedup();
        paths
    }

    #[test]
    fn globs_name_files_at_every_depth() {
        let root = tempfile::tempdir().expect("temporary directory");
        for path in [
            "a.log",
            "a.txt",
            "x/b.log",
            "x/y/c.log",
            "x/y/c.log.1",
            "x/y/skip.log",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("created");
            fs::write(path, "").expect("written");
        }
        let check = |include: &str, exclude: &[&str], expected: &[&str]| {
            let full = |pattern: &str| root.path().join(pattern).to_string_lossy().into_owned();
            let exclude: Vec<_> = exclude.iter().map(|pattern| full(pattern)).collect();
            let patterns = Patterns::new(&[full(include)], &exclude).expect("valid");
            assert_eq!(found(&patterns, root.path()), expected, "{include}");
        };
        check("*.log", &[], &["a.log"]);
        check("*/*.log", &[], &["x/b.log"]);
        check(
            "**/*.log",
            &["**/skip.*"],
            &["a.log", "x/b.log", "x/y/c.log"],
        );
        check("x/**/c.log*", &[], &["x/y/c.log", "x/y/c.log.1"]);
        check("{a,b}.log", &[], &["a.log"]);
        check("x/y/c.log", &[], &["x/y/c.log"]);
        check("nowhere/*.log", &[], &[]);
    }

    #[test]
    fn broken_patterns_are_refused() {
        for bad in ["/a/[", "/a/{b/c,d}.log"] {
            assert!(Patterns::new(&[bad.to_owned()], &[]).is_err(), "{bad}");
        }
    }
}
