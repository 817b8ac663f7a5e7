//! The collector's configuration: YAML, strict, every limit a number with a default.
//!
//! ```yaml
//! data_dir: ./vervet-data
//! environment: production
//! http: {listen: 127.0.0.1:7420}
//! otlp: {grpc: 127.0.0.1:4317, http: 127.0.0.1:4318}
//! store: {promote: {logs: [{key: http.response.status_code, type: integer}]}}
//! rules: {dir: /etc/vervet/alert-rules}
//! alerting: {route: {receiver: team}, receivers: [{name: team, webhook_configs: [{url: http://127.0.0.1:9000/}]}]}
//! ```

mod memory;
mod promote;
mod shown;
mod spec;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vervet_agent::budget::allowed_bytes;
use vervet_agent::config::substitute::SystemSources;
use vervet_agent::config::{ConfigError, Mistakes, Problem, listen_address, read_checked};
use vervet_alerting::{NotifyConfig, NotifySpec};
use vervet_promql::Features;
use vervet_store::PromoteConfig;

pub use spec::CollectorSpec;
pub use upkeep::UpkeepSettings;

/// A configuration that can run.
#[derive(Debug, Clone)]
pub struct CollectorConfig {
    pub data_dir: PathBuf,
    /// Shown in the UI, so that nobody mistakes production for something else.
    pub environment: String,
    /// API and UI.
    pub http: SocketAddr,
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
    pub limits: Limits,
    pub promql: Features,
    /// Attributes that get columns of their own.
    pub promote: PromoteConfig,
    pub upkeep: UpkeepSettings,
    /// Folder of rule files; the built-in rules when absent.
    pub rules_dir: Option<PathBuf>,
    pub evaluation_interval: Duration,
    /// Where users reach the web app, when it is not the address listened on.
    pub external_url: Option<String>,
    pub notify: NotifyConfig,
    /// Where the collector's own traces go.
    pub traces_endpoint: Option<String>,
}

/// The head is flushed when it is as large (bytes).
const HEAD_BYTES: usize = 64 << 20;
/// Requests being received and decoded have this at least (bytes).
const INFLIGHT_BYTES_MIN: u64 = 64 << 10;
/// The journal has room for one of its files (bytes).
const JOURNAL_BYTES_MIN: u64 = 16 << 20;
/// How often rules are evaluated.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(15);
/// How many times as large it may become while a flush is under way.
const HEADS_MAX: usize = 4;

/// Every limit, in bytes where not said otherwise. Those of memory are less where the process may take less than 4 GiB.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One OTLP request, before and after decompression.
    pub request_bytes: usize,
    /// Requests being decoded or waiting for the journal.
    pub inflight_bytes: usize,
    /// The journal on disk.
    pub journal_bytes: u64,
    /// Rows in memory before they are written to segments.
    pub head_bytes: usize,
    /// Rows in memory at most, those that are being written included: while there are as many, requests are refused,
    /// to be repeated. Four times `head_bytes` by default.
    pub head_bytes_max: usize,
    /// The longest that rows stay in memory only.
    pub flush_interval: Duration,
    /// Different series.
    pub series: usize,
    /// Memory of one query.
    pub query_memory_bytes: usize,
    /// Answers of metric queries that are kept, beside that; 0 for none.
    pub query_cache_bytes: usize,
    pub query_timeout: Duration,
    /// Samples that one PromQL query holds.
    pub query_samples: usize,
    /// Series that one PromQL selector, or one list of series, gives.
    pub query_series: usize,
    /// Queries of metrics that run at once.
    pub queries: usize,
    /// Connections of each listener, at most a quarter of the process's descriptors.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 16 << 20,
            inflight_bytes: 128 << 20,
            journal_bytes: 4 << 30,
            head_bytes: HEAD_BYTES,
            head_bytes_max: HEAD_BYTES * HEADS_MAX,
            flush_interval: Duration::from_secs(60),
            series: 1_000_000,
            query_memory_bytes: 256 << 20,
            query_cache_bytes: 32 << 20,
            query_timeout: Duration::from_secs(30),
            query_samples: 50_000_000,
            query_series: 1_000_000,
            queries: 8,
            connections: 4_096,
        }
    }
}

impl CollectorConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, or what it says cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| problem(&file, format!("cannot be read: {error}")))?;
        Self::parse(&file, &text)
    }

    /// Reads a configuration from text; `file` is the name used in errors.
    ///
    /// # Errors
    /// What the text says cannot be used.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        read_checked(file, text, &SystemSources, |spec: CollectorSpec| {
            Self::try_from(spec)
        })
    }
}

impl TryFrom<CollectorSpec> for CollectorConfig {
    type Error = Mistakes;

