use proptest::prelude::*;
use vervet_model::UnixNanos;

use super::*;
use crate::occurrence::OccurrenceSource;
use crate::stack::parse_stack;

fn occurrence(exception_type: &str, message: &str, stacktrace: &str) -> Occurrence {
    Occurrence {
        exception_type: exception_type.to_owned(),
        message: message.to_owned(),
        stacktrace: stacktrace.to_owned(),
        ..Occurrence::new(OccurrenceSource::SpanEvent, UnixNanos(0), "shop")
    }
}

fn named(occurrence: &Occurrence) -> Fingerprint {
    fingerprint(occurrence, parse_stack(&occurrence.stacktrace).as_ref())
}

fn of(exception_type: &str, message: &str, stacktrace: &str) -> Fingerprint {
    named(&occurrence(exception_type, message, stacktrace))
}

/// The hashes and why, as a snapshot shows them.
fn shown(stacktrace: &str) -> String {
    let found = of("", "", stacktrace);
    let mut text = format!("{} top {}\n", found.full, found.top_frame);
    for part in &found.components {
        text.push_str(&format!("{}: {}\n", part.kind, part.value));
    }
    text
}

#[test]
fn traces_keep_their_fingerprint() {
    insta::assert_snapshot!("node_cjs", shown(include_str!("traces/node_cjs.txt")));
    insta::assert_snapshot!("node_esm", shown(include_str!("traces/node_esm.txt")));
    insta::assert_snapshot!("express", shown(include_str!("traces/express.txt")));
    insta::assert_snapshot!("next_server", shown(include_str!("traces/next_server.txt")));
    insta::assert_snapshot!(
        "next_browser",
        shown(include_str!("traces/next_browser.txt"))
    );
    insta::assert_snapshot!("supabase", shown(include_str!("traces/supabase.txt")));
    insta::assert_snapshot!(
        "undici_fetch",
        shown(include_str!("traces/undici_fetch.txt"))
    );
    insta::assert_snapshot!("flask", shown(include_str!("traces/flask.txt")));
    insta::assert_snapshot!(
        "fastapi_chained",
        shown(include_str!("traces/fastapi_chained.txt"))
    );
    insta::assert_snapshot!("asyncio", shown(include_str!("traces/asyncio.txt")));
}

#[test]
fn lines_columns_and_prefixes_do_not_count() {
    let here = of(
        "Error",
        "order 1",
        "Error: order 1\n    at pay (/app/src/pay.js:3:9)",
    );
    let there = of(
        "Error",
        "order 2",
        "Error: order 2\n    at pay (/home/dev/shop/src/pay.js:80:1)\n    \
         at processTicksAndRejections (node:internal/process/task_queues:95:5)",
    );
    assert_eq!(here.full, there.full);
    assert_ne!(
        here.full,
        of("Error", "", "Error: x\n    at refund (/app/src/pay.js:3:9)").full
    );
    assert_ne!(
        here.full,
        of("Error", "", "Error: x\n    at pay (/app/src/cart.js:3:9)").full
    );
    assert_ne!(
        here.full,
        of("", "", "TypeError: x\n    at pay (/app/src/pay.js:3:9)").full
    );
}

#[test]
fn a_new_build_of_next_keeps_the_fingerprint() {
    let build = |chunk: &str, hash: &str, name: &str| {
        of(
            "",
            "",
            &format!(
                "TypeError: x\n    at {name} (/app/.next/server/chunks/{chunk}.js:1:5)\n    \
                 at Page (/app/.next/server/app/orders/page-{hash}.js:1:9)"
            ),
        )
        .full
    };
    assert_eq!(
        build("4821", "3f2a91b0c4", "a"),
        build("77", "9d8c7b6a50", "iX")
    );
    assert_ne!(
        build("4821", "3f2a91b0c4", "a"),
        build("4821", "3f2a91b0c4", "loadOrders")
    );
}

