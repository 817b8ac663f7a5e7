//! The collector beside a Prometheus: the same samples by remote write from the same sender, then the same queries.
//!
//! 10,000 series for 24 hours, one sample in 15 s, in requests of many samples a series, which fill both; then 50 minutes
//! in requests of 2,000 samples of as many series, as Prometheus sends them, for which CPU is counted. Queries are asked of
//! one and the other in turn. What is acknowledged is synced to disk by the collector and not by Prometheus.

mod data;
mod queries;
mod write;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::Bench;
use super::http::{free_addresses, get};
use super::program::Program;
use super::start::Collector;
use crate::report::{Figure, Goal};
use data::Data;

/// One of the two.
struct Server<'p> {
    name: &'static str,
    program: &'p Program,
    http: SocketAddr,
}

pub(super) fn measure(bench: &Bench, progress: &dyn Fn(&str)) -> anyhow::Result<Vec<Figure>> {
    let dir = bench.folder("beside-prometheus")?;
    let prometheus = Prometheus::start(&dir)?;
    let collector = Collector::start(&bench.programs, &dir)?;
    let servers = [
        Server {
            name: "Prometheus",
            program: &prometheus.program,
            http: prometheus.http,
        },
        Server {
            name: "collector",
            program: &collector.program,
            http: collector.http,
        },
    ];
    let data = Data::new(bench.scale.hours);
    progress("beside Prometheus: the day is written to both");
    for hour in 0..data.hours {
        let bodies = data.hour(hour);
        for server in &servers {
            write::send(server.http, &bodies).with_context(|| server.name.to_owned())?;
        }
    }
    progress("beside Prometheus: remote write");
    let mut figures = remote_write(&servers, &data)?;
    progress("beside Prometheus: queries");
    figures.extend(queries::measure(&servers, &data, progress)?);
    for server in &servers {
        let peak = server.program.peak_rss_mib()?;
        let name = format!("beside Prometheus: {}: most memory", server.name);
        figures.push(Figure::new(name, peak, "MiB RSS"));
    }
    Ok(figures)
}

/// Samples taken per CPU second by one and by the other.
fn remote_write(servers: &[Server<'_>; 2], data: &Data) -> anyhow::Result<Vec<Figure>> {
    let scrapes = data.scrapes();
    let mut rates = Vec::new();
    let mut figures = Vec::new();
    for server in servers {
        let before = server.program.cpu_seconds()?;
        write::send(server.http, &scrapes).with_context(|| server.name.to_owned())?;
        let spent = server.program.cpu_seconds()? - before;
        ensure!(spent > 0.0, "{} took no CPU time", server.name);
        let rate = data.scraped_samples() as f64 / spent;
        let name = format!("beside Prometheus: {}: remote write", server.name);
        figures.push(Figure::new(name, rate, "samples per CPU s"));
        rates.push(rate);
    }
    if let [prometheus, collector] = rates.as_slice() {
        let ratio = Figure::new(
            "beside Prometheus: remote write, samples per CPU second",
            collector / prometheus,
            "x Prometheus's",
        );
        figures.push(ratio.with_goal(Goal::AtLeast(2.0)));
    }
    Ok(figures)
}

struct Prometheus {
    program: Program,
    http: SocketAddr,
}

impl Prometheus {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let [http] = free_addresses()?;
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 1h}\n")?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={http}"))
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null());
        let mut program = Program::start("prometheus", command, dir)
            .context("is Debian's package prometheus installed?")?;
        program.wait_until(|| get(http, "/-/ready").is_ok())?;
        Ok(Self { program, http })
    }
}
