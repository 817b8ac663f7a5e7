//! A collector with an agent in the same process: everything on one machine, nothing to configure.
//!
//! The agent tails files, reads the host's figures and scrapes both programs; it sends to the collector
//! over loopback like any other agent, with its own buffer on disk.

use std::net::SocketAddr;
use std::path::PathBuf;

use vervet_agent::AgentConfig;
use vervet_agent::config::ConfigError;
use vervet_agent::config::substitute::SystemSources;

use crate::start::Addresses;

/// What a newcomer may want to set.
#[derive(Debug, Clone)]
pub struct StandaloneOptions {
    pub data_dir: PathBuf,
    pub environment: String,
    /// Globs of the log files to follow.
    pub watch: Vec<String>,
    /// The agent's own admin address.
    pub agent_admin: SocketAddr,
}

/// The log files that are followed when nothing else is said.
pub const WATCH_DEFAULT: [&str; 2] = ["/var/log/*.log", "/var/log/pods/*/*/*.log"];

/// The configuration of the agent inside a standalone collector.
///
/// # Errors
/// A glob is invalid.
pub fn agent_config(
    options: &StandaloneOptions,
    collector: Addresses,
) -> Result<AgentConfig, ConfigError> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let watch: Vec<String> = options.watch.iter().map(|glob| quoted(glob)).collect();
    let (files, logs) = match watch.is_empty() {
        true => (String::new(), ""),
        false => (
            format!(
                "  files: {{type: filelog, include: [{}]}}\n",
                watch.join(", ")
            ),
            "  logs: {from: [files], to: [collector]}\n",
        ),
    };
    let text = format!(
        "data_dir: {data_dir}\n\
         resource: {{host.name: {host}, deployment.environment.name: {environment}}}\n\
         admin: {{listen: {admin}}}\n\
         receivers:\n{files}  host: {{type: hostmetrics, interval: 15s}}\n  \
         own: {{type: prometheus, scrape_configs: [\
         {{job_name: vervet-collector, scrape_interval: 15s, static_configs: [{{targets: [{http}]}}]}}, \
         {{job_name: vervet-agent, scrape_interval: 15s, static_configs: [{{targets: [{admin}]}}]}}]}}\n\
         exporters:\n  collector: {{type: otlp, endpoint: {endpoint}}}\n\
         pipelines:\n{logs}  metrics: {{from: [host, own], to: [collector]}}\n",
        data_dir = quoted(&options.data_dir.join("agent").to_string_lossy()),
        host = quoted(&host_name()),
        environment = quoted(&options.environment),
        admin = quoted(&options.agent_admin.to_string()),
        http = quoted(&collector.http.to_string()),
        endpoint = quoted(&format!("http://{}", collector.otlp_grpc)),
    );
    AgentConfig::parse("standalone", &text, &SystemSources)
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
