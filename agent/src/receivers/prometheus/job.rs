//! One entry of `scrape_configs`, checked.

mod check;

use std::collections::BTreeMap;
use std::time::Duration;

use vervet_exposition::Protocol;
use vervet_relabel::Rule;

use super::discovery::Discovery;
use super::http::HttpConfig;
use super::pass::Times;
use super::series::SeriesRules;
use super::spec::{PrometheusSpec, Scheme};
use super::target::Target;
use crate::config::Mistakes;

/// Series kept of a target unless the configuration says otherwise.
const SERIES_MAX_DEFAULT: usize = 200_000;

/// The settings of a `prometheus` receiver, checked.
#[derive(Debug, Clone)]
pub struct PrometheusConfig {
    pub(crate) jobs: Vec<JobConfig>,
}

/// One job.
#[derive(Debug, Clone)]
pub(crate) struct JobConfig {
    pub(crate) name: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) path: String,
    pub(crate) scheme: Scheme,
    pub(crate) params: BTreeMap<String, Vec<String>>,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps_staleness: bool,
    pub(crate) http: HttpConfig,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) fallback: Option<Protocol>,
    pub(crate) native_histograms: bool,
    /// Classic buckets are taken of histograms that are native, too.
    pub(crate) classic_of_native: bool,
    pub(crate) limits: Limits,
    pub(crate) discoveries: Vec<Discovery>,
    pub(crate) relabel: Vec<Rule>,
    pub(crate) metric_relabel: Vec<Rule>,
}

/// How much a job may bring. `usize::MAX` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A body, after decompression.
    pub(crate) body_bytes: usize,
    pub(crate) samples: usize,
    /// Labels of a series, its name included.
    pub(crate) labels: usize,
    pub(crate) label_name_bytes: usize,
    pub(crate) label_value_bytes: usize,
    /// Series of a target that are kept; what is over is left out.
    pub(crate) series: usize,
    pub(crate) targets: usize,
    /// Targets dropped by relabelling that are remembered.
    pub(crate) dropped_targets: usize,
}

impl JobConfig {
    /// What becomes of the series of a target.
    pub(super) fn rules<'a>(&'a self, target: &'a Target) -> SeriesRules<'a> {
        SeriesRules {
            labels: &target.labels,
            honor_labels: self.honor_labels,
            relabel: &self.metric_relabel,
            limits: self.limits,
        }
    }

    /// The times of a scrape's samples.
    pub(super) fn times(&self, scrape_ms: i64) -> Times {
        Times {
            scrape_ms,
            honored: self.honor_timestamps,
            tracked: self.track_timestamps_staleness,
        }
    }
}

impl TryFrom<PrometheusSpec> for PrometheusConfig {
    type Error = Mistakes;

    fn try_from(spec: PrometheusSpec) -> Result<Self, Mistakes> {
        let (mut jobs, mut mistakes) = (Vec::new(), Mistakes::default());
        let series_max = spec.max_series_per_target.unwrap_or(SERIES_MAX_DEFAULT);
        mistakes.demand(
            series_max > 0,
            &["max_series_per_target"],
            "max_series_per_target must be above 0".to_owned(),
        );
        let mut names: Vec<String> = Vec::new();
        for (at, job) in spec.scrape_configs.into_iter().enumerate() {
            let name = job.job_name.clone();
            let mut notes = check::Notes::new(at, &name, &mut mistakes);
            let is_new = !names.contains(&name);
            notes.demand(is_new, &["job_name"], "there is another job of that name");
            jobs.extend(check::job(job, series_max, &mut notes));
            names.push(name);
        }
        mistakes.or(Some(Self { jobs }))
    }
}
