//! Arguments, logging, signals, exit code.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use vervet_agent::allocator::limit_arenas;
use vervet_agent::printable::printable_lines;
use vervet_agent::telemetry::{self, TelemetryOptions};
use vervet_agent::{Agent, AgentOptions};
use vervet_collector::cli::Operate;
use vervet_collector::standalone::{StandaloneOptions, WATCH_DEFAULT, agent_config};
use vervet_collector::{Collector, CollectorConfig, check_rules};

const EXIT_FAILURE: u8 = 1;
const EXIT_CONFIG: u8 = 78;
/// How long the agent of a standalone collector may take to deliver what it holds.
const AGENT_DRAIN: Duration = Duration::from_secs(5);

/// Receives logs, metrics and traces, stores them, answers queries, raises alerts.
#[derive(Parser)]
#[command(name = "vervet-collector", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the collector.
    Run {
        #[arg(long)]
        config: PathBuf,
    },
    /// Run the collector with an agent in the same process: everything on one machine.
    Standalone(Standalone),
    /// Check a configuration file and the rule files it names.
    Validate {
        #[arg(long)]
        config: PathBuf,
    },
    #[command(flatten)]
    Operate(Operate),
}

#[derive(Args)]
struct Standalone {
    /// A collector configuration; the options below win over it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where everything is kept [default: ./vervet-data].
    #[arg(long, env = "VERVET_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the UI and the API [default: 127.0.0.1:7420].
    #[arg(long, env = "VERVET_HTTP")]
    http: Option<SocketAddr>,
    /// Address of OTLP/gRPC [default: 127.0.0.1:4317].
    #[arg(long, env = "VERVET_OTLP_GRPC")]
    otlp_grpc: Option<SocketAddr>,
    /// Address of OTLP/HTTP [default: 127.0.0.1:4318].
    #[arg(long, env = "VERVET_OTLP_HTTP")]
    otlp_http: Option<SocketAddr>,
    /// Globs of log files to follow, separated by commas [default: the system's and Kubernetes' logs].
    #[arg(long, env = "VERVET_WATCH", value_delimiter = ',')]
    watch: Option<Vec<String>>,
    /// Address of the agent's metrics and status.
    #[arg(long, env = "VERVET_AGENT_ADMIN", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7421))]
    agent_admin: SocketAddr,
}

/// How long threads may take to end once everything is stored.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// What ends the program, with the exit code it means.
enum Failure {
    Config(String),
    Run(anyhow::Error),
}

fn main() -> ExitCode {
    // Whatever is made from here on is its owner's alone: rows, catalogs, backups.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = Cli::parse();
    if matches!(cli.command, Command::Run { .. } | Command::Standalone(_)) {
        // Without it the collector takes more memory, and does its work all the same.
        let _as_it_is = limit_arenas();
    }
    let result = match cli.command {
        Command::Validate { config } => validate(&config),
        Command::Run { config } => load(&config).and_then(|config| run(config, None)),
        Command::Standalone(options) => standalone(options),
        Command::Operate(command) => return command.run(),
    };
    let (code, message) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Config(message)) => (EXIT_CONFIG, message),
        Err(Failure::Run(error)) => (EXIT_FAILURE, format!("{error:#}")),
    };
    say(&printable_lines(&format!("vervet-collector: {message}")));
    ExitCode::from(code)
}

fn load(path: &std::path::Path) -> Result<CollectorConfig, Failure> {
    CollectorConfig::load(path).map_err(|error| Failure::Config(error.to_string()))
}

fn validate(path: &std::path::Path) -> Result<(), Failure> {
    let config = load(path)?;
    if let Some(dir) = &config.rules_dir {
        check_rules(dir, config.promql).map_err(Failure::Config)?;
    }
    say(&format!("{}: valid", path.display()));
    Ok(())
}

