//! `k8sattributes`: puts on a resource what is known of the pod it comes from.
//!
//! In: a resource that names a pod by `k8s.pod.uid` (every file below `/var/log/pods` does), `container.id` or
//! `k8s.pod.ip`. Out: the same with the pod's workload, image, chosen labels and annotations and its service's
//! name and version, by OpenTelemetry's names. What a sender says of itself stays. A resource whose pod is not
//! known stays as it is and is counted by reason.

mod attributes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use reqwest::Url;
use serde::Deserialize;
use vervet_wire::otlp::Resource;

use super::{Origin, ProcessorConfig};
use crate::config::Mistakes;
use crate::config::units::HumanDuration;
use crate::kubernetes::{PodDirectory, SourceConfig, SourceKind};

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const WAIT_DEFAULT: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(60);
const TOMBSTONES_DEFAULT: Duration = Duration::from_secs(600);
const TOMBSTONES_MAX: Duration = Duration::from_secs(24 * 3_600);

/// `{type: k8sattributes, source: api, labels: [app, "team/*"]}`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K8sAttributesSpec {
    /// Who is asked for the node's pods. Default `none`: only what the log's path tells.
    #[serde(default)]
    pub source: SourceKind,
    /// `https://host:port`. Default for `kubelet`: port 10250 of the environment's `NODE_IP`, else of 127.0.0.1;
    /// for `api`: the environment's `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Whom the server's certificate must be for, when the endpoint is an IP address that is not in it.
    #[serde(default)]
    pub server_name: Option<String>,
    /// The node whose pods are asked for at the API server. Default: the environment's `NODE_NAME`.
    #[serde(default)]
    pub node: Option<String>,
    /// Default: the service account's. Read for every request.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// PEM file of the only authorities trusted. Default: the service account's. Read for every request.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Time between two requests to the kubelet. Default 10 s, at least 1 s.
    #[serde(default)]
    pub interval: Option<HumanDuration>,
    /// Time for one answer. Default 10 s.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// How long the logs of a new pod are held back until it is known. Default 5 s, at most 60 s.
    #[serde(default)]
    pub wait: Option<HumanDuration>,
    /// How long a pod that is gone is remembered. Default 10 m, at most 24 h.
    #[serde(default)]
    pub tombstones: Option<HumanDuration>,
    /// Globs of the labels that become `k8s.pod.label.<key>`; `*` matches `/`, too. Default: none.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Globs of the annotations that become `k8s.pod.annotation.<key>`. Default: none.
    #[serde(default)]
    pub annotations: Vec<String>,
    /// Whether `app.kubernetes.io/instance`, `/name` and `/version` tell the service. Default true.
    #[serde(default)]
    pub well_known_labels: Option<bool>,
}

/// The settings of a `k8sattributes` processor, checked.
#[derive(Debug, Clone)]
pub struct K8sAttributesConfig {
    spec: K8sAttributesSpec,
    source: SourceConfig,
    labels: GlobSet,
    annotations: GlobSet,
}

/// The processor at its place in a chain.
#[derive(Debug, Clone)]
pub(super) struct K8sAttributesStep {
    pods: PodDirectory,
    labels: GlobSet,
    annotations: GlobSet,
    well_known_labels: bool,
}

impl TryFrom<K8sAttributesSpec> for K8sAttributesConfig {
    type Error = Mistakes;

    fn try_from(spec: K8sAttributesSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        if spec.source == SourceKind::None {
            reject_without_source(&spec, &mut mistakes);
        }
        let given = spec.endpoint.as_deref().map(endpoint);
        let endpoint = given.and_then(|read| mistakes.note(&["endpoint"], read));
        let or = |duration: Option<HumanDuration>, default| duration.map_or(default, |d| d.0);
        let source = SourceConfig {
            kind: spec.source,
            endpoint,
            server_name: spec.server_name.clone(),
            node: spec.node.clone(),
            token_file: account_file(&spec.token_file, "token"),
            ca_file: account_file(&spec.ca_file, "ca.crt"),
            interval: or(spec.interval, INTERVAL_DEFAULT),
            timeout: or(spec.timeout, TIMEOUT_DEFAULT),
            wait: or(spec.wait, WAIT_DEFAULT),
            tombstones: or(spec.tombstones, TOMBSTONES_DEFAULT),
        };
        for (holds, setting, message) in [
            (
                source.interval >= INTERVAL_MIN,
                "interval",
                "interval must be at least 1s",
            ),
            (
                !source.timeout.is_zero(),
                "timeout",
                "timeout must be longer than 0",
            ),
            (
                source.wait <= WAIT_MAX,
                "wait",
                "wait must be at most 60s: logs are held back for so long",
            ),
            (
                source.tombstones <= TOMBSTONES_MAX,
                "tombstones",
                "tombstones must be at most 24h",
            ),
            (source.node.as_deref() != Some(""), "node", "node is empty"),
        ] {
            mistakes.demand(holds, &[setting], message);
        }
        // With an endpoint that is none there is nothing to hold the name against.
        if source.endpoint.is_some() == spec.endpoint.is_some() {
            let name = source.check_server_name();
            let name = name.map_err(|error| error.to_string());
            mistakes.note(&["server_name", "endpoint"], name);
        }
        let labels = mistakes.note(&["labels"], globs("labels", &spec.labels));
        let annotations = globs("annotations", &spec.annotations);
        let annotations = mistakes.note(&["annotations"], annotations);
        let globs = labels.zip(annotations);
        mistakes.or(globs.map(|(labels, annotations)| Self {
            labels,
            annotations,
            source,
            spec,
        }))
    }
}

