mod conflicts;
mod dollars;
mod faults;
mod oddities;

use std::collections::HashMap;
use std::path::Path;

use super::*;
use crate::exporters::settings::{Compression, ExporterKind, QueuePolicy};

const FULL: &str = r#"
data_dir: /tmp/agent
limits: {memory: auto, disk: 2GiB}
resource: {deployment.environment.name: production, host.name: "${env:NODE}", release: 1.30}
receivers:
  pods: {type: filelog, include: [/var/log/pods/*/*/*.log]}
  scrape: {type: prometheus, scrape_configs: [{job_name: a, static_configs: [{targets: [localhost:9100]}]}]}
  host: {type: hostmetrics, interval: 10s}
  otlp: {type: otlp, grpc: 127.0.0.1:4317, http: localhost:4318, body_max: 8MiB}
exporters:
  main: {type: otlp, endpoint: https://collector:4317, compression: gzip, queue: {on_full: drop_oldest}}
pipelines:
  logs: {from: [pods, otlp], to: [main]}
  metrics: {from: [scrape, host, otlp], to: [main]}
"#;

#[derive(Default)]
struct Fixed(HashMap<&'static str, &'static str>);

impl Sources for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        self.variable(&path.display().to_string())
            .ok_or_else(|| "no such file".to_owned())
    }
}

fn sources() -> Fixed {
    Fixed(HashMap::from([
        ("NODE", "node-7"),
        ("/run/secret", "a: [b"),
        ("PORT", "4317"),
    ]))
}

