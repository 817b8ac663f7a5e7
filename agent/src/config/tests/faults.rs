//! How much is said of a configuration that is wrong or odd.

use super::*;

/// The warnings of a valid configuration.
pub(super) fn warnings(text: &str) -> Vec<String> {
    let config = AgentConfig::parse("agent.yaml", text, &sources())
        .unwrap_or_else(|error| panic!("{error}"));
    let line = |warning: &Problem| format!("{}: {warning}", warning.line.unwrap_or(0));
    config.warnings.iter().map(line).collect()
}

/// Lines of the error text, each of which must be there; nothing else may.
pub(super) fn check_lines(text: &str, expected: &[&str]) {
    let error = AgentConfig::parse("f", text, &sources()).expect_err("invalid");
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

const REST: &str = "exporters:\n  main: {type: otlp, endpoint: 'http://a:1'}\n\
                    pipelines:\n  logs: {from: [files], to: [main]}\n";

#[test]
fn one_component_tells_all_its_mistakes() {
    check_lines(
        "receivers:\n  otlp:\n    type: otlp\n    gprc: 127.0.0.1:1\n    body_max: much\n    auth: none\n    extra: 1\n",
        &[
            "f:4: receivers.otlp: unknown key `gprc`; did you mean `grpc`?",
            "f:5: receivers.otlp.body_max: \"much\" is not a size",
            "f:6: receivers.otlp.auth: unknown value `none`",
            "f:7: receivers.otlp: unknown key `extra`",
        ],
    );
    check_lines(
        "receivers:\n  scrape:\n    type: prometheus\n    scrape_configs:\n    - {job_name: a, scrape_interval: x}\n    \
         - job_name: b\n      honor_label: true\n      scrape_timeout: y\n",
        &[
            "f:5: receivers.scrape.scrape_configs.scrape_interval: \"x\" is not a duration",
            "f:7: receivers.scrape.scrape_configs: unknown key `honor_label`; did you mean `honor_labels`?",
            "f:8: receivers.scrape.scrape_configs.scrape_timeout: \"y\" is not a duration",
        ],
    );
}

#[test]
fn what_only_follows_from_another_mistake_is_left_out() {
    check_lines(
        "exporters:\n  main: {type: otlp, endpoint: [a]}\n",
        &["f:2: exporters.main.endpoint: "],
    );
    check_lines(
        "receivers:\n  f: {type: filelog, inclde: [/a]}\n",
        &["f:2: receivers.f: unknown key `inclde`"],
    );
    check_lines(
        "receivers:\n  f: {type: filelog, surplus: 1, include: []}\n",
        &[
            "f:2: receivers.f: unknown key `surplus`",
            "f:2: receivers.f: include names no files",
        ],
    );
}

#[test]
fn sections_tell_all_their_mistakes_and_nothing_hides_the_next_section() {
    check_lines(
        "limits: {memory: lots, disk: none, cpu: 1}\nadmin: {listn: x}\ntelemetry: {traces: {}}\nresource: [1]\n",
        &[
            "f:1: limits.memory: ",
            "f:1: limits.disk: ",
            "f:1: limits: unknown key `cpu`",
            "f:2: admin: unknown key `listn`; did you mean `listen`?",
            "f:3: telemetry.traces: key `endpoint` is missing",
            "f:4: resource: ",
        ],
    );
}

#[test]
fn a_message_about_a_value_has_the_line_of_the_value() {
    check_lines(
        "receivers:\n  f:\n    type: filelog\n    include:\n    - /var/log/a\n    - '/var/log/[a'\n",
        &["f:6: receivers.f: "],
    );
    check_lines(
        "exporters:\n  main:\n    type: otlp\n    endpoint: collector:4317\n",
        &["f:4: exporters.main: endpoint `collector:4317`"],
    );
}

#[test]
fn every_unknown_reference_is_named_with_the_nearest() {
    check_lines(
        "receivers:\n  files: {type: filelog, include: [/a]}\nexporters:\n  main: {type: otlp, endpoint: 'http://a:1'}\n\
         pipelines:\n  logs:\n    from: [file, hosts]\n    via:\n    - pii\n    to: [mian, main, main]\n  traces: {from: [], to: []}\n",
        &[
            "f:7: pipelines.logs: unknown receiver `file`; did you mean `files`? (known: files)",
            "f:7: pipelines.logs: unknown receiver `hosts`",
            "f:9: pipelines.logs: unknown processor `pii`; none is known here",
            "f:10: pipelines.logs: unknown exporter `mian`; did you mean `main`? (known: main)",
            "f:10: pipelines.logs: exporter `main` stands twice in `to`",
            "f:11: pipelines.traces: `from` names no receiver",
            "f:11: pipelines.traces: `to` names no exporter",
        ],
    );
}

#[test]
fn components_without_a_pipeline_are_warned_of() {
    let text = format!(
        "receivers:\n  files: {{type: filelog, include: [/a]}}\n  host: {{type: hostmetrics}}\nprocessors:\n  \
         r: {{type: resource, set: {{a: b}}}}\n{REST}"
    );
    assert_eq!(
        warnings(&text),
        [
            "3: receivers.host: no pipeline uses it, it is not started",
            "5: processors.r: no pipeline uses it"
        ]
    );
    assert_eq!(
        warnings("exporters:\n  main: {type: otlp, endpoint: 'http://a:1'}\n").len(),
        1
    );
}

#[test]
fn pods_in_other_folders_are_warned_of() {
    let with = |settings: &str| {
        let receiver = format!("  files: {{type: filelog, {settings}}}\n");
        warnings(&format!("receivers:\n{receiver}{REST}"))
    };
    let elsewhere = "include: ['/mnt/node/var/log/pods/*/*/*.log']";
    assert_eq!(
        with(elsewhere),
        [
            "2: receivers.files: the files of `/mnt/node/var/log/pods/*/*/*.log` tell no pod, because they are not below \
             /var/log/pods; `pod_roots` names the kubelet's folder"
        ]
    );
    for settings in [
        &format!("{elsewhere}, pod_roots: [/mnt/node/var/log/pods]"),
        &format!("{elsewhere}, pod_roots: []"),
        "include: ['/var/log/pods/*/*/*.log', '/host/var/log/pods/*/*/*.log', '/srv/pods/*.log']",
    ] {
        assert!(with(settings).is_empty(), "{settings}");
    }
}

#[test]
fn tests_are_read_and_checked_like_everything_else() {
    let config = |tests: &str| {
        format!("receivers:\n  files: {{type: filelog, include: [/a]}}\n{REST}tests:\n{tests}")
    };
    let text = config(
        "- {name: one, input: {body: a, attributes: {n: 1}}, expect: {body: a, attributes: {gone: null}}}\n\
         - {pipeline: logs, input: {line: '{}'}, expect: {dropped: filter}}\n",
    );
    let read = AgentConfig::parse("f", &text, &sources()).expect("valid");
    let [one, two] = read.tests.as_slice() else {
        panic!("{:?}", read.tests)
    };
    assert_eq!((one.name.as_str(), one.line), ("one", 8));
    assert_eq!(one.expect.attributes["gone"], serde_json::Value::Null);
    assert_eq!(
        (two.name.as_str(), two.receiver.as_deref()),
        ("test 2", Some("files"))
    );
    assert_eq!(two.expect.dropped, Some(Dropped::For("filter".to_owned())));
    check_lines(
        &config(
            "- {input: {body: a, line: b}, expect: {body: a}}\n\
             - {input: {body: a}, expect: {}}\n\
             - {input: {body: a}, expect: {body: a, dropped: true}}\n\
             - {input: {bdy: a, severity: [1]}, expect: {body: a}, pipelne: logs}\n\
             - {pipeline: metrics, input: {body: a}, expect: {body: a}}\n\
             - {receiver: file, input: {line: a}, expect: {body: a}}\n\
             - {input: {body: a, severity: loud}, expect: {body: a}}\n\
             - {input: {body: a}, expect: {time: yesterday}}\n\
             - {expect: {body: a}}\n",
        ),
        &[
            "f:8: tests: input holds either `line` or `body`",
            "f:9: tests: expect says nothing",
            "f:10: tests: a record that is dropped has no fields to expect",
            "f:11: tests.input: unknown key `bdy`; did you mean `body`?",
            "f:11: tests.input.severity: ",
            "f:11: tests: unknown key `pipelne`; did you mean `pipeline`?",
            "f:12: tests: only the pipeline `logs` can be tested, not `metrics`",
            "f:13: tests: unknown receiver `file`; did you mean `files`?",
            "f:14: tests: severity `loud` is no level",
            "f:15: tests: time `yesterday` is not like",
            "f:16: tests: key `input` is missing",
        ],
    );
    check_lines("tests: yes\n", &["f:1: tests: must hold a list"]);
}

#[test]
fn complaints_do_not_repeat_what_may_be_secret() {
    let sources = Fixed(HashMap::from([
        ("TOKEN", "hunter2-hunter2"),
        ("SHORT", "q9"),
        ("URL", "https://me:pass/word9@host:1/x"),
        ("/run/pattern", "(hunter3"),
    ]));
    for text in [
        "exporters:\n  main: {type: otlp, endpoint: '${env:TOKEN}', timeout: '${env:TOKEN}'}\n",
        "exporters:\n  main: {type: otlp, endpoint: '${env:URL}'}\n",
        "exporters:\n  main: {type: otlp, endpoint: 'https://me:pass/word9@host:1/x'}\n",
        "exporters:\n  main: {type: otlp, endpoint: 'http://${env:TOKEN} x'}\n",
        "exporters:\n  main: {type: otlp, endpoint: http://h:1, compression: '${env:TOKEN}'}\n",
        "exporters:\n  main: {type: otlp, endpoint: http://h:1, insecure: '${env:SHORT}'}\n",
        "exporters:\n  main: {type: otlp, endpoint: http://h:1, auth: '${env:TOKEN}'}\n",
        "exporters:\n  main: {type: otlp, endpoint: http://h:1, headers: {a: \"hunter2-hunter2\\n\"}}\n",
        "exporters:\n  main: {type: otlp, endpoint: http://h:1, auth: {bearer_token: [hunter2-hunter2]}}\n",
        "limits: {memory: '${env:TOKEN}', disk: '${env:SHORT}'}\n",
        "receivers:\n  otlp: {type: otlp, grpc: '${env:TOKEN}', body_max: '${env:SHORT}', auth: '${env:TOKEN}'}\n",
        "receivers:\n  files: {type: '${env:TOKEN}'}\n",
        "processors:\n  pii: {type: redaction, patterns: {own: '${file:/run/pattern}'}}\n",
        "processors:\n  pii: {type: redaction, action: hash, key: hunter2}\n",
        "processors:\n  f: {type: filter, drop: ['${env:TOKEN} ==']}\n",
        "pipelines:\n  logs: {from: ['${env:TOKEN}'], to: [x]}\n",
    ] {
        let error = AgentConfig::parse("f", text, &sources).expect_err(text);
        let said = error.to_string();
        for secret in ["hunter", "q9", "word9"] {
            assert!(!said.contains(secret), "{text}\n{said}");
        }
    }
    // What the file itself says may be repeated.
    check_lines(
        "limits: {disk: much}\n",
        &["f:1: limits.disk: \"much\" is not a size"],
    );
    // So may names of components, whatever a secret is.
    check_lines(
        "receivers:\n  team: {type: filelog, include: [/a]}\nexporters:\n  \
         main: {type: otlp, endpoint: http://h:1, headers: {X-Scope: team}}\n\
         pipelines:\n  logs: {from: [team, tea], to: [main]}\n",
        &["f:6: pipelines.logs: unknown receiver `tea`; did you mean `team`?"],
    );
}

#[test]
fn settings_that_make_no_sense_are_all_told_with_the_lines_where_they_stand() {
    check_lines(
        "exporters:\n  main:\n    type: otlp\n    endpoint: collector:4317\n    timeout: 0s\n    compression: zst\n    \
         retry:\n      initial: 5s\n      max: 1s\n    concurrency: {max: 0}\n    cert_file: /c\n  \
         file: {type: file, path: '', rotate: {size: 1KiB, files: 0}}\n",
        &[
            "f:4: exporters.main: endpoint `collector:4317`",
            "f:5: exporters.main: timeout must be longer than zero",
            "f:6: exporters.main.compression: unknown value `zst`; did you mean `zstd`?",
            "f:9: exporters.main: retry.max must not be shorter than retry.initial",
            "f:10: exporters.main: concurrency.max must be 1 to 4",
            "f:11: exporters.main: cert_file and key_file belong together",
            "f:12: exporters.file: path `` names no file",
            "f:12: exporters.file: rotate.size must be at least 64KiB",
            "f:12: exporters.file: rotate.files must be 1 to",
        ],
    );
    check_lines(
        "receivers:\n  otlp:\n    type: otlp\n    grpc: nowhere\n    http: 0.0.0.0:1\n    body_max: 1TiB\n  \
         scrape:\n    type: prometheus\n    scrape_configs:\n    - job_name: a\n      scrape_interval: 0s\n    \
         - job_name: b\n      scheme: ftp\n      static_configs:\n      - targets:\n        - a:1\n        - x y\n",
        &[
            "f:4: receivers.otlp: `nowhere` is not an address",
            "f:5: receivers.otlp: 0.0.0.0:1 can be reached from other machines",
            "f:6: receivers.otlp: body_max must be between 1 and 63MiB",
            "f:11: receivers.scrape: job a: scrape_interval and scrape_timeout must be longer than 0",
            "f:13: receivers.scrape.scrape_configs.scheme: unknown value `ftp`",
            "f:17: receivers.scrape: job b: target `x y` is no address",
        ],
    );
    check_lines(
        "processors:\n  pii:\n    type: redaction\n    patterns:\n      one: '('\n      two: '['\n    action: hash\n  \
         f:\n    type: filter\n    drop:\n    - a ==\n    - body == \"a\"\n    keep: ['(']\n  \
         k:\n    type: k8sattributes\n    node: a\n    wait: 2m\n  \
         l: {type: ratelimit, records_per_second: 0, burst: 1ms}\n",
        &[
            "f:5: processors.pii: pattern `one`: ",
            "f:6: processors.pii: pattern `two`: ",
            "f:7: processors.pii: `action: hash` needs a `key`",
            "f:11: processors.f: ",
            "    a ==",
            "        ^",
            "f:13: processors.f: ",
            "    (",
            "     ^",
            "f:16: processors.k: node needs a source of pods",
            "f:17: processors.k: wait needs a source of pods",
            "f:17: processors.k: wait must be at most 60s",
            "f:18: processors.l: records_per_second must be more than 0",
            "f:18: processors.l: burst must be at least 1s",
        ],
    );
}

#[test]
fn what_makes_no_sense_only_without_what_was_taken_out_is_left_out() {
    // The address is fine if `auth` was meant to be `disabled`, the pause if `initial` was meant to be short.
    check_lines(
        "receivers:\n  otlp: {type: otlp, grpc: 0.0.0.0:1, auth: disable, body_max: 1TiB}\n\
         exporters:\n  main: {type: otlp, endpoint: 'http://a:1', retry: {initial: 1m 1, max: 100ms}, timeout: 0s}\n",
        &[
            "f:2: receivers.otlp.auth: unknown value `disable`",
            "f:2: receivers.otlp: body_max must be between 1 and 63MiB",
            "f:4: exporters.main.retry.initial: ",
            "f:4: exporters.main: timeout must be longer than zero",
        ],
    );
}

#[test]
fn a_key_that_is_missing_below_hides_nothing_beside_it() {
    check_lines(
        "telemetry: {traces: {endpont: a}, logs: 1}\n\
         receivers:\n  s: {type: prometheus, scrape_configs: [{job: a}], extra: 1}\n",
        &[
            "f:1: telemetry.traces: unknown key `endpont`; did you mean `endpoint`?",
            "f:1: telemetry: unknown key `logs`",
            "f:3: receivers.s.scrape_configs: unknown key `job`",
            "f:3: receivers.s.scrape_configs: key `job_name` is missing",
            "f:3: receivers.s: unknown key `extra`",
        ],
    );
}

#[test]
fn every_statement_that_does_not_fit_the_signal_is_told() {
    let text = format!(
        "receivers:\n  files: {{type: filelog, include: [/a]}}\nprocessors:\n  f:\n    type: filter\n    drop:\n    \
         - metric.name == \"a\"\n    - span.name == \"a\"\n{}",
        REST.replace("to: [main]", "via: [f], to: [main]")
    );
    let error = AgentConfig::parse("f", &text, &sources()).expect_err("invalid");
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(7), Some(8)], "{error}");
}

