//! A look at a configuration together with the machine it is to run on: what reading it alone cannot tell.
//!
//! What is found here is a warning: the machine that validates need not be the one that runs. But a certificate or key that cannot
//! be used is a mistake: with it the exporter does not start.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::conflicts::at_setting;
use super::error::Problem;
use super::hide::Hidden;
use super::substitute::Sources;
use super::yaml::{Node, Value, parse};
use super::{AgentConfig, ConfigError, ReceiverConfig, SystemSources, substitute};
use crate::exporters::tls;

/// Settings that name certificates and keys.
const TLS_FILES: [&str; 3] = ["ca_file", "cert_file", "key_file"];

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
    /// The file cannot be read, or what it says or names cannot be used.
    pub fn check(path: &Path) -> Result<Checked, ConfigError> {
        let loaded = Self::load(path);
        let mut seen = Seen::default();
        // It has just been read; if it is gone now, there is nothing more to say of it.
        if let Some((root, hidden)) = tree(path, &SystemSources) {
            seen.files(&root, &mut Vec::new());
            if let Ok(config) = &loaded {
                seen.warnings.extend(config.warnings.iter().cloned());
                seen.warnings.extend(disk(&root, config));
                seen.warnings.extend(folders(&root, config));
                seen.mistakes.extend(no_folder(&root, config));
            }
            let all = seen.warnings.iter_mut().chain(&mut seen.mistakes);
            all.for_each(|problem| hidden.hide(problem));
        }
        let Seen {
            mut warnings,
            mistakes,
        } = seen;
        let (config, mut problems) = match loaded {
            Ok(config) => (Some(config), mistakes),
            Err(error) => (None, [error.problems, mistakes].concat()),
        };
        match config {
            Some(config) if problems.is_empty() => {
                warnings.sort_by_key(|warning| warning.line);
                Ok(Checked { config, warnings })
            }
            _ => {
                problems.sort_by_key(|problem| problem.line);
                let file = path.display().to_string();
                Err(ConfigError { file, problems })
            }
        }
    }
}

/// What was found of the files that the configuration names.
#[derive(Default)]
struct Seen {
    warnings: Vec<Problem>,
    mistakes: Vec<Problem>,
}

fn tree(path: &Path, sources: &dyn Sources) -> Option<(Node, Hidden)> {
    let mut root = parse(&std::fs::read_to_string(path).ok()?).ok()?;
    let mut hidden = Hidden::default();
    let unresolved = &mut substitute::Unresolved::default();
    substitute::substitute(&mut root, sources, unresolved, &mut hidden);
    hidden.add_secrets(&root);
    Some((root, hidden))
}

impl Seen {
    /// Settings called `..._file` name files that are read when the agent starts.
    fn files(&mut self, node: &Node, path: &mut Vec<String>) {
        match &node.value {
            Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(|item| self.files(item, path)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    path.push(key.name.clone());
                    if let Value::Scalar { text, .. } = &value.value
                        && key.name.ends_with("_file")
                        && !text.is_empty()
                        && !value.is_null()
                    {
                        self.file(&key.name, Path::new(text), (value.line, path));
                    }
                    self.files(value, path);
                    path.pop();
                }
            }
        }
    }

    fn file(&mut self, setting: &str, file: &Path, (line, path): (usize, &[String])) {
        let of_tls = TLS_FILES.contains(&setting);
        let why = unreadable(file).map(|why| format!("{} {why}", file.display()));
        let why = why.or_else(|| {
            let checked = of_tls.then(|| tls::check(setting, file));
            Some(checked?.err()?.to_string())
        });
        let Some(message) = why else { return };
        let problem = Problem {
            line: Some(line),
            path: path.to_vec(),
            message,
        };
        // The others read theirs whenever they need it.
        let of_processor = path.first().is_some_and(|block| block == "processors");
        match of_tls && !of_processor {
            true => self.mistakes.push(problem),
            false => self.warnings.push(problem),
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

/// A `data_dir` that is a file.
fn no_folder(root: &Node, config: &AgentConfig) -> Option<Problem> {
    let dir = &config.data_dir;
    let is_other = std::fs::metadata(dir).is_ok_and(|found| !found.is_dir());
    is_other.then(|| {
        let message = format!("{} is there and is no folder", dir.display());
        at_setting(root, &["data_dir"], message)
    })
}

/// Globs that name a folder.
fn folders(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, receiver) in &config.receivers {
        let ReceiverConfig::Filelog(filelog) = receiver else {
            continue;
        };
        for folder in filelog.globs().filter(|glob| Path::new(glob).is_dir()) {
            let message = format!(
                "{folder} is a folder, of which nothing is read; write `{folder}/*` for the files in it"
            );
            problems.push(at_setting(root, &["receivers", name, "include"], message));
        }
    }
    problems
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
