//! Loading a directory: bad files are refused one by one, the good ones load.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CheckExpr, GroupConfig, RuleFile, RuleFileError};

const FILES_MAX: usize = 10_000;

/// What a directory held.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub groups: Vec<GroupConfig>,
    /// The refused files; several errors may belong to one file.
    pub errors: Vec<RuleFileError>,
}

/// What a manager works with: the rules, and the files that could not be read.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    pub groups: Vec<GroupConfig>,
    /// As in group keys. The alerts of their rules neither end nor go on until the file loads again or
    /// is gone. A directory stands for all files in it.
    pub refused_files: BTreeSet<String>,
}

impl RuleSet {
    /// Whether the group of this key (`file;name`) may be in a refused file.
    pub(crate) fn refuses(refused_files: &BTreeSet<String>, group_key: &str) -> bool {
        refused_files.iter().any(|file| {
            let rest = group_key.strip_prefix(file.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with([';', '/']))
        })
    }
}

impl From<Loaded> for RuleSet {
    fn from(loaded: Loaded) -> Self {
        Self {
            groups: loaded.groups,
            refused_files: loaded.errors.into_iter().map(|error| error.file).collect(),
        }
    }
}

impl From<Vec<GroupConfig>> for RuleSet {
    fn from(groups: Vec<GroupConfig>) -> Self {
        Self {
            groups,
            refused_files: BTreeSet::new(),
        }
    }
}

/// Loads every `*.yaml` and `*.yml` of a directory (not below it), by name, leaving out test files
/// (`*.test.yaml`, `*.test.yml`). Group keys hold the path as joined to `dir`. Blocks on file reads.
pub fn load_dir(dir: &Path, check_expr: &CheckExpr<'_>) -> Loaded {
    let mut loaded = Loaded::default();
    let paths = match rule_paths(dir) {
        Ok(paths) => paths,
        Err(error) => {
            let message = format!("cannot list the directory: {error}");
            loaded.errors.push(RuleFileError::whole_file(
                &dir.display().to_string(),
                message,
            ));
            return loaded;
        }
    };
    for path in paths {
        let name = path.display().to_string();
        let parsed = std::fs::read_to_string(&path)
            .map_err(|e| {
                vec![RuleFileError::whole_file(
                    &name,
                    format!("cannot read it: {e}"),
                )]
            })
            .and_then(|text| RuleFile::parse(&name, &text, check_expr));
        match parsed {
            Ok(file) => loaded.groups.extend(file.groups),
            Err(errors) => loaded.errors.extend(errors),
        }
    }
    loaded
}

fn rule_paths(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)?.take(FILES_MAX) {
        let path = entry?.path();
        if path.is_file() && is_rule_file(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_rule_file(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    [".yaml", ".yml"].iter().any(|extension| {
        name.strip_suffix(extension)
            .is_some_and(|stem| !stem.ends_with(".test"))
    })
}
