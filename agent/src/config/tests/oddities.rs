//! What is valid and odd, and what was taken for valid once.

use super::faults::{check_lines, warnings};
use super::*;

/// As [`check_lines`], without the lines below a mistake that show where in a statement it is.
fn check_first_lines(text: &str, expected: &[&str]) {
    let error = AgentConfig::parse("f", text, &sources()).expect_err("invalid");
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("f:")).collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

fn with_receivers(receivers: &str) -> String {
    format!(
        "receivers:\n{receivers}exporters:\n  main: {{type: otlp, endpoint: 'http://a:1'}}\n\
         pipelines:\n  logs: {{from: [a, b], to: [main]}}\n"
    )
}

#[test]
fn receivers_that_read_the_same_files_are_told() {
    let text = with_receivers(
        "  a: {type: filelog, include: [/l/*.log]}\n  b: {type: filelog, include: [/x, /l/*.log]}\n",
    );
    assert_eq!(
        warnings(&text),
        [
            "3: receivers.b.include: receiver `a` reads the files of `/l/*.log` as well: each of their lines comes twice"
        ]
    );
    let text = with_receivers(
        "  a: {type: filelog, include: [/l/*.log]}\n  b: {type: filelog, include: [/l/x.log]}\n",
    );
    assert_eq!(warnings(&text).len(), 1);
    let text = with_receivers(
        "  a: {type: filelog, include: [/l/*.log], exclude: [/l/x.log]}\n  b: {type: filelog, include: [/l/x.log]}\n",
    );
    assert_eq!(warnings(&text), [""; 0]);
}

#[test]
fn an_exclude_that_leaves_nothing_is_told() {
    let text = with_receivers(
        "  a: {type: filelog, include: [/l/*.log], exclude: ['**']}\n  b: {type: filelog, include: [/x], exclude: [/y]}\n",
    );
    assert_eq!(
        warnings(&text),
        ["2: receivers.a.exclude: excludes every file that `include` names"]
    );
}

#[test]
fn an_exporter_does_not_write_what_its_pipeline_reads() {
    let text = |path: &str, exclude: &str| {
        format!(
            "receivers:\n  a: {{type: filelog, include: [/l/*], exclude: [{exclude}]}}\n\
             exporters:\n  out: {{type: file, path: {path}}}\n  other: {{type: debug}}\n\
             pipelines:\n  logs: {{from: [a], to: [out]}}\n"
        )
    };
    check_lines(
        &text("/l/out.jsonl", ""),
        &["f:4: exporters.out.path: receiver `a` reads /l/out.jsonl: "],
    );
    assert!(AgentConfig::parse("f", &text("/l/out.jsonl", "'/l/out*'"), &sources()).is_ok());
    assert!(AgentConfig::parse("f", &text("/m/out.jsonl", ""), &sources()).is_ok());
}

#[test]
fn impossible_endpoints_globs_patterns_and_conditions_are_mistakes() {
    let endpoint =
        |endpoint: &str| format!("exporters:\n  main: {{type: otlp, endpoint: '{endpoint}'}}\n");
    for (given, why) in [
        ("http://127.0.0.1:abc", "`abc` is no port from 1 to 65535"),
        ("http://127.0.0.1:99999", "`99999` is no port"),
        ("http://127.0.0.1:0", "`0` is no port"),
        ("https://c:", "`` is no port"),
    ] {
        let whole = format!("f:2: exporters.main: endpoint `{given}`: {why}");
        check_lines(&endpoint(given), &[&whole]);
    }
    check_lines(
        &endpoint("http://:4317"),
        &["f:2: exporters.main: endpoint `http://:4317`"],
    );
    for valid in ["http://[::1]:4317", "https://a_b.c-d", "http://10.0.0.1:1"] {
        assert!(
            AgentConfig::parse("f", &endpoint(valid), &sources()).is_ok(),
            "{valid}"
        );
    }
    check_lines(
        "receivers:\n  a: {type: filelog, include: [/l/]}\n",
        &["f:2: receivers.a: `/l/` names a folder, not files; write `/l/*`"],
    );
    for pattern in ["yyyy-MM-dd HH:mm:ss", "%Q", "%H:%M:%S", "%d/%m %H:%M"] {
        let whole = format!(
            "f:2: receivers.a: format.time.formats: `{pattern}` does not tell a date with its year"
        );
        check_lines(
            &format!(
                "receivers:\n  a: {{type: filelog, include: [/l], format: {{type: json, time: {{formats: ['{pattern}']}}}}}}\n"
            ),
            &[&whole],
        );
    }
    check_first_lines(
        "processors:\n  f: {type: filter, keep: [body]}\nreceivers:\n  o: {type: otlp, grpc: 127.0.0.1:1}\n\
         exporters:\n  d: {type: debug}\npipelines:\n  logs: {from: [o], via: [f], to: [d]}\n",
        &["f:2: pipelines.logs: processor `f`: column 1: a body alone is no condition"],
    );
}

