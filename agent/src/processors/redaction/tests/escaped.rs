//! Addresses, parameters and keys in texts that were encoded once more, and passwords that hold what ends addresses.

use super::*;

#[test]
fn addresses_within_addresses() {
    let slack = format!("T0/B0/{}", key("", 24)).replace('/', "%2F");
    let hook = format!("?v=https%3A%2F%2Fhooks.slack.com%2Fservices%2F{slack} x");
    for (text, expected) in [
        (
            "?v=redis%3A%2F%2F%3Apw1%40cache%3A6379%2F0&b=1",
            "?v=redis%3A%2F%2F<basic:*>%40cache%3A6379%2F0&b=1",
        ),
        (
            "?v=amqp%3a%2f%2fa%3apw%2540x%40mq x",
            "?v=amqp%3a%2f%2f<basic:*>%40mq x",
        ),
        (
            "?v=amqp%253A%252F%252Fa%253Apw%2540mq x",
            "?v=amqp%253A%252F%252F<basic:*>%2540mq x",
        ),
        (
            "?v=https%3A%2F%2Fx%2Fa%26sig%3Da1b2%253D%26x%3D1",
            "?v=https%3A%2F%2Fx%2Fa%26sig%3D<url_query:*>%26x%3D1",
        ),
        (
            "{\"u\":\"https://x/?a=1\\u0026token=abc\\u0026x=1\"}",
            "{\"u\":\"https://x/?a=1\\u0026token=<url_query:*>\\u0026x=1\"}",
        ),
        (
            &hook,
            "?v=https%3A%2F%2Fhooks.slack.com%2Fservices%2F<slack:*> x",
        ),
    ] {
        check(text, expected);
    }
    for text in [
        "?v=https%3A%2F%2Fx.example%2Fa%40b",
        "?v=https%3A%2F%2Fx.example%3A443%2Fa%40b",
        "a%26b%3D1%26monkey%3D2",
        "x \\u0026 token",
    ] {
        let found = text_of(&redaction("detect: [basic, url_query]"), text);
        assert_eq!(found, text);
    }
}

#[test]
fn keys_in_forms_and_in_base64() {
    let base64 = key("", 36).repeat(2);
    let block = format!(
        "-----BEGIN%20RSA%20PRIVATE%20KEY-----%0A{base64}%0A-----END%20RSA%20PRIVATE%20KEY-----%0A"
    );
    check(&format!("k={block}&x=1"), "k=<private_key:*>%0A&x=1");
    let block = block.replace("%20", "+");
    check(&format!("k={block}&x=1"), "k=<private_key:*>%0A&x=1");
    let head = "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpN";
    check(
        &format!("client-key-data: {head}{base64} x"),
        "client-key-data: <private_key:*> x",
    );
    stays(&format!(
        "certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk{base64}"
    ));
    stays("-----BEGIN%20CERTIFICATE-----%0Aabc");
}

#[test]
fn passwords_that_hold_what_ends_addresses() {
    for password in [
        "p@ssw#rd",
        "p@ssw/rd",
        "p@ss@w?rd",
        "pa ss",
        "pa\"ss",
        "pa'ss",
        "pa<ss",
        "pa\\ss",
    ] {
        check(
            &format!("to postgres://app:{password}@db:5432/shop failed"),
            "to postgres://<basic:*>@db:5432/shop failed",
        );
    }
    let found = text_of(
        &redaction("detect: [basic]"),
        "postgres://app:pw@db:5432/a/b@c.example",
    );
    assert_eq!(found, "postgres://<basic:*>@db:5432/a/b@c.example");
    for text in [
        "{\"a\":\"redis://cache:x\",\"b\":\"me@x/y\"}",
        "see http://shop.example:a b@c/d",
        "postgres://db:5432 and me@x/y",
    ] {
        let found = text_of(&redaction("detect: [basic]"), text);
        assert_eq!(found, text);
    }
}

#[test]
fn parameters_of_logins_that_look_like_secrets() {
    for name in ["code", "ticket", "SAMLResponse", "hmac", "code_verifier"] {
        check(
            &format!("GET /x?{name}=S3CRa1b2c3d4e5f6g7h8 HTTP/1.1"),
            &format!("GET /x?{name}=<url_query:*> HTTP/1.1"),
        );
    }
    check("?token_hash=pkce_1&x=1", "?token_hash=<url_query:*>&x=1");
    for text in [
        "?code=23505",
        "?code=SUMMER2024",
        "?ticket=SHOP-1234",
        "?code=ERR_INVALID_ARGUMENT",
    ] {
        stays(text);
    }
    let own = redaction("query_parameters: [x]");
    assert_eq!(
        text_of(&own, "?code=S3CRa1b2c3d4e5f6g7h8"),
        "?code=S3CRa1b2c3d4e5f6g7h8"
    );
}
