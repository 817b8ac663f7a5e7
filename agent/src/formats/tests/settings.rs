//! `time`, `severity`, `message`, `pattern` and `content`.

use super::*;
use crate::config::read_document;
use crate::config::substitute::SystemSources;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: FormatSpec,
}

pub(super) fn read(format: &str) -> Result<Parser, String> {
    let text = format!("format: {format}\n");
    let document: Document =
        read_document("f", &text, &SystemSources).map_err(|error| error.to_string())?;
    Parser::try_from(document.format).map_err(|error| error.to_string())
}

/// Time, level, body and attributes of one line, read with the setting `format` (YAML).
pub(super) fn check(
    format: &str,
    line: &str,
    time: u64,
    level: &str,
    body: &str,
    rest: &[(&str, &str)],
) {
    let parser = read(format).expect("valid");
    let content = parser.split(line);
    let parsed = parser.parse_line(&content, &mut Detector::default(), OBSERVED);
    check_parsed(&parsed, line, time, level, body, rest);
}

#[test]
fn configured_fields_come_before_known_ones() {
    check(
        r#"{type: json, time: {fields: [created]}, severity: {fields: [prio], map: {"7": debug, OOPS: 18}}, message: {fields: [text]}}"#,
        r#"{"time":1,"created":"2024-01-02T03:04:05.678Z","level":"info","prio":"oops","msg":"m","text":"t"}"#,
        TIME,
        "error",
        "t",
        &[("time", "1"), ("level", "info"), ("msg", "m")],
    );
    check(
        r#"{type: json, severity: {fields: [prio], map: {"7": debug}}}"#,
        r#"{"prio":7,"msg":"m"}"#,
        0,
        "debug",
        "m",
        &[],
    );
    // By a path; what is left of the object stays.
    check(
        "{type: auto, time: {fields: [meta.clock.at]}, message: {fields: [data.text]}}",
        r#"{"meta":{"clock":{"at":1704164645678,"by":"ntp"}},"data":{"text":"t"}}"#,
        TIME,
        "unknown",
        "t",
        &[("meta", r#"{"clock":{"by":"ntp"}}"#), ("data", "{}")],
    );
    check(
        "{type: logfmt, message: {fields: [what]}}",
        "what=t level=warn",
        0,
        "warn",
        "t",
        &[],
    );
}

#[test]
fn ecs_and_compact_logs_need_no_setting() {
    check(
        "auto",
        r#"{"@timestamp":"2024-01-02T03:04:05.678Z","log":{"level":"warn","logger":"a"},"message":"m"}"#,
        TIME,
        "warn",
        "m",
        &[("log", r#"{"logger":"a"}"#)],
    );
    check(
        "auto",
        r#"{"@t":"2024-01-02T03:04:05.678Z","@mt":"{n} left","@l":"Warning","n":3}"#,
        TIME,
        "warn",
        "{n} left",
        &[("n", "3")],
    );
}

#[test]
fn zones_and_patterns_of_times() {
    check(
        "{type: plain, time: {zone: Europe/Berlin}}",
        "2024-01-02 04:04:05.678 here",
        TIME,
        "unknown",
        "2024-01-02 04:04:05.678 here",
        &[],
    );
    // A time that tells its offset is not moved.
    check(
        "{type: plain, time: {zone: Europe/Berlin}}",
        "2024-01-02T03:04:05.678Z here",
        TIME,
        "unknown",
        "2024-01-02T03:04:05.678Z here",
        &[],
    );
    check(
        "{type: json, time: {fields: [at], formats: ['%d.%m.%y %H-%M-%S%.f'], zone: America/New_York}}",
        r#"{"at":"01.01.24 22-04-05.678","msg":"m"}"#,
        TIME,
        "unknown",
        "m",
        &[],
    );
    check(
        "{type: plain, time: {formats: ['%d.%m.%Y %H:%M:%S%.f']}}",
        "02.01.2024 03:04:05.678 ERROR x",
        TIME,
        "error",
        "02.01.2024 03:04:05.678 ERROR x",
        &[],
    );
}

#[test]
fn patterns_name_fields() {
    check(
        r"{type: regex, pattern: '(?<time>\S+) (?<level>\w+) \[(?<http.request.method>\w+)\] (?<message>.*)'}",
        "2024-01-02T03:04:05.678Z WARN [GET] slow\n  and more",
        TIME,
        "warn",
        "slow\n  and more",
        &[("http.request.method", "GET")],
    );
    check(
        r"{type: container, content: regex, pattern: 'n=(?<n>\d+)'}",
        "2024-01-02T03:04:05.678Z stdout F n=5",
        TIME,
        "unknown",
        "n=5",
        &[("n", "5"), ("log.iostream", "stdout")],
    );
    let parser = read(r"{type: regex, pattern: '(?<a>\d)'}").expect("valid");
    let content = parser.split("5 and more");
    let parsed = parser.parse_line(&content, &mut Detector::default(), OBSERVED);
    assert_eq!(parsed.failed, Some("regex"), "the whole text must match");
    assert_eq!(parsed.body.to_text(), "5 and more");
}

#[test]
fn what_a_container_wrote_can_be_of_a_known_format() {
    check(
        "{type: cri, content: logfmt}",
        "2024-01-02T03:04:05.678Z stdout F flag a=1",
        TIME,
        "unknown",
        "flag a=1",
        &[("flag", "true"), ("a", "1"), ("log.iostream", "stdout")],
    );
    let json = parser("auto").with_format(LogFormat::Json);
    let content = json.split("2024-01-02T03:04:05.678Z stdout F {\"msg\":\"m\"}");
    let parsed = json.parse_line(&content, &mut Detector::default(), OBSERVED);
    assert_eq!((parsed.body.to_text().as_ref(), parsed.failed), ("m", None));
}

#[test]
fn settings_that_cannot_be_used_say_why() {
    for (format, expected) in [
        (
            "jsn",
            "f:1: format: unknown value `jsn`; did you mean `json`?",
        ),
        (
            "{type: json, tme: {}}",
            "f:1: format: unknown key `tme`; did you mean `time`?",
        ),
        (
            "{type: json, content: plain}",
            "format.content is only for auto, container, cri and docker",
        ),
        (
            "{type: cri, content: docker}",
            "format.content: `docker` is not a format for what a container wrote",
        ),
        ("regex", "format.pattern is missing, which regex needs"),
        (
            "{type: json, pattern: x}",
            "format.pattern is only for regex",
        ),
        (
            "{type: regex, pattern: x}",
            "format.pattern has no named group such as (?<message>.*)",
        ),
        (
            "{type: regex, pattern: '(?<a>'}",
            "format.pattern: regex parse error",
        ),
        (
            "{time: {zone: Mars/Base}}",
            "format.time.zone: `Mars/Base` is not a time zone",
        ),
        (
            "{time: {formats: ['%J']}}",
            "format.time.formats: `%J` is not a pattern",
        ),
        (
            "{severity: {map: {a: b}}}",
            "format.severity.map: `b` is neither a level such as warn",
        ),
        (
            "{severity: {map: {a: 25}}}",
            "format.severity.map: `25` is neither",
        ),
    ] {
        let error = read(format).err().unwrap_or_default();
        assert!(error.starts_with(expected), "{format}: {error}");
    }
}
