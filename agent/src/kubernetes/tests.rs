//! Against an HTTPS server that speaks the kubelet's and the API server's protocol, token and authorities included.

mod api;
mod kubelet;
mod reading;
pub(crate) mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::metrics::AgentMetrics;
use server::Server;

const DEADLINE: Duration = Duration::from_secs(30);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A pod as the API shows it.
pub(crate) fn pod(uid: &str, labels: &[(&str, &str)]) -> Value {
    let labels: std::collections::BTreeMap<&str, &str> = labels.iter().copied().collect();
    json!({
        "metadata": {
            "name": format!("web-{uid}"), "namespace": "shop", "uid": uid, "labels": labels,
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "ghcr.io/acme/web:2.1"}]},
        "status": {"phase": "Running", "somethingNew": [1, {"a": null}]},
    })
}

/// An agent's side of the conversation: account files, a directory and its task.
struct Client {
    folder: TempDir,
    directory: PodDirectory,
    metrics: Arc<AgentMetrics>,
    _stop: DropGuard,
}

struct Options {
    kind: SourceKind,
    wait: Duration,
    interval: Duration,
    timeout: Duration,
    ca_pem: Option<String>,
    server_name: Option<String>,
}

impl Options {
    fn of(kind: SourceKind) -> Self {
        Self {
            kind,
            wait: FOR_EVER,
            interval: Duration::from_millis(5),
            timeout: DEADLINE,
            ca_pem: None,
            server_name: None,
        }
    }
}

impl Client {
    fn start(server: &Server, options: Options) -> Self {
        crate::telemetry::install_tls_provider();
        let folder = TempDir::new().expect("folder");
        let file = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let authorities = options.ca_pem.unwrap_or_else(|| server.ca_pem.clone());
        let config = SourceConfig {
            kind: options.kind,
            endpoint: Some(server.url.parse().expect("url")),
            server_name: options.server_name,
            node: Some("n1".to_owned()),
            token_file: file("token", "first-token\n"),
            ca_file: file("ca.crt", &authorities),
            interval: options.interval,
            timeout: options.timeout,
            wait: options.wait,
            tombstones: FOR_EVER,
        };
        let metrics = Arc::new(AgentMetrics::default());
        let surroundings = Surroundings {
            variable: &|_| None,
            annotations: globset::GlobSet::empty(),
            metrics: metrics.kubernetes().clone(),
        };
        let (directory, source) = PodSource::open(&config, surroundings).expect("opened");
        let shutdown = CancellationToken::new();
        tokio::spawn(source.expect("a source").run(shutdown.clone()));
        Self {
            folder,
            directory,
            metrics,
            _stop: shutdown.drop_guard(),
        }
    }

    fn set_token(&self, token: &str) {
        std::fs::write(self.folder.path().join("token"), token).expect("written");
    }

    fn status(&self) -> SourceStatus {
        self.directory.status().expect("there is a source")
    }

    fn find(&self, uid: &str) -> Option<Arc<Pod>> {
        self.directory.find(&[Key::Uid(uid)]).ok()
    }

    fn label(&self, uid: &str, key: &str) -> Option<String> {
        self.find(uid)?.labels.get(key).cloned()
    }

    async fn until_known(&self, uid: &str) {
        until(uid, || self.directory.known(uid) == Presence::Known).await;
    }

    async fn until_error(&self, text: &str) {
        let has = |error: &String| error.contains(text);
        until(text, || self.status().last_error.as_ref().is_some_and(has)).await;
    }

    /// The value of one of our metrics, by the beginning of its line.
    fn metric(&self, line: &str) -> u64 {
        let text = self.metrics.encode_text();
        let line = format!("vervet_agent_kubernetes_{line} ");
        let found = text.lines().find_map(|text| text.strip_prefix(&line));
        found.map_or(0, |value| value.parse().expect("a number"))
    }
}
