//! `file_sd_configs`: files with groups of targets, YAML or JSON.
//!
//! Every [`LOOK_INTERVAL`] the files' times, sizes and inodes are looked at; one that is other is read at once, all of them
//! every `refresh_interval`. A file that cannot be read or makes no sense changes nothing; one that is gone takes its
//! targets with it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Group, GroupDocument, GroupSender};
use crate::buffer::blocking;
use crate::config::read_plain;

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Largest file (bytes).
const FILE_BYTES_MAX: u64 = 32 << 20;
const PATH_LABEL: &str = "__meta_filepath";
const EXTENSIONS: [&str; 3] = ["json", "yml", "yaml"];

/// One entry of `file_sd_configs`, checked.
#[derive(Debug, Clone)]
pub(crate) struct FileDiscovery {
    pub(crate) patterns: Vec<String>,
    pub(crate) interval: Duration,
}

/// What tells that a file was written: its time, its size and its inode.
type Mark = (i64, i64, u64, u64);

/// Files by path; `None` for one that could not be looked at.
type Marks = BTreeMap<PathBuf, Option<Mark>>;

/// What is wrong with a pattern for files, if anything.
pub(crate) fn mistake(pattern: &str) -> Option<String> {
    let path = Path::new(pattern);
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    if !EXTENSIONS.contains(&extension.as_str()) {
        return Some(format!(
            "`{pattern}` ends with none of .json, .yml and .yaml"
        ));
    }
    let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
    let stars = pattern.matches('*').count();
    if folder.contains('*') || stars > 1 {
        return Some(format!("`{pattern}` may have one `*`, behind the last /"));
    }
    None
}

impl FileDiscovery {
    /// Looks for ever.
    pub(super) async fn run(self, groups: &GroupSender) {
        let mut known = Marks::new();
        let mut read_at: Option<Instant> = None;
        loop {
            let patterns = self.patterns.clone();
            let found = blocking(move || look(&patterns)).await;
            let is_due = read_at.is_none_or(|at| at.elapsed() >= self.interval);
            if is_due {
                read_at = Some(Instant::now());
            }
            for path in known.keys().filter(|path| !found.contains_key(*path)) {
                groups.remove(&source(path));
            }
            for (path, mark) in &found {
                let is_same = mark.is_some() && known.get(path) == Some(mark);
                if !is_same || is_due {
                    self.read(path.clone(), groups).await;
                }
            }
            known = found;
            tokio::time::sleep(LOOK_INTERVAL.min(self.interval)).await;
        }
    }

    async fn read(&self, path: PathBuf, groups: &GroupSender) {
        let file = path.clone();
        match blocking(move || read(&file)).await {
            Ok(group) => {
                groups.succeeded();
                groups.put(source(&path), group);
            }
            Err(error) => groups.failed("file", &path.display().to_string(), &error),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("is over {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("{0}")]
    Malformed(String),
}

fn read(path: &Path) -> Result<Vec<Group>, Failure> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(Failure::TooLarge);
    }
    let text = std::fs::read_to_string(path)?;
    let is_json = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let documents: Vec<GroupDocument> = match is_json {
        true => {
            serde_json::from_str(&text).map_err(|error| Failure::Malformed(error.to_string()))?
        }
        false if text.trim().is_empty() => Vec::new(),
        false => read_plain(&text).map_err(Failure::Malformed)?,
    };
    let found = documents.into_iter().map(|document| {
        let mut group = Group::from(document);
        group.labels.insert(PATH_LABEL.to_owned(), source(path));
        group
    });
    Ok(found.collect())
}

fn source(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// All files that the patterns lead to. Blocks.
fn look(patterns: &[String]) -> Marks {
    let mut found = Marks::new();
    for pattern in patterns {
        let path = Path::new(pattern);
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some((before, after)) = name.split_once('*') else {
            if path.exists() {
                found.insert(path.to_owned(), mark(path));
            }
            continue;
        };
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let listed = std::fs::read_dir(folder.unwrap_or(Path::new(".")));
        for entry in listed.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let fits = name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after);
            if fits {
                let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
                let mark = mark(&path);
                found.insert(path, mark);
            }
        }
    }
    found
}

fn mark(path: &Path) -> Option<Mark> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
        metadata.ino(),
    ))
}
