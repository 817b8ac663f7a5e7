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