/// The whole error text for a configuration.
fn check(text: &str, expected: &str) {
    let error = AgentConfig::parse("agent.yaml", text, &sources()).expect_err("invalid");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn every_setting_of_the_example_is_read() {
    let config = AgentConfig::parse("agent.yaml", FULL, &sources()).expect("valid");
    assert_eq!(config.data_dir, Path::new("/tmp/agent"));
    assert_eq!(config.disk_bytes, 2 << 30);
    assert_eq!(config.receivers.len(), 4);
    assert_eq!(config.admin, ADMIN_ADDRESS_DEFAULT.parse().ok());
    let main = &config.exporters["main"];
    let ExporterKind::Otlp(otlp) = &main.kind else {
        panic!("{main:?}");
    };
    assert_eq!(otlp.compression, Compression::Gzip);
    assert_eq!(main.on_full, QueuePolicy::DropOldest);
    let signals = config.signals_from("otlp");
    assert!(signals.contains(Signal::Logs) && signals.contains(Signal::Metrics));
    assert!(!signals.contains(Signal::Traces));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert!(config.resource.contains(&pair("host.name", "node-7")));
    assert!(
        config.resource.contains(&pair("release", "1.30")),
        "a number stays as written"
    );
}

#[test]
fn unknown_keys_name_the_nearest_known_one_with_file_and_line() {
    check(
        "data_dir: /tmp\nrecievers: {}\n",
        "agent.yaml:2: unknown key `recievers`; did you mean `receivers`? (known: data_dir, limits, resource, resource_detection, \
         receivers, processors, exporters, dead_letter, give_up, pipelines, admin, telemetry, tests)",
    );
    check(
        "exporters:\n  main:\n    type: otlp\n    endpiont: http://a:1\n",
        "agent.yaml:4: exporters.main: unknown key `endpiont`; did you mean `endpoint`? (known: endpoint, \
         compression, compression_level, ca_file, cert_file, key_file, server_name, auth, headers, insecure, \
         timeout, queue, retry, concurrency)",
    );
    check(
        "exporters:\n  main:\n    type: otlp\n    endpoint: http://a:1\n    queue:\n      on_ful: block\n",
        "agent.yaml:6: exporters.main.queue: unknown key `on_ful`; did you mean `on_full`? (known: on_full)",
    );
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = "receivers:\n  a: {type: filelgo}\n  b: {type: hostmetrics, interval: soon}\n\
                exporters:\n  main: {type: otlp}\n\
                pipelines:\n  logs: {from: [c], to: [main]}\n  events: {from: [a], to: [main]}\n";
    check(
        text,
        "agent.yaml:2: receivers.a: unknown receiver type `filelgo`; did you mean `filelog`? (known: filelog, \
         hostmetrics, prometheus, otlp)\n\
         agent.yaml:3: receivers.b.interval: \"soon\" is not a duration such as 10s, 5m or 1h30m\n\
         agent.yaml:5: exporters.main: key `endpoint` is missing\n\
         agent.yaml:7: pipelines.logs: unknown receiver `c` (known: a, b)\n\
         agent.yaml:8: pipelines: unknown pipeline `events` (known: logs, metrics, traces)",
    );
}

#[test]
fn processors_that_do_not_exist_are_named() {
    check(
        "processors:\n  pii: {type: resorce}\n",
        "agent.yaml:2: processors.pii: unknown processor type `resorce`; did you mean `resource`? (known: resource, redaction, \
         k8sattributes, filter, sample, ratelimit, transform)",
    );
}

#[test]
fn listeners_off_loopback_need_auth_disabled() {
    let config =
        |auth: &str| format!("receivers:\n  otlp: {{type: otlp, grpc: 0.0.0.0:4317{auth}}}\n");
    check(
        &config(""),
        "agent.yaml:2: receivers.otlp: 0.0.0.0:4317 can be reached from other machines; say `auth: disabled` to \
         allow it without authentication",
    );
    assert!(AgentConfig::parse("f", &config(", auth: disabled"), &sources()).is_ok());
    check(
        "admin: {listen: 10.0.0.1:7421}",
        "agent.yaml:1: admin: 10.0.0.1:7421 can be reached from other machines; say `auth: disabled` to allow it \
         without authentication",
    );
}

#[test]
fn substitution_touches_values_only_and_never_becomes_yaml() {
    let text = "resource:\n  secret: ${file:/run/secret}\n  both: x-${env:NODE}-${env:PORT}\n  literal: $5 ${other} $${env\n  ${env:NODE}: key\n";
    let config = AgentConfig::parse("agent.yaml", text, &sources()).expect("valid");
    let get = |key: &str| {
        let found = config.resource.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(get("secret"), Some("a: [b"));
    assert_eq!(get("both"), Some("x-node-7-4317"));
    assert_eq!(get("literal"), Some("$5 ${other} $${env"));
    assert_eq!(get("${env:NODE}"), Some("key"));
}

#[test]
fn unset_variables_and_absent_files_are_mistakes() {
    check(
        "resource:\n  a: ${env:NOPE}\n  b: ${file:/nope}\n",
        "agent.yaml:2: environment variable NOPE is not set\n\
         agent.yaml:3: file /nope cannot be read: no such file",
    );
}

#[test]
fn broken_yaml_and_duplicate_keys_have_a_line() {
    check(
        "data_dir: /a\ndata_dir: /b\n",
        "agent.yaml:2: key `data_dir` stands here twice",
    );
    let error = AgentConfig::parse("agent.yaml", "limits: {disk: 1GiB\nx", &sources());
    let text = error.expect_err("not YAML").to_string();
    assert!(text.starts_with("agent.yaml:"), "{text}");
}

#[test]
fn a_file_that_holds_nothing_is_a_mistake() {
    for text in ["", "\n\n", "# nothing\n", "---\n", "~\n"] {
        let error = AgentConfig::parse("a.yaml", text, &SystemSources).expect_err("nothing");
        let message = error.to_string();
        assert!(
            message.contains("the file holds nothing"),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn the_name_of_the_host_is_found_out_unless_it_is_given_or_unwanted() {
    let host = |text: &str, variables: &[(&'static str, &'static str)]| {
        let rest = "receivers: {otlp: {type: otlp, grpc: 127.0.0.1:1}}\nexporters: {main: {type: debug}}\n\
                    pipelines: {logs: {from: [otlp], to: [main]}}\n";
        let text = format!("{text}{rest}");
        let sources = Fixed(variables.iter().copied().collect());
        let config = AgentConfig::parse("f", &text, &sources).expect("valid");
        let config = config.with_host_name(&sources);
        let mut resource = config.resource.into_iter();
        resource
            .find(|(key, _)| key == "host.name")
            .map(|(_, name)| name)
    };
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_str().expect("text");
    assert_eq!(host("", &[]).as_deref(), Some(machine));
    assert_eq!(
        host("resource: {host.name: n1}\n", &[]).as_deref(),
        Some("n1")
    );
    assert_eq!(host("resource_detection: []\n", &[]), None);
    // In a pod the machine's name is the pod's.
    let pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(host("", &[pod]), None);
    assert_eq!(host("", &[pod, ("NODE_NAME", "n2")]).as_deref(), Some("n2"));
    let error = AgentConfig::parse("f", "resource_detection: [hst]\n", &sources());
    let error = error.expect_err("invalid").to_string();
    assert!(
        error.contains("f:1: resource_detection: unknown value `hst`; did you mean `host`?"),
        "{error}"
    );
}
