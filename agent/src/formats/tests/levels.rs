//! Where a level stands in text, and what words mean one.

use super::settings::check as check_with;
use super::*;

const SECOND: u64 = 1_704_164_645_000_000_000;

/// The severity number of a line that is kept as text.
fn number(word: &str, line: &str) -> i32 {
    with_parsed(word, line, |parsed| {
        assert_eq!(parsed.body.to_text(), line, "body of {line}");
        parsed.severity.number()
    })
}

#[test]
fn a_level_in_any_case_counts_behind_a_time() {
    for (rest, expected) in [
        ("error: a", 17),
        ("Error: a", 17),
        ("info a", 9),
        ("warn", 13),
        ("[payments] error: A", 17),
        ("[a] [b] debug: A", 5),
        ("|error|a", 17),
        ("| error   | a", 17),
        ("|shop|a", 0),
        ("\u{1b}[31merror\u{1b}[39m: a", 17),
        ("- warning - a", 13),
        ("no error", 0),
        ("errors: 5", 0),
        ("an error: 5", 0),
        ("[payments] info about it", 0),
        ("shop info: a", 0),
        ("http: server closed", 0),
        ("log rotated", 0),
        ("fine thanks", 0),
        ("alert was sent", 0),
        ("notice: read this", 10),
        ("information: a", 9),
    ] {
        for word in ["plain", "auto"] {
            let line = format!("2024-01-02T03:04:05Z {rest}");
            assert_eq!(number(word, &line), expected, "{line}");
        }
    }
    for (line, expected) in [
        ("2024-01-02T03:04:05Z|error|a", 17),
        ("[2024-01-02 03:04:05] error: H", 17),
        ("02/01/2024 03:04:05 | error | a", 17),
        ("03:04:05 warn: a", 13),
        ("[03:04:05] warn: a", 13),
        ("error in a sentence", 0),
        ("1 error: a", 0),
        ("[payments] error: a", 0),
    ] {
        assert_eq!(number("auto", line), expected, "{line}");
    }
}

