//! What cannot be together is refused, with the line of the later one.

use super::faults::check_lines;
use super::*;

fn is_valid(text: &str) {
    let config = AgentConfig::parse("agent.yaml", text, &sources());
    config.unwrap_or_else(|error| panic!("{error}"));
}

const REST: &str = "exporters:\n  main: {type: otlp, endpoint: 'http://a:1'}\n\
                    pipelines:\n  logs: {from: [files], to: [main]}\n";

#[test]
fn items_that_stand_twice_in_a_list_are_told() {
    check_lines(
        &format!(
            "receivers:\n  files:\n    type: filelog\n    include:\n    - /var/log/a\n    - /var/log/b\n    - /var/log/a\n\
             processors:\n  pii: {{type: redaction, detect: [aws, jwt, aws]}}\n{REST}"
        ),
        &[
            "f:7: receivers.files.include: `/var/log/a` stands twice, first in line 5",
            "f:9: processors.pii.detect: `aws` stands twice, first in line 9",
        ],
    );
    is_valid(&format!(
        "receivers:\n  files: {{type: filelog, include: [/a], exclude: [/a]}}\n{REST}"
    ));
}

#[test]
fn names_that_are_empty_are_told_with_all_else() {
    check_lines(
        &format!(
            "resource: {{service.name: '', '': x}}\nreceivers:\n  files:\n    type: filelog\n    include: [/a]\n    \
             service_name: ' '\n  scrape:\n    type: prometheus\n    scrape_configs:\n    \
             - {{job_name: '', static_configs: [{{targets: ['a:1']}}]}}\n{REST}"
        ),
        &[
            "f:1: resource: `service.name` is empty",
            "f:1: resource: an attribute needs a name",
            "f:6: receivers.files.service_name: `service_name` is empty",
            "f:10: ",
        ],
    );
}

#[test]
fn two_exporters_do_not_write_one_file() {
    let text = |path: &str| {
        format!(
            "receivers:\n  files: {{type: filelog, include: [/a]}}\nexporters:\n  b: {{type: file, path: /x/out.jsonl}}\n  \
             a:\n    type: file\n    path: {path}\npipelines:\n  logs: {{from: [files], to: [a, b]}}\n"
        )
    };
    check_lines(
        &text("/x/./out.jsonl"),
        &["f:7: exporters.a.path: exporter `b` writes /x/./out.jsonl as well"],
    );
    is_valid(&text("/x/other.jsonl"));
}

#[test]
fn two_listeners_do_not_share_an_address() {
    let text = |grpc: &str, http: &str| {
        format!(
            "receivers:\n  otlp:\n    type: otlp\n    grpc: {grpc}\n    http: {http}\n    auth: disabled\n\
             admin: {{listen: 127.0.0.1:7000}}\nexporters:\n  main: {{type: otlp, endpoint: 'http://a:1'}}\n\
             pipelines:\n  logs: {{from: [otlp], to: [main]}}\n"
        )
    };
    check_lines(
        &text("127.0.0.1:4317", "localhost:4317"),
        &[
            "f:5: receivers.otlp.http: 127.0.0.1:4317 is taken: `receivers.otlp.grpc` listens on 127.0.0.1:4317",
        ],
    );
    check_lines(
        &text("0.0.0.0:7000", "127.0.0.1:4318"),
        &[
            "f:7: admin.listen: 127.0.0.1:7000 is taken: `receivers.otlp.grpc` listens on 0.0.0.0:7000",
        ],
    );
    check_lines(
        &text("'[::]:4317'", "127.0.0.1:4317"),
        &["f:5: receivers.otlp.http: 127.0.0.1:4317 is taken: "],
    );
    is_valid(&text("127.0.0.1:4317", "127.0.0.1:4318"));
    is_valid(&text("127.0.0.1:4317", "'[::1]:4317'"));
    is_valid(&text("127.0.0.1:0", "127.0.0.1:0"));
    // The admin listener has an address though none is given.
    check_lines(
        "receivers:\n  otlp: {type: otlp, grpc: 127.0.0.1:7421}\nexporters:\n  main: {type: otlp, endpoint: 'http://a:1'}\n\
         pipelines:\n  logs: {from: [otlp], to: [main]}\n",
        &["f:1: admin.listen: 127.0.0.1:7421 is taken: `receivers.otlp.grpc`"],
    );
}

#[test]
fn a_pipeline_needs_a_receiver_that_makes_its_signal() {
    let text = |from: &str| {
        format!(
            "receivers:\n  files: {{type: filelog, include: [/a]}}\n  host: {{type: hostmetrics}}\n  \
             otlp: {{type: otlp, grpc: 127.0.0.1:1}}\nexporters:\n  main: {{type: otlp, endpoint: 'http://a:1'}}\n\
             pipelines:\n  traces:\n    from: {from}\n    to: [main]\n"
        )
    };
    check_lines(
        &text("[files, host]"),
        &[
            "f:9: pipelines.traces.from: nothing in `from` makes traces: `files` makes logs, `host` makes metrics",
        ],
    );
    is_valid(&text("[otlp]"));
}
