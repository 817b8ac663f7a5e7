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

/// A bundler's file name without the parts that change with each build: `page-3f2a91b0.js`, `page.3f2a91b0.js` and
/// `page-DwTfQxYa.js` become `page.js`, a numbered chunk becomes `chunk.js`.
pub(super) fn without_build_hash(path: &str) -> String {
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, path),
    };
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) => (stem, Some(extension)),
        None => (name, None),
    };
    let stem = before_short_hash(stem).unwrap_or(stem);
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

/// Digits alone, six and more letters and digits with at least one digit among them, or four and more hexadecimal digits
/// of both kinds.
fn is_build_hash(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let plain = part.bytes().all(|b| b.is_ascii_alphanumeric());
    let hex = part.bytes().all(|b| b.is_ascii_hexdigit());
    plain && digits > 0 && (digits == part.len() || part.len() >= 6 || hex && part.len() >= 4)
}

/// What stands before a hash of eight characters at the end, which may have no digit in it, or separators: as Vite and
/// esbuild write them.
fn before_short_hash(stem: &str) -> Option<&str> {
    const HASH_LEN: usize = 8;
    let at = stem.len().checked_sub(HASH_LEN + 1)?;
    let (head, tail) = stem.split_at_checked(at)?;
    let hash = tail.strip_prefix(['-', '.'])?;
    (!head.is_empty() && is_short_hash(hash)).then_some(head)
}

fn is_short_hash(text: &str) -> bool {
    let count = |is: fn(&u8) -> bool| text.bytes().filter(is).count();
    let (upper, lower) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let digits = count(u8::is_ascii_digit);
    let separators = count(|byte| matches!(byte, b'-' | b'_'));
    if upper + lower + digits + separators < text.len() {
        return false;
    }
    // `CartList` is a name: more than one small letter behind each capital.
    let is_name = || {
        let words = text.split(|c: char| c.is_ascii_uppercase()).skip(1);
        text.starts_with(|c: char| c.is_ascii_uppercase()) && words.into_iter().all(|w| w.len() > 1)
    };
    match (lower, digits + separators) {
        (0, _) => separators == 0,
        (_, 0) => upper > 1 && !is_name(),
        _ => upper + digits > 1,
    }
}

/// Without folders that are named after a build or a version: `/v1.4.2/` and `/3f2a91b0/`.
pub(super) fn without_versions(path: &str) -> String {
    let Some((folders, name)) = path.rsplit_once('/') else {
        return path.to_owned();
    };
    let mut kept: Vec<&str> = folders
        .split('/')
        .filter(|part| !is_version(part))
        .collect();
    kept.push(name);
    kept.join("/")
}

fn is_version(part: &str) -> bool {
    const HASH_LEN_MIN: usize = 7;
    let number = part.strip_prefix('v').unwrap_or(part);
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_number
        || part.len() >= HASH_LEN_MIN
            && part.bytes().all(|b| b.is_ascii_hexdigit())
            && part.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bundles_lose_what_a_build_gives_them() {
        for (name, expected) in [
            ("assets/app-3f2a.js", "assets/app.js"),
            ("assets/index-DwTfQxYa.js", "assets/index.js"),
            ("assets/index-Bv_K1s-0.js", "assets/index.js"),
            ("assets/checkout-IZPBUGXC.js", "assets/checkout.js"),
            ("assets/CartList-DwTfQxYa.js", "assets/CartList.js"),
            ("static/js/main.073c9b0a.js", "static/js/main.js"),
            ("js/jquery-3.6.0.min.js", "js/jquery-min.js"),
            ("js/page-CartList.js", "js/page-CartList.js"),
            ("js/user-settings.js", "js/user-settings.js"),
            ("js/my-checkout.js", "js/my-checkout.js"),
            ("js/app.js", "js/app.js"),
            ("4821.js", "chunk.js"),
        ] {
            assert_eq!(without_build_hash(name), expected, "{name}");
        }
    }

    #[test]
    fn folders_of_versions_are_left_out() {
        for (path, expected) in [
            ("/v1.4.2/app.js", "/app.js"),
            ("/builds/3f2a91b0c4/app.js", "/builds/app.js"),
            ("/2026.11.28/js/app.js", "/js/app.js"),
            ("/vendor/app.js", "/vendor/app.js"),
            ("/facade/deadbeef/app.js", "/facade/deadbeef/app.js"),
            ("app.js", "app.js"),
        ] {
            assert_eq!(without_versions(path), expected, "{path}");
        }
    }
}
