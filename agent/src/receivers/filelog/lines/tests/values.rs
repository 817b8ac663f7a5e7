//! Values that programs print over several lines.

use vervet_model::Severity;

use super::*;

#[test]
fn printed_values_are_one_record() {
    check(&[
        "{\n  id: 4711,\n  to: { city: 'Bremen' },\n  items: [\n    'a',\n    'b'\n  ]\n}",
        "order {\n  id: 1\n}",
        "Map(2) {\n  'a' => 1,\n  'b' => {\n    c: 2\n  }\n}",
        "Foo {\n  [Symbol(a)]: 1\n}",
        "<ref *1> Foo {\n  self: [Circular *1]\n}",
        "Promise {\n  <pending>\n}",
        "[\n    0,   7,  14,\n   84,  91,  98,\n  ... 20 more items\n]",
        "{\n  a: 1\n} [\n  'b'\n]",
        "  {\n    in: 'a group'\n  }",
        "{\n\ta: 1\n}",
        "2024-01-02T03:04:05Z INFO settings {\n  a: 1\n}",
        "{\n  \"a\": 1,\n  \"b\": {\"c\": 2}\n}",
        "[\n    {\n        \"a\": 1\n    }\n]",
        "Config {\n    path: \"x\",\n}",
        "a line of its own",
    ]);
}

#[test]
fn printed_errors_are_one_record() {
    check(&[
        "[Error: boom] {\n  code: 'X',\n  [cause]: Error: inner\n      at deep (/app/a.js:5:6)\n}",
        "Error: boom\n    at f (/app/a.js:1:2) {\n  code: 'E',\n  errno: -2\n}",
        "AggregateError: all\n    at f (/app/a.js:1:2) {\n  [errors]: [\n    Error: a\n        at g (/app/a.js:3:4),\n    Error: b\n        at g (/app/a.js:3:4) {\n      code: 'E'\n    }\n  ]\n}",
        "[AggregateError: all] {\n  [errors]: [\n    [Error: a],\n    [Error: b]\n  ]\n}",
        "{\n  order: 1\n} Error: boom\n    at f (/app/a.js:1:2)",
        "GET /health 200",
    ]);
}

#[test]
fn lines_of_others_end_a_value() {
    check(&["we begin {", "and go on", "["]);
    check(&["we begin {", "  and this is prose of others", "done"]);
    check(&["{", "}", "{", "next"]);
    check(&["{\n  a: 1,", "GET /health 200", "  b: 2", "}"]);
    check(&["{\n  a: 1,", "{\"level\":30}", "  b: 2"]);
    check(&["{\n  a: 1,", "2024-01-02T03:04:05Z INFO x", "  b: 2"]);
    // A bracket of another kind, or in another column, does not close it.
    check(&["{\n  a: 1", "]"]);
    check(&["  {\n    a: 1", "}"]);
    // What follows the bracket is a record of its own, indented or not.
    check(&["{\n  a: 1\n}", "  indented", "} else {"]);
    // Next.js indents all its lines by one.
    check(&[" ready {", " - local: x"]);
}

#[test]
fn a_message_that_ends_in_a_bracket_keeps_its_trace() {
    check(&[
        "SyntaxError: Unexpected token {\n    at JSON.parse (<anonymous>)\n    at f (/app/a.js:1:2)",
        "GET /health 200",
        "java.text.ParseException: expected [\n\tat a.B.c(B.java:1)\nCaused by: a.D: expected {\n\tat a.B.d(B.java:2)",
        "2024-01-02 03:04:05.678 ERROR a.B : cannot read {\na.JsonException: cut off\n\tat a.B.c(B.java:1)",
        "ERROR:root:cannot read {\nTraceback (most recent call last):\n  File \"/b.py\", line 9, in f\n    g()\nKeyError: 'x'",
        "System.FormatException: found [\n ---> System.Exception: inner\n   at Shop.Cart.Find() in /src/Cart.cs:line 7",
        "2024-01-02 03:04:05.678 UTC [12] STATEMENT:  SELECT ARRAY[\n\t1, 2]\n\tFROM x",
        "2024-01-02 03:04:05.678 UTC [12] LOG:  fine",
        "Error: cannot read {\n\nCaused by:\n    0: cut off",
        "Error: told with {\n  code: 'X'\n}",
        "2024/01/02 03:04:05 http: panic serving 127.0.0.1:1: [\ngoroutine 34 [running]:\nnet/http.(*conn).serve.func1()\n\t/go/server.go:1 +0xb0",
        "last",
    ]);
}

/// The records that a scan leaves open are not handed out.
fn ready(lines: &mut Lines, text: &str, now: Instant) -> Vec<String> {
    lines.scan(text.as_bytes(), false, now);
    lines.expire(now);
    records_of(lines, text)
}

#[test]
fn a_closed_value_does_not_wait() {
    let now = Instant::now();
    let text = "{\n  a: 1\n}\n";
    let mut lines = Lines::new(framing("auto"));
    assert_eq!(ready(&mut lines, text, now), ["{\n  a: 1\n}"]);
}

#[test]
fn a_value_that_is_never_closed_ends_by_time_and_by_limits() {
    let now = Instant::now();
    let mut lines = Lines::new(framing("auto"));
    assert!(ready(&mut lines, "{\n", now).is_empty());
    let soon = now + LINE_WAIT + Duration::from_millis(1);
    assert_eq!(ready(&mut lines, "{\n", soon), ["{"]);
    let mut lines = Lines::new(framing("auto"));
    let text = "{\n  a: 1,\n";
    assert!(ready(&mut lines, text, now).is_empty());
    let late = now + TRACE_WAIT + Duration::from_millis(1);
    assert_eq!(ready(&mut lines, text, late), ["{\n  a: 1,"]);
    let entries: Vec<String> = (0..5).map(|index| format!("  a{index}: 1,\n")).collect();
    let records = split(&format!("{{\n{}", entries.concat()), "{max_lines: 3}");
    assert_eq!(
        records,
        ["{\n  a0: 1,\n  a1: 1,", "  a2: 1,", "  a3: 1,", "  a4: 1,"]
    );
}

#[test]
fn only_errors_among_values_are_failures() {
    for (text, expected) in [
        ("[TypeError: boom] {\n  code: 'X'\n}", Severity::ERROR),
        ("{\n  code: 'X'\n}", Severity::UNSPECIFIED),
        ("Map(1) {\n  'a' => 1\n}", Severity::UNSPECIFIED),
    ] {
        let mut lines = Lines::new(framing("auto"));
        lines.scan(text.as_bytes(), true, Instant::now());
        lines.close_all();
        let record = lines.pop().expect("a record");
        let read = lines.text(&record, text.as_bytes());
        let parsed = lines.parse(&record, &read.text, 0);
        assert_eq!(parsed.severity, expected, "{text}");
        assert_eq!(parsed.body.to_text(), text);
    }
}

#[test]
fn indented_json_has_its_fields() {
    let text = "{\n  \"level\": \"warn\",\n  \"msg\": \"slow\",\n  \"ms\": 12\n}";
    for format in ["auto", "json"] {
        let mut lines = Lines::new(framing_of(&format!("format: {format}")));
        lines.scan(text.as_bytes(), true, Instant::now());
        lines.close_all();
        let record = lines.pop().expect("a record");
        let read = lines.text(&record, text.as_bytes());
        let parsed = lines.parse(&record, &read.text, 0);
        assert_eq!((parsed.failed, parsed.severity), (None, Severity::WARN));
        assert_eq!(parsed.body.to_text(), "slow");
    }
}
