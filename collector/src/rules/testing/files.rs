//! The rule files that a test file names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use vervet_alerting::rule_test::TestFile;
use vervet_alerting::{GroupConfig, GroupKind, RuleFile};

use super::{TestOptions, texts};
use crate::rules::check_expr;

const FILES_MAX: usize = 10_000;

/// The groups in the order in which they are evaluated.
///
/// # Errors
/// Everything wrong with the rule files.
pub(super) fn groups(
    test_path: &Path,
    file: &TestFile,
    options: &TestOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<GroupConfig>, Vec<String>> {
    let folder = test_path.parent().unwrap_or(Path::new(""));
    let mut failures = Vec::new();
    let mut groups: Vec<GroupConfig> = Vec::new();
    let mut known = BTreeSet::new();
    for named in &file.rule_files {
        let paths = found(folder, named).map_err(|reason| vec![reason])?;
        if paths.is_empty() {
            notes.push(format!("no file matches {named:?}"));
        }
        for path in paths {
            match load(&path, options) {
                Ok(loaded) => {
                    let fresh = loaded.into_iter().filter(|group| known.insert(group.key()));
                    groups.extend(fresh);
                }
                Err(reasons) => failures.extend(reasons),
            }
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    groups.retain(|group| {
        let is_tested = group.kind == GroupKind::Metrics;
        if !is_tested {
            notes.push(format!(
                "the group {:?} is over logs and left out",
                group.name
            ));
        }
        is_tested
    });
    // What is not named is as good as the first, as in promtool.
    let order = (0_usize..).zip(&file.group_eval_order);
    let order: BTreeMap<&String, usize> = order.map(|(index, name)| (name, index)).collect();
    groups.sort_by_key(|group| order.get(&group.name).copied().unwrap_or(0));
    Ok(groups)
}

fn load(path: &Path, options: &TestOptions) -> Result<Vec<GroupConfig>, Vec<String>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| vec![format!("{name}: cannot read it: {error}")])?;
    let check = check_expr(options.features);
    let file = RuleFile::parse_with(&name, &text, options.unknown, &check);
    file.map(|file| file.groups)
        .map_err(|errors| texts(&errors))
}

/// The files that a path or glob stands for, sorted; in a glob `*`, `?` and `[...]` stand for parts of one name.
fn found(folder: &Path, named: &str) -> Result<Vec<PathBuf>, String> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let mut paths = vec![PathBuf::new()];
    for component in folder.join(named).components() {
        let glob = match component {
            Component::Normal(name) => matcher(&name.to_string_lossy())?,
            _ => None,
        };
        paths = match glob {
            Some(glob) => paths
                .iter()
                .flat_map(|path| matching(path, &glob))
                .collect(),
            None => paths.into_iter().map(|path| path.join(component)).collect(),
        };
        if paths.len() > FILES_MAX {
            return Err(format!("{named:?} stands for more than {FILES_MAX} files"));
        }
    }
    paths.retain(|path| path.exists());
    paths.sort();
    Ok(paths)
}

/// `None` for a name without anything that stands for something else.
fn matcher(name: &str) -> Result<Option<GlobMatcher>, String> {
    if !name.contains(['*', '?', '[', '\\']) {
        return Ok(None);
    }
    // Braces stand for themselves.
    let pattern = name.replace('{', "[{]").replace('}', "[}]");
    let glob = GlobBuilder::new(&pattern).backslash_escape(true).build();
    let glob = glob.map_err(|error| error.to_string())?;
    Ok(Some(glob.compile_matcher()))
}

fn matching(folder: &Path, glob: &GlobMatcher) -> Vec<PathBuf> {
    let listed = match folder.as_os_str().is_empty() {
        true => Path::new(".").read_dir(),
        false => folder.read_dir(),
    };
    let entries = listed.into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter(|name| glob.is_match(name))
        .take(FILES_MAX)
        .map(|name| folder.join(name))
        .collect()
}
