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

#[test]
fn a_home_folder_is_refused_with_what_to_write_instead() {
    let home = || vec!["~/logs/*.log".to_owned()];
    let all = || vec!["/var/log/*.log".to_owned()];
    let link_roots =
        Patterns::new(&all(), &[]).and_then(|patterns| patterns.with_link_roots(&home()));
    for refused in [
        Patterns::new(&home(), &[]),
        Patterns::new(&all(), &home()),
        link_roots,
    ] {
        let message = refused.expect_err("refused");
        assert!(message.contains("write an absolute path"), "{message}");
    }
}

#[test]
fn a_glob_is_without_files_until_it_names_one() {
    let root = tempfile::tempdir().expect("temporary directory");
    let globs =
        ["*.log", "*.txt"].map(|glob| root.path().join(glob).to_string_lossy().into_owned());
    let mut discovery = Discovery::new(Patterns::new(&globs, &[]).expect("valid"));
    let mut unmatched = || {
        discovery.mark_all();
        discovery.sweep();
        discovery.unmatched().iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(unmatched(), [0, 1]);
    fs::write(root.path().join("a.txt"), "").expect("written");
    assert_eq!(unmatched(), [0]);
    fs::remove_file(root.path().join("a.txt")).expect("removed");
    assert_eq!(unmatched(), [0], "it has named one");
    fs::write(root.path().join("a.log"), "").expect("written");
    assert_eq!(unmatched(), [0; 0]);
}

#[test]
fn links_lead_below_the_roots_only() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().expect("temporary directory");
    let at = |path: &str| root.path().join(path);
    for folder in ["logs/sub", "outside/logs", "released/logs"] {
        fs::create_dir_all(at(folder)).expect("created");
    }
    for file in [
        "logs/sub/in.log",
        "outside/out.log",
        "outside/logs/x.log",
        "released/logs/r.log",
    ] {
        fs::write(at(file), "").expect("written");
    }
    symlink(at("outside/out.log"), at("logs/evil.log")).expect("linked");
    symlink(at("logs/sub/in.log"), at("logs/fine.log")).expect("linked");
    symlink(at("outside"), at("logs/folder")).expect("linked");
    symlink(at("released"), at("current")).expect("linked");
    let check = |include: &str, roots: Option<&str>, expected: &[&str]| {
        let full = |path: &str| at(path).to_string_lossy().into_owned();
        let mut patterns = Patterns::new(&[full(include)], &[]).expect("valid");
        if let Some(roots) = roots {
            patterns = patterns.with_link_roots(&[full(roots)]).expect("valid");
        }
        assert_eq!(found(&patterns, root.path()), expected, "{include}");
    };
    check("logs/*.log", None, &["logs/fine.log"]);
    check("logs/evil.log", None, &[]);
    check("logs/fine.log", None, &["logs/fine.log"]);
    // A folder that a link of somebody else's leads to is no better.
    check("logs/*/*.log", None, &["logs/sub/in.log"]);
    check(
        "logs/*.log",
        Some("outside"),
        &["logs/evil.log", "logs/fine.log"],
    );
    // What stands before the first wildcard is the configuration's own.
    check("current/logs/*.log", None, &["current/logs/r.log"]);
    let relative = ["logs".to_owned()];
    let patterns = Patterns::new(&["/a/*.log".to_owned()], &[]).expect("valid");
    assert!(patterns.with_link_roots(&relative).is_err());
}

#[test]
fn links_of_container_runtimes_are_followed_by_default() {
    use super::links::LinkRoots;
    let roots = |include: &str| {
        let patterns = Patterns::new(&[include.to_owned()], &[]).expect("valid");
        format!("{:?}", LinkRoots::of(&patterns.include))
    };
    for system in [
        "/var/log/pods/*/*/*.log",
        "/var/log/containers/*.log",
        "/var/log/*.log",
    ] {
        assert!(
            roots(system).contains("/var/lib/docker/containers"),
            "{system}"
        );
    }
    assert!(!roots("/srv/app/*.log").contains("/var"));
}