fn standalone(options: Standalone) -> Result<(), Failure> {
    let mut config = match &options.config {
        Some(path) => load(path)?,
        None => CollectorConfig::parse("default", "")
            .map_err(|error| Failure::Config(error.to_string()))?,
    };
    config.data_dir = options.data_dir.unwrap_or(config.data_dir);
    config.http = loopback(options.http.unwrap_or(config.http), config.http)?;
    config.otlp_grpc = loopback(
        options.otlp_grpc.unwrap_or(config.otlp_grpc),
        config.otlp_grpc,
    )?;
    config.otlp_http = loopback(
        options.otlp_http.unwrap_or(config.otlp_http),
        config.otlp_http,
    )?;
    let agent = StandaloneOptions {
        data_dir: config.data_dir.clone(),
        environment: config.environment.clone(),
        watch: options
            .watch
            .unwrap_or_else(|| WATCH_DEFAULT.map(str::to_owned).to_vec()),
        agent_admin: free_port(loopback(options.agent_admin, options.agent_admin)?)?,
    };
    run(config, Some(agent))
}

/// The agent scrapes itself, so its address must be known beforehand: port 0 becomes one that is free now.
fn free_port(address: SocketAddr) -> Result<SocketAddr, Failure> {
    if address.port() != 0 {
        return Ok(address);
    }
    let bound = std::net::TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map_err(|error| Failure::Run(error.into()))
}

/// An address given on the command line must be on loopback, unless the configuration allows it already.
fn loopback(address: SocketAddr, allowed: SocketAddr) -> Result<SocketAddr, Failure> {
    if address.ip().is_loopback() || address.ip() == allowed.ip() && !allowed.ip().is_loopback() {
        return Ok(address);
    }
    Err(Failure::Config(format!(
        "{address} can be reached from other machines; set it in a --config file that says `auth: disabled`"
    )))
}

fn run(config: CollectorConfig, agent: Option<StandaloneOptions>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("vervet")
        .build()
        .map_err(|error| Failure::Run(error.into()))?;
    let result = runtime.block_on(async {
        let options = TelemetryOptions {
            service_name: "vervet-collector",
            service_version: env!("CARGO_PKG_VERSION"),
            traces_endpoint: config.traces_endpoint.clone(),
        };
        let telemetry = telemetry::init(&options).map_err(|error| Failure::Run(error.into()))?;
        let result = serve(config, agent).await;
        telemetry.flush().await;
        result
    });
    // Queries whose callers have gone may still run; they do not keep the program.
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    result
}

async fn serve(config: CollectorConfig, agent: Option<StandaloneOptions>) -> Result<(), Failure> {
    let collector = Collector::start(config).await.map_err(Failure::Run)?;
    let addresses = collector.addresses();
    let agent = match agent {
        None => None,
        Some(options) => {
            let config = agent_config(&options, addresses)
                .map_err(|error| Failure::Config(error.to_string()))?;
            let running = Agent::start(config, AgentOptions::default())
                .await
                .map_err(|error| Failure::Run(error.into()))?;
            say(&welcome(&options, addresses.http));
            Some(running)
        }
    };
    let mut signals = Signals::listen().map_err(|error| Failure::Run(error.into()))?;
    signals.end().await;
    let stop = async {
        if let Some(agent) = agent {
            agent.shutdown(AGENT_DRAIN).await;
        }
        collector.shutdown().await;
    };
    tokio::select! {
        () = stop => {}
        () = signals.end() => tracing::warn!(
            "second signal: stopped at once; what is not in segments yet is read from the journal at the next start"
        ),
    }
    Ok(())
}

fn welcome(options: &StandaloneOptions, http: SocketAddr) -> String {
    let watching = if options.watch.is_empty() {
        "no log files".to_owned()
    } else {
        options.watch.join(", ")
    };
    format!(
        "Vervet is running.\n  UI and API   http://{http}/\n  watching     {watching}, and this host's figures\n  data         {}",
        options.data_dir.display()
    )
}

/// The signals the program listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT. SIGHUP is noted: rules and configuration are read at start.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => tracing::warn!("reload is not supported yet; restart to read the configuration again"),
            }
        }
    }
}

/// Messages for the person who started the program go to standard error, with the log.
fn say(message: &str) {
    let _closed = writeln!(std::io::stderr(), "{message}");
}
