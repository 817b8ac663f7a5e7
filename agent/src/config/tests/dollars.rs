//! What is put in for `${env:NAME}`, and what only looks like it.

use super::faults::{check_lines, warnings};
use super::*;

#[test]
fn a_default_stands_for_a_variable_that_is_not_set() {
    let text = "resource: {a: \"${env:NODE:-x}\", b: \"${env:NOPE:-http://c:1}\", c: \"x${env:NOPE:-}y\"}\n";
    let config = AgentConfig::parse("f", text, &sources()).expect("valid");
    let values: Vec<&str> = config
        .resource
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(values, ["node-7", "http://c:1", "xy"]);
}

#[test]
fn a_variable_that_is_not_set_is_told_once() {
    check_lines(
        "exporters:\n  main:\n    type: otlp\n    endpoint: http://${env:NOPE}:${env:OTHER}\n    timeout: ${env:NOPE}\n",
        &[
            "f:4: environment variable NOPE is not set",
            "f:4: environment variable OTHER is not set",
        ],
    );
}

#[test]
fn what_looks_like_a_variable_is_told_with_what_to_write() {
    let with = |resource: &str, include: &str, token: &str| {
        format!(
            "resource: {resource}\nreceivers:\n  files: {{type: filelog, include: ['{include}']}}\n\
             processors:\n  t: {{type: transform, statements: ['replace_pattern(body, \"(x)\", \"${{1}}\")']}}\n\
             exporters:\n  main: {{type: otlp, endpoint: 'https://a:1', headers: {{x: '{token}'}}}}\n\
             pipelines:\n  logs: {{from: [files], via: [t], to: [main]}}\n"
        )
    };
    assert_eq!(
        warnings(&with(
            "{a: '${STAGE}', b: '$5 and a$b'}",
            "$HOME/*.log",
            "a$BCD"
        )),
        [
            "1: resource.a: `${STAGE}` is taken as it stands; for a variable of the environment write `${env:STAGE}`",
            "3: receivers.files.include: `$HOME` is taken as it stands; for a variable of the environment write `${env:HOME}`",
        ]
    );
    let warned = warnings(&with("{}", "/a", "${TOKEN:-x}"));
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].ends_with("write `${env:TOKEN:-x}`"), "{warned:?}");
    check_lines(
        "exporters:\n  main: {type: otlp, endpoint: 'http://$COLLECTOR:4317'}\n",
        &[
            "f:2: exporters.main: endpoint `http://$COLLECTOR:4317`: `$COLLECTOR` is no host name; for a variable of the \
           environment write `${env:COLLECTOR}`",
        ],
    );
}

#[test]
fn a_reference_without_quotes_between_braces_is_told_to_need_them() {
    let error = AgentConfig::parse("f", "resource: {a: ${env:NODE}}\n", &sources());
    let error = error.expect_err("no YAML").to_string();
    assert!(
        error.contains("stands in quotes: `\"${env:NAME}\"`"),
        "{error}"
    );
    let error = AgentConfig::parse("f", "resource: {a: b\n", &sources());
    assert!(!error.expect_err("no YAML").to_string().contains("quotes"));
}
