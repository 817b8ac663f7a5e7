use std::sync::LazyLock;

use proptest::prelude::*;
use vervet_model::Signal;
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Span, SpanEvent, Value, find};

use super::super::tests::{chain, try_chain};
use super::super::{Chain, Secrets};
use super::{KEYS_DEFAULT, KEYS_JUDGED, KEYS_LIKELY};

/// Keys that look real are put together here, so that no scanner of this repository takes them for real ones.
fn key(head: &str, length: usize) -> String {
    let tail: String = ('a'..='z').chain('0'..='9').cycle().take(length).collect();
    format!("{head}{tail}")
}

const ALL: &str = "detect: [credit_card, iban, jwt, bearer, basic, aws, gcp, stripe, supabase, github, slack, gitlab, openai, service_token, \
                   private_key, email, ip, phone, url_query]";

fn redaction(settings: &str) -> Chain {
    chain(
        Signal::Logs,
        &format!("  pii: {{type: redaction, {settings}}}"),
    )
}

/// A record's body after redaction; `None` when it was dropped.
fn body_of<'a>(chain: &Chain, body: impl Into<Value<'a>>) -> Option<Value<'a>> {
    let mut record = LogRecord {
        body: body.into(),
        ..LogRecord::default()
    };
    let kept = chain.log(&Resource::default(), &Scope::default(), &mut record);
    kept.ok().map(|()| record.body)
}

fn text_of(chain: &Chain, text: &str) -> String {
    let body = body_of(chain, text).expect("kept");
    body.as_str().expect("text").to_owned()
}

/// What every detector makes of a text.
fn check(text: &str, expected: &str) {
    assert_eq!(text_of(&redaction(ALL), text), expected, "{text}");
}

fn stays(text: &str) {
    check(text, text);
}

#[test]
fn card_numbers_in_all_their_groupings() {
    for number in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4111  1111  1111  1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "4111%201111%201111%201111",
        "4111+1111+1111+1111",
        "41111111-11111111",
        "411111 1111111111",
        "5500 0000 0000 0004",
        "2223003122003222",
        "3782 822463 10005",
        "378282246310005",
        "6011000990139424",
        "30569309025904",
        "4222222222222",
        "6304 0000 0000 0000 000",
    ] {
        check(number, "<credit_card:*>");
        check(
            &format!("card={number}, paid"),
            "card=<credit_card:*>, paid",
        );
        check(
            &format!("{{\"pan\":\"{number}\"}}"),
            "{\"pan\":\"<credit_card:*>\"}",
        );
        check(&format!("x\\n{number}\\n"), "x\\n<credit_card:*>\\n");
        check(&format!("%22{number}%22"), "%22<credit_card:*>%22");
    }
}

#[test]
fn card_numbers_among_other_numbers() {
    check(
        "order 100 4111 1111 1111 1111 exp 12 26",
        "order 100 <credit_card:*> exp 12 26",
    );
    check(
        "2024-11-27 4111111111111111 200",
        "2024-11-27 <credit_card:*> 200",
    );
    check(
        "4111111111111111,5500000000000004",
        "<credit_card:*>,<credit_card:*>",
    );
    check(
        "4111111111111111 5500000000000004",
        "<credit_card:*> <credit_card:*>",
    );
    check("visa4111111111111111", "visa<credit_card:*>");
}

#[test]
fn numbers_that_are_no_cards_stay() {
    for text in [
        "4111111111111112",
        "1700000000000000000 ns",
        "9111111111111111",
        "41111111111111111111111111",
        "trace a4111111111111111b0c0d0e0f0a1b2c",
        "2024-11-27 20:36:06.123456789",
        "10.000.000.000.000",
        "a 4111 b 1111 c 1111 d 1111",
        "",
        "    -    -    ",
    ] {
        stays(text);
    }
}

#[test]
fn account_numbers_pass_their_check() {
    for number in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82 WEST 1234 5698 7654 32",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ] {
        check(number, "<iban:*>");
        check(&format!("to {number}."), "to <iban:*>.");
        check(&format!("iban%3D{number}"), "iban%3D<iban:*>");
    }
    stays("DE89370400440532013001");
    stays("XDE89370400440532013000");
    stays("DE893704004405320130001");
    stays("SOME LONG TEXT IN CAPITALS 42 WITHOUT ANY ACCOUNT");
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

