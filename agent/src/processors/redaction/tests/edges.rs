//! Secrets right behind colours and escapes, whose last letter or digit belongs to no word.

use super::*;

const BEFORE: [&str; 22] = [
    "\u{1b}[36m",
    "\u{1b}[1;36m",
    "\u{1b}[2m=\u{1b}[0m",
    "\\u001b[36m",
    "\\x1b[36m",
    "\\033[36m",
    "^[[36m",
    "\\n",
    "\\t",
    "\\r",
    "\\u0022",
    "\\u0026",
    "\\u0027",
    "\\u003c",
    "\\u003d",
    "\\u003e",
    "\\u00a0",
    "\\x27",
    "\\x3d",
    "%0A",
    "%20",
    "%3D",
];

fn secrets() -> Vec<String> {
    let base64 = key("", 20).replace('a', "A");
    vec![
        format!("AKIA{}", key("", 16).to_uppercase()),
        key("AIza", 35),
        key("sk_live_", 24),
        key("sb_secret_", 24),
        key("ghp_", 36),
        key("glpat-", 24),
        key("xoxb-12345-67890-", 24),
        key("sk-ant-api03-", 48),
        key("npm_", 36),
        format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{base64}"),
        format!("Bearer {base64}"),
        "Basic dXNlcjpwYXNzd29yZDE=".to_owned(),
        "DE89370400440532013000".to_owned(),
        "4111111111111111".to_owned(),
        "10.99.3.7".to_owned(),
        "2001:db8::5".to_owned(),
        "+4930123456789".to_owned(),
    ]
}

#[test]
fn secrets_are_found_behind_colours_and_escapes() {
    let chain = redaction(ALL);
    for before in BEFORE {
        for secret in secrets() {
            let text = format!("value{before}{secret}\\u001b[0m end");
            let found = text_of(&chain, &text);
            let shown: String = secret.chars().rev().take(9).collect();
            let shown: String = shown.chars().rev().collect();
            assert!(!found.contains(&shown), "{text}: {found}");
            assert!(
                found.starts_with(&format!("value{before}")),
                "{text}: {found}"
            );
        }
    }
}

#[test]
fn what_stands_for_a_secret_gives_no_value_to_its_name() {
    for text in [
        "<private_key:*>%0A",
        "'<secret:*>x'",
        "<my_token:0a1b2c3d4e5f>x",
        "a <password:*>",
    ] {
        stays(text);
    }
}

#[test]
fn tokens_within_words_stay() {
    for before in ["x", "7", "[36x", "m"] {
        stays(&format!("a{before}{}", key("ghp_", 36)));
    }
}
