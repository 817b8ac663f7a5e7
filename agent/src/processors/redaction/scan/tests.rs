//! Places that are found where a bound falls within a character.

use proptest::prelude::*;
use std::sync::LazyLock;

use super::*;
use crate::processors::redaction::names::SecretKey;

fn scanner(cover: Cover) -> Scanner {
    let query = QueryParameters::new(["token".to_owned()]);
    let keys = SecretKey::defaults();
    Scanner::new(&Detector::ALL, query, &keys, &[], cover).expect("valid")
}

static MASKING: LazyLock<Scanner> = LazyLock::new(|| scanner(Cover::Mask));

fn covered(scanner: &Scanner, text: &str) -> String {
    let covered = scanner.text(text);
    covered.map_or_else(|| text.to_owned(), |covered| covered.text)
}

/// What is covered is a run of whole characters, and every character outside of it stays.
fn check_outside(text: &str) {
    let found = MASKING.find(text);
    let mut expected = String::new();
    let mut places = found.iter().peekable();
    for (at, character) in text.char_indices() {
        while places.peek().is_some_and(|next| next.place.end <= at) {
            places.next();
        }
        match places.peek() {
            Some(next) if next.place.contains(&at) => {
                if next.place.start == at {
                    MASKING.cover(
                        MASKING
                            .names
                            .get(next.rule)
                            .map_or(KEY_RULE, String::as_str),
                        &text[next.place.clone()],
                        &mut expected,
                    );
                }
            }
            _ => expected.push(character),
        }
    }
    for Found { place, .. } in &found {
        assert!(text.is_char_boundary(place.start) && text.is_char_boundary(place.end));
    }
    assert_eq!(MASKING.cover_all(text, &found), expected);
}

#[test]
fn text_before_and_behind_a_secret_at_a_bound_stays() {
    for shift in ["", "a", "ab"] {
        let prose = format!("{shift}{}", "连接数据库失败".repeat(40));
        assert_eq!(
            covered(&MASKING, &format!("{prose}root:pw@tcp(db:3306)")),
            format!("{prose}<basic:*>@tcp(db:3306)")
        );
        // Without an end, the values go up to the bound.
        let end = "终".repeat(20);
        for head in ["Key (a, password)=(", "INSERT INTO t (password) VALUES ("] {
            let values = format!("{shift}{}", "值".repeat(1400));
            let out = covered(&MASKING, &format!("{head}{values}{end}"));
            let rest = out.strip_prefix(&format!("{head}<key:*>"));
            let rest = rest.expect("covered");
            assert!(
                rest.starts_with('值') && rest.ends_with(&end),
                "{head} {rest}"
            );
        }
        let local = "名".repeat(40);
        let escaped = covered(&MASKING, &format!("{shift}{local}%40example.org behind"));
        assert!(escaped.starts_with(&format!("{shift}名")), "{escaped}");
        assert!(escaped.ends_with("<email:*> behind"), "{escaped}");
        let domain = format!("{shift}.{}", "域".repeat(100));
        let out = covered(&MASKING, &format!("before a@b{domain}{end}"));
        assert!(
            out.starts_with("before <email:*>") && out.ends_with(&end),
            "{out}"
        );
    }
}

#[test]
fn the_hash_of_a_secret_at_a_bound_is_its_own() {
    let hashing = scanner(Cover::Hash(hmac::Key::new(
        hmac::HMAC_SHA256,
        b"0123456789abcdef",
    )));
    let hash_of = |rule: &str, secret: &str| {
        let mut cover = String::new();
        hashing.cover(rule, secret, &mut cover);
        cover
    };
    for shift in ["", "a", "ab"] {
        let text = format!("Key (a, password)=({shift}{}", "值".repeat(1400));
        let out = covered(&hashing, &text);
        assert!(
            out.contains("<key:") && !out.contains(&hash_of("key", "")),
            "{out}"
        );
    }
}

/// Heads of secrets, and what stands around them, so that a bound falls anywhere.
const PARTS: &[&str] = &[
    "root:pw@tcp(db:3306)",
    ":@tcp(",
    "Key (a, password)=(",
    ")",
    "(name, password) VALUES ('a', '",
    "')",
    "<token><![CDATA[",
    "]]>",
    "<password>",
    "</password>",
    "%40example.org",
    "a@b",
    ".example",
    "curl -u a:",
    "mysql -p",
    "sshpass -p ",
    "password=",
    "password: ",
    "\"password\": \"",
    "pass=[\"",
    "token={a:\"",
    "name: password value: ",
    "oracle:thin:a/",
    "https://hooks.slack.com/services/",
    "postgres://a:",
    "@host",
    "Duplicate entry '",
    "' for key 'api_key'",
    "identified by '",
    "+49 30 1234567",
    "4111\u{a0}1111\u{a0}1111\u{a0}1111",
    "sk-proj-",
    "form-data; name=\"password\"\r\n\r\n",
    "\"",
    " ",
    "\n",
];

fn parts() -> impl Strategy<Value = String> {
    let filler = prop::sample::select(vec!["ä", "中", "😀", "a", "中a", "é ", "中, "]);
    let lengths = prop_oneof![
        0..8_usize,
        60..70_usize,
        80..90_usize,
        124..130_usize,
        168..174_usize,
        254..258_usize,
        1360..1370_usize
    ];
    prop_oneof![
        3 => prop::sample::select(PARTS).prop_map(str::to_owned),
        2 => (filler, lengths).prop_map(|(filler, length)| filler.repeat(length)),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn whatever_is_outside_of_secrets_stays(parts in prop::collection::vec(parts(), 0..8)) {
        check_outside(&parts.concat());
    }
}
