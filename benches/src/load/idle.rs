//! Memory of both programs with nothing to do but the host's own figures every 15 s.

use super::Bench;
use super::start::{Collector, Flow, start_agent};
use crate::report::Figure;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let dir = bench.folder("idle")?;
    let collector = Collector::start(&bench.programs, &dir)?;
    let logs = dir.join("logs/*.log");
    let agent = start_agent(
        &bench.programs,
        &dir,
        &dir.join("agent-data"),
        collector.grpc,
        &Flow {
            receivers: format!(
                "{{files: {{type: filelog, include: [{logs:?}]}}, host: {{type: hostmetrics, interval: 15s}}}}"
            ),
            pipelines:
                "{logs: {from: [files], to: [collector]}, metrics: {from: [host], to: [collector]}}"
                    .to_owned(),
            ..Flow::default()
        },
    )?;
    std::thread::sleep(bench.scale.idle);
    let figures = vec![
        Figure::new(
            "collector: memory idle",
            collector.program.rss_mib()?,
            "MiB RSS",
        ),
        Figure::new("agent: memory idle", agent.rss_mib()?, "MiB RSS"),
    ];
    agent.terminate()?;
    collector.program.terminate()?;
    Ok(figures)
}
