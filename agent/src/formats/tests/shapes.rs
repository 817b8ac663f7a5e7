//! Lines of formats with a shape of their own; lines that programs really wrote are read in `filelog/lines/tests/producers.rs`.

use super::*;

const SECOND: u64 = 1_704_164_645_000_000_000;
const MICRO: u64 = 1_704_164_645_678_901_000;

/// Read with its own word and with `auto`.
fn both(word: &str, line: &str, time: u64, level: &str, body: &str, rest: &[(&str, &str)]) {
    check(word, line, time, level, body, rest);
    auto(line, time, level, body, rest);
}

/// Kept as plain text: by its own word with an error, by `auto` without.
fn neither(word: &str, line: &str) {
    with_parsed(word, line, |parsed| {
        assert_eq!(parsed.failed, Some(word), "{line}");
        assert_eq!(parsed.body.to_text(), line);
    });
    with_parsed("auto", line, |parsed| {
        assert_eq!(parsed.failed, None, "{line}");
        assert_eq!(parsed.body.to_text(), line);
    });
}

#[test]
fn klog_lines() {
    let place = [
        ("thread.id", "12"),
        ("code.file.path", "main.go"),
        ("code.line.number", "5"),
    ];
    both(
        "klog",
        "E0102 03:04:05.678901      12 main.go:5] cannot open [file]",
        MICRO,
        "error",
        "cannot open [file]",
        &place,
    );
    let pairs = [
        place[0],
        place[1],
        place[2],
        ("pod", "kube-system/dns 1"),
        ("n", "3"),
    ];
    both(
        "klog",
        r#"I0102 03:04:05.678901      12 main.go:5] "Pod \"status\" updated" pod="kube-system/dns 1" n=3"#,
        MICRO,
        "info",
        "Pod \"status\" updated",
        &pairs,
    );
    // What is no pair stays with the message.
    both(
        "klog",
        r#"W0102 03:04:05.678901 12 main.go:5] "Odd" err={a b}"#,
        MICRO,
        "warn",
        r#""Odd" err={a b}"#,
        &place,
    );
    neither("klog", "I0102 03:04:05.678901 main.go:5] no thread");
    neither("klog", "E1342 03:04:05.678901 1 main.go:5] no such month");
    // A day that has not come yet was last year's.
    check(
        "klog",
        "I1231 03:04:05.678901 12 main.go:5] m",
        1_703_991_845_678_901_000,
        "info",
        "m",
        &place,
    );
    // The container runtime knows the year.
    with_parsed(
        "auto",
        "2020-02-02T00:00:00Z stderr F I0102 03:04:05.678901 12 main.go:5] m",
        |parsed| assert_eq!(parsed.time_unix_nano, 1_580_601_600_000_000_000),
    );
}

#[test]
fn access_lines() {
    let common = r#"192.0.2.7 - ann [02/Jan/2024:04:04:05 +0100] "GET /a?b=1&c HTTP/1.1" 200 512"#;
    let mut attributes = vec![
        ("client.address", "192.0.2.7"),
        ("user.name", "ann"),
        ("http.request.method", "GET"),
        ("url.path", "/a"),
        ("url.query", "b=1&c"),
        ("network.protocol.version", "1.1"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "512"),
    ];
    both("access", common, SECOND, "info", common, &attributes);
    let combined = format!("{common} \"https://from/\" \"agent \\\"x\\\" (1.0)\" 0.012 [upstream]");
    attributes.push(("http.request.header.referer", "https://from/"));
    attributes.push(("user_agent.original", "agent \\\"x\\\" (1.0)"));
    both("access", &combined, SECOND, "info", &combined, &attributes);
    let odd = r#"2001:db8::1 - - [02/Jan/2024:03:04:05 +0000] "\x16\x03\x01" 400 - "-" "-""#;
    let attributes = [
        ("client.address", "2001:db8::1"),
        ("http.response.status_code", "400"),
    ];
    both("access", odd, SECOND, "warn", odd, &attributes);
    let virtual_host =
        r#"shop.test:443 192.0.2.7 - - [02/Jan/2024:03:04:05 +0000] "POST / HTTP/2.0" 502 0"#;
    let attributes = [
        ("client.address", "192.0.2.7"),
        ("server.address", "shop.test:443"),
        ("http.request.method", "POST"),
        ("url.path", "/"),
        ("network.protocol.version", "2.0"),
        ("http.response.status_code", "502"),
        ("http.response.body.size", "0"),
    ];
    both(
        "access",
        virtual_host,
        SECOND,
        "error",
        virtual_host,
        &attributes,
    );
    for bad in [
        r#"192.0.2.7 - - [02/Jan/2024:03:04:05 +0000] "GET / HTTP/1.1" 2000 5"#,
        r#"192.0.2.7 - - [02/Jan/2024:03:04:05 +0000] "GET / HTTP/1.1"#,
        r#"192.0.2.7 - - [32/Jan/2024:03:04:05 +0000] "GET / HTTP/1.1" 200 5"#,
        r#"192.0.2.7 [02/Jan/2024:03:04:05 +0000] "GET / HTTP/1.1" 200 5"#,
    ] {
        neither("access", bad);
    }
}