#[test]
fn tokens_and_credentials() {
    check(JWT, "<jwt:*>");
    check(&format!("with token={JWT};"), "with token=<jwt:*>;");
    check("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. end", "<jwt:*> end");
    stays("eyJ.eyJ.x");
    stays("seyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x");
    check(
        "Authorization: Bearer abcDEF123.x-_~",
        "Authorization: Bearer <bearer:*>",
    );
    check(
        "authorization: bearer%20abc123def",
        "authorization: bearer%20<bearer:*>",
    );
    check(&format!("Bearer {JWT}"), "Bearer <bearer:*>");
    stays("the bearer of bad news, Bearer authentication failed");
    check(
        "Authorization: Basic dXNlcjpwYXNz",
        "Authorization: Basic <basic:*>",
    );
    check("BASIC dXNlcjpwYXNzd29yZA==", "BASIC <basic:*>");
    stays("basic knowledge of the Basic language");
    check(
        "postgres://me:se@cret@db:5432/x",
        "postgres://<basic:*>@db:5432/x",
    );
    check("https:\\/\\/u:p@h\\/x", "https:\\/\\/<basic:*>@h\\/x");
    stays("https://shop.example:8443/a@b");
    check(
        "postgres://me:p/w?x#9@db:5432/x",
        "postgres://<basic:*>@db:5432/x",
    );
    check(
        "\"url\":\"amqp://me:1/2@mq/v\"",
        "\"url\":\"amqp://<basic:*>@mq/v\"",
    );
    check(
        "see http://me:abc/def@h and http://h/@x",
        "see http://<basic:*>@h and http://h/@x",
    );
    check("http://[::1]:80/a:b@c", "http://[<ip:*>]:80/a:b@c");
    stays("http://host/path:x/y@z");
}

#[test]
fn keys_of_well_known_services() {
    let upper = |length: usize| "ABCDEFGHIJKLMNOP234567QRSTUVWXYZ"[..length].to_owned();
    check(&format!("id AKIA{} used", upper(16)), "id <aws:*> used");
    stays(&format!("id AKIA{} used", upper(17)));
    let secret = key("", 40);
    check(
        &format!("aws_secret_access_key = {secret}\n"),
        "aws_secret_access_key = <aws:*>\n",
    );
    check(
        &format!("\"SecretAccessKey\": \"{secret}\""),
        "\"SecretAccessKey\": \"<aws:*>\"",
    );
    check(&key("AIza", 35), "<gcp:*>");
    check(&key("ya29.", 40), "<gcp:*>");
    check(&key("GOCSPX-", 28), "<gcp:*>");
    check(&key("sk_live_", 24), "<stripe:*>");
    check(&key("rk_test_", 24), "<stripe:*>");
    check(&key("whsec_", 32), "<stripe:*>");
    stays(&key("pk_live_", 24));
    check(&key("sbp_", 40), "<supabase:*>");
    check(&key("sb_secret_", 31), "<supabase:*>");
    stays(&key("sb_publishable_", 31));
    for head in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"] {
        check(
            &format!("push with {} failed", key(head, 36)),
            "push with <github:*> failed",
        );
    }
    stays("sk_live_short ghp_short AIzaShort");
    for head in ["xoxb-", "xoxp-", "xoxa-", "xoxe-"] {
        check(
            &format!("token {} used", key(&format!("{head}123456789012-"), 24)),
            "token <slack:*> used",
        );
    }
    check(&key("glpat-", 20), "<gitlab:*>");
    check(&key("sk-proj-", 48), "<openai:*>");
    stays("xoxo-love-and-kisses-for-all glpat-short sk-proj-name task-proj-of-all-the-things-here");
}

#[test]
fn private_keys_go_to_their_end_or_to_that_of_the_text() {
    let dashes = "-----";
    let block =
        format!("{dashes}BEGIN RSA PRIVATE KEY{dashes}\nMIIE\n{dashes}END RSA PRIVATE KEY{dashes}");
    check(&format!("a {block} b"), "a <private_key:*> b");
    check(&format!("a {}", &block[..40]), "a <private_key:*>");
    stays(&format!(
        "{dashes}BEGIN CERTIFICATE{dashes}\nMIIE\n{dashes}END CERTIFICATE{dashes}"
    ));
}

#[test]
fn addresses_of_people() {
    check(
        "mail jane.doe+x@mail.example.org, now",
        "mail <email:*>, now",
    );
    check("to=jane%40example.org&x=1", "to=<email:*>&x=1");
    check("<jane@example.org>", "<<email:*>>");
    check("jürgen@müller.example.", "<email:*>.");
    stays("react@18.2.0 root@localhost @decorator a@b");
    check("call +49 30 1234567 now", "call <phone:*> now");
    check("call (555) 123-4567", "call <phone:*>");
    stays("offset +00:00, 1+12345678, (404) not found");
}

