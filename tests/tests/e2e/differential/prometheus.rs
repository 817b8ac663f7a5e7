//! A Prometheus of its own, and the node exporter.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use vervet_tests::Program;

use crate::harness::{Api, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(30);

/// Killed when dropped.
pub(super) struct Prometheus {
    _program: Program,
    _node_exporter: Option<Program>,
    /// Where it answers, without a slash at the end.
    pub(super) api: String,
    pub(super) client: reqwest::Client,
}

fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

impl Prometheus {
    /// Starts one that scrapes once a second and writes on to the collector; or says why it cannot.
    pub(super) async fn start(dir: &Path, collector: &Api) -> Result<Self, String> {
        if !is_installed("prometheus") {
            return Err("prometheus is not installed".to_owned());
        }
        let own = free_address();
        let node_exporter = is_installed("prometheus-node-exporter").then(|| {
            let address = free_address();
            let mut command = Command::new("prometheus-node-exporter");
            command.arg(format!("--web.listen-address={address}"));
            (Program::spawn("node exporter", &mut command), address)
        });
        let http = collector.addresses.http;
        let mut yaml = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             remote_write:\n\
             - url: http://{http}/api/v1/write\n  \
               queue_config: {{batch_send_deadline: 200ms, min_backoff: 50ms}}\n\
             scrape_configs:\n\
             - {{job_name: prometheus, static_configs: [{{targets: [\"{own}\"]}}]}}\n\
             - {{job_name: collector, static_configs: [{{targets: [\"{http}\"]}}]}}\n"
        );
        if let Some((_program, address)) = &node_exporter {
            let target = format!("static_configs: [{{targets: [\"{address}\"]}}]");
            writeln!(yaml, "- {{job_name: node, {target}}}").unwrap();
        }
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, yaml).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={own}"))
            .arg("--web.enable-remote-write-receiver");
        let program = Program::spawn("prometheus", &mut command);
        let (api, client) = (format!("http://{own}"), reqwest::Client::new());
        eventually("Prometheus is ready", START_WITHIN, async || {
            let ready = client.get(format!("{api}/-/ready")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        Ok(Self {
            _program: program,
            _node_exporter: node_exporter.map(|(program, _)| program),
            api,
            client,
        })
    }

    /// Gives a server samples by remote write.
    pub(super) async fn write(&self, server: &str, body: Vec<u8>) {
        let request = self.client.post(format!("{server}/api/v1/write"));
        let request = request
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0");
        let response = request.body(body).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
    }
}
