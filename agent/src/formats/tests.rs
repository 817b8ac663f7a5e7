mod apps;
mod levels;
mod names;
mod scanner;
mod settings;
mod shapes;
mod times;

use proptest::prelude::*;

use super::*;

/// 2024-01-02T03:04:05.678Z
const TIME: u64 = 1_704_164_645_678_000_000;
/// 2024-06-01
const OBSERVED: u64 = 1_717_200_000_000_000_000;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn texts<'a>(parsed: &'a Parsed<'_>) -> Vec<(&'a str, String)> {
    let text = |a: &'a KeyValue<'_>| (a.key.as_ref(), a.value.to_text().into_owned());
    parsed.attributes.iter().map(text).collect()
}

fn parser(word: &str) -> Parser {
    Parser::try_from(FormatSpec::word(word).expect("a format")).expect("valid")
}

/// What one line says, read as `word` says.
fn with_parsed<T>(word: &str, line: &str, look: impl FnOnce(&Parsed<'_>) -> T) -> T {
    let parser = parser(word);
    let content = parser.split(line);
    look(&parser.parse_line(&content, &mut Detector::default(), OBSERVED))
}

/// Time, level, body and attributes of one line.
fn check(word: &str, line: &str, time: u64, level: &str, body: &str, rest: &[(&str, &str)]) {
    with_parsed(word, line, |parsed| {
        check_parsed(parsed, line, time, level, body, rest);
    });
}

fn check_parsed(
    parsed: &Parsed<'_>,
    line: &str,
    time: u64,
    level: &str,
    body: &str,
    rest: &[(&str, &str)],
) {
    assert_eq!(parsed.time_unix_nano, time, "time of {line}");
    assert_eq!(parsed.severity.level(), level, "level of {line}");
    assert_eq!(parsed.body.to_text(), body, "body of {line}");
    let rest: Vec<_> = rest
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect();
    assert_eq!(texts(parsed), rest, "attributes of {line}");
    assert_eq!(parsed.failed, None, "{line}");
}

fn auto(line: &str, time: u64, level: &str, body: &str, rest: &[(&str, &str)]) {
    check("auto", line, time, level, body, rest);
}

#[test]
fn node_loggers() {
    auto(
        r#"{"level":50,"time":1704164645678,"pid":1,"hostname":"web-1","err":{"type":"TypeError","message":"x","stack":"TypeError: x\n    at f (a.js:1:2)"},"msg":"request failed"}"#,
        TIME,
        "error",
        "request failed",
        &[
            ("pid", "1"),
            ("hostname", "web-1"),
            (
                "err",
                r#"{"type":"TypeError","message":"x","stack":"TypeError: x\n    at f (a.js:1:2)"}"#,
            ),
        ],
    );
    // winston, with its timestamp format
    auto(
        r#"{"level":"warn","message":"slow query","ms":1204.5,"timestamp":"2024-01-02T03:04:05.678Z"}"#,
        TIME,
        "warn",
        "slow query",
        &[("ms", "1204.5")],
    );
    // bunyan
    auto(
        r#"{"name":"api","hostname":"h","pid":7,"level":30,"msg":"listening","time":"2024-01-02T03:04:05.678Z","v":0}"#,
        TIME,
        "info",
        "listening",
        &[("name", "api"), ("hostname", "h"), ("pid", "7"), ("v", "0")],
    );
}

#[test]
fn go_loggers() {
    // zap in production mode: seconds with a fraction
    auto(
        r#"{"level":"error","ts":1704164645.678,"caller":"app/main.go:10","msg":"boom","stacktrace":"main.main\n\t/app/main.go:10"}"#,
        TIME,
        "error",
        "boom",
        &[
            ("caller", "app/main.go:10"),
            ("stacktrace", "main.main\n\t/app/main.go:10"),
        ],
    );
    // logrus, text formatter
    auto(
        r#"time="2024-01-02T03:04:05.678Z" level=fatal msg="cannot \"open\" file" path=/etc/x"#,
        TIME,
        "fatal",
        "cannot \"open\" file",
        &[("path", "/etc/x")],
    );
    // slog
    auto(
        r#"{"time":"2024-01-02T05:04:05.678+02:00","level":"INFO","msg":"hello","user":{"id":5}}"#,
        TIME,
        "info",
        "hello",
        &[("user", r#"{"id":5}"#)],
    );
}

#[test]
fn python_and_rust_loggers() {
    // structlog
    auto(
        r#"{"event":"user_created","level":"info","timestamp":"2024-01-02T03:04:05.678Z","id":9}"#,
        TIME,
        "info",
        "user_created",
        &[("id", "9")],
    );
    // python-json-logger
    auto(
        r#"{"asctime":"2024-01-02 03:04:05,678","levelname":"CRITICAL","name":"root","message":"out of cheese"}"#,
        TIME,
        "fatal",
        "out of cheese",
        &[("name", "root")],
    );
    // tracing-subscriber
    auto(
        r#"{"timestamp":"2024-01-02T03:04:05.678000Z","level":"DEBUG","fields":{"message":"accepted","peer":"10.0.0.1","target":"x"},"target":"srv::net","span":{"name":"conn"}}"#,
        TIME,
        "debug",
        "accepted",
        &[
            ("target", "srv::net"),
            ("span", r#"{"name":"conn"}"#),
            ("peer", "10.0.0.1"),
            ("fields.target", "x"),
        ],
    );
}

#[test]
fn plain_lines_keep_their_whole_text() {
    for (line, time, level) in [
        ("2024-01-02T03:04:05.678Z ERROR [web] failed", TIME, "error"),
        (
            "2024-01-02 03:04:05,678 - root - WARNING - careful",
            TIME,
            "warn",
        ),
        ("[2024-01-02 03:04:05.678] [error] broken", TIME, "error"),
        ("ERROR:root:it broke", 0, "error"),
        ("error: it broke", 0, "error"),
        ("an error happened in INFO-1 and /DEBUG/x", 0, "unknown"),
        ("level=warn is what it said", 0, "warn"),
        ("2024-13-02 03:04:05 no such month", 0, "unknown"),
        ("2024-02-30T03:04:05Z no such day", 0, "unknown"),
    ] {
        check("plain", line, time, level, line, &[]);
        auto(line, time, level, line, &[]);
    }
}

#[test]
fn container_lines_tell_time_and_stream() {
    let line = "2024-01-02T03:04:05.678000000Z stderr F hello INFO";
    auto(
        line,
        TIME,
        "info",
        "hello INFO",
        &[("log.iostream", "stderr")],
    );
    // The application's own time wins when it is exact.
    auto(
        r#"2024-01-02T03:04:09Z stdout F {"time":1704164645678,"msg":"m"}"#,
        TIME,
        "unknown",
        "m",
        &[("log.iostream", "stdout")],
    );
    auto(
        "2024-01-02T03:04:05.678Z stdout F ",
        TIME,
        "unknown",
        "",
        &[("log.iostream", "stdout")],
    );
    auto(
        "2024-01-02T03:04:05.678Z stdout F 2020-01-01 00:00:00 x",
        TIME,
        "unknown",
        "2020-01-01 00:00:00 x",
        &[("log.iostream", "stdout")],
    );
    let split = Runtime::Cri
        .split(b"2024-01-02T03:04:05.678901234+01:00 stdout P half")
        .expect("container line");
    assert!(split.partial);
    assert_eq!(split.time_unix_nano % 1_000_000_000, 678_901_234);
    for bad in [
        "2024-01-02T03:04:05Z stdin F x",
        "2024-01-02T03:04:05Z stdout X x",
        "2024-01-02T03:04:05Z",
    ] {
        assert_eq!(Runtime::Any.split(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn ids_move_to_the_record_when_they_are_ids() {
    for line in [
        format!(r#"{{"msg":"m","trace_id":"{TRACE}","span_id":"b7ad6b7169203331"}}"#),
        format!(r#"{{"msg":"m","traceId":"{TRACE}","spanId":"b7ad6b7169203331"}}"#),
        format!("msg=m trace_id={TRACE} span_id=b7ad6b7169203331"),
    ] {
        with_parsed("auto", &line, |parsed| {
            let id = |id: Option<String>| id.unwrap_or_default();
            assert_eq!(
                id(parsed.trace_id.map(|id| id.to_string())),
                TRACE,
                "{line}"
            );
            let span = id(parsed.span_id.map(|id| id.to_string()));
            assert_eq!(span, "b7ad6b7169203331", "{line}");
            assert_eq!(parsed.attributes, [], "{line}");
        });
    }
    auto(
        r#"{"msg":"m","trace_id":"1234"}"#,
        0,
        "unknown",
        "m",
        &[("trace_id", "1234")],
    );
}

#[test]
fn what_cannot_be_read_stays() {
    auto(
        r#"{"msg":"m","time":"yesterday","level":{"a":1}}"#,
        0,
        "unknown",
        "m",
        &[("time", "yesterday"), ("level", r#"{"a":1}"#)],
    );
    auto(
        r#"{"msg":"m","level":3,"time":12}"#,
        0,
        "unknown",
        "m",
        &[("level", "3"), ("time", "12")],
    );
    auto(
        r#"{"a":1,"event":{"b":2}}"#,
        0,
        "unknown",
        r#"{"a":1,"event":{"b":2}}"#,
        &[("a", "1"), ("event", r#"{"b":2}"#)],
    );
    auto(
        r#"{"msg":"a","message":"b","n":18446744073709551615}"#,
        0,
        "unknown",
        "a",
        &[("message", "b"), ("n", "18446744073709551615")],
    );
    for (word, failed, line) in [
        ("json", "json", "plain"),
        ("json", "json", r#"{"a":1} trailing"#),
        ("json", "json", "[1,2]"),
        ("auto", "json", r#"{"msg":"cut"#),
        ("logfmt", "logfmt", "nothing of the kind"),
        ("cri", "cri", "not from a container runtime"),
        (
            "docker",
            "docker",
            r#"{"log":"no stream","time":"2024-01-02T03:04:05Z"}"#,
        ),
        ("container", "container", "neither"),
    ] {
        with_parsed(word, line, |parsed| {
            assert_eq!(parsed.body.to_text(), line);
            assert_eq!(parsed.failed, Some(failed), "{line}");
            let last = texts(parsed).pop();
            assert_eq!(last, Some((PARSE_ERROR, failed.to_owned())), "{line}");
        });
    }
}

#[test]
fn prose_with_a_pair_in_it_is_prose() {
    auto("x=5 is wrong", 0, "unknown", "x=5 is wrong", &[]);
    auto("a=1", 0, "unknown", "a=1", &[]);
    auto(
        "a=1 b=\"2 3\" c=",
        0,
        "unknown",
        "a=1 b=\"2 3\" c=",
        &[("a", "1"), ("b", "2 3"), ("c", "")],
    );
    check(
        "logfmt",
        "flag a=1",
        0,
        "unknown",
        "flag a=1",
        &[("flag", "true"), ("a", "1")],
    );
}

#[test]
fn times_in_many_shapes() {
    const SECOND: u64 = 1_704_164_645_000_000_000;
    for (text, expected) in [
        ("2024-01-02T03:04:05Z", SECOND),
        ("2024-01-02 03:04:05", SECOND),
        ("2024-01-02T04:04:05+0100", SECOND),
        ("2024-01-02T03:04:05.678901234567Z", SECOND + 678_901_234),
        ("02/Jan/2024:03:04:05 +0000", SECOND),
        ("Tue, 02 Jan 2024 03:04:05 GMT", SECOND),
        ("Tue Jan  2 03:04:05 2024", SECOND),
        ("1704164645", SECOND),
        ("1704164645678", TIME),
        ("1704164645678000", TIME),
        ("1704164645678000000", TIME),
        ("1704164645.678", TIME),
    ] {
        assert_eq!(
            timestamp::parse(text).map(|s| s.unix_nano),
            Some(expected),
            "{text}"
        );
    }
    for bad in [
        "",
        "now",
        "2024-01-02",
        "12:00",
        "-5",
        "1e300",
        "99999999999999999999999",
    ] {
        assert_eq!(timestamp::parse(bad), None, "{bad}");
    }
    assert_eq!(
        timestamp::parse("2000-02-29T00:00:00Z").map(|s| s.unix_nano),
        Some(951_782_400_000_000_000)
    );
    assert_eq!(timestamp::parse("1969-12-31T23:59:59Z"), None);
}

#[test]
fn deep_nesting_becomes_text_and_bottomless_is_refused() {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let line = nested(40);
    with_parsed("json", &line, |parsed| {
        assert_eq!(parsed.failed, None);
        assert_eq!(parsed.body.to_text(), line);
        let mut request = Vec::new();
        vervet_wire::otlp::write_resource_logs(
            &mut request,
            &Default::default(),
            &Default::default(),
            |w| {
                w.push(&vervet_wire::otlp::LogRecord {
                    attributes: parsed.attributes.clone(),
                    ..Default::default()
                });
            },
        );
        assert!(vervet_wire::otlp::for_each_log(&request, |_, _, _| ()).is_ok());
    });
    with_parsed("json", &nested(5_000), |parsed| {
        assert_eq!(parsed.failed, Some("json"));
    });
}

const WORDS: [&str; 12] = [
    "auto",
    "container",
    "cri",
    "docker",
    "json",
    "logfmt",
    "klog",
    "access",
    "nginx_error",
    "syslog",
    "postgres",
    "plain",
];

/// All a record says, as one text.
fn all_text(parsed: &Parsed<'_>) -> String {
    let mut all = format!("{}\n{}", parsed.body.to_text(), parsed.severity_text);
    for (key, value) in texts(parsed) {
        all += &format!("\n{key} {value}");
    }
    for id in [
        parsed.trace_id.map(|id| id.to_string()),
        parsed.span_id.map(|id| id.to_string()),
    ] {
        all += &format!("\n{}", id.unwrap_or_default());
    }
    all
}

/// Words that are in `line` and in nothing that is a number, a time or an escape.
fn words(line: &str) -> Vec<&str> {
    line.split(|c: char| !c.is_ascii_lowercase())
        .filter(|word| word.len() > 3)
        .collect()
}

/// Lines of every known shape with arbitrary text at the places for text.
fn shaped() -> impl Strategy<Value = String> {
    let text = "[ -~éЖ]{0,40}";
    let word = "[a-z]{4,8}";
    let number = 0_u32..100_000;
    (0..11_usize, text, word, word, number).prop_map(|(shape, text, a, b, n)| match shape {
        0 => format!("I0102 03:04:05.678901 {n} {a}.go:{n}] {text}"),
        1 => format!("I0102 03:04:05.678901 {n} {a}.go:{n}] \"{b}\" {a}=\"{b}\" {text}"),
        2 => format!("192.0.2.7 - {a} [02/Jan/2024:03:04:05 +0000] \"GET /{b}?{a}={n} HTTP/1.1\" 200 {n} {text}"),
        3 => format!("192.0.2.7 - {a} [02/Jan/2024:03:04:05 +0000] \"{text}\" 400 - \"{b}\" \"{a}\" {text}"),
        4 => format!("2024/01/02 03:04:05 [error] {n}#{n}: *{n} {text}, client: {a}, server: {b}, request: \"{text}\""),
        5 => format!("2024-01-02 03:04:05.678 UTC [{n}] {a}@{b} ERROR:  {text}"),
        6 => format!("<34>1 2024-01-02T03:04:05Z {a} {b} {n} - [{a}@{n} {b}=\"{a}\"] {text}"),
        7 => format!("<34>Jan  2 03:04:05 {a} {b}[{n}]: {text}"),
        8 => format!("{a}={n} {b}=\"{a}\" {a}x={text}"),
        9 => {
            let text = text.replace(['"', '\\'], "");
            format!(r#"{{"{a}":{n},"{b}":{{"{a}":["{b}",{n}]}},"msg":"{text}"}}"#)
        }
        _ => format!("2024-01-02T03:04:05Z stdout F {a} {text}"),
    })
}

proptest! {
    #[test]
    fn no_text_panics_or_is_lost(word in prop::sample::select(&WORDS[..]), line in "[ -~éЖ\\n\\t]{0,120}") {
        with_parsed(word, &line, |parsed| {
            // Either the text as it is, or what structured fields say.
            let body = parsed.body.to_text().into_owned();
            assert!(body == line || !parsed.attributes.is_empty() || line.contains(&body) || line.contains('\\'));
        });
    }

    #[test]
    fn texts_like_logs_do_not_panic(
        word in prop::sample::select(&WORDS[..]),
        line in r#"(\{"|[0-9]{4}-[01][0-9]-[0-3][0-9]T| (stdout|stderr) [PF] |=|"|\\|[a-z]{1,5}|[0-9:.]{1,9}|[{}\[\],]| ){0,40}"#,
    ) {
        with_parsed(word, &line, |parsed| {
            assert!(parsed.failed.is_none() || line.ends_with(&*parsed.body.to_text()));
        });
    }

    #[test]
    fn every_word_of_a_line_is_in_its_record(word in prop::sample::select(&WORDS[..]), line in shaped()) {
        with_parsed(word, &line, |parsed| {
            let all = all_text(parsed);
            for word in words(&line).into_iter().filter(|w| !matches!(*w, "stdout" | "stderr")) {
                assert!(all.contains(word), "{word} of {line} is not in {all}");
            }
        });
    }

    #[test]
    fn arbitrary_text_is_kept(word in prop::sample::select(&WORDS[..]), line in any::<String>()) {
        with_parsed(word, &line, |parsed| {
            let body = parsed.body.to_text().into_owned();
            assert!(body == line || parsed.failed.is_none(), "{line}");
        });
    }

    #[test]
    fn what_was_read_before_does_not_matter(lines in prop::collection::vec(shaped(), 1..12)) {
        let (parser, mut detector) = (parser("auto"), Detector::default());
        for line in &lines {
            let (content, fresh) = (parser.split(line), parser.split(line));
            let after_others = parser.parse_line(&content, &mut detector, OBSERVED);
            let alone = parser.parse_line(&fresh, &mut Detector::default(), OBSERVED);
            prop_assert_eq!(after_others, alone, "{}", line);
        }
    }

    #[test]
    fn dates_agree_with_the_calendar(seconds in 0_i64..7_000_000_000) {
        let text = jiff::Timestamp::from_second(seconds).expect("in range").to_string();
        let expected = u64::try_from(seconds).expect("positive") * 1_000_000_000;
        prop_assert_eq!(timestamp::parse(&text).map(|s| s.unix_nano), Some(expected), "{}", text);
    }
}

#[test]
fn lines_of_too_many_values_stay_text() {
    let empties = |count: usize| vec!["{}"; count].join(",");
    let flat = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!("k{n}=1")).collect();
        fields.join(" ")
    };
    let data = |count: usize| {
        let pairs: String = (0..count).map(|n| format!(" k{n}=\"1\"")).collect();
        format!("<34>1 2024-01-02T03:04:05.678Z host app 1 - [x{pairs}] m")
    };
    let (few, many) = (json::VALUES_MAX - 2, json::VALUES_MAX + 1);
    let cases = [
        (
            "json",
            format!("{{\"a\":[{}]}}", empties(few)),
            format!("{{\"a\":[{}]}}", empties(many)),
        ),
        (
            "json",
            format!("{{\"a\":[[{}]]}}", empties(few - 1)),
            format!("{{\"a\":[[{}]]}}", empties(many)),
        ),
        ("logfmt", flat(few), flat(many)),
        ("syslog", data(few), data(many)),
    ];
    for (word, few, many) in &cases {
        with_parsed(word, few, |parsed| {
            assert!(!parsed.attributes.is_empty(), "{word}");
            assert!(
                !texts(parsed)
                    .iter()
                    .any(|(key, _)| *key == "vervet.parse_error"),
                "{word}"
            );
        });
        with_parsed(word, many, |parsed| {
            assert_eq!(parsed.body, Value::from(many.as_str()), "{word}");
            assert!(parsed.attributes.len() < 20, "{word}");
        });
    }
}