#[test]
fn library_frames_count_only_without_own_ones() {
    let in_library = "Error: x\n    at query (/app/node_modules/pg/lib/client.js:1:2)\n    \
                      at emit (node:events:519:28)";
    let frames: Vec<String> = of("", "", in_library)
        .components
        .into_iter()
        .map(|part| part.value)
        .collect();
    assert_eq!(frames, ["Error", "pg/lib/client.js query"]);
    let own = format!("{in_library}\n    at run (/app/src/a.js:1:2)");
    let frames: Vec<String> = of("", "", &own)
        .components
        .into_iter()
        .map(|p| p.value)
        .collect();
    assert_eq!(frames, ["Error", "src/a.js run"]);
}

/// A failure of one frame.
fn at(message: &str, place: &str) -> Fingerprint {
    of("", "", &format!("{message}\n    at {place}"))
}

#[test]
fn without_names_of_functions_message_and_file_tell_failures_apart() {
    let place = "https://shop.example.org/assets/app-3f2a.js:1:2345";
    let found = at("TypeError: cannot pay order 17", place);
    let parts: Vec<_> = found
        .components
        .iter()
        .map(|part| part.value.as_str())
        .collect();
    assert_eq!(
        parts,
        ["TypeError", "cannot pay order <num>", "assets/app.js"]
    );
    let same = |message: &str, place: &str| at(message, place).full == found.full;
    assert!(same("TypeError: cannot pay order 18", place));
    // The next build, on another host.
    assert!(same(
        "TypeError: cannot pay order 18",
        "https://cdn.example.org/assets/app-91b0.js?v=2:1:999"
    ));
    assert!(same(
        "TypeError: cannot pay order 1",
        "t (https://shop.example.org/assets/app-77aa.js:1:8)"
    ));
    assert!(!same("TypeError: cannot send order 17", place));
    assert!(!same("RangeError: cannot pay order 17", place));
    let other_file = "https://shop.example.org/assets/admin-3f2a.js:1:2345";
    assert!(!same("TypeError: cannot pay order 17", other_file));
}

#[test]
fn a_minifiers_names_do_not_count_and_properties_do() {
    let place = "n (https://shop.example.org/js/app.min.js:1:2)";
    let same = |a: &str, b: &str| at(a, place).full == at(b, place).full;
    assert!(same(
        "TypeError: e.items is not iterable",
        "TypeError: t.items is not iterable"
    ));
    assert!(!same(
        "TypeError: e.items is not iterable",
        "TypeError: e.lines is not iterable"
    ));
    assert!(same(
        "TypeError: (0 , r.pay) is not a function",
        "TypeError: (0 , iX.pay) is not a function"
    ));
    let undefined = "TypeError: Cannot read properties of undefined (reading ";
    let reading = |what: &str| format!("{undefined}'{what}')");
    assert!(!same(&reading("total"), &reading("items")));
    assert!(same(&reading("17"), &reading("3")));
}

#[test]
fn nameless_functions_of_a_file_are_told_apart_by_their_message_and_callers() {
    let on = |place: &str| at("Error: no such order", place).full;
    let here = on("/app/src/routes.js:14:11");
    assert_eq!(here, on("/home/dev/shop/src/routes.js:14:5"));
    assert_eq!(here, on("<anonymous> (/app/src/routes.js:14:5)"));
    assert_eq!(here, on("/app/src/routes.js:40:11"));
    assert_ne!(here, on("/app/src/orders.js:14:11"));
    assert_ne!(
        here,
        at("Error: no such cart", "/app/src/routes.js:14:11").full
    );
    let called_by = |name: &str, line: u32| {
        on(&format!(
            "/app/src/routes.js:14:11\n    at {name} (/app/src/server.js:{line}:1)"
        ))
    };
    assert_eq!(called_by("handle", 3), called_by("handle", 90));
    assert_ne!(called_by("handle", 3), called_by("refuse", 3));
    let calling = "/app/src/routes.js:14:11\n    at handle (/app/src/server.js:3:1)";
    assert_ne!(
        at("Error: no such cart", calling).full,
        called_by("handle", 3)
    );
}