impl PartialEq for K8sAttributesConfig {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl K8sAttributesConfig {
    pub(super) fn compile(&self, pods: &PodDirectory) -> K8sAttributesStep {
        K8sAttributesStep {
            pods: pods.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            well_known_labels: self.spec.well_known_labels.unwrap_or(true),
        }
    }

    /// The one source of pods that all these processors share, and every annotation any of them wants.
    ///
    /// # Errors
    /// They do not agree on the source.
    pub(crate) fn shared_source(
        processors: &BTreeMap<String, ProcessorConfig>,
    ) -> Result<Option<(SourceConfig, GlobSet)>, String> {
        let mut source: Option<&SourceConfig> = None;
        let mut annotations = Vec::new();
        for processor in processors.values() {
            let ProcessorConfig::K8sAttributes(processor) = processor else {
                continue;
            };
            annotations.extend_from_slice(&processor.spec.annotations);
            // One that needs no source agrees with every other.
            if processor.source.kind == SourceKind::None {
                continue;
            }
            if source.is_some_and(|source| *source != processor.source) {
                let message = "all k8sattributes processors with a source must name the same one, with the same settings";
                return Err(message.to_owned());
            }
            source = Some(&processor.source);
        }
        let annotations = globs("annotations", &annotations)?;
        Ok(source.map(|source| (source.clone(), annotations)))
    }
}

impl K8sAttributesStep {
    /// True when something was added.
    pub(super) fn apply(&self, resource: &mut Resource<'_>, origin: Origin) -> bool {
        attributes::add(self, resource, origin)
    }
}

fn reject_without_source(spec: &K8sAttributesSpec, mistakes: &mut Mistakes) {
    let needing = [
        ("endpoint", spec.endpoint.is_some()),
        ("server_name", spec.server_name.is_some()),
        ("node", spec.node.is_some()),
        ("token_file", spec.token_file.is_some()),
        ("ca_file", spec.ca_file.is_some()),
        ("interval", spec.interval.is_some()),
        ("timeout", spec.timeout.is_some()),
        ("wait", spec.wait.is_some()),
        ("tombstones", spec.tombstones.is_some()),
        ("labels", !spec.labels.is_empty()),
        ("annotations", !spec.annotations.is_empty()),
    ];
    for (key, is_set) in needing {
        let message = format!("{key} needs a source of pods: `source: api` or `source: kubelet`");
        mistakes.demand(!is_set, &[key, "source"], message);
    }
}

/// Nothing but the server: the paths are the API's.
fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("endpoint `{text}`: {error}"))?;
    if url.scheme() != "https" {
        return Err(format!(
            "endpoint `{text}` is not https: the token would be readable on its way"
        ));
    }
    let is_bare = url.host_str().is_some_and(|host| !host.is_empty())
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_bare {
        return Err("endpoint is not of the form https://host:port".to_owned());
    }
    Ok(url)
}

fn account_file(configured: &Option<PathBuf>, name: &str) -> PathBuf {
    let configured = configured.clone();
    configured.unwrap_or_else(|| [ACCOUNT, name].iter().collect())
}

fn globs(what: &str, patterns: &[String]) -> Result<GlobSet, String> {
    let failed = |error: globset::Error| format!("{what}: {error}");
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob: Glob = GlobBuilder::new(pattern)
            .literal_separator(false)
            .build()
            .map_err(failed)?;
        set.add(glob);
    }
    set.build().map_err(failed)
}

#[cfg(test)]
mod tests;
