//! `scrape_configs` as text.

use crate::config::substitute::SystemSources;
use crate::config::{AgentConfig, ReceiverConfig};
use crate::receivers::prometheus::discovery::Discovery;
use crate::receivers::prometheus::http::{Auth, Text};
use crate::receivers::prometheus::job::JobConfig;
use crate::receivers::prometheus::spec::Scheme;
use std::time::Duration;
use vervet_exposition::Protocol;

/// A configuration whose jobs are `jobs`, each line indented by four.
fn read(jobs: &str) -> Result<Vec<JobConfig>, String> {
    let jobs: Vec<String> = jobs.lines().map(|line| format!("    {line}")).collect();
    let text = format!(
        "receivers:\n  s:\n    type: prometheus\n    scrape_configs:\n{}\nexporters: {{d: {{type: debug}}}}\n\
         pipelines: {{metrics: {{from: [s], to: [d]}}}}\n",
        jobs.join("\n")
    );
    let config =
        AgentConfig::parse("f", &text, &SystemSources).map_err(|error| error.to_string())?;
    match config.receivers.get("s") {
        Some(ReceiverConfig::Prometheus(config)) => Ok(config.jobs.clone()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(jobs: &str, expected: &[&str]) {
    let error = read(jobs).expect_err("refused");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{error}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "`{line}` without `{expected}`");
    }
}

/// A job that says all there is to say.
const FULL: &str = "- job_name: shop
  scrape_interval: 1m30s
  scrape_timeout: 5s
  metrics_path: /internal/metrics
  scheme: https
  params: {module: [http_2xx, x], target: ['a b']}
  honor_labels: true
  honor_timestamps: false
  track_timestamps_staleness: true
  authorization: {type: Token, credentials_file: /run/token}
  tls_config:
    ca_file: /etc/ca.pem
    cert_file: /etc/cert.pem
    key_file: /etc/key.pem
    server_name: Metrics.internal
    insecure_skip_verify: true
    min_version: TLS13
  proxy_url: http://proxy:3128
  no_proxy: 10.0.0.0/8
  follow_redirects: false
  enable_compression: false
  enable_http2: false
  body_size_limit: 10MB
  sample_limit: 1000
  label_limit: 30
  label_name_length_limit: 100
  label_value_length_limit: 200
  target_limit: 50
  keep_dropped_targets: 10
  scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]
  fallback_scrape_protocol: PrometheusText1.0.0
  static_configs:
  - targets: ['localhost:9100', '[::1]:9100', shop.internal]
    labels: {env: test}
  file_sd_configs:
  - files: [/etc/targets/*.yaml, /etc/more.json]
    refresh_interval: 10m
  http_sd_configs:
  - {url: 'https://inventory/targets', basic_auth: {username: u, password: p}}
  dns_sd_configs:
  - {names: [shop.internal], type: A, port: 9100}
  - {names: [_metrics._tcp.shop.internal]}
  kubernetes_sd_configs:
  - role: endpointslice
    namespaces: {names: [shop], own_namespace: true}
    selectors: [{role: service, label: app=web}, {role: pod, field: spec.nodeName=n1}]
  - {role: node, api_server: 'https://10.0.0.1:6443', authorization: {credentials_file: /t}, tls_config: {ca_file: /c}}
  relabel_configs:
  - {source_labels: [__address__], target_label: where}
  metric_relabel_configs:
  - {action: labeldrop, regex: tmp_.*}";

#[test]
fn a_job_of_prometheus_is_read_verbatim() {
    let jobs = read(FULL).expect("valid");
    let [job] = jobs.as_slice() else {
        panic!("one job")
    };
    assert_eq!(
        (job.interval, job.timeout),
        (Duration::from_secs(90), Duration::from_secs(5))
    );
    assert_eq!(
        (job.scheme, job.path.as_str()),
        (Scheme::Https, "/internal/metrics")
    );
    assert_eq!(job.params["module"], ["http_2xx", "x"]);
    assert!(job.honor_labels && !job.honor_timestamps && job.track_timestamps_staleness);
    let token = Text::File("/run/token".into());
    let auth = Auth::Scheme {
        scheme: "Token".to_owned(),
        credentials: token,
    };
    assert_eq!(job.http.auth, auth);
    assert!(
        !job.http.follow_redirects && !job.http.compression && job.http.tls.insecure_skip_verify
    );
    let limits = job.limits;
    assert_eq!(
        (limits.body_bytes, limits.samples, limits.labels),
        (10 << 20, 1_000, 30)
    );
    assert_eq!(
        (limits.label_name_bytes, limits.label_value_bytes),
        (100, 200)
    );
    assert_eq!((limits.targets, limits.dropped_targets), (50, 10));
    assert_eq!(
        job.protocols,
        [Protocol::Text0_0_4, Protocol::OpenMetrics1_0_0]
    );
    assert_eq!(job.fallback, Some(Protocol::Text1_0_0));
    let kinds: Vec<&str> = job.discoveries.iter().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "static",
            "file",
            "http",
            "dns",
            "dns",
            "kubernetes",
            "kubernetes"
        ]
    );
    assert_eq!((job.relabel.len(), job.metric_relabel.len()), (1, 1));
}

fn kind(discovery: &Discovery) -> &'static str {
    match discovery {
        Discovery::Static(_) => "static",
        Discovery::File(_) => "file",
        Discovery::Http(_) => "http",
        Discovery::Dns(_) => "dns",
        Discovery::Kubernetes(_) => "kubernetes",
    }
}

#[test]
fn defaults_are_prometheus_s() {
    let jobs = read("- job_name: a\n- {job_name: b, scrape_interval: 5s}").expect("valid");
    let [a, b] = jobs.as_slice() else {
        panic!("two jobs")
    };
    assert_eq!(
        (a.interval, a.timeout),
        (Duration::from_secs(60), Duration::from_secs(10))
    );
    assert_eq!(b.timeout, Duration::from_secs(5));
    assert_eq!((a.scheme, a.path.as_str()), (Scheme::Http, "/metrics"));
    assert!(a.honor_timestamps && !a.honor_labels && !a.track_timestamps_staleness);
    assert!(a.http.follow_redirects && a.http.compression);
    assert_eq!((a.http.auth.clone(), a.fallback), (Auth::None, None));
    assert_eq!(a.limits.samples, usize::MAX);
    assert!(a.discoveries.is_empty());
}

#[test]
fn mistakes_are_told_with_their_line_and_job() {
    refused(
        "- job_name: a\n  scheme: ftp\n- job_name: b\n  metrics_path: m\n  scrap_interval: 5s",
        &[
            "f:6: receivers.s.scrape_configs.scheme",
            "f:8:",
            "f:9: receivers.s.scrape_configs: unknown key `scrap_interval`; did you mean `scrape_interval`?",
        ],
    );
    refused(
        "- job_name: a\n  scrape_interval: 5s\n  scrape_timeout: 10s\n- job_name: a",
        &[
            "f:7: receivers.s: job a: scrape_timeout is longer",
            "f:8: receivers.s: job a: there is another",
        ],
    );
    refused(
        "- job_name: a\n  relabel_configs:\n  - {action: keep}\n  - action: drop\n    regex: '('\n  metric_relabel_configs:\n  - action: replace",
        &[
            "f:9: receivers.s: job a: `(` is no regular expression",
            "f:11: receivers.s: job a: action replace needs `target_label`",
        ],
    );
    refused(
        "- job_name: a\n  relabel_configs: [{action: move}]",
        &["unknown value `move`"],
    );
    refused(
        "- job_name: a\n  static_configs:\n  - targets:\n    - 'localhost:1'\n    - 'http://b/'\n  - {targets: ['a b']}",
        &[
            "f:9: receivers.s: job a: target `http://b/` is no address",
            "f:10: receivers.s: job a: target `a b` is no address",
        ],
    );
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for (settings, expected) in [
        (
            "authorization: {credentials: x}\n  basic_auth: {username: u}",
            "both basic_auth and authorization",
        ),
        (
            "basic_auth: {password: secret-x, password_file: /f}",
            "of password and password_file",
        ),
        ("authorization: {type: basic}", "write basic_auth"),
        ("tls_config: {cert_file: /c}", "a certificate and its key"),
        (
            "tls_config: {server_name: 10.0.0.1}",
            "`10.0.0.1` is no name",
        ),
        ("tls_config: {min_version: TLS10}", "unknown value `TLS10`"),
        ("proxy_url: 'socks5://p'", "proxy_url is no http"),
        ("no_proxy: a", "no_proxy needs proxy_url"),
        (
            "scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]",
            "stands twice",
        ),
        ("file_sd_configs: [{files: [/etc/*/t.yaml]}]", "one `*`"),
        ("file_sd_configs: [{files: [/etc/t.txt]}]", "none of .json"),
        ("http_sd_configs: [{url: 'file:///x'}]", "url is no http"),
        (
            "http_sd_configs: [{url: 'http://a', refresh_interval: '0'}]",
            "longer than 0",
        ),
        (
            "dns_sd_configs: [{names: [a], type: AAAA}]",
            "type AAAA have no port",
        ),
        ("dns_sd_configs: [{names: []}]", "names holds none"),
        (
            "kubernetes_sd_configs: [{role: pod, api_server: 'http://a'}]",
            "no https address",
        ),
        (
            "kubernetes_sd_configs: [{role: ingress}]",
            "unknown value `ingress`",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, selectors: [{role: node}]}]",
            "takes no selector for node",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod}, {role: pod}]}]",
            "two selectors",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, tls_config: {insecure_skip_verify: true}}]",
            "only ca_file",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, authorization: {credentials: x}}]",
            "only credentials_file",
        ),
        ("enable_http2: true", "requests are HTTP/1.1"),
        ("convert_classic_histograms_to_nhcb: true", "unknown key"),
        ("consul_sd_configs: []", "unknown key `consul_sd_configs`"),
    ] {
        let error = read(&format!("- job_name: a\n  {settings}")).expect_err(settings);
        assert!(error.contains(expected), "{settings}: {error}");
        assert!(!error.contains("secret-x"), "{error}");
    }
}
