//! The programs side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rand::Rng as _;
use serde_json::Value;
use vervet_tests::{Program, binary, books};

use crate::{View, eventually, shown};

const START_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// An address on loopback that nobody listens on at the moment.
pub(crate) fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    let free = (0..100).find_map(|_| {
        let address = (Ipv4Addr::LOCALHOST, rand::rng().random_range(PORTS));
        TcpListener::bind(address).ok()?.local_addr().ok()
    });
    free.expect("one of a hundred is free")
}

/// The node exporter and its address, where it is installed.
pub(crate) fn node_exporter() -> Option<(Program, SocketAddr)> {
    if !is_installed("prometheus-node-exporter") {
        return None;
    }
    let address = free_address();
    let mut command = Command::new("prometheus-node-exporter");
    command
        .arg(format!("--web.listen-address={address}"))
        .arg("--no-collector.systemd");
    Some((Program::spawn("node exporter", &mut command), address))
}

/// Killed when dropped.
pub(crate) struct Prometheus {
    _program: Program,
    api: String,
    client: reqwest::Client,
}

impl Prometheus {
    pub(crate) async fn start(dir: &Path, address: SocketAddr, jobs: &str) -> Self {
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, format!("scrape_configs:\n{jobs}")).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let program = Program::spawn("prometheus", &mut command);
        let (api, client) = (format!("http://{address}"), reqwest::Client::new());
        eventually("Prometheus is ready", async || {
            let ready = client.get(format!("{api}/-/ready")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        Self {
            _program: program,
            api,
            client,
        }
    }

    /// All series that have not ended.
    pub(crate) async fn view(&self) -> View {
        let url = format!(
            "{}/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D",
            self.api
        );
        let answer = self.client.get(url).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let found = answer["data"]["result"].as_array().unwrap();
        let series = found.iter().map(|series| {
            let mut labels: BTreeMap<String, String> =
                serde_json::from_value(series["metric"].clone()).unwrap();
            let name = labels.remove("__name__").unwrap_or_default();
            let value = series["value"][1].as_str().unwrap().parse().unwrap();
            shown(&name, &labels, value)
        });
        series.collect()
    }
}

pub(crate) struct Agent(Program);

impl Agent {
    /// Starts it and waits until it runs.
    pub(crate) fn start(dir: &Path, admin: SocketAddr, collector: SocketAddr, jobs: &str) -> Self {
        let mut indented = String::new();
        for line in jobs.lines() {
            writeln!(indented, "    {line}").unwrap();
        }
        let yaml = format!(
            "data_dir: {}\nadmin: {{listen: \"{admin}\"}}\n\
             receivers:\n  scrape:\n    type: prometheus\n    scrape_configs:\n{indented}\
             exporters:\n  main: {{type: otlp, endpoint: \"http://{collector}\"}}\n\
             pipelines:\n  metrics: {{from: [scrape], to: [main]}}\n",
            dir.join("agent-data").display(),
        );
        let config = dir.join("agent.yaml");
        std::fs::write(&config, yaml).unwrap();
        let mut command = Command::new(binary("vervet-agent"));
        command.arg("run").arg("--config").arg(&config);
        let program = Program::spawn("vervet-agent", &mut command);
        program.wait_for_line("`agent started`", START_WITHIN, books::admin_address);
        Self(program)
    }

    pub(crate) fn stop(mut self) {
        let status = self.0.terminate();
        assert!(status.success(), "{status}\n{}", self.0.output());
    }
}