#[test]
fn what_vanishes_is_told_though_little_is_remembered_of_its_folder() {
    let root = tempfile::tempdir().expect("temporary directory");
    let folder = root.path().join("app");
    fs::create_dir(&folder).expect("created");
    // A file that has the name of its folder, and one more.
    for name in ["app", "other"] {
        fs::write(folder.join(name), "").expect("written");
    }
    let include = [root.path().join("*/*"), folder.join("other")];
    let include = include.map(|path| path.to_string_lossy().into_owned());
    let mut discovery = Discovery::new(Patterns::new(&include, &[]).expect("valid"));
    let first = discovery.sweep();
    assert_eq!(first.appeared.len(), 2);
    assert!(first.folders.contains(&folder));
    assert_eq!(discovery.sweep(), Changes::default());
    discovery.mark_all();
    assert_eq!(discovery.sweep(), Changes::default());
    fs::remove_file(folder.join("other")).expect("removed");
    let changes = discovery.sweep();
    assert_eq!((changes.vanished.len(), changes.folders_gone.len()), (1, 0));
    fs::remove_dir_all(&folder).expect("removed");
    let changes = discovery.sweep();
    assert_eq!(changes.vanished.len(), 1);
    assert!(changes.folders_gone.contains(&folder));
    assert_eq!(discovery.sweep(), Changes::default());
}

#[test]
fn folders_of_globs_that_were_there_and_are_gone_are_told() {
    let root = tempfile::tempdir().expect("temporary directory");
    let at = |path: &str| root.path().join(path);
    fs::create_dir_all(at("logs/pod")).expect("created");
    let include = ["logs/*.log", "logs/*/*.log", "never/*.log", "logs/one"];
    let include = include.map(|glob| at(glob).to_string_lossy().into_owned());
    let mut discovery = Discovery::new(Patterns::new(&include, &[]).expect("valid"));
    let mut gone = || {
        discovery.sweep();
        let gone = discovery.folders_gone().into_iter();
        gone.map(Path::to_owned).collect::<Vec<_>>()
    };
    assert!(gone().is_empty(), "one was never there");
    fs::remove_dir(at("logs/pod")).expect("removed");
    assert!(gone().is_empty(), "it is a folder like many");
    fs::rename(at("logs"), at("away")).expect("renamed");
    assert_eq!(gone(), [at("logs")]);
    fs::rename(at("away"), at("logs")).expect("renamed");
    assert!(gone().is_empty());
}

#[test]
fn files_beyond_the_limit_are_named_when_there_is_room() {
    let root = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| root.path().join(name);
    for name in ["a.log", "b.log", "c.log"] {
        fs::write(path(name), "").expect("written");
    }
    // Of one file there are two names.
    fs::hard_link(path("c.log"), path("d.log")).expect("linked");
    let include = path("*.log").to_string_lossy().into_owned();
    let mut discovery = Discovery::new(Patterns::new(&[include], &[]).expect("valid"));
    discovery.files_max = 1;
    let mut left = HashSet::new();
    let first = discovery.sweep();
    assert_eq!(first.complaints, [Complaint::TooMany]);
    let mut named = first.appeared;
    while let [(id, path)] = &named[..] {
        assert!(left.insert(*id));
        let names = discovery.names[id].clone();
        assert!(names.contains(path));
        names
            .iter()
            .for_each(|name| fs::remove_file(name).expect("removed"));
        let changes = discovery.sweep();
        assert_eq!(changes.vanished, [*id]);
        named = changes.appeared;
    }
    assert_eq!(left.len(), 3, "each in its turn");
    let names = fs::read_dir(root.path()).expect("listed");
    assert_eq!(names.count(), 0, "by all of its names");
    assert!(!discovery.is_over);
}
