//! The house rules as tests, over every file that is tracked or about to be.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail them by a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use vervet_alerting::load_dir;

const SOURCE_LINES_MAX: usize = 500;

/// Which of our crates a crate may use. `tests` and `benches` may use all.
const EDGES: [(&str, &[&str]); 11] = [
    ("vervet-model", &[]),
    ("vervet-wire", &["vervet-model"]),
    ("vervet-journal", &["vervet-model"]),
    ("vervet-exposition", &["vervet-model", "vervet-wire"]),
    ("vervet-promql", &["vervet-model"]),
    ("vervet-alerting", &["vervet-model"]),
    ("vervet-error-groups", &["vervet-model"]),
    ("vervet-relabel", &[]),
    (
        "vervet-store",
        &[
            "vervet-model",
            "vervet-wire",
            "vervet-journal",
            "vervet-promql",
            "vervet-alerting",
            "vervet-error-groups",
        ],
    ),
    (
        "vervet-agent",
        &[
            "vervet-model",
            "vervet-wire",
            "vervet-journal",
            "vervet-relabel",
            "vervet-exposition",
        ],
    ),
    (
        "vervet-collector",
        &[
            "vervet-agent",
            "vervet-model",
            "vervet-wire",
            "vervet-journal",
            "vervet-promql",
            "vervet-alerting",
            "vervet-error-groups",
            "vervet-store",
        ],
    ),
];
/// What must never be linked into the agent.
const NOT_IN_AGENT: [&str; 6] = [
    "arrow",
    "parquet",
    "datafusion",
    "object_store",
    "rusqlite",
    "libsqlite3-sys",
];
/// Of these the lock file holds one version each.
const ONE_VERSION: [&str; 5] = ["arrow", "parquet", "datafusion", "object_store", "rusqlite"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Paths of all files but ignored ones, relative to the root.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listed = String::from_utf8(output.stdout).unwrap();
    let files: BTreeSet<String> = listed
        .lines()
        .filter(|file| root().join(file).is_file())
        .map(str::to_owned)
        .collect();
    assert!(files.len() > 50, "hardly any file found: {files:?}");
    files.into_iter().collect()
}

fn rust_files() -> Vec<String> {
    files()
        .into_iter()
        .filter(|file| file.ends_with(".rs"))
        .collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Fails with all findings at once.
fn check(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

fn is_test(file: &str) -> bool {
    let in_tests = file
        .split('/')
        .any(|part| matches!(part, "tests" | "benches" | "fuzz"));
    in_tests || file.ends_with("/tests.rs")
}

#[test]
fn source_files_are_short() {
    let long = rust_files()
        .into_iter()
        .filter(|file| !is_test(file))
        .filter_map(|file| {
            let lines = read(&file).lines().count();
            (lines > SOURCE_LINES_MAX).then(|| format!("{file}: {lines} lines"))
        });
    check(
        &format!("at most {SOURCE_LINES_MAX} lines"),
        &long.collect::<Vec<_>>(),
    );
}

#[test]
fn modules_are_named_after_their_file() {
    let found: Vec<_> = rust_files()
        .into_iter()
        .filter(|file| file.ends_with("/mod.rs"))
        .collect();
    check("`name.rs` and `name/`, never `mod.rs`", &found);
}

#[test]
fn no_test_is_ignored() {
    let attribute = ["#[", "ignore"].concat();
    let found: Vec<_> = rust_files()
        .into_iter()
        .filter(|file| read(file).contains(&attribute))
        .collect();
    check("a test runs or is not there", &found);
}

#[test]
fn crates_use_only_what_they_may() {
    let manifests = manifests();
    let mut findings = Vec::new();
    for (name, allowed) in EDGES {
        let used = manifests
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no manifest"));
        for other in used.iter().filter(|other| other.starts_with("vervet-")) {
            if !allowed.contains(&other.as_str()) {
                findings.push(format!("{name} uses {other}"));
            }
        }
        if name != "vervet-store" && used.contains("datafusion") {
            findings.push(format!("{name} uses datafusion, which is the store's"));
        }
    }
    let known: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let apart = ["vervet-tests", "vervet-benches"];
    for name in manifests
        .keys()
        .filter(|name| !apart.contains(&name.as_str()))
    {
        if !known.contains(name.as_str()) {
            findings.push(format!("{name} is not in the list of edges"));
        }
    }
    check("edges between crates", &findings);
}

/// The normal dependencies of each workspace crate, by its name.
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let listed = files()
        .into_iter()
        .filter(|file| file.ends_with("/Cargo.toml"));
    // Fuzz targets and the programs whose logs are fixtures are packages of their own.
    let apart = |file: &String| file.contains("/fuzz/") || file.starts_with("tests/producers/");
    let manifests = listed.filter(|file| !apart(file));
    manifests.map(|file| manifest(&read(&file))).collect()
}

fn manifest(text: &str) -> (String, BTreeSet<String>) {
    let (mut section, mut name, mut used) = ("", String::new(), BTreeSet::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
            let table = line.trim_matches(['[', ']']).strip_prefix("dependencies.");
            used.extend(table.map(str::to_owned));
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        match section {
            "[package]" if key.trim() == "name" => {
                value.trim().trim_matches('"').clone_into(&mut name)
            }
            "[dependencies]" => {
                let dependency = key.trim().split('.').next().unwrap_or_default();
                used.insert(dependency.to_owned());
            }
            _ => {}
        }
    }
    (name, used)
}

/// Name, version and names of the dependencies of every package in the lock file.
fn locked() -> Vec<(String, String, Vec<String>)> {
    let text = read("Cargo.lock");
    let packages = text.split("[[package]]").skip(1);
    let packages = packages.map(|package| {
        let value = |key: &str| {
            let line = package
                .lines()
                .find(|line| line.starts_with(key))
                .unwrap_or_default();
            line.split('"').nth(1).unwrap_or_default().to_owned()
        };
        let listed = package
            .split_once("dependencies = [")
            .map_or("", |(_, rest)| rest);
        let names = listed.split('"').skip(1).step_by(2);
        let names = names.map(|name| name.split(' ').next().unwrap_or_default().to_owned());
        (value("name = "), value("version = "), names.collect())
    });
    packages.collect()
}

#[test]
fn storage_crates_are_locked_in_one_version() {
    let locked = locked();
    let mut findings = Vec::new();
    for wanted in ONE_VERSION {
        let found = locked.iter().filter(|(name, ..)| name == wanted);
        let versions: Vec<_> = found.map(|(_, version, _)| version.as_str()).collect();
        if versions.len() != 1 {
            findings.push(format!("{wanted}: {versions:?}"));
        }
    }
    check("one version each", &findings);
}

#[test]
fn agent_links_no_storage() {
    let mut dependencies: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, _, names) in locked() {
        dependencies.entry(name).or_default().extend(names);
    }
    let (mut reached, mut open) = (BTreeSet::new(), vec!["vervet-agent".to_owned()]);
    while let Some(name) = open.pop() {
        if reached.insert(name.clone()) {
            open.extend(dependencies.get(&name).into_iter().flatten().cloned());
        }
    }
    assert!(
        reached.contains("tokio"),
        "the lock file was not understood: {reached:?}"
    );
    let found: Vec<_> = NOT_IN_AGENT
        .iter()
        .filter(|name| reached.contains(**name))
        .collect();
    assert!(found.is_empty(), "vervet-agent reaches {found:?}");
}

