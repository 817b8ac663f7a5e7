use std::fs;
use std::path::Path;

use super::*;

fn found(patterns: &Patterns, root: &Path) -> Vec<String> {
    let changes = Discovery::new(patterns.clone()).sweep();
    let relative = |(_, path): (FileId, PathBuf)| {
        let below = path.strip_prefix(root).expect("below");
        below.to_string_lossy().into_owned()
    };
    let mut paths: Vec<_> = changes.appeared.into_iter().map(relative).collect();
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
