//! The file's shape, as written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use vervet_agent::config::units::{ByteSize, HumanDuration};
use vervet_agent::config::{Auth, TelemetrySpec};
use vervet_alerting::NotifySpec;

/// The whole document. Everything has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorSpec {
    pub data_dir: PathBuf,
    pub environment: String,
    pub http: HttpSpec,
    pub otlp: OtlpSpec,
    /// `disabled` lets listeners leave the loopback interface without authentication.
    pub auth: Option<Auth>,
    pub limits: LimitsSpec,
    pub promql: PromqlSpec,
    pub store: StoreSpec,
    pub rules: RulesSpec,
    pub alerting: NotifySpec,
    pub external_url: Option<String>,
    pub telemetry: TelemetrySpec,
}

impl Default for CollectorSpec {
    fn default() -> Self {
        Self {
            data_dir: "./vervet-data".into(),
            environment: "development".to_owned(),
            http: HttpSpec::default(),
            otlp: OtlpSpec::default(),
            auth: None,
            limits: LimitsSpec::default(),
            promql: PromqlSpec::default(),
            store: StoreSpec::default(),
            rules: RulesSpec::default(),
            alerting: NotifySpec::default(),
            external_url: None,
            telemetry: TelemetrySpec::default(),
        }
    }
}

/// API and UI.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSpec {
    pub listen: String,
}

impl Default for HttpSpec {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7420".to_owned(),
        }
    }
}

/// The OTLP listeners.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpSpec {
    pub grpc: String,
    pub http: String,
}

impl Default for OtlpSpec {
    fn default() -> Self {
        Self {
            grpc: "127.0.0.1:4317".to_owned(),
            http: "127.0.0.1:4318".to_owned(),
        }
    }
}

/// Limits; see [`super::Limits`] for meaning and defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    pub request: Option<ByteSize>,
    pub inflight: Option<ByteSize>,
    pub journal: Option<ByteSize>,
    pub head: Option<ByteSize>,
    pub head_max: Option<ByteSize>,
    pub flush_interval: Option<HumanDuration>,
    pub series: Option<usize>,
    pub query_memory: Option<ByteSize>,
    pub query_cache: Option<ByteSize>,
    pub query_timeout: Option<HumanDuration>,
    pub connections: Option<usize>,
}

/// The language of metric queries and rules.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromqlSpec {
    /// Experimental parts that are off by default.
    pub features: Vec<PromqlFeature>,
}

/// As Prometheus names them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromqlFeature {
    /// Arithmetic on durations: `rate(x[5m * 2])`.
    PromqlDurationExpr,
    /// `anchored` and `smoothed`.
    PromqlExtendedRangeSelectors,
}

/// How telemetry is stored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSpec {
    pub promote: PromoteSpec,
    pub compaction: CompactionSpec,
    pub retention: RetentionSpec,
    /// How long files that were replaced or dropped stay on disk for other readers of the catalog, DuckDB
    /// above all; 10m when absent.
    pub reader_grace: Option<HumanDuration>,
    /// Segments that no catalog named take at most this much, in `unclaimed/`, after a start; 16GiB when absent.
    pub unclaimed_max: Option<ByteSize>,
    /// How often it is looked whether files are to be merged or deleted; 10s when absent.
    pub upkeep_interval: Option<HumanDuration>,
}

/// Merging of small files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactionSpec {
    /// A file of this size is not merged any more; 128MiB when absent.
    pub file_min: Option<ByteSize>,
    /// Files that are merged have this size together, at most; 256MiB when absent.
    pub file_max: Option<ByteSize>,
    /// Files that are merged at once, at least, while rows still come for their day; 8 when absent.
    pub files_min: Option<usize>,
    /// Memory of reading what is merged; 128MiB when absent.
    pub memory: Option<ByteSize>,
    /// Bytes of files read a second; 32MiB when absent.
    pub rate: Option<ByteSize>,
}

/// How long and how much is kept. Nothing is dropped that has no limit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSpec {
    pub logs: KeepSpec,
    pub traces: KeepSpec,
    pub metrics: KeepSpec,
    /// Limits of an environment, by its name, in place of those above.
    pub environments: BTreeMap<String, EnvironmentSpec>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepSpec {
    /// A day goes when its last moment is this old.
    pub age: Option<HumanDuration>,
    /// Bytes on disk.
    pub size: Option<ByteSize>,
}

/// Metrics have no environment.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentSpec {
    pub logs: KeepSpec,
    pub traces: KeepSpec,
}

/// Which attributes get typed columns of their own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromoteSpec {
    /// Attributes of log records that always get one.
    pub logs: Vec<PromotedKeySpec>,
    /// Attributes of spans that always get one.
    pub spans: Vec<PromotedKeySpec>,
    /// Columns of each table at most, those named above included; 64 when absent, at most 500.
    pub columns: Option<usize>,
    /// Attributes get one too when so many of a hundred rows have them; 10 when absent, 0 for never.
    pub usage_percent: Option<u8>,
}

/// One attribute with a column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotedKeySpec {
    pub key: String,
    /// Taken from the first values seen when absent.
    #[serde(rename = "type")]
    pub kind: Option<PromotedKindSpec>,
}

/// What a column holds. A value that is not exactly of the type stays among the other attributes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromotedKindSpec {
    Integer,
    Double,
    Boolean,
    Text,
}

/// Alerting and recording rules.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesSpec {
    /// Folder of Prometheus rule files.
    pub dir: Option<PathBuf>,
    /// Evaluation interval of groups that name none; 15 s when absent.
    pub interval: Option<HumanDuration>,
}
