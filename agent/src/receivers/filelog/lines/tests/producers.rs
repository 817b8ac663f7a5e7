//! What real programs wrote, read with no setting at all. `tests/producers/regenerate.sh` runs the programs; the table in
//! `agent/docs/formats.md` names them.
//!
//! Every record of every fixture is in a snapshot: time, severity, body and attributes.

use std::fmt::Write as _;

use super::*;

/// 2026-11-28T00:00:00Z, after the fixtures were written.
const OBSERVED: u64 = 1_795_824_000_000_000_000;

struct Seen {
    time: String,
    level: &'static str,
    body: String,
    attributes: Vec<(String, String)>,
}

fn fixture(name: &str) -> String {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/producers");
    std::fs::read_to_string(format!("{directory}/{name}.txt")).expect("a fixture")
}

/// The records of a file, and the formats that were detected in it.
fn read(name: &str) -> (Vec<Seen>, Vec<(&'static str, LogFormat)>) {
    let text = fixture(name);
    let mut lines = Lines::new(framing("auto"));
    lines.scan(text.as_bytes(), true, Instant::now());
    lines.close_all();
    let mut records = Vec::new();
    while let Some(record) = lines.pop() {
        let text = lines.text(&record, text.as_bytes());
        let parsed = lines.parse(&record, &text.text, OBSERVED);
        assert_eq!(parsed.failed, None, "{name}: {}", text.text);
        let pair = |attribute: &vervet_wire::otlp::KeyValue<'_>| {
            (
                attribute.key.to_string(),
                attribute.value.to_text().into_owned(),
            )
        };
        let nanos = i128::from(parsed.time_unix_nano);
        records.push(Seen {
            time: jiff::Timestamp::from_nanosecond(nanos)
                .expect("a time")
                .to_string(),
            level: parsed.severity.level(),
            body: parsed.body.to_text().into_owned(),
            attributes: parsed.attributes.iter().map(pair).collect(),
        });
    }
    (records, lines.detected().collect())
}

fn rendered(records: &[Seen]) -> String {
    let mut text = String::new();
    for record in records {
        let body = record.body.replace('\u{1b}', "\\e").replace('\n', "\n  | ");
        let _ = writeln!(text, "{} {}\n  | {body}", record.time, record.level);
        for (key, value) in &record.attributes {
            let _ = writeln!(text, "  {key} = {value:?}");
        }
    }
    text
}

/// Checks how many records a fixture has, how many of them have several lines in the body, and its formats.
fn check(name: &str, records: usize, traces: usize, formats: &[(&str, &str)]) {
    let (seen, detected) = read(name);
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, rendered(&seen));
    });
    assert_eq!(seen.len(), records, "records of {name}");
    let several = seen.iter().filter(|record| record.body.contains('\n'));
    assert_eq!(several.count(), traces, "traces of {name}");
    let detected: Vec<_> = detected
        .into_iter()
        .map(|(stream, format)| (stream, format.as_str()))
        .collect();
    assert_eq!(detected, formats, "formats of {name}");
}

#[test]
fn node_programs() {
    check("pino", 6, 1, &[("", "json")]);
    check("winston", 6, 0, &[("", "json")]);
    check("bunyan", 3, 0, &[]);
    check("next", 8, 2, &[("", "plain")]);
    check("console", 25, 15, &[("", "plain")]);
}

#[test]
fn python_programs() {
    check("python", 8, 3, &[("", "plain")]);
}

#[test]
fn go_programs() {
    check("zap", 7, 2, &[("", "plain")]);
    check("slog", 5, 0, &[]);
    check("klog", 5, 0, &[("", "klog")]);
}

#[test]
fn rust_programs() {
    check("tracing", 9, 2, &[("", "json")]);
}

#[test]
fn java_programs() {
    check("logback", 5, 2, &[("", "plain")]);
    check("log4j2", 6, 1, &[]);
}

#[test]
fn web_servers() {
    check("nginx-access", 5, 0, &[("", "access")]);
    check("nginx-common", 5, 0, &[("", "access")]);
    check("nginx-error", 14, 0, &[("", "nginx_error")]);
}

#[test]
fn databases() {
    check("postgres", 17, 1, &[("", "postgres")]);
}

#[test]
fn ruby_and_php() {
    check("ruby", 4, 2, &[("", "plain")]);
    check("php", 4, 1, &[("", "plain")]);
}

#[test]
fn syslog_daemons() {
    check("syslog-traditional", 3, 0, &[]);
    check("syslog-dated", 3, 0, &[]);
    check("syslog-protocol", 3, 0, &[]);
}

#[test]
fn container_runtimes() {
    check(
        "container-cri",
        11,
        1,
        &[("stdout", "json"), ("stderr", "plain")],
    );
    check(
        "container-docker",
        11,
        1,
        &[("stdout", "json"), ("stderr", "plain")],
    );
    // The pieces of a line, and what Docker escapes, are the program's own records again.
    let of = |name: &str| -> Vec<(String, String)> {
        let (seen, _) = read(name);
        seen.into_iter()
            .map(|seen| (seen.time, seen.body))
            .collect()
    };
    let (cri, docker, pino) = (of("container-cri"), of("container-docker"), of("pino"));
    assert_eq!(cri[..4], pino[..4]);
    assert_eq!(docker[..4], pino[..4]);
}
