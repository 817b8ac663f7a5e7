//! Which store a command is about.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::CollectorConfig;

/// Names a data folder.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Data folder of the collector.
    #[arg(long, value_name = "DIR", env = "VERVET_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file that names the data folder; `--data-dir` wins over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The data folder, that of the defaults when nothing is said.
    pub(super) fn data_dir(&self) -> Result<PathBuf, CliError> {
        let config = match (&self.data_dir, &self.config) {
            (Some(dir), _) => return Ok(dir.clone()),
            (None, Some(file)) => CollectorConfig::load(file),
            (None, None) => CollectorConfig::parse("default", ""),
        };
        match config {
            Ok(config) => Ok(config.data_dir),
            Err(error) => Err(CliError::Config(error.to_string())),
        }
    }
}