#[test]
fn shipped_rule_files_parse() {
    // The expressions are read by the collector's own tests, in the language of their group.
    let loaded = load_dir(&root().join("alert-rules"), &|_kind, _expr| Ok(()));
    let errors: Vec<_> = loaded.errors.iter().map(ToString::to_string).collect();
    check("shipped rule files", &errors);
    assert!(loaded.groups.len() > 3, "{} groups", loaded.groups.len());
}

#[test]
fn every_route_is_documented() {
    let source = read("collector/src/api.rs");
    let routes: BTreeSet<String> = source
        .split(".route(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .chain(["/v1/logs", "/v1/metrics", "/v1/traces"])
        .map(without_names)
        .collect();
    assert!(routes.len() > 20, "{routes:?}");
    let documents = ["README.md", "ARCHITECTURE.md"].map(read).concat();
    let documented: BTreeSet<String> = documents
        .split(|c: char| c.is_whitespace() || "`|()\"'".contains(c))
        .filter(|word| word.starts_with('/'))
        .flat_map(|word| alternatives(word.trim_end_matches(['.', ',', ';', ':'])))
        .map(|word| without_names(&word))
        .collect();
    let missing: Vec<_> = routes.difference(&documented).cloned().collect();
    check(
        "routes that neither README.md nor ARCHITECTURE.md names",
        &missing,
    );
}

/// `/a/{b,c}` is `/a/b` and `/a/c`.
fn alternatives(word: &str) -> Vec<String> {
    let braces = word.match_indices('{').find_map(|(open, _)| {
        let close = open + word[open..].find('}')?;
        word[open..close].contains(',').then_some((open, close))
    });
    let Some((open, close)) = braces else {
        return vec![word.to_owned()];
    };
    let (before, after) = (&word[..open], &word[close + 1..]);
    let expanded = word[open + 1..close].split(',');
    expanded
        .flat_map(|part| alternatives(&format!("{before}{}{after}", part.trim())))
        .collect()
}

/// `/a/{id}/b` and `/a/<id>/b` are the same route.
fn without_names(route: &str) -> String {
    let part = |part: &str| match part.starts_with(['{', '<', ':']) {
        true => "{}".to_owned(),
        false => part.split('?').next().unwrap_or_default().to_owned(),
    };
    route.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn no_file_names_a_machine_or_a_package_registry() {
    let home = std::env::var("HOME").unwrap_or_default();
    let mut words = vec![
        ["/work", "/main"].concat(),
        ["/work", "/shared"].concat(),
        ["/root", "/.cache"].concat(),
        ["registry.npm", "js.org"].concat(),
        ["py", "pi.org"].concat(),
        ["files.python", "hosted.org"].concat(),
        ["static.crates", ".io"].concat(),
        ["index.crates", ".io"].concat(),
        ["deb.debian", ".org"].concat(),
        ["proxy.go", "lang.org"].concat(),
    ];
    words.extend((home.len() > 5).then(|| format!("{home}/")));
    let mut findings = Vec::new();
    for file in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else {
            continue;
        };
        for word in words.iter().filter(|word| text.contains(word.as_str())) {
            findings.push(format!("{file}: {word}"));
        }
    }
    check(
        "paths of one machine, hosts of package registries",
        &findings,
    );
}