#[test]
fn addresses_of_machines() {
    check("from 10.1.2.3:443", "from <ip:*>:443");
    check("from 10.1.2.3.", "from <ip:*>.");
    stays("version 1.2.3.4.5 or v1.2.3.4 or 300.1.1.1");
    check("peer [2001:db8::1]:443", "peer [<ip:*>]:443");
    check("peer fe80::1%eth0", "peer <ip:*>%eth0");
    check("from ::1 port", "from <ip:*> port");
    check("peer ::ffff:10.0.0.1 left", "peer <ip:*> left");
    stays("at 20:36:06 in std::vec::Vec and abc::def");
}

#[test]
fn values_of_parameters_in_addresses() {
    check(
        "GET /cb?code=1&access_token=abc&state=x#id_token=def",
        "GET /cb?code=1&access_token=<url_query:*>&state=x#id_token=<url_query:*>",
    );
    check("password=hunter2&user=me", "password=<url_query:*>&user=me");
    check(
        "\"/x?PassWord=a\\\"b\"",
        "\"/x?PassWord=<url_query:*>\\\"b\"",
    );
    stays("/x?password=&tokens=3");
    check("/x?%74oken=abc&b=1", "/x?%74oken=<url_query:*>&b=1");
    check(
        "/x?a=1&%50ASS%77ord=abc",
        "/x?a=1&%50ASS%77ord=<url_query:*>",
    );
    stays("/x?%7token=abc&%zz=1&100%=2&%e4=1&%74okens=3&%=1");
    let own = redaction("query_parameters: [pin]");
    assert_eq!(
        text_of(&own, "/x?pin=12&token=a"),
        "/x?pin=<url_query:*>&token=a"
    );
}

fn map<'a>(entries: Vec<(&'a str, Value<'a>)>) -> Value<'a> {
    let entries = entries
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value));
    Value::Map(entries.collect())
}

#[test]
fn nested_values_numbers_and_keys_are_searched() {
    let body = map(vec![
        ("n", Value::Int(4_111_111_111_111_111)),
        ("f", Value::Double(4_111_111_111_111_111.0)),
        ("other", Value::Int(4_111_111_111_111_112)),
        ("raw", Value::Bytes(b"4111111111111111".as_slice().into())),
        (
            "list",
            Value::Array(vec![
                Value::from("x"),
                map(vec![("y", "5500000000000004".into())]),
            ]),
        ),
        ("4111111111111111", Value::Bool(true)),
    ]);
    let redacted = body_of(&redaction(ALL), body).expect("kept");
    let expected = map(vec![
        ("n", "<credit_card:*>".into()),
        ("f", "<credit_card:*>".into()),
        ("other", Value::Int(4_111_111_111_111_112)),
        ("raw", Value::Bytes(b"<credit_card:*>".as_slice().into())),
        (
            "list",
            Value::Array(vec![
                Value::from("x"),
                map(vec![("y", "<credit_card:*>".into())]),
            ]),
        ),
        ("<credit_card:*>", Value::Bool(true)),
    ]);
    assert_eq!(redacted, expected);
}

#[test]
fn whole_values_go_by_their_key() {
    let body = || {
        map(vec![
            ("password", "x".into()),
            ("user.Password", Value::Int(5)),
            (
                "http.request.header.set-cookie",
                Value::Array(vec!["a".into()]),
            ),
            ("password_hint", "the dog".into()),
            ("secret", Value::Empty),
            ("authorization", "".into()),
            ("dbPassword", "x".into()),
            ("auth.clientSecret.value", "x".into()),
            ("max_tokens", Value::Int(7)),
        ])
    };
    let expected = map(vec![
        ("password", "<key:*>".into()),
        ("user.Password", "<key:*>".into()),
        ("http.request.header.set-cookie", "<key:*>".into()),
        ("password_hint", "the dog".into()),
        ("secret", Value::Empty),
        ("authorization", "".into()),
        ("dbPassword", "<key:*>".into()),
        ("auth.clientSecret.value", "<key:*>".into()),
        ("max_tokens", Value::Int(7)),
    ]);
    assert_eq!(body_of(&redaction("action: mask"), body()), Some(expected));
    let own = redaction("keys: [password_hint]");
    let masked = body_of(&own, body()).expect("kept");
    let Value::Map(entries) = masked else {
        panic!("a map")
    };
    assert_eq!(find(&entries, "password_hint"), Some(&"<key:*>".into()));
    assert_eq!(find(&entries, "password"), Some(&"x".into()));
    assert_eq!(body_of(&redaction("keys: []"), body()), Some(body()));
}