    fn try_from(spec: CollectorSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let allowed = allowed_bytes().unwrap_or(u64::MAX);
        let defaults = memory::within(allowed, Limits::default());
        let (limits, store) = (spec.limits, spec.store);
        let mut upkeep = UpkeepSettings::new(&store, &mut mistakes);
        if store.compaction.memory.is_none() {
            let bytes = &mut upkeep.store.compaction.memory_bytes;
            *bytes = memory::compaction_bytes(allowed, *bytes);
        }
        let size = |size: Option<vervet_agent::config::units::ByteSize>, default: usize| {
            size.map_or(default, |size| {
                usize::try_from(size.0).unwrap_or(usize::MAX)
            })
        };
        let promote = promote::promote_config(store.promote, &mut mistakes);
        let notify = notify_config(spec.alerting, &mut mistakes);
        let mut address = |name: &str, text: &str| {
            let address = listen_address(text, spec.auth);
            mistakes.note(
                &[name, "auth"],
                address.map_err(|error| format!("{name}: {error}")),
            )
        };
        let http = address("http.listen", &spec.http.listen);
        let otlp_grpc = address("otlp.grpc", &spec.otlp.grpc);
        let otlp_http = address("otlp.http", &spec.otlp.http);
        let head_bytes = size(limits.head, defaults.head_bytes);
        let head_bytes_max = size(limits.head_max, head_bytes.saturating_mul(HEADS_MAX));
        check_addresses([http, otlp_grpc, otlp_http], &mut mistakes);
        check_limits(&limits, (head_bytes, head_bytes_max), &mut mistakes);
        check_web_address(spec.external_url.as_deref(), &mut mistakes);
        let limits = Limits {
            request_bytes: size(limits.request, defaults.request_bytes),
            inflight_bytes: size(limits.inflight, defaults.inflight_bytes),
            journal_bytes: limits.journal.map_or(defaults.journal_bytes, |size| size.0),
            head_bytes,
            head_bytes_max,
            flush_interval: limits
                .flush_interval
                .map_or(defaults.flush_interval, |interval| interval.0),
            series: limits.series.unwrap_or(defaults.series),
            query_memory_bytes: size(limits.query_memory, defaults.query_memory_bytes),
            query_cache_bytes: size(limits.query_cache, defaults.query_cache_bytes),
            query_timeout: limits
                .query_timeout
                .map_or(defaults.query_timeout, |timeout| timeout.0),
            connections: limits.connections.unwrap_or(defaults.connections),
            ..defaults
        };
        let interval = spec.rules.interval;
        let listeners = http.zip(otlp_grpc).zip(otlp_http).zip(notify);
        mistakes.or(
            listeners.map(|(((http, otlp_grpc), otlp_http), notify)| Self {
                http,
                otlp_grpc,
                otlp_http,
                data_dir: spec.data_dir,
                environment: spec.environment,
                limits,
                promql: features(&spec.promql.features),
                promote,
                upkeep,
                rules_dir: spec.rules.dir,
                evaluation_interval: interval.map_or(EVALUATION_INTERVAL, |interval| interval.0),
                external_url: spec.external_url,
                notify,
                traces_endpoint: spec.telemetry.traces.map(|traces| traces.endpoint),
            }),
        )
    }
}

fn features(named: &[spec::PromqlFeature]) -> Features {
    let mut features = Features::default();
    for feature in named {
        match feature {
            spec::PromqlFeature::PromqlDurationExpr => features.duration_expressions = true,
            spec::PromqlFeature::PromqlExtendedRangeSelectors => {
                features.extended_range_selectors = true;
            }
        }
    }
    features
}

/// Where alerts are sent; every mistake is noted.
fn notify_config(spec: NotifySpec, mistakes: &mut Mistakes) -> Option<NotifyConfig> {
    let errors = match NotifyConfig::try_from(spec) {
        Ok(config) => return Some(config),
        Err(errors) => errors.0,
    };
    for error in errors {
        mistakes.demand(false, &["alerting"], format!("alerting: {error}"));
    }
    None
}

/// Listeners (API, OTLP/gRPC, OTLP/HTTP) must not want one address.
fn check_addresses(listeners: [Option<SocketAddr>; 3], mistakes: &mut Mistakes) {
    let [http, grpc, otlp] = listeners;
    for ((name, address), (other, taken)) in [
        (("otlp.grpc", grpc), ("http.listen", http)),
        (("otlp.http", otlp), ("http.listen", http)),
        (("otlp.http", otlp), ("otlp.grpc", grpc)),
    ] {
        let (Some(address), Some(taken)) = (address, taken) else {
            continue;
        };
        let is_any = address.ip().is_unspecified() || taken.ip().is_unspecified();
        let is_shared = address.port() == taken.port() && (is_any || address.ip() == taken.ip());
        mistakes.demand(
            address.port() == 0 || !is_shared,
            &[name],
            format!("{name}: {address} is the address of {other} already"),
        );
    }
}

/// What is given must leave room to work in.
fn check_limits(
    limits: &spec::LimitsSpec,
    (head, head_max): (usize, usize),
    mistakes: &mut Mistakes,
) {
    mistakes.demand(
        head_max >= head,
        &["limits.head_max", "limits.head"],
        "limits.head_max: must not be less than limits.head",
    );
    let interval = limits.flush_interval;
    mistakes.demand(
        interval.is_none_or(|interval| !interval.0.is_zero()),
        &["limits.flush_interval"],
        "limits.flush_interval: must be more than 0",
    );
    mistakes.demand(
        limits.connections != Some(0),
        &["limits.connections"],
        "limits.connections: must be more than 0",
    );
    mistakes.demand(
        limits
            .inflight
            .is_none_or(|size| size.0 >= INFLIGHT_BYTES_MIN),
        &["limits.inflight"],
        "limits.inflight: must be at least 64KiB",
    );
    mistakes.demand(
        limits
            .journal
            .is_none_or(|size| size.0 >= JOURNAL_BYTES_MIN),
        &["limits.journal"],
        "limits.journal: must be at least 16MiB, the size of one of its files",
    );
}

fn check_web_address(text: Option<&str>, mistakes: &mut Mistakes) {
    let is_web_address = |text| {
        reqwest::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    mistakes.demand(
        text.is_none_or(is_web_address),
        &["external_url"],
        "external_url: must be an address such as https://vervet.example.org",
    );
}

fn problem(file: &str, message: String) -> ConfigError {
    ConfigError {
        file: file.to_owned(),
        problems: vec![Problem {
            line: None,
            path: Vec::new(),
            message,
        }],
    }
}

#[cfg(test)]
mod tests;
