//! Runs scripts in Prometheus's promqltest language against the engine.
//!
//! The project's own scripts (`scripts/`) must pass completely. Prometheus's scripts are read from the folder
//! `VERVET_PROMQLTEST_DIR` (default `../shared/promqltest` from the workspace's root); where it is absent they
//! are skipped. They reach into parts of the language that the engine does not have yet, so each file has a
//! floor of evaluations that must pass (`floors.rs`): a regression fails the test, a gap does not.

mod check;
mod classic;
mod floors;
mod script;
mod series;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use script::Tally;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promqltest/scripts");
    let mut healthy = true;
    let mut total = Tally::default();
    for path in scripts_in(&own) {
        let tally = run_file(&path, &mut out);
        healthy &= tally.failures.is_empty() && tally.passed > 0;
        total.passed += tally.passed;
        total.failures.extend(tally.failures);
    }
    let upstream = upstream_folder();
    if upstream.is_dir() {
        for path in scripts_in(&upstream) {
            let tally = run_file(&path, &mut out);
            let name = file_name(&path);
            let floor = floors::floor(&name);
            if tally.passed < floor {
                healthy = false;
                write_line(
                    &mut out,
                    &format!("  REGRESSION in {name}: the floor is {floor}"),
                );
            }
            total.passed += tally.passed;
            total.failures.extend(tally.failures);
        }
    } else {
        for name in floors::names() {
            write_line(&mut out, &format!("skipped: {name}: directory absent"));
        }
    }
    let (passed, failed) = (total.passed, total.failures.len());
    write_line(
        &mut out,
        &format!("evals: {passed} passed, {failed} failed"),
    );
    if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn upstream_folder() -> PathBuf {
    match std::env::var_os("VERVET_PROMQLTEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest"),
    }
}

fn scripts_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is readable");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the entry is readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "test")
        })
        .collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn run_file(path: &Path, out: &mut impl Write) -> Tally {
    let text = std::fs::read_to_string(path).expect("the script is readable");
    let tally = script::run(&text);
    let (passed, failed) = (tally.passed, tally.failures.len());
    write_line(
        out,
        &format!("{}: {passed} passed, {failed} failed", file_name(path)),
    );
    for failure in &tally.failures {
        write_line(out, &format!("  {failure}"));
    }
    tally
}

fn write_line(out: &mut impl Write, line: &str) {
    writeln!(out, "{line}").expect("standard output is open");
}
