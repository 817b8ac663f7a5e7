//! What identifies a source file on every machine and in every build.

/// Where containers and hosts keep an application; cut off wherever they are at the beginning.
const ROOTS: [&str; 13] = [
    "/usr/src/app/",
    "/usr/app/",
    "/app/",
    "/workspace/",
    "/workspaces/",
    "/var/task/",
    "/var/www/html/",
    "/var/www/",
    "/code/",
    "/srv/app/",
    "/opt/app/",
    "/home/node/app/",
    "/build/",
];
/// Directories that begin the part of a path which a project fixes itself; the last one counts.
const MARKERS: [&str; 9] = [
    "src", "dist", "build", "out", "lib", "app", "pages", ".output", "bin",
];
/// Path components kept when nothing else tells where the project begins.
const TAIL_COMPONENTS: usize = 2;

/// A file name without scheme, host, bundler prefix and query, with forward slashes.
pub(super) fn clean(file: &str) -> String {
    let mut path = file.replace('\\', "/");
    if let Some(at) = path.find("webpack-internal:///") {
        path = after_layer(path.get(at + 20..).unwrap_or_default());
    } else if let Some(rest) = path.strip_prefix("webpack://") {
        // webpack://name/./src/x: the name is the project's.
        path = after_layer(rest.split_once('/').map_or(rest, |(_, tail)| tail));
    } else if let Some(rest) = path.strip_prefix("file://") {
        path = rest.to_owned();
    } else if let Some((scheme, rest)) = path.split_once("://")
        && (scheme == "http" || scheme == "https")
    {
        path = rest
            .find('/')
            .and_then(|at| rest.get(at..))
            .unwrap_or_default()
            .to_owned();
    }
    match path.find(['?', '#']) {
        Some(at) => path.get(..at).unwrap_or_default().to_owned(),
        None => path,
    }
}

/// Drops a layer such as `(rsc)/` and `./` from a bundler's path.
fn after_layer(path: &str) -> String {
    let path = match path
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(")/"))
    {
        Some((_, rest)) => rest,
        None => path,
    };
    path.trim_start_matches("./").to_owned()
}

/// The tail of a cleaned path that does not depend on where the project lies.
pub(super) fn project_tail(path: &str) -> String {
    let rest = ROOTS
        .iter()
        .find_map(|root| path.strip_prefix(root))
        .unwrap_or(path);
    let mut tail_start = None;
    let mut offset = 0;
    for part in rest.split('/') {
        let end = offset + part.len();
        if MARKERS.contains(&part) && end < rest.len() {
            tail_start = Some(offset);
        }
        offset = end + 1;
    }
    if let Some(tail) = tail_start.and_then(|start| rest.get(start..)) {
        return tail.to_owned();
    }
    let start = rest
        .rmatch_indices('/')
        .nth(TAIL_COMPONENTS - 1)
        .map_or(0, |(at, _)| at + 1);
    rest.get(start..)
        .unwrap_or_default()
        .trim_start_matches('/')
        .to_owned()
}

/// The text after the last `marker` in `path`.
pub(super) fn after_last<'a>(path: &'a str, marker: &str) -> Option<&'a str> {
    path.rfind(marker)
        .and_then(|at| path.get(at + marker.len()..))
}

/// A bundler's file name without the parts that change with each build: `page-3f2a91b0.js` and
/// `page.3f2a91b0.js` become `page.js`, a numbered chunk becomes `chunk.js`.
pub(super) fn without_build_hash(path: &str) -> String {
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, path),
    };
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) => (stem, Some(extension)),
        None => (name, None),
    };
    let kept: Vec<&str> = stem
        .split_inclusive(['-', '.', '_'])
        .filter(|part| !is_build_hash(part.trim_end_matches(['-', '.', '_'])))
        .collect();
    let kept = kept.concat();
    let kept = kept.trim_end_matches(['-', '.', '_']);
    let stem = if kept.is_empty() { "chunk" } else { kept };
    let mut result = String::with_capacity(path.len());
    if let Some(folder) = folder {
        result.push_str(folder);
        result.push('/');
    }
    result.push_str(stem);
    if let Some(extension) = extension {
        result.push('.');
        result.push_str(extension);
    }
    result
}

/// Digits alone, or six and more letters and digits with at least one digit among them.
fn is_build_hash(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let plain = part.bytes().all(|b| b.is_ascii_alphanumeric());
    plain && digits > 0 && (digits == part.len() || part.len() >= 6)
}
