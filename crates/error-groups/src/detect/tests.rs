use proptest::prelude::*;

use super::*;

#[test]
fn finds_a_stack_behind_log_text() {
    let body = "2026-01-02 ERROR Error handling request: TypeError: x is not a function\n    \
                at handler (/app/src/a.js:1:2)\n    at node:internal/x:3:4\n";
    let found = detect_in_log_body(body).expect("a stack");
    assert_eq!(found.prefix, "2026-01-02 ERROR Error handling request:");
    assert!(found.stacktrace.starts_with("TypeError: x is not"));
    assert_eq!(found.stack.exception_type, "TypeError");
    assert_eq!(found.stack.message, "x is not a function");
}

#[test]
fn finds_a_python_traceback_behind_a_logger_line() {
    let body = "ERROR:shop:Exception on /orders [GET]\nTraceback (most recent call last):\n  \
                File \"/app/shop/views.py\", line 3, in order\n    raise ValueError(1)\nValueError: 1";
    let found = detect_in_log_body(body).expect("a stack");
    assert_eq!(found.prefix, "ERROR:shop:Exception on /orders [GET]");
    assert_eq!(found.stack.exception_type, "ValueError");
}

#[test]
fn finds_what_every_language_prints() {
    for body in [
        "at f (/app/src/a.js:1:2)\nat g (/app/src/a.js:1:2)",
        "x Traceback (most recent call last):\n  File \"/app/a.py\", line 1, in f\nE: x",
        "boom java.lang.IllegalStateException: x\n\tat com.shop.A.b(A.java:1)",
        "panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:3 +0x1d",
        "2024\tERROR\ta/b.go:3\tboom\nmain.f\n\t/app/a/b.go:3",
        "x\nSystem.Exception: x\n   at A.B.C(D d) in /src/A.cs:line 4",
        "PHP Fatal error:  Uncaught E: x in /a.php:3\nStack trace:\n#0 /b.php(4): f()\n#1 {main}",
        "ERROR -- : x (RuntimeError)\n/app/a.rb:3:in 'f'\n/app/b.rb:3:in 'g'",
        "log: thread 'main' panicked at src/a.rs:1:2:\nno stock",
    ] {
        assert!(detect_in_log_body(body).is_some(), "{body:?}");
    }
}

#[test]
fn ordinary_texts_have_no_stack() {
    for body in [
        "",
        "GET /orders 200 12ms",
        "Error: looks like one at /app/src/a.js:1:2",
        "two lines\nof text that end at noon",
        "a list\n  at home\n  at work",
        "{\n  \"at\": 1\n}",
    ] {
        assert_eq!(detect_in_log_body(body), None, "{body:?}");
    }
}

#[test]
fn hostile_repetition_is_linear() {
    // 64 KiB each: a quadratic search would need minutes.
    for piece in [
        "at ",
        "\n at ",
        "goroutine ",
        "\n#0 /a.php(1): f",
        "\n#0 ",
        "a.rb:1:in 'b'\n",
        " ---> ",
        "\nat A.B(C d) in x:line 1",
        "A.b\n\t/c.go:1\n",
        ".go:1\n",
        "goroutine 1 [",
        "Traceback (most recent call last):",
        "a.",
        "Error ",
    ] {
        let body = format!("x\n{}", piece.repeat(64 * 1024 / piece.len()));
        let _ = detect_in_log_body(&body);
    }
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(body in "(?s).{0,40}\n *(at |Traceback \\(most recent call last\\):\n)?.{0,80}") {
        let _ = detect_in_log_body(&body);
    }
}