#[test]
fn values_of_named_pairs_go_by_their_name() {
    let pair = |name: &'static str, value: Value<'static>| {
        map(vec![("name", name.into()), ("value", value)])
    };
    let body = |secret: Value<'static>| {
        Value::Array(vec![
            pair("Authorization", secret),
            pair("accept", "*/*".into()),
        ])
    };
    let headers = |secret| map(vec![("headers", body(secret))]);
    let masked = body_of(&redaction("action: mask"), headers("abc".into()));
    assert_eq!(masked, Some(headers("<key:*>".into())));
    let dropped = body_of(&redaction("action: drop"), headers("abc".into()));
    let name = map(vec![("name", "Authorization".into())]);
    let expected = Value::Array(vec![name, pair("accept", "*/*".into())]);
    assert_eq!(dropped, Some(map(vec![("headers", expected)])));
}

#[test]
fn pairs_of_all_names_and_headers_in_turns_go() {
    let chain = redaction("action: mask");
    let wrapped = |text: &'static str| map(vec![("stringValue", text.into())]);
    for (name, value) in [("Name", "Value"), ("key", "value"), ("Key", "Value")] {
        let pair =
            |secret: Value<'static>| map(vec![(name, "DB_PASSWORD".into()), (value, secret)]);
        let masked = body_of(&chain, pair("hunter2".into()));
        assert_eq!(masked, Some(pair("<key:*>".into())), "{name}");
        let masked = body_of(&chain, pair(wrapped("hunter2")));
        assert_eq!(masked, Some(pair("<key:*>".into())), "{name}");
    }
    let pair = |secret: Value<'static>| map(vec![("key", wrapped("password")), ("value", secret)]);
    let masked = body_of(&chain, pair(wrapped("hunter2")));
    assert_eq!(masked, Some(pair("<key:*>".into())));
    let headers = |secret: &'static str| {
        let items = ["Host", "a", "X-Api-Key", secret, "Accept", "b"];
        let items = items.into_iter().map(Value::from);
        map(vec![("rawHeaders", Value::Array(items.collect()))])
    };
    assert_eq!(body_of(&chain, headers("hunter")), Some(headers("<key:*>")));
}

#[test]
fn maps_lists_and_bytes_of_a_secret_key_go_whole() {
    let chain = redaction("action: mask");
    let masked = |key: &'static str, value: Value<'static>| {
        let body = body_of(&chain, map(vec![(key, value)]));
        body == Some(map(vec![(key, "<key:*>".into())]))
    };
    let inner = || {
        map(vec![
            ("id", Value::Int(1)),
            ("value", "abc123def456".into()),
        ])
    };
    assert!(masked("token", inner()));
    assert!(masked("token", Value::Array(vec![inner()])));
    assert!(masked("token", Value::Bytes(b"\x01\x02".as_slice().into())));
    assert!(masked(
        "tokens",
        Value::Array(vec!["x".into(), "abc123def456".into()])
    ));
    assert!(masked("password", map(vec![("a", Value::Int(1))])));
    assert!(masked("passwords", Value::Array(vec!["hunter".into()])));
    assert!(masked("pass", "hunter".into()));
    for (key, value) in [
        (
            "tokens",
            map(vec![("in", Value::Int(153)), ("out", Value::Int(12))]),
        ),
        ("tokens", Value::Int(153)),
        ("prompt_tokens", "125000".into()),
        ("pass", Value::Int(12)),
        ("pass", Value::Bool(true)),
        ("pass", "ok".into()),
        ("token", map(vec![("type", "bearer".into())])),
        ("via", Value::Array(vec!["a".into(), "a".into()])),
    ] {
        assert!(!masked(key, value), "{key}");
    }
}

