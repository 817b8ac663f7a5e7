//! `vervet-agent validate`: mistakes on standard error and exit code 78, or a summary of what the agent would do.

use std::path::Path;
use std::process::ExitCode;

use super::{EXIT_CONFIG, EXIT_RUNTIME, complain, say, say_error};
use crate::config::{AgentConfig, Checked};
use crate::figures::{bytes, table};
use crate::printable::{printable, printable_lines};

pub(super) fn validate(path: &Path) -> ExitCode {
    let file = path.display();
    let checked = match AgentConfig::check(path) {
        Ok(checked) => checked,
        Err(error) => {
            let count = error.problems.len();
            say_error(&format!("{}\n", printable_lines(&error.to_string())));
            complain(&format!(
                "{file} cannot be used: {count} {}",
                plural(count, "mistake")
            ));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    for warning in &checked.warnings {
        let line = warning
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        say_error(&format!(
            "{file}{line}: warning: {}\n",
            printable(&warning.to_string())
        ));
    }
    match say(&format!("{file}: valid\n{}", summary(&checked))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(EXIT_RUNTIME)
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => what.to_owned(),
        _ => format!("{what}s"),
    }
}

fn summary(checked: &Checked) -> String {
    let config = &checked.config;
    let names = |names: &[String]| names.join(", ");
    let mut rows = Vec::new();
    for pipeline in &config.pipelines {
        let via = match pipeline.via.is_empty() {
            true => String::new(),
            false => format!("{} -> ", names(&pipeline.via)),
        };
        let way = format!("{} -> {via}{}", names(&pipeline.from), names(&pipeline.to));
        rows.push(vec![pipeline.signal.as_str().to_owned(), way]);
    }
    let count = |count: usize, what: &str| format!("{count} {}", plural(count, what));
    let tests = match config.tests.len() {
        0 => String::new(),
        tests => format!(", {} (run them: vervet-agent test)", count(tests, "test")),
    };
    rows.push(vec![
        "holds".to_owned(),
        format!(
            "{}, {}, {}{tests}",
            count(config.receivers.len(), "receiver"),
            count(config.processors.len(), "processor"),
            count(config.exporters.len(), "exporter"),
        ),
    ]);
    rows.push(vec![
        "buffer".to_owned(),
        format!(
            "{}, at most {}",
            config.data_dir.display(),
            bytes(config.disk_bytes as f64)
        ),
    ]);
    let admin = config.admin.map(|address| address.to_string());
    rows.push(vec![
        "admin".to_owned(),
        admin.unwrap_or_else(|| "none".to_owned()),
    ]);
    table(&rows, 2, "  ")
}
