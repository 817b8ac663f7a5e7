//! Names that log rotation gives.
//!
//! Two files may hold the same bytes without being copies: replicas that start with the same lines. So content only
//! counts as read before when the name says, too, that the file is a rotated one: `app.log.1`, `app.log-20261127`,
//! `app.log.2.gz`, `app-2026-11-27.log`, `app.1.log` beside `app.log`.

use std::path::Path;

const COMPRESSED: [&str; 4] = [".gz", ".zst", ".gzip", ".zstd"];

/// Whether `candidate` can be a rotated form of what `original` was or is: same folder, a different name of the same
/// family, and a rotated one.
pub(super) fn is_rotation_of(candidate: &Path, original: &Path) -> bool {
    if candidate == original || candidate.parent() != original.parent() {
        return false;
    }
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let (Some(candidate), Some(original)) = (name(candidate), name(original)) else {
        return false;
    };
    let family = family(&candidate);
    family != candidate && family == self::family(&original)
}

/// Whether `candidate` can be a copy of a file that still goes by the name `original`: that name is no rotated one
/// itself, unless the candidate is just the same compressed.
pub(super) fn is_copy_of(candidate: &Path, original: &Path) -> bool {
    let Some(name) = original.file_name().map(|name| name.to_string_lossy()) else {
        return false;
    };
    let is_compressed_form = candidate
        .file_name()
        .map(|name| name.to_string_lossy())
        .is_some_and(|candidate| uncompressed(&candidate) == name && candidate != name);
    is_rotation_of(candidate, original) && (is_compressed_form || family(&name) == name)
}

fn uncompressed(name: &str) -> &str {
    let known = COMPRESSED.iter().find_map(|end| name.strip_suffix(end));
    known.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// The name without what rotation adds.
fn family(name: &str) -> String {
    let name = uncompressed(name);
    let bare = without_counter(name);
    if bare != name {
        return bare.to_owned();
    }
    // The counter may stand before the extension.
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => {
            format!("{}.{extension}", without_counter(stem))
        }
        _ => name.to_owned(),
    }
}

/// Takes numbers and dates off the end, each with the separator before it.
fn without_counter(name: &str) -> &str {
    let mut rest = name;
    loop {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | ':');
        let shorter = rest.trim_end_matches(is_part);
        let counter = rest.get(shorter.len()..).unwrap_or_default();
        let stem = shorter.strip_suffix(['.', '-', '_']);
        match stem.filter(|stem| !stem.is_empty() && counter.contains(|c: char| c.is_ascii_digit()))
        {
            Some(stem) => rest = stem,
            None => return rest,
        }
    }
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
        check("s10.log", "s1.log", false, false);
        check("worker-2.log", "worker-1.log", true, false);
        check("other.log.1", "app.log", false, false);
        check("old/app.log.1", "app.log", false, false);
    }
}
