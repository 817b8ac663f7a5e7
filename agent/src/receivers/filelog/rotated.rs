//! Names that log rotation gives.
//!
//! Two files may hold the same bytes without being copies: replicas that start with the same lines. So content only
//! counts as read before when the name says, too, that the file is a rotated one: `app.log.1`, `app.log-20261127`,
//! `app.log.2.gz`, `app-2026-11-27.log`, `app.1.log` beside `app.log`.

use std::path::{Path, PathBuf};

const COMPRESSED: [&str; 4] = [".gz", ".zst", ".gzip", ".zstd"];

/// Whether `candidate` can be a rotated form of what `original` was or is: same folder, and without what rotation
/// adds to it, or to both, the names are the same.
pub(super) fn is_rotation_of(candidate: &Path, original: &Path) -> bool {
    let Some((candidate, original)) = names(candidate, original) else {
        return false;
    };
    let (mut origins, of_original) = (origins(&candidate), self::origins(&original));
    origins.retain(|name| *name == original || of_original.contains(name));
    !origins.is_empty()
}

/// Whether `candidate` can be a copy of a file that still goes by the name `original`.
pub(super) fn is_copy_of(candidate: &Path, original: &Path) -> bool {
    names(candidate, original)
        .is_some_and(|(candidate, original)| origins(&candidate).contains(&original))
}

/// Where the file can be that `candidate` is a copy of.
pub(super) fn originals(candidate: &Path) -> impl Iterator<Item = PathBuf> {
    let name = candidate.file_name().map(|name| name.to_string_lossy());
    let names = name.map(|name| origins(&name)).unwrap_or_default();
    names.into_iter().map(|name| candidate.with_file_name(name))
}

/// The names of two different files in one folder.
fn names(candidate: &Path, original: &Path) -> Option<(String, String)> {
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    (candidate != original && candidate.parent() == original.parent())
        .then(|| Some((name(candidate)?, name(original)?)))?
}

/// The names that a file can have had before it was rotated or compressed to `name`.
fn origins(name: &str) -> Vec<String> {
    let known = COMPRESSED.iter().find_map(|end| name.strip_suffix(end));
    let plain = known.filter(|rest| !rest.is_empty());
    let bare = plain.unwrap_or(name);
    let mut origins: Vec<String> = plain.map(str::to_owned).into_iter().collect();
    let shorter = std::iter::successors(without_counter(bare), |name| without_counter(name));
    origins.extend(shorter.map(str::to_owned));
    // The counter may stand before the extension.
    if without_counter(bare).is_none()
        && let Some((stem, extension)) = bare.rsplit_once('.')
    {
        let shorter = std::iter::successors(without_counter(stem), |stem| without_counter(stem));
        origins.extend(shorter.map(|stem| format!("{stem}.{extension}")));
    }
    origins
}

/// Takes a number or a part of a date off the end, with the separator before it.
fn without_counter(name: &str) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | ':');
    let shorter = name.trim_end_matches(is_part);
    let counter = name.get(shorter.len()..).unwrap_or_default();
    let stem = shorter.strip_suffix(['.', '-', '_'])?;
    (!stem.is_empty() && counter.contains(|c: char| c.is_ascii_digit())).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_siblings() {
        let check = |candidate: &str, original: &str, rotation: bool, copy: bool| {
            let path = |name: &str| Path::new("/var/log").join(name);
            let (candidate, original) = (path(candidate), path(original));
            assert_eq!(
                is_rotation_of(&candidate, &original),
                rotation,
                "{candidate:?} {original:?}"
            );
            assert_eq!(
                is_copy_of(&candidate, &original),
                copy,
                "{candidate:?} {original:?}"
            );
        };
        for rotated in [
            "app.log.1",
            "app.log.12.gz",
            "app.log-20261127",
            "app.log-20261127.zst",
            "app-2026-11-27.log",
            "app-2026-11-27T10-00-00.000.log.gz",
            "app.1.log",
            "app.log.20261127-203000",
        ] {
            check(rotated, "app.log", true, true);
            check("app.log", rotated, false, false);
        }
        check("app.log.2.gz", "app.log.1", true, false);
        check("app.log.1.gz", "app.log.1", true, true);
        check("0.log.20261127-203000", "0.log", true, true);
        check("app.log", "app.log", false, false);
        check("app-0.log.3.gz", "app-0.log", true, true);
        check("app-0.log.3", "app-0.log", true, true);
        check("worker-1.log.1", "worker-1.log", true, true);
        check("s10.log", "s1.log", false, false);
        check("worker-2.log", "worker-1.log", true, false);
        check("other.log.1", "app.log", false, false);
        check("old/app.log.1", "app.log", false, false);
    }
}
