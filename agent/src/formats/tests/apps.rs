//! Lines of applications that are easily taken for something else.

use super::*;

const SECOND: u64 = 1_704_164_645_000_000_000;

/// `auto` keeps a line as text, with a time, a level and no attribute.
fn text(line: &str, time: u64, level: &str) {
    auto(line, time, level, line, &[]);
}

#[test]
fn a_level_where_syslog_has_host_or_tag_makes_no_syslog() {
    for (line, level) in [
        ("2024-01-02T03:04:05Z ERROR worker[3]: gone", "error"),
        ("2024-01-02T03:04:05Z error worker[3]: gone", "error"),
        ("2024-01-02T03:04:05Z ERROR: worker[3]: gone", "error"),
        ("2024-01-02T03:04:05Z shop WARN[3]: slow", "warn"),
        ("Jan  2 03:04:05 ERROR worker[3]: gone", "error"),
        ("Jan  2 03:04:05 [ERROR] worker[3]: gone", "error"),
        ("Jan  2 03:04:05 warning: disk: nearly full", "warn"),
        ("Jan  2 03:04:05 INFO shop.cart: added", "info"),
        ("Jan  2 03:04:05 shop ERROR: gone", "error"),
    ] {
        text(line, SECOND, level);
    }
}

#[test]
fn daemons_with_such_names_are_still_read() {
    let host = ("syslog.hostname", "log");
    auto(
        "Jan  2 03:04:05 log http[7]: ready",
        SECOND,
        "unknown",
        "ready",
        &[host, ("syslog.appname", "http"), ("syslog.procid", "7")],
    );
    // A priority makes it syslog's, whatever the names are.
    auto(
        "<11>Jan  2 03:04:05 web-1 error: gone",
        SECOND,
        "error",
        "gone",
        &[
            ("syslog.facility", "1"),
            ("syslog.hostname", "web-1"),
            ("syslog.appname", "error"),
        ],
    );
}

#[test]
fn a_day_without_a_year_is_a_time_in_text_too() {
    text("Jan  2 03:04:05.678 cannot open the door", TIME, "unknown");
    text("[Jan 02 03:04:05] FATAL out of paper", SECOND, "fatal");
    // The latest such day that is not in the future.
    text(
        "Dec 31 23:59:59 what a year",
        1_704_067_199_000_000_000,
        "unknown",
    );
    text("May be later", 0, "unknown");
    text("Jan 99 03:04:05 no such day", 0, "unknown");
}

#[test]
fn the_first_of_forwarded_addresses_is_the_client() {
    let request = "[02/Jan/2024:03:04:05 +0000] \"GET /a HTTP/1.1\" 200 512";
    let rest = [
        ("http.request.method", "GET"),
        ("url.path", "/a"),
        ("network.protocol.version", "1.1"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "512"),
    ];
    let (client, user) = (("client.address", "203.0.113.7"), ("user.name", "ann"));
    let host = ("server.address", "shop.example");
    for (who, first) in [
        ("203.0.113.7, 10.0.0.1 - -", vec![client]),
        ("203.0.113.7, 10.0.0.1, 10.0.0.2 - ann", vec![client, user]),
        ("203.0.113.7,10.0.0.1 - ann", vec![client, user]),
        ("203.0.113.7,10.0.0.1, 10.0.0.2 - -", vec![client]),
        (
            "shop.example 203.0.113.7, 10.0.0.1 - ann",
            vec![client, user, host],
        ),
        ("203.0.113.7 - ann,", vec![client, ("user.name", "ann,")]),
    ] {
        let line = format!("{who} {request}");
        let attributes: Vec<_> = first.into_iter().chain(rest).collect();
        auto(&line, SECOND, "info", &line, &attributes);
    }
    for who in ["203.0.113.7, - -", ", 10.0.0.1 - -", "a b c d e"] {
        let line = format!("{who} {request}");
        with_parsed("auto", &line, |parsed| {
            assert_eq!(parsed.attributes, [], "{line}")
        });
    }
}

#[test]
fn lines_of_nest() {
    for (rest, level) in [
        ("    LOG [NestFactory] Starting", "info"),
        ("  ERROR [Cart] gone", "error"),
        ("   WARN [Cart] slow", "warn"),
        ("VERBOSE [Cart] called +5ms", "trace"),
        ("  DEBUG [Cart] called", "debug"),
        ("  FATAL [Cart] gone", "fatal"),
    ] {
        text(
            &format!("[Nest] 71  - 01/02/2024, 3:04:05 AM {rest}"),
            SECOND,
            level,
        );
        text(
            &format!("[Nest] 7132  - 1/2/2024, 3:04:05\u{202f}AM {rest}"),
            SECOND,
            level,
        );
        // A date whose order nobody can know.
        text(
            &format!("[Nest] 71  - 02/01/2024, 03:04:05 {rest}"),
            0,
            level,
        );
        let coloured = format!(
            "\u{1b}[32m[Nest] 71  - \u{1b}[39m01/02/2024, 3:04:05 AM \u{1b}[32m{rest}\u{1b}[39m \u{1b}[38;5;3mmore"
        );
        text(&coloured, SECOND, level);
    }
    text("[Nest] is empty", 0, "unknown");
    text("2024-01-02T03:04:05Z LOGS are here", SECOND, "unknown");
}

