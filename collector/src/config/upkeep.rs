//! How segments are kept in shape.

use std::time::Duration;

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

impl TryFrom<&StoreSpec> for UpkeepSettings {
    type Error = String;

    fn try_from(spec: &StoreSpec) -> Result<Self, String> {
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
        if compaction.files_min < FILES_MIN_LEAST {
            return Err("compaction.files_min must be at least 2".to_owned());
        }
        if compaction.file_bytes_min == 0 || compaction.bytes_per_second == 0 {
            return Err("compaction.file_min and compaction.rate must not be 0".to_owned());
        }
        if compaction.file_bytes_max < compaction.file_bytes_min {
            return Err("compaction.file_max must not be below compaction.file_min".to_owned());
        }
        upkeep.retention = retention(&spec.retention)?;
        if let Some(grace) = spec.reader_grace {
            upkeep.reader_grace = grace.0;
        }
        Ok(Self {
            store: upkeep,
            interval: spec
                .upkeep_interval
                .map_or(UPKEEP_INTERVAL, |interval| interval.0)
                .max(Duration::from_millis(1)),
        })
    }
}

fn retention(spec: &RetentionSpec) -> Result<RetentionConfig, String> {
    let environment = |(name, spec): (&String, &super::spec::EnvironmentSpec)| {
        if name.is_empty() {
            return Err("retention.environments: a name is empty".to_owned());
        }
        let keep = EnvironmentKeep {
            logs: keep(spec.logs, &format!("environments.{name}.logs"))?,
            traces: keep(spec.traces, &format!("environments.{name}.traces"))?,
        };
        Ok((name.clone(), keep))
    };
    Ok(RetentionConfig {
        logs: keep(spec.logs, "logs")?,
        traces: keep(spec.traces, "traces")?,
        metrics: keep(spec.metrics, "metrics")?,
        environments: spec
            .environments
            .iter()
            .map(environment)
            .collect::<Result<_, _>>()?,
    })
}

fn keep(spec: KeepSpec, path: &str) -> Result<Keep, String> {
    if spec.age.is_some_and(|age| age.0.is_zero()) {
        return Err(format!("retention.{path}.age must not be 0"));
    }
    if spec.size.is_some_and(|size| size.0 == 0) {
        return Err(format!("retention.{path}.size must not be 0"));
    }
    Ok(Keep {
        age: spec.age.map(|age| age.0),
        bytes: spec.size.map(|size| size.0),
    })
}
