//! Errors whose message has several lines, and errors that are printed without a stack.

use vervet_model::Severity;

use super::*;

/// The severity numbers of the records of `text`.
fn severities(text: &str) -> Vec<i32> {
    let mut lines = Lines::new(framing("auto"));
    lines.scan(text.as_bytes(), true, Instant::now());
    lines.close_all();
    let mut numbers = Vec::new();
    while let Some(record) = lines.pop() {
        let read = lines.text(&record, text.as_bytes());
        numbers.push(lines.parse(&record, &read.text, 0).severity.number());
    }
    numbers
}

#[test]
fn a_stack_below_a_message_of_several_lines_is_joined_to_all_of_it() {
    check(&[
        "listening",
        "Error: line one\nline two\n    at f (/app/a.js:1:2)\n    at g (/app/a.js:3:4)",
        "PrismaClientKnownRequestError:\nInvalid `prisma.user.findUnique()` invocation:\n\n\nAn operation failed\n    at Ln.request (/app/a.js:1:2) {\n  code: 'P2025'\n}",
        "failed: Error: query failed:\n  SELECT *\n  FROM x\n    at f (/app/a.js:1:2)",
        "PrismaClientValidationError:\nInvalid `prisma.user.create()` invocation in\n/app/a.ts:12:5\n\n  10 async function main() {\n→ 12   await prisma.user.create({\nUnknown argument\n    at f (/app/a.js:1:2)",
        "ZodError: [\n  {\n    \"code\": \"invalid_type\",\n    \"path\": [\n      \"a\"\n    ]\n  }\n]\n    at f (/app/a.js:1:2)",
        "Error [ZodError]: [\n  {\n    \"code\": \"invalid_type\"\n  }\n]\n    at f (/app/a.js:1:2)",
        "/app/server.js:10\n        throw new Error('a\\nb');\n        ^\n\nError: a\nb\n    at f (/app/server.js:10:15)\n\nNode.js v22.1.0",
        "2024-01-02T03:04:05Z [error]: Error: line one\nline two\n    at f (/app/a.js:1:2)",
        "Unhandled exception. System.InvalidOperationException: line one\nline two\n   at Shop.Cart.Add(Item i) in /src/Cart.cs:line 42",
        "2024-01-02 03:04:05.678 ERROR c.e.App : failed\njava.lang.IllegalStateException: line one\nline two\n\tat c.e.App.run(App.java:10)",
        "Error: cannot start\non the port\n\nCaused by:\n    0: in use",
        "last",
    ]);
}

#[test]
fn lines_below_an_error_without_a_stack_are_records_of_their_own() {
    check(&["Error: no file", "ok", "  indented", "done"]);
    check(&[
        "failed: Error: no file",
        "ok",
        "2024-01-02T03:04:05Z x",
        "done",
    ]);
    check(&["failed: Error: no file", "[api] ok"]);
    check(&[
        "failed: Error: a",
        "INFO b",
        "failed: Error: c",
        "info: d",
        "failed: Error: e",
    ]);
    check(&[
        "Error: a",
        "b",
        "ERROR c\njava.lang.Exception: d\n\tat a.B.c(B.java:1)",
        "e",
    ]);
    check(&[
        "Error: a",
        "b",
        "TypeError: c\nd\n    at f (/app/a.js:1:2)",
        "e",
    ]);
    check(&["Error: a", "b", "order {\n  id: 1\n}", "c"]);
    check(&["Error: a", "b", "{\"level\":30}", "c"]);
    check(&[
        "failed: Error: a",
        "failed: Error: b",
        "failed: Error: c",
        "    indented",
    ]);
    assert_eq!(
        split("Error: a\nb\n\n\nc\n", "auto"),
        ["Error: a", "b", "c"],
        "blank lines are no records"
    );
    // A message has an end.
    let many = "another line\n".repeat(40);
    let records = split(
        &format!("Error: a\n{many}    at f (/app/a.js:1:2)\n"),
        "auto",
    );
    assert_eq!(records.len(), 41, "the frame goes on with the last line");
}

#[test]
fn errors_without_frames_stay_apart_from_each_other() {
    check(&["ERROR cannot load", "TypeError: x is not a function"]);
    check(&[
        "2024-01-02 03:04:05 ERROR TypeError: a",
        "TypeError: b",
        "RangeError: c",
        "2024-01-02 03:04:06 INFO fine",
    ]);
    // Frames tell that the error belongs to the report above it, and so does a package.
    check(&[
        "[ERROR] it failed\nTypeError: b\n    at f (/app/a.js:1:2)",
        "[ERROR] it failed\nTypeError: b\nin two lines\n    at f (/app/a.js:1:2)",
        "ERROR it failed\njava.io.IOException: gone",
        "next",
    ]);
}