#[test]
fn each_setting_of_a_file_receiver_and_each_item_of_a_list_is_told() {
    check_lines(
        "receivers:\n  f:\n    type: filelog\n    include:\n    - /var/log/a\n    - '/var/log/[a'\n    - '/var/log/[b'\n    \
         exclude: ['/x/[c']\n    multiline: {start: '('}\n    max_line: 1B\n    format: logfmt\n    inclde: 1\n",
        &[
            "f:6: receivers.f: `/var/log/[a` is no glob",
            "f:7: receivers.f: `/var/log/[b` is no glob",
            "f:8: receivers.f: `/x/[c` is no glob",
            "f:9: receivers.f: multiline.start: ",
            "f:10: receivers.f: max_line must be from 1KiB to 16MiB",
            "f:12: receivers.f: unknown key `inclde`",
        ],
    );
    check_lines(
        "processors:\n  p:\n    type: redaction\n    detect:\n    - emial\n    - ip\n    - credit\n",
        &[
            "f:5: processors.p.detect: unknown value `emial`; did you mean `email`?",
            "f:7: processors.p.detect: unknown value `credit`",
        ],
    );
    check_lines(
        "processors:\n  p: {type: redaction, detect: [ipp, jtw, ipp]}\n",
        &[
            "f:2: processors.p.detect: unknown value `ipp`; did you mean `ip`?",
            "f:2: processors.p.detect: unknown value `jtw`; did you mean `jwt`?",
        ],
    );
}
