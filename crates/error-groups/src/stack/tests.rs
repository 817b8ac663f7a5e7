mod more;

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> ParsedStack {
    parse_stack(text).expect("a stack")
}

/// `in-app? module function` of each frame.
fn frames(stack: &[Frame]) -> Vec<String> {
    let mark = |frame: &Frame| if frame.in_app { "app" } else { "lib" };
    stack
        .iter()
        .map(|f| format!("{} {} {}", mark(f), f.module, f.function))
        .collect()
}

#[test]
fn node_commonjs_with_code_and_express() {
    let stack = parsed(
        "TypeError [ERR_INVALID_ARG_TYPE]: The \"path\" argument must be of type string\n    \
         at new NodeError (node:internal/errors:405:5)\n    \
         at Object.<anonymous> (/usr/src/app/dist/files.js:10:3)\n    \
         at Orders.load [as read] (/usr/src/app/dist/orders.js:42:17)\n    \
         at Layer.handle [as handle_request] (/usr/src/app/node_modules/express/lib/router/layer.js:95:5)\n    \
         at async Promise.all (index 0)\n    \
         at async /usr/src/app/dist/server.js:7:1",
    );
    assert_eq!(stack.exception_type, "TypeError");
    assert_eq!(
        stack.message,
        "The \"path\" argument must be of type string"
    );
    assert_eq!(
        frames(&stack.frames),
        [
            "lib node:internal/errors new NodeError",
            "app dist/files.js ",
            "app dist/orders.js Orders.load",
            "lib express/lib/router/layer.js Layer.handle",
            "lib index 0 Promise.all",
            "app dist/server.js ",
        ]
    );
    assert_eq!((stack.frames[2].line, stack.frames[2].column), (42, 17));
}

#[test]
fn node_cause_chain_as_inspect_prints_it() {
    let stack = parsed(
        "Error: order failed\n    at placeOrder (file:///app/src/orders.mjs:8:9) {\n  \
         [cause]: ConnectError: connect ECONNREFUSED 10.0.0.3:5432\n      \
         at connect (file:///app/src/db.mjs:3:11)\n      \
         ... 2 lines matching cause stack trace ...\n    code: 'ECONNREFUSED'\n  }\n}",
    );
    assert_eq!(stack.exception_type, "Error");
    assert_eq!(frames(&stack.frames), ["app src/orders.mjs placeOrder"]);
    assert_eq!(stack.causes.len(), 1);
    assert_eq!(stack.causes[0].exception_type, "ConnectError");
    assert_eq!(frames(&stack.causes[0].frames), ["app src/db.mjs connect"]);
}

#[test]
fn node_uncaught_prints_source_before_the_error() {
    let stack = parsed(
        "/app/server.js:12\n    throw new RangeError(\"boom\");\n    ^\n\n\
         RangeError: boom\nsecond line\n    at start (/app/server.js:12:11)\n\nNode.js v22.3.0",
    );
    assert_eq!(stack.exception_type, "RangeError");
    assert_eq!(stack.message, "boom\nsecond line");
    assert_eq!(frames(&stack.frames), ["app server.js start"]);
}

#[test]
fn eval_frames_name_the_file_that_called_eval() {
    let stack = parsed(
        "Error: x\n    at eval (eval at run (/app/src/rules.js:5:3), <anonymous>:1:7)\n    \
         at run (/app/src/rules.js:5:3)",
    );
    assert_eq!(
        frames(&stack.frames),
        ["app src/rules.js ", "app src/rules.js run"]
    );
}

#[test]
fn next_paths_lose_layer_host_and_build_hash() {
    let modules: Vec<String> = parsed(
        "Error: x\n    at Page (webpack-internal:///(rsc)/./src/app/orders/page.tsx:9:3)\n    \
         at a (/app/.next/server/chunks/4821.js:1:200)\n    \
         at i (https://shop.example/_next/static/chunks/app/page-3f2a91b0c4d5.js?v=2:1:99)\n    \
         at r (/srv/x/.next/server/chunks/ssr/[root-of-the-server]__a1b2c3._.js:1:2)\n    \
         at t (webpack-internal:///(ssr)/./node_modules/next/dist/server/app-render.js:4:5)",
    )
    .frames
    .into_iter()
    .map(|frame| frame.module)
    .collect();
    assert_eq!(
        modules,
        [
            "app/orders/page.tsx",
            ".next/server/chunks/chunk.js",
            "_next/static/chunks/app/page.js",
            ".next/server/chunks/ssr/[root-of-the-server].js",
            "next/dist/server/app-render.js",
        ]
    );
}

#[test]
fn path_tails_do_not_depend_on_the_prefix() {
    for (path, tail) in [
        ("/app/src/routes/orders.ts", "src/routes/orders.ts"),
        (
            "/home/dev/code/shop/src/routes/orders.ts",
            "src/routes/orders.ts",
        ),
        (
            "C:\\code\\shop\\src\\routes\\orders.ts",
            "src/routes/orders.ts",
        ),
        ("/usr/src/app/server.js", "server.js"),
        ("/app/server.js", "server.js"),
        ("/app/routes/orders.js", "routes/orders.js"),
        ("/home/dev/shop/routes/orders.js", "routes/orders.js"),
        ("", ""),
    ] {
        assert_eq!(paths::project_tail(&paths::clean(path)), tail, "{path}");
    }
}