#[test]
fn values_in_lists_go_by_the_item_before() {
    let list = |items: &[&'static str]| {
        let items = items.iter().map(|item| Value::from(*item));
        Value::Array(items.collect())
    };
    let check = |value: Value<'static>, expected: Value<'static>| {
        let masked = body_of(&redaction("action: mask"), map(vec![("h", value)]));
        assert_eq!(masked, Some(map(vec![("h", expected)])));
    };
    let masks = |items: &[&'static str], at: usize| {
        let mut expected = items.to_vec();
        expected[at] = "<key:*>";
        check(list(items), list(&expected));
    };
    let stays = |items: &[&'static str]| check(list(items), list(items));
    masks(&["Authorization", "Basic x"], 1);
    masks(&["Host", "a", "Authorization", "token abc"], 3);
    masks(&["Host", "a", "X-Vault-Token", "s.abc123def4"], 3);
    masks(&["login", "--password", "hunter", "-v"], 2);
    stays(&["Authorization", "Content-Type", "X-Requested-With"]);
    stays(&["password", "name"]);
    stays(&["--password", "--user"]);
    stays(&["enter the password", "x y z"]);
    stays(&["token", "512"]);
    check(
        Value::Array(vec![list(&["user", "bob"]), list(&["password", "hunter"])]),
        Value::Array(vec![list(&["user", "bob"]), list(&["password", "<key:*>"])]),
    );
    check(
        Value::Array(vec![Value::Array(vec![
            "set-cookie".into(),
            list(&["a=b"]),
        ])]),
        Value::Array(vec![list(&["set-cookie", "<key:*>"])]),
    );
    let dropped = body_of(
        &redaction("action: drop"),
        map(vec![("h", list(&["Authorization", "Basic x"]))]),
    );
    assert_eq!(dropped, Some(map(vec![("h", list(&["Authorization"]))])));
}

#[test]
fn values_of_token_go_if_they_look_like_secrets() {
    let body = |token: &'static str| {
        map(vec![
            ("token", token.into()),
            ("max_tokens", Value::Int(4_096)),
            ("token_type", "bearer".into()),
            (
                "user.resetToken",
                "550e8400-e29b-41d4-a716-446655440000".into(),
            ),
            (
                "nextPageToken",
                "550e8400-e29b-41d4-a716-446655440000".into(),
            ),
        ])
    };
    let expected = |token: &'static str| {
        map(vec![
            ("token", token.into()),
            ("max_tokens", Value::Int(4_096)),
            ("token_type", "bearer".into()),
            ("user.resetToken", "<key:*>".into()),
            (
                "nextPageToken",
                "550e8400-e29b-41d4-a716-446655440000".into(),
            ),
        ])
    };
    let chain = redaction("action: mask");
    assert_eq!(
        body_of(&chain, body("abc123def456")),
        Some(expected("<key:*>"))
    );
    assert_eq!(
        body_of(&chain, body("IDENTIFIER")),
        Some(expected("IDENTIFIER"))
    );
    let own = redaction("keys: [token]");
    let Some(Value::Map(entries)) = body_of(&own, body("IDENTIFIER")) else {
        panic!("a map")
    };
    assert_eq!(find(&entries, "token"), Some(&"<key:*>".into()));
}

#[test]
fn own_keys_are_whole_keys() {
    let body = || {
        map(vec![
            ("id", "1".into()),
            ("user.id", "2".into()),
            ("trace_id", "3".into()),
            ("text", "id=4 trace_id=5".into()),
        ])
    };
    let expected = map(vec![
        ("id", "<key:*>".into()),
        ("user.id", "<key:*>".into()),
        ("trace_id", "3".into()),
        ("text", "id=<key:*> trace_id=5".into()),
    ]);
    assert_eq!(body_of(&redaction("keys: [id]"), body()), Some(expected));
}

#[test]
fn exceptions_are_left_alone() {
    let chain = redaction("detect: [ip], except: [k8s.pod.ip]");
    let mut resource = Resource {
        attributes: vec![
            KeyValue::new("k8s.pod.ip", "10.0.0.1"),
            KeyValue::new("peer", "10.0.0.2"),
        ],
    };
    chain.resource(&mut resource);
    assert_eq!(
        (resource.str("k8s.pod.ip"), resource.str("peer")),
        ("10.0.0.1", "<ip:*>")
    );
}

#[test]
fn own_patterns_have_their_name_in_the_mask() {
    let chain = redaction("detect: [], patterns: {order: 'ORD-\\d+', digits: '\\d{4}'}");
    assert_eq!(
        text_of(&chain, "ORD-77 and 1234"),
        "<order:*> and <digits:*>"
    );
    let once = text_of(&chain, "ORD-123456 x <order:*>");
    assert_eq!(text_of(&chain, &once), once);
}

