//! What is said of a secret where it should stand.

use super::*;

#[test]
fn states_behind_keys_stay() {
    for text in [
        "error: secret: not found",
        "password=must be at least 8 characters",
        "refresh_token: expired",
        "api_key: missing, try again",
        "authorization: header missing",
        "{\"password\":[\"is too short (minimum is 8 characters)\"]}",
        "{\"password\":\"can't be blank\"}",
        "PWD=/srv/app OLDPWD=/srv",
        "a private_key=/etc/ssl/private/key.pem",
        "cookie: disabled",
        "token=T_STRING123",
        "sig=SIGTERM",
    ] {
        stays(text);
    }
    for (text, expected) in [
        (
            "error: secret: nothunter2 found",
            "error: secret: <key:*> found",
        ),
        ("a password=must", "a password=<key:*>"),
        ("a pwd=12345678", "a pwd=<key:*>"),
        ("a PWD=/kSu0iwRU/iAuIx8IMKSl", "a PWD=<key:*>"),
        ("sig=1f3a5b7c9d0e1f3a x", "sig=<url_query:*> x"),
        ("token=hunter2", "token=<url_query:*>"),
    ] {
        check(text, expected);
    }
    let chain = redaction("keys: [password]");
    assert_eq!(text_of(&chain, "password: missing"), "password: <key:*>");
}

#[test]
fn states_in_attributes_stay() {
    let chain = redaction(ALL);
    let map = |value: Value<'static>| Value::Map(vec![KeyValue::new("password", value)]);
    for value in [
        Value::from("expired"),
        Value::Array(vec![Value::from("is too short (minimum is 8 characters)")]),
    ] {
        assert_eq!(body_of(&chain, map(value.clone())), Some(map(value)));
    }
    let listed = map(Value::Array(vec![
        Value::from("is too short"),
        Value::from("hunter2"),
    ]));
    assert_eq!(body_of(&chain, listed), Some(map(Value::from("<key:*>"))));
}