#[test]
fn every_part_of_a_setting_and_every_condition_is_told() {
    check_first_lines(
        "receivers:\n  a:\n    type: filelog\n    include: [/l]\n    multiline: {max_lines: 0, max_bytes: 1, max_wait: 2m}\n    \
         format:\n      type: regex\n      pattern: '('\n      time:\n        zone: Nowhere\n        formats:\n        \
         - '%Y-%m-%d %H:%M:%S'\n        - yyyy\n      severity: {map: {a: b}}\n",
        &[
            "f:5: receivers.a: multiline.max_lines must be",
            "f:5: receivers.a: multiline.max_bytes must be",
            "f:5: receivers.a: multiline.max_wait must be",
            "f:6: receivers.a: format.pattern: ",
            "f:10: receivers.a: format.time.zone: `Nowhere`",
            "f:13: receivers.a: format.time.formats: `yyyy`",
            "f:14: receivers.a: format.severity.map: `b`",
        ],
    );
    check_first_lines(
        "receivers:\n  o: {type: otlp, grpc: 127.0.0.1:1}\nprocessors:\n  f:\n    type: filter\n    drop:\n    \
         - 'a b'\n    - 'nonsense == 1'\nexporters:\n  d: {type: debug}\n\
         pipelines:\n  logs: {from: [o], via: [f], to: [d]}\n",
        &[
            "f:7: processors.f: column 3: ",
            "f:8: pipelines.logs: processor `f`: column 1: ",
        ],
    );
}

#[test]
fn paths_of_any_file_do_not_begin_with_a_tilde() {
    check_lines(
        "exporters:\n  main:\n    type: otlp\n    endpoint: https://a:1\n    ca_file: ~/ca.pem\n    auth: {bearer_token_file: ~/t}\n",
        &[
            "f:5: exporters.main: `~/ca.pem`: `~` is not expanded",
            "f:6: exporters.main.auth.bearer_token_file: `~/t`: `~` is not expanded",
        ],
    );
}

#[test]
fn words_are_right() {
    check_lines(
        "exporters:\n  a: x\n  b: {type: otlp, endpoint: }\n  c: {type: otlp_grpc}\n",
        &[
            "f:2: exporters.a: an exporter must hold keys and values",
            "f:3: exporters.b.endpoint: the value is empty, expected a string",
            "f:4: exporters.c: unknown exporter type `otlp_grpc` (known: ",
        ],
    );
}

#[test]
fn merge_keys_put_other_maps_in_their_place() {
    let text = "exporters:\n  a: &base {type: otlp, endpoint: 'http://a:1', timeout: 2s}\n  \
                b: {<<: *base, endpoint: 'http://b:1'}\n  c:\n    <<: [*base, {compression: gzip, timeout: 9s}]\n";
    let config = AgentConfig::parse("f", text, &sources()).expect("valid");
    let endpoints: Vec<_> = config
        .exporters
        .values()
        .map(|exporter| match &exporter.kind {
            ExporterKind::Otlp(otlp) => (&*otlp.endpoint, otlp.timeout.as_secs(), otlp.compression),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        endpoints,
        [
            ("http://a:1", 2, Compression::Zstd),
            ("http://b:1", 2, Compression::Zstd),
            ("http://a:1", 2, Compression::Gzip),
        ]
    );
    check_lines("exporters:\n  a: {<<: 1}\n", &["f:2: `<<` merges maps"]);
}
