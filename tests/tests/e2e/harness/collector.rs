//! A collector process and its HTTP API.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::{Program, binary, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Where a collector listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
}

/// What a test sets; the rest has the defaults of the program. Addresses are free ones.
#[derive(Debug, Clone)]
pub(crate) struct CollectorOptions {
    /// Holds the configuration and, in `data`, the collector's data.
    pub(crate) dir: PathBuf,
    /// YAML of `limits`, in braces.
    pub(crate) limits: String,
    /// YAML of `store`, in braces.
    pub(crate) store: String,
    /// Folder of rule files; without one no rules run.
    pub(crate) rules_dir: Option<PathBuf>,
    pub(crate) webhook: Option<String>,
    pub(crate) addresses: Addresses,
    /// The folder of the control group it runs in.
    pub(crate) control_group: Option<PathBuf>,
}

/// `vervet-collector run`, killed when dropped.
pub(crate) struct Collector {
    pub(crate) program: Program,
    pub(crate) api: Api,
    options: CollectorOptions,
}

/// `vervet-collector standalone`, killed when dropped.
pub(crate) struct Standalone {
    pub(crate) program: Program,
    pub(crate) api: Api,
    agent_admin: SocketAddr,
}

/// The HTTP surface of a collector.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) addresses: Addresses,
    pub(crate) client: reqwest::Client,
}

impl CollectorOptions {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            limits: "{}".to_owned(),
            store: "{}".to_owned(),
            rules_dir: None,
            webhook: None,
            addresses: Addresses {
                http: ANY,
                otlp_grpc: ANY,
                otlp_http: ANY,
            },
            control_group: None,
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn yaml(&self) -> String {
        let no_rules = self.dir.join("no-rules");
        std::fs::create_dir_all(&no_rules).unwrap();
        let rules = self.rules_dir.as_ref().unwrap_or(&no_rules);
        let Addresses {
            http,
            otlp_grpc,
            otlp_http,
        } = self.addresses;
        let mut yaml = format!(
            "data_dir: {}\nenvironment: test\nhttp: {{listen: \"{http}\"}}\n\
             otlp: {{grpc: \"{otlp_grpc}\", http: \"{otlp_http}\"}}\nlimits: {}\n\
             store: {}\nrules: {{dir: {}, interval: 1s}}\n",
            self.data_dir().display(),
            self.limits,
            self.store,
            rules.display(),
        );
        if let Some(url) = &self.webhook {
            write!(
                yaml,
                "alerting:\n  route: {{receiver: hook, group_wait: 1s, group_interval: 2s}}\n  \
                 receivers: [{{name: hook, webhook_configs: [{{url: \"{url}\"}}]}}]\n",
            )
            .unwrap();
        }
        yaml
    }

    fn spawn(&self) -> Program {
        let config = self.dir.join("collector.yaml");
        std::fs::write(&config, self.yaml()).unwrap();
        let program = binary("vervet-collector");
        let mut command = match &self.control_group {
            None => Command::new(program),
            Some(group) => {
                let mut shell = Command::new("sh");
                shell.args(["-ec", "echo $$ > \"$0/cgroup.procs\"; exec \"$@\""]);
                shell.arg(group).arg(program);
                shell
            }
        };
        Program::spawn(
            "vervet-collector",
            command.arg("run").arg("--config").arg(config),
        )
    }
}

impl Collector {
    pub(crate) async fn start(options: CollectorOptions) -> Self {
        let program = options.spawn();
        let addresses = started(&program).await;
        let options = CollectorOptions {
            addresses,
            ..options
        };
        Self {
            program,
            api: Api::new(addresses),
            options,
        }
    }

