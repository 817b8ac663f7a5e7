//! Exporters as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::secret::Secret;
use crate::config::units::{ByteSize, HumanDuration};

/// `{type: otlp, endpoint: https://collector:4317, compression: zstd, queue: {on_full: block}}`, and the same with
/// `type: otlphttp`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpExporterSpec {
    /// For `otlphttp` the base address, to which `/v1/logs`, `/v1/metrics` and `/v1/traces` are added.
    pub endpoint: String,
    #[serde(default)]
    pub compression: Compression,
    /// zstd 1 to 19, default 1; gzip 1 to 9, default 4.
    #[serde(default)]
    pub compression_level: Option<i32>,
    /// PEM file of the authorities trusted for `https`; the system's when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate and the key by which the agent names itself.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The name in the destination's certificate, when it is not the endpoint's host.
    #[serde(default)]
    pub server_name: Option<String>,
    #[serde(default)]
    pub auth: AuthSpec,
    /// Sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Allows a token over plain http to another machine.
    #[serde(default)]
    pub insecure: bool,
    /// Default 30 s.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    #[serde(default)]
    pub queue: QueueSpec,
    #[serde(default)]
    pub retry: RetrySpec,
    #[serde(default)]
    pub concurrency: ConcurrencySpec,
}

/// `auth: {bearer_token: "${file:/run/token}"}` or `auth: {bearer_token_file: /run/token}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSpec {
    #[serde(default)]
    pub bearer_token: Option<Secret>,
    /// Read again when it changes.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
}

/// `concurrency: {max: 4}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencySpec {
    /// Most requests under way at once, 1 to 4. Default 4.
    #[serde(default)]
    pub max: Option<u32>,
}

/// `{type: file, path: /var/log/out.jsonl, format: otlp_json, rotate: {size: 64MiB, files: 5}}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileExporterSpec {
    pub path: PathBuf,
    #[serde(default)]
    pub format: FileFormat,
    #[serde(default)]
    pub rotate: RotateSpec,
    #[serde(default)]
    pub queue: QueueSpec,
}

/// What a line of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// One export request in OTLP's JSON encoding.
    #[default]
    OtlpJson,
    /// One record: a log record's body, a span or a data point in words.
    Text,
}

/// `rotate: {size: 64MiB, files: 5}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateSpec {
    /// Default 64 MiB, at least 64 KiB.
    #[serde(default)]
    pub size: Option<ByteSize>,
    /// Files kept, the current one included. Default 5.
    #[serde(default)]
    pub files: Option<u32>,
}

/// `{type: debug, verbosity: detailed, records_per_second: 50}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebugExporterSpec {
    #[serde(default)]
    pub verbosity: Verbosity,
    /// Records or requests shown a second at most; the others are counted in the next line. Default 50.
    #[serde(default)]
    pub records_per_second: Option<u32>,
    #[serde(default)]
    pub queue: QueueSpec,
}

/// How much `debug` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verbosity {
    /// A line a request: signal, records, bytes.
    #[default]
    Basic,
    /// A line a record.
    Detailed,
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    Zstd,
    Gzip,
    None,
}

/// What an exporter does to the buffer when its backlog uses up the disk budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePolicy {
    /// Receivers wait; OTLP clients are told to retry.
    #[default]
    Block,
    /// The oldest data goes, counted.
    DropOldest,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    #[serde(default)]
    pub on_full: QueuePolicy,
}

/// Pauses between attempts are drawn from zero to a longest one, which doubles from `initial` (default 500 ms)
/// to `max` (default 30 s).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    #[serde(default)]
    pub initial: Option<HumanDuration>,
    #[serde(default)]
    pub max: Option<HumanDuration>,
}

/// `dead_letter: {disk: 64MiB}`: what destinations refuse for good is kept, up to this much. Default 64 MiB, at
/// least 1 MiB; the oldest goes first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSpec {
    #[serde(default)]
    pub disk: Option<ByteSize>,
}