#[test]
fn frames_of_the_runtime_alone_do_not_make_a_group() {
    let on = |message: &str| {
        at(
            message,
            "TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)",
        )
        .full
    };
    let refused = on("Error: connect ECONNREFUSED 10.1.2.3:5432");
    assert_eq!(refused, on("Error: connect ECONNREFUSED 10.1.2.4:5432"));
    assert_ne!(refused, on("Error: connect ETIMEDOUT 10.1.2.3:5432"));
}

#[test]
fn recursion_depth_does_not_count() {
    let deep = |depth: usize| {
        let calls = "    at walk (/app/src/tree.js:7:3)\n".repeat(depth);
        of(
            "",
            "",
            &format!("RangeError: x\n{calls}    at main (/app/src/a.js:1:1)"),
        )
        .full
    };
    assert_eq!(deep(2), deep(90));
}

#[test]
fn without_a_stack_the_parameterised_message_counts() {
    let found = of("HttpError", "GET /orders/17 gave 502", "");
    assert_eq!(
        found.full,
        of("HttpError", "GET /orders/18 gave 503", "").full
    );
    assert_eq!(found.full, found.message);
    assert_eq!(found.full, found.top_frame);
    assert_ne!(
        found.full,
        of("HttpError", "GET /carts/17 gave 502", "").full
    );
    assert_ne!(
        found.full,
        of("ApiError", "GET /orders/17 gave 502", "").full
    );
}

#[test]
fn the_logger_parts_messages_without_a_type_only() {
    let with = |exception_type: &str, logger: &str| {
        let mut one = occurrence(exception_type, "timed out", "");
        one.logger = logger.to_owned();
        named(&one).full
    };
    assert_ne!(with("", "db"), with("", "http"));
    assert_eq!(with("TimeoutError", "db"), with("TimeoutError", "http"));
}

#[test]
fn the_type_is_the_same_from_field_and_stack() {
    let frames = "\n    at pay (/app/src/pay.js:3:9)";
    // The class name was set after the stack was taken; an error code was given as type.
    let printed = of("", "", &format!("PaymentError: declined{frames}"));
    assert_eq!(
        printed.full,
        of("PaymentError", "", &format!("Error: declined{frames}")).full
    );
    let refused = of("ECONNREFUSED", "", &format!("Error: connect{frames}"));
    assert_eq!(
        refused.full,
        of("", "", &format!("Error: connect{frames}")).full
    );
    let python = "Traceback (most recent call last):\n  File \"/app/a.py\", line 1, in f\nLost: x";
    assert_eq!(
        of("__main__.Lost", "x", python).full,
        of("", "", python).full
    );
}

#[test]
fn chunk_load_failures_are_one_group() {
    let webpack = of("ChunkLoadError", "Loading chunk 17 failed.", "");
    let vite = of(
        "TypeError",
        "Failed to fetch dynamically imported module: https://x/a-1.js",
        "",
    );
    assert_eq!(webpack.full, vite.full);
    assert_eq!(webpack.components[0].kind, "rule");
    assert_ne!(webpack.full, of("TypeError", "Failed to fetch", "").full);
}

#[test]
fn hydration_messages_are_one_group_a_transaction() {
    let on = |message: &str, route: &str| {
        let mut one = occurrence("Error", message, "");
        one.attributes
            .push(("http.route".to_owned(), route.to_owned()));
        named(&one).full
    };
    let minified = "Minified React error #418; visit https://react.dev/errors/418";
    assert_eq!(
        on("Hydration failed because x", "/orders"),
        on(minified, "/orders")
    );
    assert_ne!(on(minified, "/orders"), on(minified, "/cart"));
}

proptest! {
    #[test]
    fn arbitrary_fields_never_panic(
        kind in any::<String>(), message in any::<String>(), stack in any::<String>(),
    ) {
        let found = of(&kind, &message, &stack);
        prop_assert_eq!(found.full.len(), 32);
    }

    #[test]
    fn positions_of_named_functions_never_count(line in 1_u32.., column in 1_u32..) {
        let text = format!("Error: x\n    at f (/app/src/a.js:{line}:{column})");
        prop_assert_eq!(of("", "", &text).full, of("", "", "Error: x\n    at f (/app/src/a.js:1:1)").full);
    }
}
