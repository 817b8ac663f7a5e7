//! Records of several lines of single frameworks.

use super::*;

#[test]
fn rails_reports_the_exception_below_an_empty_line() {
    let head = "F, [2024-01-02T03:04:05.678901 #12] FATAL -- :";
    check(&[
        &format!(
            "{head} [req-1]   \n[req-1] NoMethodError (undefined method `x' for nil:NilClass):\n[req-1]   \n[req-1] app/controllers/y.rb:9:in `create'\n[req-1] app/x.rb:3:in `pay'"
        ),
        "[req-2] Started GET",
        &format!(
            "{head}   \nActiveRecord::RecordNotFound (gone):\n  \napp/controllers/y.rb:9:in `create'"
        ),
        "I, [2024-01-02T03:04:05.678901 #12]  INFO -- : Completed (in 5ms)",
        "NoMethodError (told without a reason):",
        "Started GET",
    ]);
}

#[test]
fn goroutines_below_a_fatal_line_of_klog_belong_to_it() {
    check(&[
        "I0102 03:04:05.678901       1 main.go:5] fine",
        "F0102 03:04:05.678901       1 main.go:9] giving up\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:9 +0x1b",
        "I0102 03:04:05.678901       1 main.go:5] fine",
    ]);
}

#[test]
fn exceptions_below_reports_of_serilog_and_spring() {
    check(&[
        "[03:04:05 ERR] it failed\nSystem.Exception: x\n   at A.B() in /src/A.cs:line 1",
        "[03:04:05 INF] fine",
        "2024-01-02T03:04:05.678Z ERROR 1 --- [shop] [exec-1] c.x.Handler : Unhandled, with root cause\n\norg.spring.DataException: no\n\tat org.spring.X.y(X.java:1) ~[spring.jar!/:6]",
        "2024-01-02T03:04:05.678Z  INFO 1 --- [main] c.x.App : Started",
    ]);
    assert_eq!(
        split("ERROR a\n\nb\n\nERROR c\n\n\nd\n", "auto"),
        ["ERROR a", "b", "ERROR c", "d"]
    );
}

#[test]
fn pino_pretty_writes_fields_below_the_message() {
    let error = "    err: {\n      \"type\": \"Error\",\n      \"stack\":\n          Error: boom\n              at f (/app/a.js:1:2)\n    }";
    check(&[
        &format!("[03:04:05.678] ERROR (12): it failed\n{error}"),
        "[03:04:05.678] INFO (12): fine\n    a: 1\n    user: {\n      \"id\": 5\n    }",
        "[03:04:05.678] \u{1b}[31mERROR\u{1b}[39m (12): \u{1b}[36mit failed\u{1b}[39m\n    \u{1b}[35merr\u{1b}[39m: {\n      \"type\": \"Error\"\n    }",
        "[2024-01-02 03:04:05.678 +0000] WARN (shop/12 on host): slow",
        "next",
    ]);
    check(&["[03:04:05.678] fine (really)", "    a: 1"]);
}

#[test]
fn loguru_spreads_its_tracebacks() {
    let plain = "2024-01-02 03:04:05.678 | ERROR    | m:<module>:31 - it failed\nTraceback (most recent call last):\n\n> File \"/py.py\", line 30, in <module>\n    try: b()\n         └ <function b>\n\n  File \"/py.py\", line 2, in b\n    raise ValueError(\"x\")\n\nValueError: x";
    let coloured = "\u{1b}[32m2024-01-02 03:04:05.678\u{1b}[0m | \u{1b}[31m\u{1b}[1mERROR   \u{1b}[0m | m - it failed\n\u{1b}[33m\u{1b}[1mTraceback (most recent call last):\u{1b}[0m\n\n> File \"\u{1b}[32m/py.py\u{1b}[0m\", line 30\n    \u{1b}[1mtry: b()\u{1b}[0m\n\n\u{1b}[31m\u{1b}[1mValueError\u{1b}[0m:\u{1b}[1m x\u{1b}[0m";
    check(&[plain, coloured, "next"]);
}

#[test]
fn tracings_pretty_form_is_one_record() {
    let records = [
        "  2024-01-02T03:04:05.678901Z ERROR app::pretty: it broke, code: 5\n    at src/main.rs:10 on main\n    in app::handler with id: 5",
        "  2024-01-02T03:04:05.678901Z  INFO app::pretty: fine\n    at src/main.rs:12",
    ];
    let text = format!("{}\n\n{}\n\n", records[0], records[1]);
    assert_eq!(split(&text, "auto"), records);
}