#[test]
fn lines_of_logrus() {
    for (line, time, level) in [
        ("ERRO[0012] cannot open     path=/etc/x", 0, "error"),
        ("WARN[0000] slow", 0, "warn"),
        (
            "\u{1b}[36mINFO\u{1b}[0m[0000] ready   \u{1b}[36mport\u{1b}[0m=80",
            0,
            "info",
        ),
        ("\u{1b}[31mFATA\u{1b}[0m[0003] gone", 0, "fatal"),
        ("DEBU[0000] a", 0, "debug"),
        (
            "time=\"2024-01-02T03:04:05Z\" level=error msg=\"gone\" and words",
            SECOND,
            "error",
        ),
        (
            "time=2024-01-02T03:04:05.678Z level=warning msg=slow and words",
            TIME,
            "warn",
        ),
        ("time=soon level=info we said", 0, "info"),
    ] {
        text(line, time, level);
    }
    auto(
        "time=\"2024-01-02T03:04:05Z\" level=panic msg=\"a\\nb\" error=\"x: y\"",
        SECOND,
        "fatal",
        "a\nb",
        &[("error", "x: y")],
    );
}

#[test]
fn signs_of_next() {
    for (line, level) in [
        (" \u{2a2f} Error: no card", "error"),
        ("\u{2a2f} Failed to fetch font `Inter`.", "error"),
        (" \u{2a2f} ./app/page.tsx", "error"),
        (" \u{26a0} The config property is deprecated", "warn"),
        ("\u{26a0}\u{fe0f} careful", "warn"),
        (" \u{2713} Ready in 747ms", "info"),
        (
            " \u{1b}[32m\u{1b}[1m\u{2713}\u{1b}[22m\u{1b}[39m Ready in 747ms",
            "info",
        ),
        (" \u{25cb} Compiling /page ...", "unknown"),
        ("\u{2713}\u{2713}", "unknown"),
        ("we \u{2a2f} them", "unknown"),
    ] {
        text(line, 0, level);
    }
}

#[test]
fn levels_of_dotnets_console_behind_a_time() {
    for (line, time, level) in [
        ("03:04:05 fail: Shop.Cart[0]", 0, "error"),
        ("[03:04:05] crit: Shop.Cart[0]", 0, "fatal"),
        ("2024-01-02 03:04:05 warn: Shop.Cart[0]", SECOND, "warn"),
        (
            "2024-01-02T03:04:05.6780000+00:00 info: Shop.Cart[0]",
            TIME,
            "info",
        ),
        ("[2024-01-02 03:04:05] dbug: Shop.Cart[0]", SECOND, "debug"),
    ] {
        text(line, time, level);
    }
}

#[test]
fn the_name_of_an_exception_in_front_makes_an_error() {
    for (line, time, level) in [
        ("TypeError: x is not a function", 0, "error"),
        ("java.io.IOException: gone", 0, "error"),
        ("2024-01-02 03:04:05 ValueError: bad", SECOND, "error"),
        ("lastError: 5", 0, "unknown"),
        ("TypeError is what we got", 0, "unknown"),
        ("TypeErrors: 5", 0, "unknown"),
        ("INFO ValueError: ignored", 0, "info"),
    ] {
        text(line, time, level);
    }
}

#[test]
fn lines_of_apaches_error_log() {
    for (rest, number) in [
        (
            "[core:error] [pid 12:tid 34] [client 192.0.2.7:5] AH1: gone",
            17,
        ),
        ("[mpm_event:notice] [pid 12:tid 34] AH2: ready", 10),
        ("[ssl:warn] [pid 12] AH3: old", 13),
        ("[core:crit] [pid 12] AH4: full", 18),
        ("[:error] [pid 12] said by a script", 17),
        ("[a b:error] c", 0),
    ] {
        let line = format!("[Tue Jan 02 03:04:05.678000 2024] {rest}");
        with_parsed("auto", &line, |parsed| {
            assert_eq!(parsed.severity.number(), number, "{line}");
            assert_eq!(parsed.time_unix_nano, TIME, "{line}");
        });
    }
}