#[test]
fn words_of_single_loggers() {
    for (line, expected) in [
        ("[03:04:05 INF] a", 9),
        ("[03:04:05 WRN] a", 13),
        ("[03:04:05 FTL] a", 21),
        ("[03:04:05 VRB] a", 1),
        ("\u{1b}[90m3:04AM\u{1b}[0m \u{1b}[32mINF\u{1b}[0m a", 9),
        ("2024-01-02 03:04:05.678 | SUCCESS  | m:f:1 - a", 10),
        ("2024-01-02T03:04:05Z [warning  ] a", 13),
        (
            "\u{1b}[2m2024-01-02T03:04:05Z\u{1b}[0m [\u{1b}[33m\u{1b}[1mwarning  \u{1b}[0m] a",
            13,
        ),
        ("[2024-01-02 03:04:05,678: ERROR/MainProcess] a", 17),
        ("[03:04:05] [Server thread/WARN]: a", 13),
        ("[error in a sentence] a", 0),
        ("open a/ERROR/b", 0),
        ("Trace: here", 0),
        ("[Error: gone] { code: 'ENOENT' }", 17),
        ("[api] [TypeError: gone] { code: 'ENOENT' }", 17),
        ("verbose: a", 7),
        ("SUCCESS is what we want", 0),
    ] {
        assert_eq!(number("auto", line), expected, "{line}");
    }
    for (level, expected) in [
        ("INF", 9),
        ("WRN", 13),
        ("FTL", 21),
        ("Verbose", 1),
        ("verbose", 7),
        ("ERROR+2", 19),
        ("WARN+1", 14),
        ("INFO+1", 10),
        ("DEBUG-4", 1),
        ("DEBUG-90", 1),
        ("success", 10),
        ("DEBUG5", 5),
    ] {
        let line = format!(r#"{{"level":"{level}","msg":"m"}}"#);
        with_parsed("auto", &line, |parsed| {
            assert_eq!(parsed.severity.number(), expected, "{line}");
            assert_eq!(parsed.severity_text, level);
        });
    }
}

#[test]
fn a_time_behind_the_level_or_an_indent_is_found() {
    for (line, level) in [
        ("INFO     2024-01-02 03:04:05 py 10770 started", "info"),
        ("CRITICAL 2024-01-02 03:04:05,000 py crit", "fatal"),
        (
            "  2024-01-02T03:04:05Z ERROR app::pretty: it broke",
            "error",
        ),
    ] {
        auto(line, SECOND, level, line, &[]);
    }
    auto(
        "HTTP 2024 requests",
        0,
        "unknown",
        "HTTP 2024 requests",
        &[],
    );
}

#[test]
fn configured_levels_count_in_text() {
    for word in ["plain", "auto"] {
        let format = format!(
            "{{type: {word}, severity: {{map: {{error: fatal, wrn: warn, P1: 18, oops: error}}}}}}"
        );
        for (line, level) in [
            ("2024-01-02T03:04:05Z error: a", "fatal"),
            ("2024-01-02T03:04:05Z wrn something", "warn"),
            ("2024-01-02T03:04:05Z [shop] P1 a", "error"),
            ("2024-01-02T03:04:05Z a sentence with oops in it", "unknown"),
            ("2024-01-02T03:04:05Z a sentence with [oops] in it", "error"),
            ("2024-01-02T03:04:05Z INFO a", "info"),
        ] {
            check_with(&format, line, SECOND, level, line, &[]);
        }
        for (line, level) in [
            ("oops a", "error"),
            ("what an oops", "unknown"),
            ("OOPS: a", "error"),
            ("no OOPSY", "unknown"),
        ] {
            check_with(&format, line, 0, level, line, &[]);
        }
    }
}

#[test]
fn a_coloured_level_of_a_field_counts() {
    for line in [
        r#"{"level":"\u001b[31merror\u001b[39m","message":"m"}"#,
        r#"{"level":"\u001B[1m\u001B[31merror\u001B[0m","message":"m"}"#,
        "level=\u{1b}[31merror\u{1b}[0m message=m",
        r#"{"log":{"level":"\u001b[31merror\u001b[39m"},"message":"m"}"#,
    ] {
        with_parsed("auto", line, |parsed| {
            assert_eq!(parsed.severity, Severity::ERROR, "{line}");
            assert_eq!(parsed.severity_text, "error", "{line}");
        });
    }
    let format = "{type: json, severity: {map: {oops: fatal}}}";
    let line = r#"{"level":"\u001b[31moops\u001b[39m","message":"m"}"#;
    check_with(format, line, 0, "fatal", "m", &[]);
}

#[test]
fn a_level_that_is_not_known_stays_and_the_next_field_is_tried() {
    auto(
        r#"{"level":"ERROR+1000","severity":"warn","message":"m"}"#,
        0,
        "warn",
        "m",
        &[("level", "ERROR+1000")],
    );
    auto(
        "level=high lvl=info msg=m",
        0,
        "info",
        "m",
        &[("level", "high")],
    );
    for (line, level, left) in [
        (
            r#"{"prio":"high","meta":{"level":"warn"},"level":"info","msg":"m"}"#,
            "warn",
            vec![("prio", "high"), ("meta", "{}"), ("level", "info")],
        ),
        (
            r#"{"prio":"high","meta":{"level":"odd"},"level":"info","msg":"m"}"#,
            "info",
            vec![("prio", "high"), ("meta", r#"{"level":"odd"}"#)],
        ),
        (
            r#"{"prio":"error","meta":{"level":"warn"},"msg":"m"}"#,
            "error",
            vec![("meta", r#"{"level":"warn"}"#)],
        ),
    ] {
        let format = "{type: json, severity: {fields: [prio, meta.level]}}";
        check_with(format, line, 0, level, "m", &left);
    }
    // Of times and messages, too.
    let format = "{type: json, time: {fields: [meta.at]}, message: {fields: [meta.text]}}";
    let line = r#"{"meta":{"at":"soon","text":null},"time":"2024-01-02T03:04:05Z","msg":"m"}"#;
    let left = [("meta", r#"{"at":"soon","text":null}"#)];
    check_with(format, line, SECOND, "unknown", "m", &left);
}

#[test]
fn critical_is_fatal_in_applications_and_below_it_where_levels_are_syslogs() {
    for (line, expected) in [
        ("2024-01-02 03:04:05,678 - root - CRITICAL - a", 21),
        ("CRITICAL:root:a", 21),
        ("crit: Shop.Cart[0]", 21),
        ("2024-01-02T03:04:05Z [crit] a", 21),
        ("[2024-01-02 03:04:05] shop.CRITICAL: a {} []", 18),
        ("[2024-01-02T03:04:05.678+00:00] app.ALERT: a [] []", 19),
        ("[2024-01-02T03:04:05.678+00:00] app.EMERGENCY: a [] []", 21),
    ] {
        assert_eq!(number("auto", line), expected, "{line}");
    }
    for (line, expected) in [
        (r#"{"level":"critical","message":"m"}"#, 21),
        ("level=critical msg=m", 21),
        (r#"{"level":"alert","message":"m"}"#, 21),
        (r#"{"message":"m","level":500,"level_name":"CRITICAL"}"#, 18),
        ("2024/01/02 03:04:05 [crit] 12#34: *5 m", 18),
        ("2024/01/02 03:04:05 [alert] 12#34: m", 19),
        ("<34>Jan  2 03:04:05 web-1 sshd[71]: m", 18),
    ] {
        with_parsed("auto", line, |parsed| {
            assert_eq!(parsed.severity.number(), expected, "{line}");
        });
    }
}

#[test]
fn no_known_word_is_ruled_out_beforehand() {
    let words = "trace trce trc TRAC finest fine finer fail fatal ftl FATA silly severe success verbose vrb debug dbg dbug \
                 dpanic DEBU info information informational inf log http notice warn warning wrn error err emerg emergency \
                 ERRO critical crit CONFIG alert panic PANI";
    for word in words.split_whitespace() {
        assert!(level::of(word).is_some(), "{word}");
        assert!(level::may_be(word), "{word}");
        assert!(level::may_be(&word.to_uppercase()), "{word}");
    }
    for word in ["sshd", "web", "kernel", "cron", "db1", "", "postfix"] {
        assert!(!level::may_be(word), "{word}");
    }
}
