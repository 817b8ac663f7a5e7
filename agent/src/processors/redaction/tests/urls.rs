//! Passwords in addresses, and what looks like one.

use super::*;

#[test]
fn a_password_may_begin_like_a_port() {
    for (text, expected) in [
        ("postgres://u:123/x@h", "postgres://<basic:*>@h"),
        (
            "postgres://u:123/x@h:5432/db",
            "postgres://<basic:*>@h:5432/db",
        ),
        (
            "redis://:1/2#3@cache/0 down",
            "redis://<basic:*>@cache/0 down",
        ),
        (
            "amqp://first.last:5/x@[::9]:5672/v",
            "amqp://<basic:*>@[<ip:*>]:5672/v",
        ),
        ("http://me:8080/a/b@proxy/x", "http://<basic:*>@proxy/x"),
        // No port is above 65535 or begins with a zero.
        ("https://shop.example:99999/a@b", "https://<basic:*>@b"),
        ("https://shop.example:0443/a@b", "https://<basic:*>@b"),
        ("https://u:123456789012345678901/a@b", "https://<basic:*>@b"),
        (
            "{\"u\":\"mysql:\\/\\/me:7\\/x@db\\/y\"}",
            "{\"u\":\"mysql:\\/\\/<basic:*>@db\\/y\"}",
        ),
        ("mysql:\\/\\/me:p\\/w@db", "mysql:\\/\\/<basic:*>@db"),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_port_and_a_sign_in_the_path_are_no_password() {
    for text in [
        "host:5432/db@x",
        "https://shop.example:8443/a@b",
        "http://localhost:3000/users/@alice",
        "http://web:3000/@alice/posts",
        "http://registry:4873/@scope/package",
        "http://registry:4873/package@1.2.3",
        "docker://registry:5000/image@sha256:0123456789abcdef",
        "postgres://db:5432/app?application_name=me@host",
        "postgres://db:5432/app",
        "http://[::a]:80/x@y"
            .replace("[::a]", "web.example")
            .as_str(),
    ] {
        stays(text);
    }
}

#[test]
fn the_port_of_a_host_that_is_named_like_a_key_stays() {
    for (text, expected) in [
        (
            "postgres://a:#A@a.pwd:10/x",
            "postgres://<basic:*>@a.pwd:10/x",
        ),
        (
            "mysql:\\/\\/me:p\\/w@a.pw:10\\/x",
            "mysql:\\/\\/<basic:*>@a.pw:10\\/x",
        ),
    ] {
        assert_eq!(text_of(&BASIC, text), expected);
    }
    for text in [
        "https://shop.pw:8443/a",
        "(https://shop.pw:8443)",
        "http://token:3000/health",
        "\"http:\\/\\/pw:3000\\/health\"",
    ] {
        assert_eq!(text_of(&BASIC, text), text);
        stays(text);
    }
}

#[test]
fn what_is_no_port_of_a_host_goes_as_the_value_of_its_key() {
    for (text, expected) in [
        (
            "https://shop.password:84430",
            "https://shop.password:<key:*>",
        ),
        (
            "https://shop.password:0443",
            "https://shop.password:<key:*>",
        ),
        (
            "https://shop.password:8443x",
            "https://shop.password:<key:*>",
        ),
        (
            "https://shop/db.password:8443",
            "https://shop/db.password:<key:*>",
        ),
        ("//db.password:8443", "//db.password:<key:*>"),
        ("me@db.password:8443", "me@db.password:<key:*>"),
        (
            "https://shop/me@db.password:8443",
            "https://shop/me@db.password:<key:*>",
        ),
    ] {
        assert_eq!(text_of(&BASIC, text), expected);
    }
    assert_eq!(
        text_of(&BASIC, "https://pw:8443@db"),
        "https://<basic:*>@db"
    );
}

#[test]
fn behind_a_user_that_is_named_like_a_key_more_goes() {
    let text = "postgres://pw:66000/0@a after";
    assert_eq!(text_of(&BASIC, text), "postgres://<basic:*> after");
}

proptest! {
    #[test]
    fn no_password_of_an_address_passes(
        scheme in prop_oneof![Just("postgres"), Just("mysql"), Just("amqp"), Just("redis"), Just("mongodb+srv"), Just("https")],
        name in "[a-z]{1,8}".prop_filter("its value goes with all behind it", |name| !is_key(name)),
        digits in "[0-9]{0,7}",
        sign in "[/?#a-z]",
        rest in "[A-Za-z0-9!$*_~%/-]{0,12}[A-Za-z0-9]",
        host in "[a-z]{1,8}(\\.[a-z]{2,5})?(:[1-9][0-9]{1,3})?",
        path in "(/[a-z]{0,5})?",
        before in "[ ,;(a-z]{0,5} ",
    ) {
        let text = format!("{before}{scheme}://{name}:{digits}{sign}{rest}@{host}{path} after");
        let expected = format!("{before}{scheme}://<basic:*>@{host}{path} after");
        prop_assert_eq!(text_of(&BASIC, &text), expected);
    }

    #[test]
    fn ports_and_paths_of_the_web_stay(
        host in "[a-z]{1,8}\\.[a-z]{2,5}",
        port in 1_u16..,
        path in "(/[A-Za-z0-9@._-]{0,8}){0,4}",
    ) {
        let text = format!("get https://{host}:{port}{path} done");
        prop_assert_eq!(text_of(&BASIC, &text), text);
    }
}

static BASIC: LazyLock<Chain> = LazyLock::new(|| redaction("detect: [basic]"));