#[test]
fn rows_of_postgres_are_one_record() {
    let row = |text: &str| {
        format!(
            "2024-01-02 03:04:05.678 UTC,\"app\",\"shop\",52,,1.34,1,\"INSERT\",,,0,ERROR,23505,{text}"
        )
    };
    check(&[
        &row("m"),
        &row(
            "\"no \"\"x\"\"\",,,,,,\"INSERT INTO users (a,\n{\n2024-01-02 c,\n\n  b)\nVALUES [\n  1\n]\",,\"psql\"",
        ),
        &row("\"SELECT ARRAY[\n1]\""),
        "2024-01-02 03:04:05,678 INFO no row",
        &row("\"cut off"),
        &row("m"),
    ]);
}

#[test]
fn dotnet_console_records_behind_a_time() {
    let body = "      Adding failed\n      System.Exception: gone\n         at Shop.Cart.Add(Item i) in /src/Cart.cs:line 42";
    let coloured = "\u{1b}[41m\u{1b}[30mfail\u{1b}[39m\u{1b}[22m\u{1b}[49m: Shop.Cart[0]";
    check(&[
        &format!("03:04:05 fail: Shop.Cart[0]\n{body}"),
        "03:04:05 info: Shop.Cart[0]\n      Added",
        &format!("2024-01-02 03:04:05.678 fail: Shop.Cart[12]\n{body}"),
        &format!("[03:04:05] crit: Shop.Cart[0]\n{body}"),
        &format!(
            "2024-01-02T03:04:05.6780000+00:00 warn: Microsoft.AspNetCore.Server.Kestrel[22]\n{body}"
        ),
        &format!("{coloured}\n{body}"),
        "03:04:05 info: list of [1]",
        "      indented",
        "next",
    ]);
}

#[test]
fn values_of_several_lines_in_klog_belong_to_their_record() {
    let head = "E0102 03:04:05.678901       1 reflector.go:9] \"Failed to sync\"";
    check(&[
        "I0102 03:04:05.678901       1 main.go:5] fine",
        &format!("{head} err=<\n\tcannot list: 2 errors\n\t\n\t * gone\n >"),
        &format!("{head} err=<\n\tgone\n > pod=\"shop/web\" diff=<\n\t- a\n\t+ b\n > tries=3"),
        "I0102 03:04:05.678901       1 main.go:5] fine",
        &format!("{head} err=<"),
        "what else",
    ]);
    let line = format!("{head} err=<\n\tcannot list:\n\t * gone\n > tries=3\n");
    let mut lines = Lines::new(framing("auto"));
    lines.scan(line.as_bytes(), true, Instant::now());
    lines.close_all();
    let record = lines.pop().expect("a record");
    let read = lines.text(&record, line.as_bytes());
    let parsed = lines.parse(&record, &read.text, 1_704_200_000_000_000_000);
    assert_eq!(parsed.body.to_text(), "Failed to sync");
    let value = |key: &str| {
        let found = parsed.attributes.iter().find(|field| field.key == key);
        found.map(|field| field.value.to_text().into_owned())
    };
    assert_eq!(value("err").as_deref(), Some("cannot list:\n * gone"));
    assert_eq!(value("tries").as_deref(), Some("3"));
}

#[test]
fn two_lines_of_java_util_logging_are_one_record() {
    let head = "Jan 2, 2024 3:04:05 AM org.apache.catalina.core.StandardWrapperValve invoke";
    let (severe, info, fine) = (
        format!(
            "{head}\nSEVERE: Servlet threw\njava.lang.IllegalStateException: gone\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\t... 1 more"
        ),
        "Jan 12, 2024 3:04:05\u{202f}PM org.apache.catalina.startup.Catalina start\nINFO: Server startup in [123] milliseconds".to_owned(),
        "Jan 02, 2024 3:04:05 AM org.shop.Cart <init>\nCONFIG: rows = 5".to_owned(),
    );
    check(&[&severe, &info, &fine, "next"]);
    check(&[head, "what else", "Jan 2, 2024 is a day", "INFO: b"]);
    for (text, level) in [(&severe, 17), (&info, 9), (&fine, 7)] {
        let mut lines = Lines::new(framing("auto"));
        lines.scan(text.as_bytes(), true, Instant::now());
        lines.close_all();
        let record = lines.pop().expect("a record");
        let read = lines.text(&record, text.as_bytes());
        let parsed = lines.parse(&record, &read.text, 0);
        assert_eq!(parsed.severity.number(), level, "{text}");
        assert_ne!(parsed.time_unix_nano, 0, "{text}");
    }
}

#[test]
fn tomcat_indents_exceptions_by_tabs() {
    check(&[
        "02-Jan-2024 03:04:05.678 SEVERE [http-nio-8080-exec-1] org.apache.catalina.core.StandardWrapperValve.invoke Servlet threw\n\tjava.lang.IllegalStateException: gone\n\t\tat a.B.c(B.java:1)\n\tCaused by: java.io.IOException: x\n\t\tat a.B.d(B.java:2)\n\t\t... 1 more",
        "02-Jan-2024 03:04:05.678 INFO [main] org.apache.catalina.startup.Catalina.start Server startup in [123] milliseconds",
        "\tindented",
    ]);
}
