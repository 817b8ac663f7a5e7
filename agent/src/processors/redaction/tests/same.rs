//! What is covered in one part of a record is covered in all.

use super::*;

/// A record with this body and these attributes, after redaction; `None` when it was dropped.
fn searched<'a>(
    settings: &str,
    body: &'a str,
    attributes: &[(&'a str, &'a str)],
) -> Option<(String, Vec<(String, String)>)> {
    let attributes = attributes.iter();
    let mut record = LogRecord {
        body: body.into(),
        attributes: attributes
            .map(|(key, value)| KeyValue::new(*key, *value))
            .collect(),
        ..LogRecord::default()
    };
    let kept = redaction(settings).log(&Resource::default(), &Scope::default(), &mut record);
    let text = |value: &Value<'_>| value.as_str().expect("text").to_owned();
    let pairs = record.attributes.iter();
    let pairs = pairs.map(|pair| (pair.key.clone().into_owned(), text(&pair.value)));
    kept.ok().map(|()| (text(&record.body), pairs.collect()))
}

fn check_record(
    body: &str,
    attributes: &[(&str, &str)],
    expected_body: &str,
    expected: &[(&str, &str)],
) {
    let (text, pairs) = searched(ALL, body, attributes).expect("kept");
    assert_eq!(text, expected_body);
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    assert_eq!(pairs, expected, "{body}");
}

#[test]
fn attributes_that_the_body_hides_are_covered() {
    check_record(
        "{\"bearer\":\"S3CRa1b2c3d4e5f6g7h8\",\"n\":\"shop-frontend\"}",
        &[("bearer", "S3CRa1b2c3d4e5f6g7h8"), ("n", "shop-frontend")],
        "{\"bearer\":\"<bearer:*>\",\"n\":\"shop-frontend\"}",
        &[("bearer", "<key:*>"), ("n", "shop-frontend")],
    );
    check_record(
        "level=info req_header=Cookie: sid=abcdef123456; theme=dark path=/api/orders state=success",
        &[
            ("sid", "abcdef123456;"),
            ("level", "info"),
            ("path", "/api/orders"),
            ("state", "success"),
        ],
        "level=info req_header=Cookie: <key:*>",
        &[
            ("sid", "<key:*>"),
            ("level", "info"),
            ("path", "/api/orders"),
            ("state", "success"),
        ],
    );
    check_record(
        "val=Basic dXNlcjpwYXNzd29yZDE=",
        &[("dXNlcjpwYXNzd29yZDE", "x")],
        "val=Basic <basic:*>",
        &[("<key:*>", "x")],
    );
}

#[test]
fn values_that_attributes_hide_are_covered_in_the_body() {
    check_record(
        "login of S3CRa1b2 from 7",
        &[("user[password]", "S3CRa1b2")],
        "login of <key:*> from 7",
        &[("user[password]", "<key:*>")],
    );
    // Words may stand there for other reasons.
    check_record(
        "production ready",
        &[("secret", "production")],
        "production ready",
        &[("secret", "<key:*>")],
    );
    let inner = Value::Map(vec![KeyValue::new(
        "cookies",
        Value::Map(vec![
            KeyValue::new("sid", "S3CRa1b2c3d4"),
            KeyValue::new("name", "shop-basket"),
        ]),
    )]);
    let mut record = LogRecord {
        body: "sid S3CRa1b2c3d4 of shop-basket".into(),
        attributes: vec![KeyValue::new("request", inner)],
        ..LogRecord::default()
    };
    let kept = redaction(ALL).log(&Resource::default(), &Scope::default(), &mut record);
    assert!(kept.is_ok());
    assert_eq!(record.body.as_str(), Some("sid <key:*> of shop-basket"));
    let dropped = searched(
        &format!("{ALL}, action: drop"),
        "login of S3CRa1b2",
        &[("password", "S3CRa1b2")],
    );
    assert_eq!(dropped, None);
}

#[test]
fn keys_in_brackets_and_before_the_word_string() {
    for text in [
        "secretString=x1",
        "SecretString: x1",
        "{\"SecretString\":\"x1\"}",
        "passwordString=x1",
        "user[password]=x1",
    ] {
        let found = text_of(&redaction(ALL), text);
        assert!(
            found.contains("<key:*>") && !found.contains("x1"),
            "{found}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_searched_in_parts() {
    let mut bytes = b"a password=hunter2 ".to_vec();
    bytes.extend([0xff, 0xfe]);
    bytes.extend(b" card 4111111111111111");
    let mut expected = b"a password=<key:*> ".to_vec();
    expected.extend([0xff, 0xfe]);
    expected.extend(b" card <credit_card:*>");
    let body = body_of(&redaction(ALL), Value::Bytes(bytes.into()));
    assert_eq!(body, Some(Value::Bytes(expected.into())));
    let clean = Value::Bytes(vec![0xff, b'a'].into());
    assert_eq!(body_of(&redaction(ALL), clean.clone()), Some(clean));
}
