//! Names that log rotation gives.
//!
//! Two files may hold the same bytes without being copies: replicas that start with the same lines. So content only
//! counts as read before when the name says, too, that the file is a rotated one: `app.log.1`, `app.log-20261127`,
//! `app.log.2.gz`, `app-2026-11-27.log`, `app.1.log` beside `app.log`.

use std::path::{Path, PathBuf};

const COMPRESSED: [&str; 4] = [".gz", ".zst", ".gzip", ".zstd"];
/// What copies, and files on the way to a rotated name, end with.
const KEPT: [&str; 8] = [
    ".tmp", ".bak", ".old", ".prev", ".orig", ".save", ".backup", "~",
];
const SEPARATORS: [char; 3] = ['.', '-', '_'];

/// Whether `candidate` can be a rotated form of what `original` was or is: same folder, and without what rotation
/// adds to it, or to both, the names are the same.
pub(super) fn is_rotation_of(candidate: &Path, original: &Path) -> bool {
    let Some((candidate, original)) = names(candidate, original) else {
        return false;
    };
    let (origins, of_original) = (origins(&candidate), origins(&original));
    origins
        .iter()
        .any(|name| *name == original || of_original.contains(name))
}

/// Whether `candidate` can be a copy of a file that still goes by the name `original`: a rotated form of that name, or
/// of the same one as that.
pub(super) fn is_copy_of(candidate: &Path, original: &Path) -> bool {
    let Some((candidate, original)) = names(candidate, original) else {
        return false;
    };
    if origins(&candidate).contains(&original) {
        return true;
    }
    let of_original = origins_by_end(&original);
    let mut of_candidate = origins_by_end(&candidate).into_iter();
    // `worker-1.log` and `worker-2.log` are replicas, `app.log.1` and `app.log.2` are not.
    of_candidate.any(|name| name.contains('.') && of_original.contains(&name))
}

/// Where the file can be that `candidate` is a copy of.
pub(super) fn originals(candidate: &Path) -> impl Iterator<Item = PathBuf> {
    let name = candidate.file_name().map(|name| name.to_string_lossy());
    let names = name.map(|name| either_way(&name, origins));
    let names = names.unwrap_or_default();
    names.into_iter().map(|name| candidate.with_file_name(name))
}

/// The names a file can have had before something was added to their end.
pub(super) fn origins_behind(path: &Path) -> Vec<String> {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let origins = name.map(|name| either_way(&name, origins_by_end));
    let mut origins = origins.unwrap_or_default();
    // `worker-1` is no form of `worker`.
    origins.retain(|origin| origin.contains('.'));
    origins
}

/// A name without the dot that hides a file, as programs do while they write it.
fn shown(name: &str) -> &str {
    let shown = name.strip_prefix('.');
    shown.filter(|shown| !shown.is_empty()).unwrap_or(name)
}

/// The origins of a name and, where it is hidden, of the name it will have.
fn either_way(name: &str, origins: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut all = origins(name);
    if shown(name) != name {
        all.extend(origins(shown(name)));
    }
    all
}

/// The names of two different files in one folder, hidden or not.
fn names(candidate: &Path, original: &Path) -> Option<(String, String)> {
    let name = |path: &Path| Some(shown(&path.file_name()?.to_string_lossy()).to_owned());
    (candidate != original && candidate.parent() == original.parent())
        .then(|| Some((name(candidate)?, name(original)?)))?
}

/// The names that a file can have had before it was rotated or compressed to `name`.
fn origins(name: &str) -> Vec<String> {
    let mut origins = origins_by_end(name);
    let bare = bare(name);
    // The counter may stand before the extension, or before the name.
    if without_counter(bare).is_none()
        && let Some((stem, extension)) = bare.rsplit_once('.')
    {
        let shorter = std::iter::successors(without_counter(stem), |stem| without_counter(stem));
        origins.extend(shorter.map(|stem| format!("{stem}.{extension}")));
    }
    let shorter =
        std::iter::successors(without_date_before(bare), |name| without_date_before(name));
    origins.extend(shorter.map(str::to_owned));
    origins
}

/// Those that differ by what stands at the end.
fn origins_by_end(name: &str) -> Vec<String> {
    let mut origins: Vec<String> = without_endings(name).map(str::to_owned).collect();
    let shorter = std::iter::successors(without_counter(bare(name)), |name| without_counter(name));
    origins.extend(shorter.map(str::to_owned));
    origins
}

/// The name without what compression and copying have added, one after the other.
fn without_endings(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(without_ending(name), |name| without_ending(name))
}

/// The name without all of that.
pub(super) fn bare(name: &str) -> &str {
    without_endings(name).last().unwrap_or(name)
}

fn without_ending(name: &str) -> Option<&str> {
    let known = COMPRESSED.iter().chain(&KEPT);
    let mut rests = known.filter_map(|end| name.strip_suffix(end));
    rests.next().filter(|rest| !rest.is_empty())
}

/// Takes a number or a part of a date off the end, with the separators before it.
fn without_counter(name: &str) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | ':');
    let shorter = name.trim_end_matches(is_part);
    let counter = name.get(shorter.len()..).unwrap_or_default();
    let stem = shorter.trim_end_matches(SEPARATORS);
    let is_counter = stem.len() < shorter.len() && counter.contains(|c: char| c.is_ascii_digit());
    (!stem.is_empty() && is_counter).then_some(stem)
}

/// Takes a part of a date off the beginning, with the separators behind it.
fn without_date_before(name: &str) -> Option<&str> {
    let longer = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = longer.trim_start_matches(SEPARATORS);
    let is_date = longer.len() < name.len() && rest.len() < longer.len();
    // `1.log` is the first of its kind, not a form of `log`.
    (is_date && rest.contains('.')).then_some(rest)
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
            "app__2026-11-28_00-00-00.log",
            "app__2026-11-28_00-00-00.log.gz",
            "2026-11-28-app.log.gz",
            "20261128.app.log",
            "app.log.bak",
            "app.log.old",
            "app.log.1.tmp",
            "app.log~",
            "app.log.20261127-203000.gz.tmp",
            ".app.log.1.gz.tmp",
        ] {
            check(rotated, "app.log", true, true);
            check("app.log", rotated, false, false);
        }
        for (candidate, original) in [
            ("app.log.2.gz", "app.log.1"),
            ("app.log.2", "app.log.1"),
            ("app.log.1.gz", ".app.log.1.gz.tmp"),
            (".app.log.1", ".app.log"),
            ("app.log-20261128.gz", "app.log.1"),
            ("app.log.20261127-203000.tmp", "app.log.20261127-203000"),
        ] {
            check(candidate, original, true, true);
        }
        check("worker-2", "worker-1", true, false);
        check(".app.log", "app.log", false, false);
        check("1.log", "log", false, false);
        check("2.log", "1.log", false, false);
        check("2026-11-28.log", "2026-11-27.log", true, false);
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
