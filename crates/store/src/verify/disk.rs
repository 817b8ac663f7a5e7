//! What lies on the disk and is in no catalog.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use vervet_model::UnixNanos;

use super::{Cost, Defect, Orphan, Problem};
use crate::catalog::{CatalogError, CatalogInspector};

/// All files below the folder of segments that the catalog does not know. The catalog is read after the folders, so
/// that a file committed meanwhile is known. A folder that cannot be read is a defect.
pub(super) fn orphans(
    catalog: &CatalogInspector,
    defects: &mut Vec<Defect>,
) -> Result<Vec<Orphan>, CatalogError> {
    let mut found = Vec::new();
    walk(&catalog.data_dir(), &mut found, defects);
    let known = catalog.known_files()?;
    let mut orphans: Vec<Orphan> = found
        .into_iter()
        .filter(|orphan| !known.contains(&orphan.path))
        .collect();
    orphans.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(orphans)
}

fn walk(folder: &Path, found: &mut Vec<Orphan>, defects: &mut Vec<Defect>) {
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            defects.push(Defect {
                place: folder.display().to_string(),
                problem: Problem::Unreadable(error.to_string()),
                cost: Cost::default(),
            });
            return;
        }
    };
    for entry in entries {
        // What is gone by now was deleted meanwhile.
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(&entry.path(), found, defects),
            Ok(metadata) => found.push(orphan(entry.path(), &metadata)),
            Err(_gone) => {}
        }
    }
}

fn orphan(path: PathBuf, metadata: &Metadata) -> Orphan {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    Orphan {
        path,
        bytes: metadata.len(),
        modified: UnixNanos::default().saturating_add(modified),
    }
}
