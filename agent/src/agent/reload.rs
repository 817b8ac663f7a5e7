//! From one configuration to another while the agent runs.

use std::fmt;

use super::StartError;
use super::parts::Parts;
use crate::config::AgentConfig;
use crate::config::shapes::Shapes;

/// Sections whose changes are taken over by replacing parts; any other needs a restart.
const CHANGEABLE: [&str; 9] = [
    "resource",
    "resource_detection",
    "receivers",
    "processors",
    "exporters",
    "pipelines",
    "admin",
    "give_up",
    "tests",
];
/// Sections of named components.
const NAMED: [&str; 4] = ["receivers", "processors", "exporters", "pipelines"];

/// Why a configuration was not taken over. The agent goes on as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Restart the agent for these.
    #[error("{} cannot be changed while the agent runs; restart it", settings.join(", "))]
    NeedsRestart { settings: Vec<String> },
    #[error("a part of the new configuration cannot be started")]
    Start(#[from] StartError),
}

/// What a new configuration has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sections of named components that differ.
    pub sections: Vec<(&'static str, Diff)>,
    /// Other sections that differ.
    pub settings: Vec<&'static str>,
    /// What was started or replaced, because it or something it depends on is different.
    pub started_receivers: Vec<String>,
    pub started_exporters: Vec<String>,
    /// Those of them that begin with what is stored from now on.
    pub new_exporters: Vec<String>,
}

/// The names that differ in one section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

pub(super) async fn reload(parts: &mut Parts, config: AgentConfig) -> Result<Changes, ReloadError> {
    let settings = needing_restart(&parts.config.shapes, &config.shapes);
    if !settings.is_empty() {
        return Err(ReloadError::NeedsRestart { settings });
    }
    let mut changes = Changes::between(&parts.config.shapes, &config.shapes);
    let replaced = parts.become_those_of(config).await?;
    changes.started_receivers = replaced.receivers;
    changes.started_exporters = replaced.exporters;
    changes.new_exporters = replaced.new_exporters;
    Ok(changes)
}

fn needing_restart(old: &Shapes, new: &Shapes) -> Vec<String> {
    let mut settings = Vec::new();
    let mut sections: Vec<&str> = old.sections().chain(new.sections()).collect();
    sections.sort_unstable();
    sections.dedup();
    sections.retain(|section| !CHANGEABLE.contains(section));
    for section in sections {
        if old.section(section) == new.section(section) {
            continue;
        }
        let diff = Diff::between(old, new, section);
        let entries = [diff.added, diff.changed, diff.removed].concat();
        if entries.is_empty() {
            settings.push(section.to_owned());
        }
        settings.extend(entries.iter().map(|entry| format!("{section}.{entry}")));
    }
    settings
}

impl Changes {
    fn between(old: &Shapes, new: &Shapes) -> Self {
        let diffs = NAMED.map(|section| (section, Diff::between(old, new, section)));
        let settings = [
            "resource",
            "resource_detection",
            "admin",
            "give_up",
            "tests",
        ];
        let settings = settings.into_iter();
        Self {
            sections: diffs
                .into_iter()
                .filter(|(_, diff)| !diff.is_empty())
                .collect(),
            settings: settings
                .filter(|section| old.section(section) != new.section(section))
                .collect(),
            ..Self::default()
        }
    }

    /// Whether the configuration says what the one before said.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.settings.is_empty()
    }
}

impl Diff {
    fn between(old: &Shapes, new: &Shapes, section: &str) -> Self {
        let (old, new) = (old.entries(section), new.entries(section));
        let mut diff = Self::default();
        for (name, shape) in &new {
            match old.get(name) {
                None => diff.added.push(name.clone()),
                Some(known) if known != shape => diff.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        diff.removed = old
            .into_keys()
            .filter(|name| !new.contains_key(name))
            .collect();
        diff
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        let mut texts: Vec<String> = Vec::new();
        for (section, diff) in &self.sections {
            texts.push(format!("{section}: {diff}"));
        }
        texts.extend(
            self.settings
                .iter()
                .map(|section| format!("{section}: changed")),
        );
        for (kind, names) in [
            ("receivers", &self.started_receivers),
            ("exporters", &self.started_exporters),
        ] {
            if !names.is_empty() {
                texts.push(format!("{kind} started: {}", names.join(", ")));
            }
        }
        if !self.new_exporters.is_empty() {
            let names = self.new_exporters.join(", ");
            texts.push(format!("new, with what is stored from now on: {names}"));
        }
        f.write_str(&texts.join("; "))
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
        ];
        let texts = kinds.iter().filter(|(_, names)| !names.is_empty());
        let texts = texts.map(|(kind, names)| format!("{kind} {}", names.join(" ")));
        f.write_str(&texts.collect::<Vec<_>>().join(", "))
    }
}