#[test]
fn lines_that_were_waited_with_keep_their_order_among_streams() {
    let line = |stream: &str, text: &str| format!("2024-01-02T03:04:05Z {stream} F {text}\n");
    let texts = [
        ("stderr", "Error: a"),
        ("stdout", "order {"),
        ("stderr", "b"),
        ("stdout", "  id: 1"),
        ("stderr", "c"),
        ("stdout", "}"),
        ("stdout", "next"),
        ("stderr", "2024-01-02T03:04:05Z d"),
    ];
    let text: String = texts
        .iter()
        .map(|(stream, text)| line(stream, text))
        .collect();
    assert_eq!(
        split(&text, "auto"),
        [
            "Error: a",
            "order {\n  id: 1\n}",
            "b",
            "c",
            "next",
            "2024-01-02T03:04:05Z d"
        ]
    );
}

#[test]
fn lines_that_were_waited_with_come_out_when_nothing_follows() {
    let text = "failed: Error: a\nb\n";
    let (mut lines, start) = (Lines::new(framing("auto")), Instant::now());
    lines.scan(text.as_bytes(), false, start);
    assert_eq!(lines.ready(), (0, 0), "a stack may follow");
    lines.expire(start + LINE_WAIT + Duration::from_millis(1));
    assert_eq!(lines.ready(), (2, text.len()));
    assert_eq!(records_of(&mut lines, text), ["failed: Error: a", "b"]);
    // A buffer that moves on in the meantime.
    let (before, after) = ("x\n", "failed: Error: a\nb\n");
    let mut lines = Lines::new(framing("auto"));
    lines.scan([before, after].concat().as_bytes(), false, start);
    let (count, end) = lines.ready();
    assert_eq!((count, end), (1, before.len()));
    lines.pop();
    lines.shift(end);
    let rest = format!("{after}    at f (/app/a.js:1:2)\n");
    lines.scan(rest.as_bytes(), false, start);
    lines.close_all();
    let whole = "failed: Error: a\nb\n    at f (/app/a.js:1:2)";
    assert_eq!(records_of(&mut lines, &rest), [whole]);
}

#[test]
fn limits_hold_with_lines_that_are_waited_with() {
    let text = "Error: a\nb\nc\nd\n    at f (/app/a.js:1:2)\n";
    let records = split(text, "{max_lines: 3}");
    assert_eq!(
        records,
        ["Error: a", "b", "c", "d\n    at f (/app/a.js:1:2)"]
    );
}

#[test]
fn printed_errors_without_a_stack_are_one_record_with_severity_error() {
    let fields = "{\n  errno: -2,\n  code: 'ENOENT'\n}";
    let error = "[Error: ENOENT: no such file or directory, open '/nope']";
    for text in [
        format!(" \u{2a2f} {error} {fields}"),
        format!("[api] {error} {fields}"),
        format!("Error reading config: {error} {fields}"),
        format!("{error} {fields}"),
    ] {
        check(&[&text, "next"]);
        let number = Severity::ERROR.number();
        assert_eq!(severities(&text), [number], "{text}");
    }
    // Not an error, though it is called so.
    assert_eq!(severities("last errors: {\n  a: 1\n}"), [0]);
    assert_eq!(severities("lastError: 5\nmyError {\n  a: 1\n}"), [0, 0]);
}

#[test]
fn a_bundlers_source_belongs_to_its_error() {
    check(&[
        " \u{2a2f} ReferenceError: foo is not defined\n    at Page (app/page.tsx:5:3)\n  3 | export default function Page() {\n  4 |   const x = 1;\n> 5 |   foo();\n    |   ^\n  6 |   return <div/>;\n  7 | } {\n  digest: '1234567890'\n}",
        " GET /dashboard 500 in 35ms",
        "Error:   x Expected ',', got 'string literal'\n   ,-[/app/app/broken.tsx:3:1]\n 1 | export function P() {\n   :                 ^^^\n   `----\n\nCaused by:\n    Syntax Error",
        " \u{2a2f} Failed to fetch font `Inter`.",
    ]);
}

#[test]
fn what_console_trace_prints_is_not_at_the_lowest_level() {
    let text = "Trace: here\n    at f (/app/a.js:1:2)\n";
    assert_eq!(severities(text), [Severity::ERROR.number()]);
}

#[test]
fn pydantic_tells_of_each_field() {
    check(&[
        "Traceback (most recent call last):\n  File \"/a.py\", line 1, in <module>\n    f()\npydantic_core._pydantic_core.ValidationError: 2 validation errors for Order\nname\n  Field required [type=missing]\n    For further information visit https://errors.pydantic.dev/\nitems.0.price\n  Input should be a valid number",
        "started",
        "Traceback (most recent call last):\n  File \"/a.py\", line 1, in <module>\n    f()\nValueError: x",
        "name",
    ]);
}

proptest! {
    #[test]
    fn lines_that_are_waited_with_are_never_lost(
        lines in prop::collection::vec("(2024-01-02T03:04:05Z (stdout|stderr) [PF] )?(    at x|failed: Error: x|Error: y|ERROR z|java.lang.Exception: a|F, \\[1 FATAL -- :|\\[t\\] X (a)|name|Caused by:|  b|[a-z]{0,3})", 0..16),
        cuts in prop::collection::vec(0_usize..400, 0..6),
    ) {
        let text = lines.join("\n");
        let whole = split(&text, "auto");
        let (records, base) = split_apart(&text, cuts);
        prop_assert_eq!(base, text.len());
        prop_assert_eq!(records, whole);
    }
}
