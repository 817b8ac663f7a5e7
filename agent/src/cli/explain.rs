//! `vervet-agent explain`: one line through every stage. `vervet-agent test`: the configuration's own tests.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use vervet_model::SystemClock;

use super::{ConfigArgs, EXIT_RUNTIME, complain, say, with_config};
use crate::config::{AgentConfig, ReceiverConfig};
use crate::explain::{CaseResult, Explainer, Origin, read_pods, render};
use crate::kubernetes::PodDirectory;
use crate::printable::{printable, printable_json};
use crate::processors::Secrets;

/// Bytes of a text from standard input, at most.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a saved answer about pods, at most.
const PODS_BYTES_MAX: u64 = 32 << 20;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The receiver that reads the line
    #[arg(long, value_name = "NAME")]
    receiver: Option<String>,
    /// The file the line stands in; picks the receiver
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Pods: a saved answer of the kubelet's /pods, or of `kubectl get pods -o json`
    #[arg(long, value_name = "FILE")]
    pod: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show also what redaction takes out
    #[arg(long)]
    show_secrets: bool,
    /// The line; standard input when absent
    line: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Pods that the tests' paths may name, as for `explain`
    #[arg(long, value_name = "FILE")]
    pod: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn explain(args: ExplainArgs) -> ExitCode {
    let path = args.config.config.clone();
    with_config(&path, |config| match explained(&config, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    })
}

fn explained(config: &AgentConfig, args: ExplainArgs) -> anyhow::Result<()> {
    let text = match args.line {
        Some(line) => line.into_bytes(),
        None => standard_input()?,
    };
    let secrets = match args.show_secrets {
        true => Secrets::Show,
        false => Secrets::Hide,
    };
    let path = args.path.as_deref().map(std::path::absolute).transpose()?;
    let origin = Origin {
        receiver: args.receiver,
        path: path.map(|path| path.to_string_lossy().into_owned()),
    };
    let pods = pods(config, args.pod.as_deref())?;
    let explainer = Explainer::with_pods(config, Arc::new(SystemClock), secrets, pods)?;
    let ways = explainer.text(&origin, &text)?;
    if let Some(way) = ways.first() {
        tell_of_globs(config, &way.receiver);
    }
    match args.json {
        true => {
            let json = format!("{:#}\n", serde_json::to_value(&ways)?);
            say(&printable_json(&json))?;
        }
        false => say(&render(&ways))?,
    }
    Ok(())
}

/// What would keep the receiver from reading anything here.
fn tell_of_globs(config: &AgentConfig, receiver: &str) {
    if let Some(ReceiverConfig::Filelog(filelog)) = config.receivers.get(receiver) {
        for glob in filelog.without_files() {
            complain(&format!(
                "receiver {receiver}: `{glob}` matches no file yet"
            ));
        }
    }
}

/// The pods of the saved answer, none without one.
fn pods(config: &AgentConfig, file: Option<&Path>) -> anyhow::Result<PodDirectory> {
    let Some(file) = file else {
        return Ok(PodDirectory::none());
    };
    let (name, mut answer) = (file.display(), Vec::new());
    let opened = std::fs::File::open(file).with_context(|| format!("{name} cannot be read"))?;
    opened
        .take(PODS_BYTES_MAX + 1)
        .read_to_end(&mut answer)
        .with_context(|| format!("{name} cannot be read"))?;
    anyhow::ensure!(
        answer.len() as u64 <= PODS_BYTES_MAX,
        "{name} is larger than {PODS_BYTES_MAX} bytes"
    );
    read_pods(config, &answer).with_context(|| format!("{name} cannot be used"))
}

fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let input = std::io::stdin().lock();
    input
        .take(TEXT_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .context("standard input cannot be read")?;
    anyhow::ensure!(
        text.len() as u64 <= TEXT_BYTES_MAX,
        "the text is longer than {TEXT_BYTES_MAX} bytes"
    );
    Ok(text)
}

pub(super) fn test(args: &TestArgs) -> ExitCode {
    with_config(&args.config.config, |config| match tested(&config, args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_RUNTIME),
        Err(error) => failed(&error),
    })
}

/// Whether all tests passed.
fn tested(config: &AgentConfig, args: &TestArgs) -> anyhow::Result<bool> {
    let pods = pods(config, args.pod.as_deref())?;
    let explainer = Explainer::with_pods(config, Arc::new(SystemClock), Secrets::Show, pods)?;
    let mut results = Vec::new();
    for case in &config.tests {
        let result = explainer.check(case);
        results.push(result.with_context(|| format!("test `{}`", case.name))?);
    }
    let all = results.iter().all(CaseResult::passed);
    match args.json {
        true => {
            let json = format!("{:#}\n", serde_json::to_value(&results)?);
            say(&printable_json(&json))?;
        }
        false => say(&report(&args.config.config.display().to_string(), &results))?,
    }
    Ok(all)
}

fn report(file: &str, results: &[CaseResult]) -> String {
    let mut out = String::new();
    for result in results {
        let word = if result.passed() { "ok  " } else { "FAIL" };
        out.push_str(&format!("{word}  {}\n", printable(&result.name)));
        if !result.passed() {
            out.push_str(&format!("      {file}:{}\n", result.line));
        }
        for difference in &result.differences {
            let print = printable;
            out.push_str(&format!(
                "      {}\n        - {}\n        + {}\n",
                print(&difference.path),
                print(&difference.expected),
                print(&difference.actual),
            ));
        }
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    match results.len() {
        0 => out.push_str("the configuration has no tests\n"),
        count => out.push_str(&format!("{} passed, {failed} failed\n", count - failed)),
    }
    out
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(EXIT_RUNTIME)
}
