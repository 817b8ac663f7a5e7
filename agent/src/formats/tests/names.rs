//! Fields of well-known programs, and ids.

use super::*;

const SECOND: u64 = 1_704_164_645_000_000_000;
const SPAN: &str = "b7ad6b7169203331";

#[test]
fn dotnet_and_serilog_objects() {
    auto(
        r#"{"EventId":0,"LogLevel":"Error","Category":"App","Message":"it broke","Timestamp":"2024-01-02T03:04:05Z"}"#,
        SECOND,
        "error",
        "it broke",
        &[("EventId", "0"), ("Category", "App")],
    );
    auto(
        r#"{"Timestamp":"2024-01-02T03:04:05Z","Level":"Warning","MessageTemplate":"t {A}","RenderedMessage":"t 1","Properties":{"A":1}}"#,
        SECOND,
        "warn",
        "t 1",
        &[("MessageTemplate", "t {A}"), ("Properties", r#"{"A":1}"#)],
    );
}

#[test]
fn names_that_tell_little_need_a_value_that_does() {
    auto(
        r#"{"L":"ERROR","T":"2024-01-02T03:04:05.000Z","M":"zap in development"}"#,
        SECOND,
        "error",
        "zap in development",
        &[],
    );
    let game = r#"{"Level":"Dungeon","T":1704164645,"L":3,"Message":{"a":1}}"#;
    auto(
        game,
        0,
        "unknown",
        game,
        &[
            ("Level", "Dungeon"),
            ("T", "1704164645"),
            ("L", "3"),
            ("Message", r#"{"a":1}"#),
        ],
    );
}

#[test]
fn times_of_google_and_log4j() {
    auto(
        r#"{"severity":"ERROR","eventTime":"2024-01-02T03:04:05Z","message":"m"}"#,
        SECOND,
        "error",
        "m",
        &[],
    );
    auto(
        r#"{"timeMillis":1704164645678,"level":"WARN","message":"m"}"#,
        TIME,
        "warn",
        "m",
        &[],
    );
    auto(
        r#"{"instant":{"epochSecond":1704164645,"nanoOfSecond":678000000},"level":"WARN","message":"m"}"#,
        TIME,
        "warn",
        "m",
        &[],
    );
    // Not a time, or not all of it.
    for instant in [
        r#"{"epochSecond":1704164645}"#,
        r#"{"epochSecond":1704164645,"nanoOfSecond":0,"by":"ntp"}"#,
        r#"{"epochSecond":-1,"nanoOfSecond":0}"#,
        r#"{"epochSecond":9223372036854775807,"nanoOfSecond":0}"#,
    ] {
        let line = format!(r#"{{"instant":{instant},"message":"m"}}"#);
        auto(&line, 0, "unknown", "m", &[("instant", instant)]);
    }
}

#[test]
fn loguru_serialized() {
    auto(
        r#"{"text":"all of it","record":{"level":{"name":"ERROR","no":40},"line":32,"message":"m","time":{"repr":"2024-01-02 03:04:05.678000+00:00","timestamp":1704164645.678}}}"#,
        TIME,
        "error",
        "m",
        &[
            ("text", "all of it"),
            (
                "record",
                r#"{"level":{"no":40},"line":32,"time":{"timestamp":1704164645.678}}"#,
            ),
        ],
    );
}

#[test]
fn nginx_access_lines_as_objects() {
    auto(
        r#"{"time_local":"02/Jan/2024:03:04:05 +0000","request":"GET /j HTTP/1.1","status":"503"}"#,
        SECOND,
        "error",
        r#"{"time_local":"02/Jan/2024:03:04:05 +0000","request":"GET /j HTTP/1.1","status":"503"}"#,
        &[("request", "GET /j HTTP/1.1"), ("status", "503")],
    );
    for (status, level) in [
        ("200", "info"),
        ("404", "warn"),
        ("500", "error"),
        ("7", "unknown"),
    ] {
        let line = format!(
            r#"{{"time_iso8601":"2024-01-02T03:04:05+00:00","msg":"m","status":{status}}}"#
        );
        auto(&line, SECOND, level, "m", &[("status", status)]);
    }
    // Elsewhere a status is no level.
    auto(
        r#"{"time":"2024-01-02T03:04:05Z","msg":"m","status":500}"#,
        SECOND,
        "unknown",
        "m",
        &[("status", "500")],
    );
}

#[test]
fn postgres_objects_and_rows() {
    auto(
        r#"{"timestamp":"2024-01-02 03:04:05.678 UTC","pid":52,"error_severity":"LOG","message":"m"}"#,
        TIME,
        "info",
        "m",
        &[("pid", "52")],
    );
    with_parsed(
        "auto",
        r#"{"timestamp":"2024-01-02 04:04:05.678 CET","error_severity":"FATAL","message":"m"}"#,
        |parsed| {
            assert_eq!((parsed.time_unix_nano, parsed.time_is_local), (TIME, false));
            assert_eq!(parsed.severity.level(), "fatal");
        },
    );
    let row = "2024-01-02 03:04:05.678 UTC,\"app\",\"shop\",52,\"10.0.0.5:51234\",6565a1b3.34,1,\"INSERT\",2024-01-02 03:04:00 UTC,3/12,743,ERROR,23505,\"no \"\"x\"\"\",\"Key exists.\",,,,,\"INSERT INTO users (a,\nb)\",,,\"psql\",\"client backend\",,0";
    let fields = [
        ("user.name", "app"),
        ("db.namespace", "shop"),
        ("process.pid", "52"),
        ("postgresql.connection_from", "10.0.0.5:51234"),
        ("session.id", "6565a1b3.34"),
        ("postgresql.session_line_num", "1"),
        ("postgresql.command_tag", "INSERT"),
        ("postgresql.session_start_time", "2024-01-02 03:04:00 UTC"),
        ("postgresql.virtual_transaction_id", "3/12"),
        ("postgresql.transaction_id", "743"),
        ("db.response.status_code", "23505"),
        ("postgresql.detail", "Key exists."),
        ("db.query.text", "INSERT INTO users (a,\nb)"),
        ("postgresql.application_name", "psql"),
        ("postgresql.backend_type", "client backend"),
        ("postgresql.query_id", "0"),
    ];
    for word in ["auto", "postgres"] {
        check(word, row, TIME, "error", "no \"x\"", &fields);
    }
    for bad in [
        "2024-01-02 03:04:05.678 UTC,a,b",
        "2024-01-02 03:04:05.678 UTC,,,x,,6565a1b3.34,1,,,,,LOG,00000,m",
        "2024-01-02 03:04:05.678 UTC,,,5,,6565a1b3.34,1,,,,,BLOG,00000,m",
        "2024-01-02 03:04:05.678 UTC,\"app",
    ] {
        with_parsed("postgres", bad, |parsed| {
            assert_eq!(parsed.failed, Some("postgres"), "{bad}");
            assert_eq!(parsed.body.to_text(), bad);
        });
    }
}

#[test]
fn an_object_in_syslog_is_read() {
    let from = [
        ("syslog.facility", "1"),
        ("syslog.hostname", "web-1"),
        ("syslog.appname", "shop"),
        ("syslog.procid", "7"),
        ("a", "1"),
    ];
    for head in ["", "@cee:", "@cee: "] {
        let line = format!(
            r#"<14>Jan  2 03:04:05 web-1 shop[7]: {head}{{"level":"error","msg":"m","a":1,"time":"2024-01-02T03:04:05.678Z","trace_id":"{TRACE}"}}"#
        );
        auto(&line, TIME, "error", "m", &from);
        with_parsed("auto", &line, |parsed| {
            let id = parsed.trace_id.map(|id| id.to_string());
            assert_eq!(id.as_deref(), Some(TRACE));
        });
    }
    auto(
        r#"<11>Jan  2 03:04:05 web-1 shop[7]: {"msg":"m","a":1}"#,
        SECOND,
        "error",
        "m",
        &from,
    );
    auto(
        r#"<11>Jan  2 03:04:05 web-1 shop[7]: {"msg":"cut"#,
        SECOND,
        "error",
        r#"{"msg":"cut"#,
        &from[..4],
    );
}

/// The ids of a line, and its attributes.
fn ids(line: &str, rest: &[(&str, &str)]) -> (String, String) {
    with_parsed("auto", line, |parsed| {
        let text = |id: Option<String>| id.unwrap_or_default();
        let rest: Vec<_> = rest
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        assert_eq!(texts(parsed), rest, "attributes of {line}");
        let trace = text(parsed.trace_id.map(|id| id.to_string()));
        (trace, text(parsed.span_id.map(|id| id.to_string())))
    })
}

#[test]
fn ids_have_many_names() {
    let both = (TRACE.to_owned(), SPAN.to_owned());
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let google = format!("projects/p/traces/{TRACE}");
    for (fields, rest) in [
        (format!(r#""TraceId":"{TRACE}","SpanId":"{SPAN}""#), vec![]),
        (
            format!(r#""mdc.traceId":"{TRACE}","mdc.spanId":"{SPAN}""#),
            vec![],
        ),
        (
            format!(r#""dd.trace_id":"{TRACE}","dd.span_id":"{SPAN}""#),
            vec![],
        ),
        (
            format!(r#""X-B3-TraceId":"{TRACE}","X-B3-SpanId":"{SPAN}""#),
            vec![],
        ),
        // What tells more than the ids stays.
        (
            format!(r#""traceparent":"{parent}""#),
            vec![("traceparent", parent.as_str())],
        ),
        (
            format!(
                r#""logging.googleapis.com/trace":"{google}","logging.googleapis.com/spanId":"{SPAN}""#
            ),
            vec![("logging.googleapis.com/trace", google.as_str())],
        ),
        (
            format!(r#""trace":{{"id":"{TRACE}"}},"span":{{"id":"{SPAN}","name":"s"}}"#),
            vec![("trace", "{}"), ("span", r#"{"name":"s"}"#)],
        ),
        (
            format!(r#""mdc":{{"traceId":"{TRACE}","spanId":"{SPAN}"}}"#),
            vec![("mdc", "{}")],
        ),
        (
            format!(r#""contextMap":{{"trace_id":"{TRACE}","span_id":"{SPAN}","u":"1"}}"#),
            vec![("contextMap", r#"{"u":"1"}"#)],
        ),
        (
            format!(r#""dd":{{"trace_id":"{TRACE}","span_id":"{SPAN}"}}"#),
            vec![("dd", "{}")],
        ),
    ] {
        let line = format!(r#"{{"msg":"m",{fields}}}"#);
        assert_eq!(ids(&line, &rest), both, "{line}");
    }
    // tracing's own fields
    let line =
        format!(r#"{{"fields":{{"message":"m","trace_id":"{TRACE}","span_id":"{SPAN}","n":1}}}}"#);
    assert_eq!(ids(&line, &[("n", "1")]), both);
}

#[test]
fn what_is_no_id_stays_where_it_is() {
    let none = (String::new(), String::new());
    assert_eq!(
        ids(
            r#"{"msg":"m","dd.trace_id":"8448724520938450","dd":{"trace_id":"1","span_id":"2"},"span":{"id":7},"trace":{"id":"x"}}"#,
            &[
                ("dd.trace_id", "8448724520938450"),
                ("dd", r#"{"trace_id":"1","span_id":"2"}"#),
                ("span", r#"{"id":7}"#),
                ("trace", r#"{"id":"x"}"#),
            ],
        ),
        none
    );
    for parent in [
        "00-1-2-01",
        &format!("00-{TRACE}-{SPAN}"),
        &format!("{TRACE}-{SPAN}-01"),
    ] {
        let line = format!(r#"{{"msg":"m","traceparent":"{parent}"}}"#);
        assert_eq!(ids(&line, &[("traceparent", parent)]), none, "{line}");
    }
    // Of an object that only looks like a trace's the name wins.
    let line = format!(
        r#"{{"msg":"m","traceparent":"00-{}-{SPAN}-01","trace_id":"{TRACE}"}}"#,
        "1".repeat(32)
    );
    assert_eq!(
        ids(
            &line,
            &[("traceparent", &format!("00-{}-{SPAN}-01", "1".repeat(32)))]
        )
        .0,
        TRACE
    );
}

#[test]
fn ids_in_text_are_found_and_stay() {
    for (line, trace, span) in [
        (
            format!("2024-01-02 ERROR x trace_id={TRACE} span_id={SPAN} y"),
            TRACE,
            SPAN,
        ),
        (
            format!("2024-01-02 03:04:05,678 WARN [x] [traceId={TRACE}, spanId={SPAN}] slow"),
            TRACE,
            SPAN,
        ),
        (format!("slow trace_id=\"{TRACE}\""), TRACE, ""),
        (format!("slow dd.trace_id={TRACE}"), TRACE, ""),
        (
            format!("slow parent_span_id={SPAN} mytrace_id={TRACE}"),
            "",
            "",
        ),
        ("slow trace_id=1234 a=b".to_owned(), "", ""),
        (
            format!("slow {} trace_id={TRACE}", "x".repeat(2000)),
            "",
            "",
        ),
        (format!("slow trace_id={TRACE}é"), TRACE, ""),
        (format!("slow trace_id=é{TRACE}"), "", ""),
    ] {
        assert_eq!(
            ids(&line, &[]),
            (trace.to_owned(), span.to_owned()),
            "{line}"
        );
        with_parsed("auto", &line, |parsed| {
            assert_eq!(parsed.body.to_text(), line)
        });
    }
}