#[test]
fn hashes_are_keyed_stable_and_blind_to_grouping() {
    let hash = |secret: &str| redaction(&format!("{ALL}, action: hash, key: {secret}"));
    let (one, other) = (hash("0123456789abcdef"), hash("0123456789abcdeX"));
    let text = text_of(&one, "4111 1111 1111 1111");
    assert!(
        text.starts_with("<credit_card:") && text.len() == "<credit_card:>".len() + 12,
        "{text}"
    );
    assert_eq!(text_of(&one, "4111-1111-1111-1111"), text);
    assert_eq!(
        text_of(&one, "Jane@Example.org"),
        text_of(&one, "jane@example.org")
    );
    assert_ne!(text_of(&one, "5500000000000004"), text);
    assert_ne!(text_of(&other, "4111 1111 1111 1111"), text);
    assert_eq!(text_of(&one, &text), text);
}

#[test]
fn dropping_takes_the_attribute_the_entry_or_the_record() {
    let chain = redaction("action: drop");
    assert_eq!(body_of(&chain, "card 4111111111111111"), None);
    let body = map(vec![
        ("a", "4111111111111111".into()),
        ("b", "x".into()),
        ("password", "y".into()),
    ]);
    assert_eq!(body_of(&chain, body), Some(map(vec![("b", "x".into())])));
    let mut record = LogRecord {
        attributes: vec![
            KeyValue::new("a", "4111111111111111"),
            KeyValue::new("b", "x"),
        ],
        ..LogRecord::default()
    };
    let scope = Scope::default();
    chain
        .log(&Resource::default(), &scope, &mut record)
        .expect("kept");
    assert_eq!(record.attributes, [KeyValue::new("b", "x")]);
    let mut record = LogRecord {
        body: "4111111111111111".into(),
        ..LogRecord::default()
    };
    let reason = chain
        .log(&Resource::default(), &scope, &mut record)
        .expect_err("dropped");
    assert_eq!(reason.as_str(), "pii:credit_card");
}

#[test]
fn every_text_of_a_span_is_searched() {
    let chain = chain(Signal::Traces, "  pii: {type: redaction}");
    let secret = "4111111111111111";
    let mut span = Span {
        name: secret.into(),
        status_message: secret.into(),
        attributes: vec![KeyValue::new("a", secret)],
        events: vec![SpanEvent {
            name: secret.into(),
            attributes: vec![KeyValue::new("exception.message", secret)],
            ..SpanEvent::default()
        }],
        ..Span::default()
    };
    chain
        .span(&Resource::default(), &Scope::default(), &mut span)
        .expect("kept");
    assert!(!format!("{span:?}").contains(secret), "{span:?}");
}