#[test]
fn python_chain_reports_the_last_exception_first() {
    let stack = parsed(
        "Traceback (most recent call last):\n  \
         File \"/app/shop/db.py\", line 10, in fetch\n    return rows[0]\n           ~~~~^^^\n\
         IndexError: list index out of range\n\n\
         The above exception was the direct cause of the following exception:\n\n\
         Traceback (most recent call last):\n  \
         File \"/usr/local/lib/python3.12/site-packages/flask/app.py\", line 880, in dispatch\n    \
         return self.view()\n  \
         File \"/app/shop/views.py\", line 33, in order\n    raise OrderMissing(order_id) from e\n\
         shop.errors.OrderMissing: 8812",
    );
    assert_eq!(stack.exception_type, "shop.errors.OrderMissing");
    assert_eq!(stack.message, "8812");
    assert_eq!(
        frames(&stack.frames),
        ["app shop/views.py order", "lib flask/app.py dispatch"]
    );
    assert_eq!(stack.causes.len(), 1);
    assert_eq!(stack.causes[0].exception_type, "IndexError");
    assert_eq!(frames(&stack.causes[0].frames), ["app shop/db.py fetch"]);
}

#[test]
fn python_exception_group_lists_its_members_as_causes() {
    let stack = parsed(
        "  + Exception Group Traceback (most recent call last):\n  \
         |   File \"/srv/jobs/run.py\", line 5, in main\n  |     await work()\n  \
         | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)\n  \
         +-+---------------- 1 ----------------\n    \
         | Traceback (most recent call last):\n    \
         |   File \"/srv/jobs/run.py\", line 9, in one\n    |     raise ValueError(1)\n    \
         | ValueError: 1\n    \
         +---------------- 2 ----------------\n    \
         | Traceback (most recent call last):\n    \
         |   File \"/srv/jobs/run.py\", line 12, in two\n    |     raise KeyError('a')\n    \
         | KeyError: 'a'\n    +------------------------------------",
    );
    assert_eq!(stack.exception_type, "ExceptionGroup");
    assert_eq!(
        stack.message,
        "unhandled errors in a TaskGroup (2 sub-exceptions)"
    );
    let causes: Vec<&str> = stack
        .causes
        .iter()
        .map(|c| c.exception_type.as_str())
        .collect();
    assert_eq!(causes, ["ValueError", "KeyError"]);
    assert_eq!(stack.causes[1].message, "'a'");
}

#[test]
fn java_with_cause_and_generated_names() {
    let stack = parsed(
        "Exception in thread \"main\" com.shop.OrderException: no stock\n\
         \tat com.shop.Orders.lambda$place$3(Orders.java:41)\n\
         \tat com.shop.Orders$$Lambda$14/0x000000080.run(Unknown Source)\n\
         \tat java.base/java.lang.Thread.run(Thread.java:833)\n\
         Caused by: java.sql.SQLException: closed\n\tat com.shop.Db.get(Db.java:7)\n\t... 12 more",
    );
    assert_eq!(stack.language, Language::Java);
    assert_eq!(stack.exception_type, "com.shop.OrderException");
    assert_eq!(
        frames(&stack.frames),
        [
            "app com.shop.Orders lambda$place",
            "app com.shop.Orders run",
            "lib java.lang.Thread run",
        ]
    );
    assert_eq!(stack.causes[0].exception_type, "java.sql.SQLException");
}

#[test]
fn java_frames_with_the_archives_they_come_from() {
    let stack = parsed(
        "java.lang.IllegalStateException: no stock\n\
         \tat com.shop.Orders.place(Orders.java:41) ~[classes/:na]\n\
         \tat org.springframework.web.Servlet.service(Servlet.java:5) ~[spring-web-6.1.jar!/:6.1]\n\
         \tat java.base/java.lang.Thread.run(Thread.java:833) [na:na]\n\
         Caused by: java.sql.SQLException: closed\n\tat com.shop.Db.get(Db.java:7) [app.jar!/:1.0]\n\t... 12 more",
    );
    assert_eq!(stack.language, Language::Java);
    assert_eq!(
        frames(&stack.frames),
        [
            "app com.shop.Orders place",
            "lib org.springframework.web.Servlet service",
            "lib java.lang.Thread run",
        ]
    );
    assert_eq!(frames(&stack.causes[0].frames), ["app com.shop.Db get"]);
}

#[test]
fn go_stacks_as_zap_writes_them() {
    let pairs = "github.com/acme/shop/orders.(*Store).Get\n\t/app/orders/store.go:42\n\
                 net/http.HandlerFunc.ServeHTTP\n\t/usr/local/go/src/net/http/server.go:2166\n\
                 main.main.func1\n\t/app/main.go:7";
    let expected = [
        "app github.com/acme/shop/orders (*Store).Get",
        "lib net/http HandlerFunc.ServeHTTP",
        "app main main.func1",
    ];
    let field = parsed(pairs);
    assert_eq!((field.language, field.message.as_str()), (Language::Go, ""));
    assert_eq!(frames(&field.frames), expected);
    let console = parsed(&format!(
        "2024-01-02T03:04:05.678Z\tERROR\torders/store.go:42\tno stock\t{{\"id\": 5}}\n{pairs}\n"
    ));
    assert_eq!(console.message, "no stock");
    assert_eq!(frames(&console.frames), expected);
}