    /// Starts again, on the same addresses and data, after [`Program::kill`] or [`Program::terminate`].
    pub(crate) async fn start_again(&mut self) {
        self.program = self.options.spawn();
        started(&self.program).await;
    }

    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.program.terminate()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.options.data_dir()
    }

    /// What `vervet-collector verify` finds in the data.
    pub(crate) fn verify(&self) -> Value {
        let output = Command::new(binary("vervet-collector"))
            .args(["verify", "--json", "--data-dir"])
            .arg(self.data_dir())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Standalone {
    /// Starts on free ports with a data folder in `dir`, following the files that match `watch`.
    pub(crate) async fn start(dir: &Path, watch: &str) -> Self {
        let agent_admin = free_address();
        let mut command = Command::new(binary("vervet-collector"));
        command
            .arg("standalone")
            .env("VERVET_DATA_DIR", dir.join("data"))
            .env("VERVET_HTTP", ANY.to_string())
            .env("VERVET_OTLP_GRPC", ANY.to_string())
            .env("VERVET_OTLP_HTTP", ANY.to_string())
            .env("VERVET_AGENT_ADMIN", agent_admin.to_string())
            .env("VERVET_WATCH", watch);
        let program = Program::spawn("vervet-collector standalone", &mut command);
        let addresses = started(&program).await;
        let running = |line: &str| line.contains("Vervet is running").then_some(());
        tokio::task::block_in_place(|| program.wait_for_line("its welcome", START_WITHIN, running));
        Self {
            program,
            api: Api::new(addresses),
            agent_admin,
        }
    }

    /// The text of the agent's own metrics.
    pub(crate) async fn agent_metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.agent_admin);
        let answer = self.api.client.get(url).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

/// Waits until the collector says where it listens.
async fn started(program: &Program) -> Addresses {
    let find = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = line.get("fields").unwrap_or(&line);
        if fields.get("message")?.as_str()? != "collector started" {
            return None;
        }
        let address = |name: &str| fields.get(name)?.as_str()?.parse().ok();
        Some(Addresses {
            http: address("http")?,
            otlp_grpc: address("otlp_grpc")?,
            otlp_http: address("otlp_http")?,
        })
    };
    let addresses = tokio::task::block_in_place(|| {
        program.wait_for_line("`collector started`", START_WITHIN, find)
    });
    let api = Api::new(addresses);
    eventually("the collector is ready", START_WITHIN, async || {
        api.get("/readyz", &[])
            .await
            .is_some_and(|(status, _)| status == 200)
            .then_some(())
    })
    .await;
    addresses
}

impl Api {
    fn new(addresses: Addresses) -> Self {
        // Labels of streams apart from the metadata of records, as Grafana asks for them.
        let mut headers = HeaderMap::new();
        let flags = HeaderValue::from_static("categorize-labels");
        headers.insert("x-loki-response-encoding-flags", flags);
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .default_headers(headers)
            .build();
        Self {
            addresses,
            client: client.unwrap(),
        }
    }

    /// Status and body; `None` when there was no answer.
    pub(crate) async fn get(&self, path: &str, params: &[(&str, &str)]) -> Option<(u16, String)> {
        let base = format!("http://{}{path}", self.addresses.http);
        let url = reqwest::Url::parse_with_params(&base, params).unwrap();
        let answer = self.client.get(url).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// The JSON of an answer that must be a success.
    pub(crate) async fn json(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let (status, body) = self.get(path, params).await.expect("an answer");
        assert_eq!(status, 200, "{path} {params:?}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn post(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.addresses.http);
        let answer = self.client.post(url).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Sends an OTLP/HTTP body of protobuf; status and body of the answer.
    pub(crate) async fn otlp(&self, signal: &str, body: impl Into<Bytes>) -> (u16, String) {
        self.otlp_encoded(signal, body, "identity").await
    }

    /// The same with a `Content-Encoding`. Tried again when the connection ends without an answer, which
    /// a server may do that does not read a body to its end.
    pub(crate) async fn otlp_encoded(
        &self,
        signal: &str,
        body: impl Into<Bytes>,
        encoding: &str,
    ) -> (u16, String) {
        let url = format!("http://{}/v1/{signal}", self.addresses.otlp_http);
        let body = body.into();
        let deadline = Instant::now() + ANSWER_WITHIN;
        let answer = loop {
            let request = self
                .client
                .post(&url)
                .header("content-type", "application/x-protobuf")
                .header("content-encoding", encoding)
                .body(body.clone());
            match request.send().await {
                Ok(answer) => break answer,
                Err(error) => assert!(Instant::now() < deadline, "{url}: {error}"),
            }
        };
        let status = answer.status().as_u16();
        let retry = answer.headers().contains_key("retry-after");
        assert_eq!(
            retry,
            matches!(status, 429 | 503),
            "Retry-After with {status}"
        );
        let body = answer.bytes().await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The result of an instant PromQL query.
    pub(crate) async fn promql(&self, query: &str) -> Vec<Value> {
        let answer = self.json("/api/v1/query", &[("query", query)]).await;
        answer["data"]["result"].as_array().unwrap().clone()
    }
}
