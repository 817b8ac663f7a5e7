//! How segments are kept in shape.

use std::collections::BTreeMap;
use std::time::Duration;

use vervet_agent::config::Mistakes;
use vervet_store::UpkeepConfig;
use vervet_store::maintain::{EnvironmentKeep, Keep, RetentionConfig};

use super::spec::{KeepSpec, RetentionSpec, StoreSpec};

/// How often it is looked whether files are to be merged or deleted.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Fewer files are no merge.
const FILES_MIN_LEAST: usize = 2;

/// Of the upkeep of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepSettings {
    pub store: UpkeepConfig,
    /// How often it is looked whether there is something to do.
    pub interval: Duration,
}

impl UpkeepSettings {
    /// What the section `store` says; what makes no sense is noted.
    pub(super) fn new(spec: &StoreSpec, mistakes: &mut Mistakes) -> Self {
        let mut upkeep = UpkeepConfig::default();
        let given = &spec.compaction;
        let compaction = &mut upkeep.compaction;
        for (value, setting) in [
            (given.file_min, &mut compaction.file_bytes_min),
            (given.file_max, &mut compaction.file_bytes_max),
            (given.memory, &mut compaction.memory_bytes),
            (given.rate, &mut compaction.bytes_per_second),
        ] {
            if let Some(value) = value {
                *setting = value.0;
            }
        }
        compaction.files_min = given.files_min.unwrap_or(compaction.files_min);
        for (holds, settings, message) in [
            (
                compaction.files_min >= FILES_MIN_LEAST,
                &["store.compaction.files_min"][..],
                "store.compaction.files_min must be at least 2",
            ),
            (
                compaction.file_bytes_min > 0,
                &["store.compaction.file_min"],
                "store.compaction.file_min must not be 0",
            ),
            (
                compaction.bytes_per_second > 0,
                &["store.compaction.rate"],
                "store.compaction.rate must not be 0",
            ),
            (
                compaction.file_bytes_max >= compaction.file_bytes_min,
                &["store.compaction.file_max", "store.compaction.file_min"],
                "store.compaction.file_max must not be below store.compaction.file_min",
            ),
        ] {
            mistakes.demand(holds, settings, message);
        }
        upkeep.retention = retention(&spec.retention, mistakes);
        if let Some(grace) = spec.reader_grace {
            upkeep.reader_grace = grace.0;
        }
        if let Some(bytes) = spec.unclaimed_max {
            upkeep.unclaimed_bytes_max = bytes.0;
        }
        Self {
            store: upkeep,
            interval: spec
                .upkeep_interval
                .map_or(UPKEEP_INTERVAL, |interval| interval.0)
                .max(Duration::from_millis(1)),
        }
    }
}

fn retention(spec: &RetentionSpec, mistakes: &mut Mistakes) -> RetentionConfig {
    let mut environments = BTreeMap::new();
    for (name, spec) in &spec.environments {
        mistakes.demand(
            !name.is_empty(),
            &["store.retention.environments"],
            "store.retention.environments: a name is empty",
        );
        let keep = EnvironmentKeep {
            logs: keep(spec.logs, &format!("environments.{name}.logs"), mistakes),
            traces: keep(
                spec.traces,
                &format!("environments.{name}.traces"),
                mistakes,
            ),
        };
        environments.insert(name.clone(), keep);
    }
    RetentionConfig {
        logs: keep(spec.logs, "logs", mistakes),
        traces: keep(spec.traces, "traces", mistakes),
        metrics: keep(spec.metrics, "metrics", mistakes),
        environments,
    }
}

fn keep(spec: KeepSpec, path: &str, mistakes: &mut Mistakes) -> Keep {
    let is_zero = [
        ("age", spec.age.is_some_and(|age| age.0.is_zero())),
        ("size", spec.size.is_some_and(|size| size.0 == 0)),
    ];
    for (key, is_zero) in is_zero {
        let setting = format!("store.retention.{path}.{key}");
        mistakes.demand(!is_zero, &[&setting], format!("{setting} must not be 0"));
    }
    Keep {
        age: spec.age.map(|age| age.0),
        bytes: spec.size.map(|size| size.0),
    }
}