#[test]
fn go_panic_starts_behind_the_call_of_panic() {
    let stack = parsed(
        "panic: runtime error: index out of range [5] with length 3\n\n\
         goroutine 18 [running]:\npanic({0x1234?, 0xc000?})\n\t/usr/local/go/src/runtime/panic.go:770 +0x132\n\
         github.com/acme/shop/orders.(*Store).Get(0xc0000b2000, 0x5)\n\t/app/orders/store.go:42 +0x1d\n\
         net/http.HandlerFunc.ServeHTTP(0xc0)\n\t/usr/local/go/src/net/http/server.go:2166 +0x29\n\
         created by net/http.(*Server).Serve in goroutine 1\n\t/usr/local/go/src/net/http/server.go:3285 +0x4b4\n",
    );
    assert_eq!(stack.exception_type, "panic");
    assert_eq!(
        stack.message,
        "runtime error: index out of range [5] with length 3"
    );
    assert_eq!(
        frames(&stack.frames),
        [
            "app github.com/acme/shop/orders (*Store).Get",
            "lib net/http HandlerFunc.ServeHTTP",
            "lib net/http (*Server).Serve",
        ]
    );
}

#[test]
fn rust_panic_with_and_without_backtrace() {
    let stack = parsed(
        "thread 'main' panicked at src/orders.rs:4:5:\nno stock\nstack backtrace:\n   \
         0: rust_begin_unwind\n             at /rustc/9fc6/library/std/src/panicking.rs:665:5\n   \
         1: core::panicking::panic_fmt\n             at /rustc/9fc6/library/core/src/panicking.rs:74:14\n   \
         2: shop::orders::place::h0123456789abcdef\n             at ./src/orders.rs:4:5\n",
    );
    assert_eq!(stack.message, "no stock");
    assert_eq!(
        frames(&stack.frames).last().expect("frame"),
        "app shop::orders place"
    );
    let bare = parsed("thread 'worker' panicked at src/orders.rs:4:5:\nno stock\nnote: run with");
    assert_eq!(frames(&bare.frames), ["app src/orders.rs "]);
}

#[test]
fn text_without_frames_is_no_stack() {
    for text in [
        "",
        "TypeError: x",
        "look at the logs\nat noon",
        "Traceback (most recent call last):\n",
        "goroutine 1 [running]:\n",
        "    at somewhere nice\n    at (x)",
        "the job starts\n at 12:30:45\n at noon (12:30:45)\n at 10.0.0.3:80:1",
        "see\n  at config.load(x)",
        "main.main\n\tin main.go:10",
        "a b.c\n\t/app/main.go:10",
    ] {
        assert_eq!(parse_stack(text), None, "{text:?}");
    }
}

#[test]
fn long_stacks_keep_both_ends() {
    let mut text = "RangeError: Maximum call stack size exceeded\n".to_owned();
    for index in 0..1_000 {
        text.push_str(&format!(
            "    at f{index} (/app/src/a.js:{}:1)\n",
            index + 1
        ));
    }
    let stack = parsed(&text);
    assert_eq!(stack.frames.len(), FRAMES_MAX);
    assert_eq!(stack.frames[0].function, "f0");
    assert_eq!(stack.frames[FRAMES_MAX - 1].function, "f999");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = parse_stack(&text);
    }

    /// Pieces of real stacks in any order reach every parser.
    #[test]
    fn shuffled_pieces_never_panic(pieces in proptest::collection::vec(
        prop_oneof![
            Just("    at f (/a/b.js:1:2)\n"), Just("at ("), Just("at async x (eval at "), Just(" {\n"),
            Just("  [cause]: "), Just("Error: x\n"), Just("Traceback (most recent call last):\n"),
            Just("  File \"/a/b.py\", line 3, in f\n"), Just("  | "), Just("+-+---- 1 ----\n"),
            Just("goroutine 1 [running]:\n"), Just("main.f(0x1)\n\t/a/b.go:3 +0x1\n"), Just("panic: "),
            Just("\tat a.B.c(D.java:1)\n"), Just(" ~[a:b]"), Just("main.f\n\t/a/b.go:3\n"), Just("Caused by: "), Just("thread 'a' panicked at "),
            Just("s.rs:1:2:\n"), Just("'m', s.rs:1:2\n"), Just("  0: a::b::h0\n"), Just("é\u{2028}"), Just("\r\n"),
        ], 0..40,
    )) {
        let text = pieces.concat();
        if let Some((start, stack)) = parse_with_start(&text, None) {
            prop_assert!(text.is_char_boundary(start));
            prop_assert!(!stack.frames.is_empty());
        }
    }
}