#[test]
fn nginx_error_lines() {
    let message = r#"open() "/srv/x" failed (2: No such file), client: 192.0.2.7, server: _, request: "GET /x HTTP/1.1", host: "shop.test""#;
    both(
        "nginx_error",
        &format!("2024/01/02 03:04:05 [error] 12#34: *5 {message}"),
        SECOND,
        "error",
        message,
        &[
            ("process.pid", "12"),
            ("thread.id", "34"),
            ("nginx.connection", "5"),
            ("client.address", "192.0.2.7"),
            ("nginx.server", "_"),
            ("http.request.method", "GET"),
            ("url.path", "/x"),
            ("network.protocol.version", "1.1"),
            ("server.address", "shop.test"),
        ],
    );
    both(
        "nginx_error",
        "2024/01/02 03:04:05 [notice] 1#1: start worker processes",
        SECOND,
        "info",
        "start worker processes",
        &[("process.pid", "1"), ("thread.id", "1")],
    );
    neither("nginx_error", "2024/01/02 03:04 [error] 1#1: no seconds");
}

#[test]
fn postgres_lines() {
    let process = ("process.pid", "71");
    both(
        "postgres",
        "2024-01-02 03:04:05.678 UTC [71] LOG:  checkpoint starting: time",
        TIME,
        "info",
        "checkpoint starting: time",
        &[process],
    );
    both(
        "postgres",
        "2024-01-02 03:04:05.678 UTC [71] app@shop ERROR:  no\n\tSELECT 1",
        TIME,
        "error",
        "no\n\tSELECT 1",
        &[process, ("user.name", "app"), ("db.namespace", "shop")],
    );
    both(
        "postgres",
        "2024-01-02 06:04:05.678 +03 [71] DETAIL:  why",
        TIME,
        "unknown",
        "why",
        &[process],
    );
    both(
        "postgres",
        "2024-01-02 04:04:05 CET [71] LOG:  x",
        SECOND,
        "info",
        "x",
        &[process],
    );
    for bad in [
        "2024-01-02 03:04:05.678 UTC [71] LOG: one space",
        "2024-01-02 03:04:05.678 UTC [x] LOG:  no number",
        "2024-01-02 03:04:05.678 UTC [71] BLOG:  no level",
    ] {
        with_parsed("postgres", bad, |parsed| {
            assert_eq!(parsed.failed, Some("postgres"));
            assert_eq!(parsed.body.to_text(), bad);
        });
    }
}

#[test]
fn syslog_lines() {
    both(
        "syslog",
        r#"<165>1 2024-01-02T03:04:05.678Z web-1 shop 71 ID7 [origin@1 ip="192.0.2.1" q="a\"]\\b"][x] it works"#,
        TIME,
        "info",
        "it works",
        &[
            ("syslog.facility", "20"),
            ("syslog.version", "1"),
            ("syslog.hostname", "web-1"),
            ("syslog.appname", "shop"),
            ("syslog.procid", "71"),
            ("syslog.msgid", "ID7"),
            (
                "syslog.structured_data",
                r#"{"origin@1":{"ip":"192.0.2.1","q":"a\"]\\b"},"x":{}}"#,
            ),
        ],
    );
    both(
        "syslog",
        "<11>1 - - - - - -",
        0,
        "error",
        "",
        &[("syslog.facility", "1"), ("syslog.version", "1")],
    );
}

#[test]
fn classic_syslog_lines() {
    let from = [
        ("syslog.hostname", "web-1"),
        ("syslog.appname", "sshd"),
        ("syslog.procid", "71"),
    ];
    let with_facility = [("syslog.facility", "4"), from[0], from[1], from[2]];
    both(
        "syslog",
        "<34>Jan  2 03:04:05 web-1 sshd[71]: closed",
        SECOND,
        "error",
        "closed",
        &with_facility,
    );
    both(
        "syslog",
        "Jan  2 03:04:05 web-1 sshd[71]: error: closed",
        SECOND,
        "error",
        "error: closed",
        &from,
    );
    both(
        "syslog",
        "2024-01-02T04:04:05.678901+01:00 web-1 sshd[71]: closed",
        MICRO,
        "unknown",
        "closed",
        &from,
    );
    both(
        "syslog",
        "Jan  2 03:04:05 web-1 sshd[71] without a colon",
        SECOND,
        "unknown",
        "without a colon",
        &from,
    );
    check(
        "syslog",
        "<13>Jan  2 03:04:05 web-1 no tag here",
        SECOND,
        "info",
        "no tag here",
        &[("syslog.facility", "1"), from[0]],
    );
    for bad in [
        "<192>Jan  2 03:04:05 web-1 sshd: x",
        "<34>1 2024-01-02T03:04:05Z web-1 sshd 71 - [open x",
        "<34>1 yesterday web-1 sshd 71 - - x",
        "May be this is prose",
    ] {
        neither("syslog", bad);
    }
    // A level where syslog has the host: tracing of Rust.
    auto(
        "2024-01-02T03:04:05.678901Z  INFO shop::web: listening",
        MICRO,
        "info",
        "2024-01-02T03:04:05.678901Z  INFO shop::web: listening",
        &[],
    );
}