#[test]
fn mistakes_are_told() {
    for (settings, expected) in [
        ("detect: [creditcard]", "did you mean `credit_card`?"),
        ("action: hash", "needs a `key` of at least 16 bytes"),
        (
            "action: hash, key: short",
            "needs a `key` of at least 16 bytes",
        ),
        ("key: 0123456789abcdef0", "only used with"),
        ("patterns: {a: '('}", "pattern `a`"),
        ("patterns: {a: 'x*'}", "matches the empty text"),
        ("patterns: {email: 'x'}", "has the name of a detector"),
        ("patterns: {A-b: 'x'}", "its name is made of"),
    ] {
        let error = try_chain(
            Signal::Logs,
            &format!("  pii: {{type: redaction, {settings}}}"),
        );
        let error = error.expect_err(settings);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_explanation_names_the_rule_and_hides_the_secret() {
    let chain = redaction("action: mask");
    let explain = |secrets| {
        let mut record = LogRecord {
            body: "card 4111111111111111".into(),
            attributes: vec![KeyValue::new("password", "hunter2")],
            ..LogRecord::default()
        };
        chain.explain_log(
            &mut Resource::default(),
            &Scope::default(),
            &mut record,
            secrets,
        )
    };
    let hidden = explain(Secrets::Hide);
    let text = format!("{hidden:?}");
    assert!(
        !text.contains("4111") && !text.contains("hunter2"),
        "{text}"
    );
    let step = &hidden.steps[0];
    assert_eq!((step.processor.as_str(), step.kind), ("pii", "redaction"));
    let changes: Vec<_> = step
        .changes
        .iter()
        .map(|change| {
            (
                change.path.as_str(),
                change.rule.as_str(),
                change.after.as_deref(),
            )
        })
        .collect();
    let expected = [
        ("attributes[\"password\"]", "key", Some("<key:*>")),
        ("body", "credit_card", Some("card <credit_card:*>")),
    ];
    assert_eq!(changes, expected);
    let shown = explain(Secrets::Show);
    assert_eq!(
        shown.steps[0].changes[1].before.as_deref(),
        Some("card 4111111111111111")
    );
}

#[test]
fn an_explanation_hides_the_secret_in_the_steps_before_the_redaction_too() {
    let chain = chain(
        Signal::Logs,
        "  a: {type: transform, statements: ['set(attributes[\"copy\"], body)', 'set(attributes[\"password\"], \"hunter2\")']}\n  \
         b: {type: redaction}",
    );
    let mut record = LogRecord {
        body: "card 4111111111111111".into(),
        ..LogRecord::default()
    };
    let resource = &mut Resource::default();
    let hidden = chain.explain_log(resource, &Scope::default(), &mut record, Secrets::Hide);
    let text = format!("{hidden:?}");
    let rules = text.replace("set(attributes[\\\"password\\\"], \\\"hunter2\\\")", "");
    assert!(
        !rules.contains("4111") && !rules.contains("hunter2"),
        "{text}"
    );
    assert!(text.contains("card <credit_card:*>"), "{text}");
}

static MASKING: LazyLock<Chain> = LazyLock::new(|| redaction(ALL));
static HASHING: LazyLock<Chain> =
    LazyLock::new(|| redaction(&format!("{ALL}, action: hash, key: 0123456789abcdef")));
static CARDS: LazyLock<Chain> = LazyLock::new(|| redaction("detect: [credit_card]"));

fn secrets() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("4111111111111111".to_owned()),
        Just("5500 0000 0000 0004".to_owned()),
        Just("DE89 3704 0044 0532 0130 00".to_owned()),
        Just(JWT.to_owned()),
        Just("jane@example.org".to_owned()),
        Just("10.1.2.3".to_owned()),
        Just("+49 30 1234567".to_owned()),
        Just("Bearer abcdef123456".to_owned()),
        Just("a://u:p@h".to_owned()),
        Just("?token=x".to_owned()),
        Just("Cookie: a=b; c".to_owned()),
        Just("password=[\"x\"".to_owned()),
        Just("dbPassword:\t'".to_owned()),
        Just("<password>x</password>".to_owned()),
        Just("<add key=\"ApiKey\" value=\"x".to_owned()),
        Just("[\"Authorization\",\"Basic x\"]".to_owned()),
        Just("token=abc123def456".to_owned()),
        Just(key("ghp_", 36)),
        "[ -~]{0,12}",
        "[0-9 .:@+-]{0,20}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn a_redacted_text_holds_no_detectable_secret(
        parts in prop::collection::vec(secrets(), 0..6),
        between in "[ ,;\"&a1-]{0,2}",
    ) {
        for chain in [&*MASKING, &*HASHING] {
            let once = text_of(chain, &parts.join(&between));
            prop_assert_eq!(&text_of(chain, &once), &once);
        }
    }

    #[test]
    fn a_card_number_is_found_wherever_it_stands(
        before in "[a-zA-Z ,.;:=\"'/<>(){}\\[\\]|_]{0,40}", after in "[a-zA-Z ,.;:=\"'/<>(){}\\[\\]|_]{0,40}",
        number in prop_oneof![Just("4111111111111111"), Just("3782 822463 10005"), Just("6011-0009-9013-9424")],
    ) {
        // A letter that is a hexadecimal digit makes it part of another number.
        let text = format!("{before}~{number}~{after}");
        prop_assert_eq!(text_of(&CARDS, &text), format!("{before}~<credit_card:*>~{after}"));
    }

    #[test]
    fn arbitrary_requests_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            let _ = MASKING.request(signal, bytes.clone().into());
        }
    }
}

#[test]
fn negative_whole_numbers_hide_nothing() {
    let chain = redaction("detect: [credit_card]");
    for number in [
        Value::Int(-4_111_111_111_111_111),
        Value::Double(-4_111_111_111_111_111.0),
    ] {
        let body = body_of(&chain, number).expect("kept");
        assert_eq!(body.as_str(), Some("<credit_card:*>"));
    }
    for number in [i64::MIN, -5, 0] {
        assert_eq!(
            body_of(&chain, Value::Int(number)),
            Some(Value::Int(number))
        );
    }
}

#[test]
fn a_line_of_a_key_is_found_without_the_others() {
    let line: String = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain("+/".chars())
        .collect();
    assert_eq!(line.len(), 64);
    check(&line, "<private_key:*>");
    check(&format!("  {line}"), "  <private_key:*>");
    stays(&line[..63]);
    stays(&"0123456789abcdef".repeat(4));
}

mod edges;
mod escaped;
mod keys_line_by_line;
mod numbers;
mod same;
mod states;
mod tokens;
mod urls;
mod work;

mod requests {
    //! What is not part of records, and what stands on the wire as it came.

