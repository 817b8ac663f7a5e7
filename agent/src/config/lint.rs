//! A look at a configuration together with the machine it is to run on: what reading it alone cannot tell.
//!
//! Everything found here is a warning: the machine that validates need not be the one that runs.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::error::Problem;
use super::hide::Hidden;
use super::substitute::Sources;
use super::yaml::{Node, Value, parse};
use super::{AgentConfig, ConfigError, SystemSources, substitute};

/// A configuration that can run, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Checked {
    pub config: AgentConfig,
    /// In the order of the file.
    pub warnings: Vec<Problem>,
}

impl AgentConfig {
    /// Reads a configuration file and looks at what it refers to.
    ///
    /// # Errors
    /// The file cannot be read, or what it says cannot be used.
    pub fn check(path: &Path) -> Result<Checked, ConfigError> {
        let config = Self::load(path)?;
        let mut warnings = config.warnings.clone();
        // It has just been read; if it is gone now, there is nothing more to say of it.
        if let Some((root, hidden)) = tree(path, &SystemSources) {
            files(&root, &mut Vec::new(), &mut warnings);
            warnings.extend(disk(&root, &config));
            warnings.iter_mut().for_each(|warning| hidden.hide(warning));
        }
        warnings.sort_by_key(|warning| warning.line);
        Ok(Checked { config, warnings })
    }
}

fn tree(path: &Path, sources: &dyn Sources) -> Option<(Node, Hidden)> {
    let mut root = parse(&std::fs::read_to_string(path).ok()?).ok()?;
    let mut hidden = Hidden::default();
    substitute::substitute(&mut root, sources, &mut Vec::new(), &mut hidden);
    hidden.add_secrets(&root);
    Some((root, hidden))
}

/// Settings called `..._file` name files that are read when the agent starts.
fn files(node: &Node, path: &mut Vec<String>, warnings: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => items.iter().for_each(|item| files(item, path, warnings)),
        Value::Map(entries) => {
            for (key, value) in entries {
                path.push(key.name.clone());
                if let Value::Scalar { text, .. } = &value.value
                    && key.name.ends_with("_file")
                    && !value.is_null()
                    && let Some(why) = unreadable(Path::new(text))
                {
                    warnings.push(Problem {
                        line: Some(value.line),
                        path: path.clone(),
                        message: format!("{text} {why}"),
                    });
                }
                files(value, path, warnings);
                path.pop();
            }
        }
    }
}

fn unreadable(path: &Path) -> Option<String> {
    let look = || -> std::io::Result<Option<String>> {
        if !std::fs::metadata(path)?.is_file() {
            return Ok(Some("is not a file".to_owned()));
        }
        let bytes = File::open(path)?.read(&mut [0])?;
        Ok((bytes == 0).then(|| "is empty".to_owned()))
    };
    look().unwrap_or_else(|error| Some(format!("cannot be read: {error}")))
}

/// A disk budget that the disk does not have.
fn disk(root: &Node, config: &AgentConfig) -> Option<Problem> {
    let existing = |path: &Path| {
        path.ancestors()
            .find(|path| path.exists())
            .map(PathBuf::from)
    };
    let file_system = rustix::fs::statvfs(existing(&config.data_dir)?).ok()?;
    let bytes = file_system.f_blocks.saturating_mul(file_system.f_frsize);
    if config.disk_bytes <= bytes {
        return None;
    }
    let message = format!(
        "disk is {} MiB, but the file system of {} has {} MiB in all",
        config.disk_bytes >> 20,
        config.data_dir.display(),
        bytes >> 20
    );
    let line = match &root.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.name == "limits"),
        _ => None,
    };
    let line = line.map_or(root.line, |(_, node)| node.line);
    Some(Problem::at(line, message).inside("limits"))
}