#[test]
fn docker_lines() {
    auto(
        r#"{"log":"{\"level\":50,\"msg\":\"a \\\"b\\\"\"}\r\n","stream":"stderr","time":"2024-01-02T03:04:05.678Z"}"#,
        TIME,
        "error",
        "a \"b\"",
        &[("log.iostream", "stderr")],
    );
    auto(
        r#"{"log":"tab\there\n","stream":"stdout","attrs":{"tag":"web","n":"1"},"time":"2024-01-02T03:04:05.678Z"}"#,
        TIME,
        "unknown",
        "tab\there",
        &[
            ("log.iostream", "stdout"),
            ("docker.attrs.tag", "web"),
            ("docker.attrs.n", "1"),
        ],
    );
    let partial = |log: &str| {
        let line = format!(r#"{{"log":"{log}","stream":"stdout","time":"2024-01-02T03:04:05Z"}}"#);
        Runtime::Docker
            .split(line.as_bytes())
            .map(|line| line.partial)
    };
    assert_eq!(partial(r"whole\n"), Some(false));
    assert_eq!(partial("half"), Some(true));
    assert_eq!(partial(r"a backslash and an n: \\n"), Some(true));
    // The same object as other programs write it.
    for line in [
        r#"{"log": "tab\there\n", "stream": "stderr", "time": "2024-01-02T03:04:05.678Z"}"#,
        r#"{ "log" : "tab\there\n" , "stream" : "stderr" , "time" : "2024-01-02T03:04:05.678Z" }"#,
        r#"{"time":"2024-01-02T03:04:05.678Z","stream":"stderr","log":"tab\there\n"}"#,
        r#"{"stream": "stderr", "attrs": {}, "log": "tab\there\n", "time": "2024-01-02T03:04:05.678Z"} "#,
    ] {
        auto(
            line,
            TIME,
            "unknown",
            "tab\there",
            &[("log.iostream", "stderr")],
        );
        assert_eq!(
            Runtime::Docker.split(line.as_bytes()).map(|l| l.partial),
            Some(false)
        );
    }
    // Line by line, not in pieces.
    let stripped = r#"{"time":"2024-01-02T03:04:05Z","stream":"stdout","log":"x"}"#;
    let stripped = Runtime::Docker.split(stripped.as_bytes());
    assert_eq!(stripped.map(|line| line.partial), Some(false));
    for line in [
        r#"{"log": "x", "stream": "stdout"}"#,
        r#"{"log": "x", "stream": "stdout", "time": "soon"}"#,
        r#"{"log": "x", "stream": "stdout", "time": "2024-01-02T03:04:05Z", "level": 1}"#,
        r#"{"log": "x", "log": "y", "stream": "stdout", "time": "2024-01-02T03:04:05Z"}"#,
        r#"{"log": "x", "stream": "stdout", "time": "2024-01-02T03:04:05Z"} x"#,
        r#"{"log": {}, "stream": "stdout", "time": "2024-01-02T03:04:05Z"}"#,
        r#"{"log": "x""#,
        r#"{"#,
    ] {
        assert_eq!(Runtime::Docker.split(line.as_bytes()), None, "{line}");
    }
    // Only the shape that Docker writes is Docker's.
    auto(
        r#"{"log":"x","stream":"other","time":"2024-01-02T03:04:05.678Z"}"#,
        TIME,
        "unknown",
        r#"{"log":"x","stream":"other","time":"2024-01-02T03:04:05.678Z"}"#,
        &[("log", "x"), ("stream", "other")],
    );
}

#[test]
fn coloured_lines_tell_time_and_level() {
    let line = "\u{1b}[2m2024-01-02T03:04:05.678901Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[2mshop\u{1b}[0m: slow";
    auto(line, MICRO, "warn", line, &[]);
    let endless = "\u{1b}[";
    auto(endless, 0, "unknown", endless, &[]);
}

#[test]
fn more_plain_beginnings() {
    for (line, time, level) in [
        (
            "E, [2024-01-02T03:04:05.678901 #12] ERROR -- : boom",
            MICRO,
            "error",
        ),
        (
            "[2024-01-02T03:04:05.678901+00:00] app.CRITICAL: boom [] []",
            MICRO,
            "error",
        ),
        (
            "[02-Jan-2024 03:04:05 UTC] PHP Warning:  careful",
            SECOND,
            "warn",
        ),
        ("fail: Shop.Cart[0]", 0, "error"),
        ("dbug: Shop.Cart[0]", 0, "debug"),
    ] {
        auto(line, time, level, line, &[]);
    }
}
