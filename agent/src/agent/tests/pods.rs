//! A whole agent that learns of pods from an API server, through changes of its configuration.

use std::io::Write;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;
use crate::kubernetes::tests::pod;
use crate::kubernetes::tests::server::{Mood, Server};

struct Node {
    dir: tempfile::TempDir,
    server: Server,
}

impl Node {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        let server = Server::start().await;
        std::fs::write(dir.path().join("token"), "first-token").expect("written");
        std::fs::write(dir.path().join("ca.crt"), &server.ca_pem).expect("written");
        Self { dir, server }
    }

    /// With these settings of the processor besides where the server is.
    fn config(&self, settings: &str) -> AgentConfig {
        let dir = self.dir.path().display();
        let text = format!(
            "data_dir: {dir}/data\n\
             receivers:\n  otlp: {{type: otlp, grpc: 127.0.0.1:0}}\n  pods: {{type: filelog, include: ['{dir}/pods/*/*/*.log'], pod_roots: ['{dir}/pods']}}\n\
             processors:\n  k8s: {{type: k8sattributes, {settings}}}\n\
             exporters:\n  out: {{type: file, path: '{dir}/out.jsonl'}}\n\
             pipelines:\n  logs: {{from: [otlp, pods], via: [k8s], to: [out]}}\n\
             admin: {{listen: 127.0.0.1:0}}\n"
        );
        AgentConfig::parse("test.yaml", &text, &SystemSources)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn source(&self) -> String {
        let (dir, url) = (self.dir.path().display(), &self.server.url);
        format!(
            "source: api, node: n1, endpoint: '{url}', token_file: '{dir}/token', ca_file: '{dir}/ca.crt'"
        )
    }

    /// The line of the output with this text; waits for it.
    async fn line_with(&self, text: &str) -> String {
        let path = self.dir.path().join("out.jsonl");
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        wait_until(text, || read().contains(text)).await;
        let lines = read();
        let line = lines.lines().find(|line| line.contains(text));
        line.expect("just seen").to_owned()
    }
}

/// A request of a pod's SDK.
fn request_of_pod(uid: &str, text: &str) -> bytes::Bytes {
    let mut request = ExportLogsServiceRequest::decode(request(text, 1)).expect("valid");
    let value = any_value::Value::StringValue(uid.to_owned());
    let attribute = KeyValue {
        key: "k8s.pod.uid".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    request.resource_logs[0].resource = Some(Resource {
        attributes: vec![attribute],
        ..Resource::default()
    });
    request.encode_to_vec().into()
}

async fn until_known(agent: &RunningAgent, pods: usize) {
    let known = |agent: &RunningAgent| agent.status().kubernetes.map(|source| source.pods);
    wait_until("pods", || known(agent) == Some(pods)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_senders_pod_is_looked_up_and_a_reload_asks_anew() {
    let node = Node::new().await;
    node.server.put(pod("u1", &[("tier", "front")]));
    let config = node.config(&node.source());
    let mut agent = Agent::start(config, AgentOptions::default())
        .await
        .expect("starts");
    let send = async |agent: &RunningAgent, text: &str| {
        let request = request_of_pod("u1", text);
        client(agent)
            .export(Signal::Logs, request, None)
            .await
            .expect("stored");
    };
    until_known(&agent, 1).await;
    send(&agent, "first text").await;
    let line = node.line_with("first text").await;
    for known in ["web-u1", "ghcr.io/acme/web", "k8s.node.name"] {
        assert!(line.contains(known), "{known}: {line}");
    }
    assert!(!line.contains("tier"), "{line}");
    let metrics = agent.metrics_text();
    assert!(metrics.contains("vervet_agent_kubernetes_source_up 1"));

    let settings = format!("{}, labels: [tier]", node.source());
    let changed = agent.reload(node.config(&settings)).await;
    let changed = changed.expect("taken over").to_string();
    assert!(
        changed.contains("receivers started: otlp, pods"),
        "{changed}"
    );
    until_known(&agent, 1).await;
    send(&agent, "second text").await;
    let line = node.line_with("second text").await;
    assert!(line.contains("k8s.pod.label.tier"), "{line}");
    assert_eq!(node.server.requests_with("limit="), 2);
    // The metrics are those of before, not a second set.
    let metrics = agent.metrics_text();
    assert_eq!(
        metrics.matches("\nvervet_agent_kubernetes_pods ").count(),
        1
    );

    let changed = agent.reload(node.config("source: none")).await;
    changed.expect("taken over");
    assert_eq!(agent.status().kubernetes, None);
    send(&agent, "third text").await;
    let line = node.line_with("third text").await;
    assert!(!line.contains("web-u1"), "{line}");
    agent.shutdown(DEADLINE).await;
}

/// Appends a line to the log of a pod's container.
fn write_log(node: &Node, uid: &str, text: &str) {
    let folder = node
        .dir
        .path()
        .join(format!("pods/shop_web-{uid}_{uid}/app"));
    std::fs::create_dir_all(&folder).expect("folder");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .open(folder.join("0.log"))
        .expect("opened");
    writeln!(file, "{text}").expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_of_a_pod_waits_for_its_metadata() {
    let node = Node::new().await;
    node.server.set(Mood::Refuses("503 Service Unavailable"));
    write_log(&node, "u1", "first line");
    write_log(&node, "u2", "hidden line");
    let settings = format!("{}, labels: [tier], wait: 60s", node.source());
    let agent = Agent::start(node.config(&settings), AgentOptions::default())
        .await
        .expect("starts");
    let status = |agent: &RunningAgent| agent.status().kubernetes.expect("a source");
    wait_until("failure", || status(&agent).last_error.is_some()).await;
    assert!(!status(&agent).up);
    node.server.put(pod("u1", &[("tier", "front")]));
    let mut hidden = pod("u2", &[]);
    hidden["metadata"]["annotations"] = serde_json::json!({"vervet.dev/exclude": "true"});
    node.server.put(hidden);
    node.server.set(Mood::Answers);
    let line = node.line_with("first line").await;
    assert!(line.contains("k8s.pod.label.tier"), "{line}");
    assert!(
        line.contains("front") && line.contains("ghcr.io/acme/web"),
        "{line}"
    );

    // What changes is in the lines that are read after it.
    let before = status(&agent).generation;
    node.server.put(pod("u1", &[("tier", "back")]));
    wait_until("change", || status(&agent).generation > before).await;
    write_log(&node, "u2", "another hidden line");
    write_log(&node, "u1", "second line");
    let line = node.line_with("second line").await;
    assert!(line.contains("back"), "{line}");
    assert!(agent.shutdown(DEADLINE).await);
    let all = std::fs::read_to_string(node.dir.path().join("out.jsonl")).expect("read");
    assert!(!all.contains("hidden"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_set_up_is_told_at_the_start_and_keeps_a_reload_out() {
    let node = Node::new().await;
    let mut agent = Agent::start(node.config(&node.source()), AgentOptions::default())
        .await
        .expect("starts");
    until_known(&agent, 0).await;
    // Nothing says which node this is.
    let unusable = node.config(&node.source().replace("node: n1, ", ""));
    let error = agent.reload(unusable).await.expect_err("no node");
    assert!(format!("{error:?}").contains("NoNode"), "{error:?}");
    node.server.put(pod("u1", &[]));
    until_known(&agent, 1).await;
    agent.shutdown(DEADLINE).await;
}
