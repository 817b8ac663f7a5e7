use super::*;
use crate::config::AgentConfig;
use crate::config::substitute::SystemSources;

fn parse(exporter: &str) -> Result<ExporterConfig, String> {
    let text = format!("exporters:\n  main: {{{exporter}}}\n");
    AgentConfig::parse("a", &text, &SystemSources)
        .map(|mut config| config.exporters.remove("main").expect("there"))
        .map_err(|error| error.to_string())
}

/// The message, after where it stands.
fn check(exporter: &str, expected: &str) {
    let error = parse(exporter).expect_err("refused");
    let message = error.split_once("exporters.main").expect("says where").1;
    assert_eq!(message.trim_start_matches(": "), expected, "{exporter}");
}

fn otlp(exporter: &str) -> OtlpExporterConfig {
    match parse(exporter).expect("valid").kind {
        ExporterKind::Otlp(config) | ExporterKind::OtlpHttp(config) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_setting_of_an_otlp_exporter_is_read() {
    let config = otlp(
        "type: otlphttp, endpoint: 'https://a:1/base', compression: gzip, compression_level: 9, \
         ca_file: /ca, cert_file: /cert, key_file: /key, server_name: b.example, \
         auth: {bearer_token_file: /token}, headers: {X-Scope-OrgID: one}, timeout: 5s, \
         retry: {initial: 1s, max: 9s}, concurrency: {max: 2}",
    );
    assert_eq!(config.tls.server_name.as_deref(), Some("b.example"));
    assert_eq!(config.auth, Some(BearerToken::File("/token".into())));
    assert_eq!(
        config.headers,
        [("x-scope-orgid".to_owned(), Secret::new("one"))]
    );
    assert_eq!(
        (config.concurrency_max, config.compression_level),
        (2, Some(9))
    );
    assert_eq!(
        otlp("type: otlp, endpoint: 'http://a:1'").concurrency_max,
        4
    );
}

#[test]
fn the_other_kinds_have_their_defaults() {
    let file = parse("type: file, path: /out.jsonl").expect("valid").kind;
    let expected = FileExporterConfig {
        path: "/out.jsonl".into(),
        format: FileFormat::OtlpJson,
        rotate_bytes: 64 << 20,
        files_max: 5,
    };
    assert_eq!(file, ExporterKind::File(expected));
    let debug = parse("type: debug, verbosity: detailed")
        .expect("valid")
        .kind;
    let expected = DebugExporterConfig {
        verbosity: Verbosity::Detailed,
        records_per_second: 50,
    };
    assert_eq!(debug, ExporterKind::Debug(expected));
}

#[test]
fn what_cannot_work_is_said_in_words() {
    let at = |rest: &str| format!("type: otlp, endpoint: 'https://a:1', {rest}");
    check(
        &at("concurrency: {max: 5}"),
        "concurrency.max must be 1 to 4",
    );
    check(
        &at("compression_level: 20"),
        "compression_level must be 1 to 19",
    );
    check(
        &at("compression: none, compression_level: 1"),
        "compression_level needs a compression",
    );
    check(
        &at("cert_file: /a"),
        "cert_file and key_file belong together",
    );
    check(
        &at("server_name: 10.0.0.1"),
        "server_name `10.0.0.1` is no host name",
    );
    check(
        &at("auth: {bearer_token: a, bearer_token_file: /b}"),
        "auth: bearer_token and bearer_token_file exclude each other",
    );
    check(
        &at("headers: {grpc-timeout: 1S}"),
        "headers: `grpc-timeout` is set by the exporter",
    );
    check(
        &at("headers: {'a b': x}"),
        "headers: `a b` is no header name",
    );
    check(
        &at("auth: {bearer_token: a}, headers: {Authorization: b}"),
        "headers: `authorization` is set by `auth`",
    );
    check(
        "type: otlp, endpoint: 'http://a:1', ca_file: /a",
        "ca_file, cert_file, key_file and server_name need an https endpoint, not `http://a:1`",
    );
    check(
        "type: otlp, endpoint: 'https://a:1/path'",
        "endpoint `https://a:1/path` must end after the port",
    );
    check(
        "type: otlphttp, endpoint: 'https://a:1/v1/logs'",
        "endpoint `https://a:1/v1/logs` is the base address; /v1/logs, /v1/metrics and /v1/traces are added",
    );
    check(
        "type: file, path: /a, rotate: {size: 1KiB}",
        "rotate.size must be at least 64KiB",
    );
    check(
        "type: debug, verbosity: loud",
        ".verbosity: unknown value `loud` (known: basic, detailed)",
    );
}

#[test]
fn a_token_over_plain_http_to_another_machine_needs_insecure() {
    for secret in [
        "auth: {bearer_token: a}",
        "auth: {bearer_token_file: /a}",
        "headers: {X-Api-Key: a}",
    ] {
        for endpoint in [
            "http://127.0.0.1:1",
            "http://localhost:1",
            "http://[::1]:1",
            "https://a:1",
        ] {
            assert!(parse(&format!("type: otlp, endpoint: '{endpoint}', {secret}")).is_ok());
        }
        let plain = format!("type: otlphttp, endpoint: 'http://collector:4318', {secret}");
        check(
            &plain,
            "a token to http://collector:4318 would be readable on the way; use https, or say `insecure: true` to send it all the same",
        );
        assert!(parse(&format!("{plain}, insecure: true")).is_ok());
    }
    assert!(parse("type: otlp, endpoint: 'http://a:1', headers: {X-Scope-OrgID: one}").is_ok());
}

#[test]
fn secrets_are_in_no_message_and_no_debug_output() {
    let secret = "hunter2";
    let config = parse(&format!(
        "type: otlp, endpoint: 'https://a:1', auth: {{bearer_token: {secret}}}, headers: {{X-Key: {secret}}}"
    ));
    let shown = format!("{:?}", config.expect("valid"));
    assert!(
        shown.contains("[secret]") && !shown.contains(secret),
        "{shown}"
    );
    for wrong in [
        format!("type: otlp, endpoint: 'https://user:{secret}@a:1'"),
        format!("type: otlp, endpoint: 'https://a:1', auth: {{bearer_token: 'a {secret}'}}"),
        format!("type: otlp, endpoint: 'https://a:1', headers: {{X-Key: \"{secret}\\n\"}}"),
        format!("type: otlp, endpoint: 'https://a:1', auth: {{bearer_token: [{secret}]}}"),
    ] {
        let error = parse(&wrong).expect_err("refused");
        assert!(!error.contains(secret), "{error}");
    }
}

/// The answers to everything the documentation refers to.
struct Anything;

impl crate::config::substitute::Sources for Anything {
    fn variable(&self, _name: &str) -> Option<String> {
        Some("value".to_owned())
    }

    fn file(&self, _path: &std::path::Path) -> Result<String, String> {
        Ok("secret".to_owned())
    }
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let page = include_str!("../../../docs/delivery.md");
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        if let Err(error) = AgentConfig::parse("delivery.md", example, &Anything) {
            panic!("{error}");
        }
    }
}
