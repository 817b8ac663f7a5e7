//! Passwords in addresses, and what looks like one.

use super::super::KEYS_DEFAULT;
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
fn the_port_of_a_host_that_is_named_like_a_key_goes_as_its_value() {
    let text = "postgres://a:#A@a.pwd:10/x";
    assert_eq!(text_of(&BASIC, text), "postgres://<basic:*>@a.pwd:<key:*>");
}

proptest! {
    #[test]
    fn no_password_of_an_address_passes(
        scheme in prop_oneof![Just("postgres"), Just("mysql"), Just("amqp"), Just("redis"), Just("mongodb+srv"), Just("https")],
        name in "[a-z]{1,8}",
        digits in "[0-9]{0,7}",
        sign in "[/?#a-z]",
        rest in "[A-Za-z0-9!$*_~%/-]{0,12}[A-Za-z0-9]",
        host in "[a-z]{1,8}(\\.[a-z]{2,5})?(:[1-9][0-9]{1,3})?",
        path in "(/[a-z]{0,5})?",
        before in "[ ,;(a-z]{0,5} ",
    ) {
        let text = format!("{before}{scheme}://{name}:{digits}{sign}{rest}@{host}{path} after");
        let expected = format!("{before}{scheme}://<basic:*>@{} after", shown(&host, &path));
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

/// What is left of host and path: where the host's last label is a key, its port is read as the value.
fn shown(host: &str, path: &str) -> String {
    let is_key = |name: &str| KEYS_DEFAULT.contains(&name.rsplit('.').next().unwrap_or_default());
    match host.split_once(':') {
        Some((name, _port)) if is_key(name) => format!("{name}:<key:*>"),
        _ => format!("{host}{path}"),
    }
}

static BASIC: LazyLock<Chain> = LazyLock::new(|| redaction("detect: [basic]"));