    use bytes::Bytes;
    use vervet_wire::otlp::{Metric, MetricData, NumberPoint, write_resource_logs};
    use vervet_wire::protobuf::Writer;

    use super::*;

    fn processed(signal: Signal, settings: &str, body: Vec<u8>) -> Vec<u8> {
        let chain = chain(signal, &format!("  pii: {{type: redaction, {settings}}}"));
        let processed = chain.request(signal, Bytes::from(body)).expect("valid");
        processed.payload.to_vec()
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }

    const CARD: &str = "4111111111111111";

    #[test]
    fn scopes_are_searched() {
        let scope = Scope {
            name: "lib 4111111111111111".into(),
            version: "1".into(),
            attributes: vec![
                KeyValue::new("password", "hunter2"),
                KeyValue::new("plain", "x"),
            ],
        };
        let mut body = Vec::new();
        write_resource_logs(&mut body, &Resource::default(), &scope, |w| {
            w.push(&LogRecord {
                body: "hello".into(),
                ..LogRecord::default()
            });
        });
        let out = processed(Signal::Logs, "detect: [credit_card]", body.clone());
        let mut seen = Vec::new();
        vervet_wire::otlp::for_each_log(&out, |_, scope, record| {
            seen.push((
                scope.name.to_string(),
                scope.version.to_string(),
                scope.attributes.len(),
            ));
            assert_eq!(
                find(&scope.attributes, "password").and_then(Value::as_str),
                Some("<key:*>")
            );
            assert_eq!(record.body.as_str(), Some("hello"));
        })
        .expect("valid");
        assert_eq!(
            seen,
            [("lib <credit_card:*>".to_owned(), "1".to_owned(), 2)]
        );
        assert!(!holds(&out, "hunter2") && !holds(&out, CARD));
        let out = processed(Signal::Logs, "detect: [credit_card], action: drop", body);
        assert!(!holds(&out, "hunter2") && !holds(&out, "password"));
    }

    /// A metric with this in its description, metadata and an exemplar's attributes.
    fn metric(attribute: &[u8]) -> Vec<u8> {
        let field = |number: u32, bytes: &[u8]| {
            let mut out = Vec::new();
            Writer::new(&mut out).bytes_always(number, bytes);
            out
        };
        let mut message = Vec::new();
        let metric = Metric {
            name: "m".into(),
            description: format!("of {CARD}").into(),
            data: MetricData::Gauge(vec![NumberPoint {
                rest: field(5, &field(7, attribute)).into(),
                ..NumberPoint::default()
            }]),
            rest: field(12, attribute).into(),
            ..Metric::default()
        };
        metric.write(&mut Writer::new(&mut message));
        field(1, &field(2, &field(2, &message)))
    }

    #[test]
    fn metadata_descriptions_and_exemplars_are_searched() {
        let mut attribute = Vec::new();
        KeyValue::new("k", CARD).write(&mut Writer::new(&mut attribute));
        let body = metric(&attribute);
        assert!(holds(&body, CARD));
        let out = processed(Signal::Metrics, "detect: [credit_card]", body);
        assert!(!holds(&out, CARD));
        let count = out.windows(4).filter(|window| window == b"card").count();
        assert_eq!(count, 3, "description, metadata, exemplar");
    }

    #[test]
    fn what_is_nested_too_deep_to_be_read_goes() {
        // Lists in lists, deeper than values may be.
        let mut value = Vec::new();
        Writer::new(&mut value).bytes_always(1, CARD.as_bytes());
        for _ in 0..40 {
            let mut list = Vec::new();
            Writer::new(&mut list).bytes_always(1, &value);
            value.clear();
            Writer::new(&mut value).bytes_always(5, &list);
        }
        let mut attribute = Vec::new();
        let mut w = Writer::new(&mut attribute);
        w.bytes_always(1, b"k");
        w.bytes_always(2, &value);
        let body = metric(&attribute);
        let out = processed(Signal::Metrics, "detect: [credit_card]", body);
        assert!(!holds(&out, CARD));
        let mut points = 0;
        vervet_wire::otlp::for_each_metric(&out, |_, _, metric| points += metric.data.points())
            .expect("valid");
        assert_eq!(points, 1);
    }
}

/// Whether values of that name are covered by default, in the plural too.
fn is_key(name: &str) -> bool {
    let one = name.strip_suffix('s').unwrap_or(name);
    let keys = [&KEYS_DEFAULT[..], &KEYS_LIKELY, &KEYS_JUDGED];
    let mut keys = keys.iter().flat_map(|keys| keys.iter());
    keys.any(|key| *key == name || *key == one)
}
