//! Private keys whose lines are records of their own, each with a prefix.

use std::sync::Arc;

use vervet_model::{ManualClock, UnixNanos};

use super::super::blocks::{Blocks, opening};
use super::*;

const LABEL: &str = "PRIVATE KEY-----";

/// The lines of a key's block of these characters, as wide as given.
fn block(base64: &str, width: usize) -> Vec<String> {
    let bytes = base64.as_bytes();
    let lines = bytes
        .chunks(width)
        .map(|line| String::from_utf8_lossy(line).into_owned());
    let begin = [format!("-----BEGIN {LABEL}")];
    begin
        .into_iter()
        .chain(lines)
        .chain([format!("-----END {LABEL}")])
        .collect()
}

#[test]
fn the_last_line_of_a_key_is_found_behind_its_prefix() {
    let chain = redaction("detect: [private_key]");
    let full = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB";
    let body = [full, full, "abcdefgh"].concat();
    for prefix in [
        "",
        "app | ",
        "2026-11-28T04:00:00Z ",
        "INFO [main] key:",
        "app|",
    ] {
        let lines = block(&body, 64);
        let shown: Vec<String> = lines
            .iter()
            .map(|line| text_of(&chain, &format!("{prefix}{line}")))
            .collect();
        let masked = format!("{prefix}<private_key:*>");
        let expected = [
            masked.clone(),
            masked.clone(),
            masked.clone(),
            masked,
            format!("{prefix}-----END {LABEL}"),
        ];
        assert_eq!(shown, expected, "{prefix}");
        // The block is over.
        assert_eq!(text_of(&chain, "app | all done"), "app | all done");
    }
}

#[test]
fn records_in_between_stay_and_what_follows_a_short_line_too() {
    let chain = redaction("detect: [private_key]");
    let full = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB";
    for (text, expected) in [
        (full, "<private_key:*>"),
        ("GET /health took long", "GET /health took long"),
        ("connection done", "connection done"),
        ("x zYx/9w0B", "x <private_key:*>"),
        ("x zYx/9w0B", "x zYx/9w0B"),
    ] {
        assert_eq!(text_of(&chain, text), expected);
    }
}

#[test]
fn words_that_are_no_lines_of_a_key_stay() {
    for text in [
        "sha256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
        "a_name_with_MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB",
        "the -----BEGIN CERTIFICATE----- line",
    ] {
        stays(text);
        assert_eq!(opening(text), None, "{text}");
    }
}

#[test]
fn with_drop_the_lines_go() {
    let chain = redaction("detect: [private_key], action: drop");
    let full = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB";
    for text in [
        format!("a | -----BEGIN {LABEL}"),
        format!("a | {full}"),
        "a | zYx/9w0B".to_owned(),
    ] {
        assert_eq!(body_of(&chain, text), None);
    }
}

#[test]
fn streams_are_told_apart_bounded_and_given_up() {
    let clock = Arc::new(ManualClock::new(UnixNanos(0)));
    let blocks = Blocks::new(clock.clone());
    let resource = |name: &str| Resource {
        attributes: vec![KeyValue::new("service.name", name.to_owned())],
    };
    let begun = opening(&format!("a | -----BEGIN {LABEL}")).expect("a key begins");
    let line = format!("a | {}", "abcd".repeat(20));
    blocks.open(&resource("a"), begun);
    assert_eq!(blocks.rest(&resource("b"), &line), None);
    assert_eq!(blocks.rest(&resource("a"), &line), Some(4..84));
    clock.advance(std::time::Duration::from_secs(11));
    assert_eq!(blocks.rest(&resource("a"), &line), None, "too late");
    blocks.open(&resource("a"), begun);
    for number in 0..300 {
        clock.advance(std::time::Duration::from_millis(1));
        blocks.open(&resource(&number.to_string()), begun);
    }
    assert_eq!(
        blocks.rest(&resource("a"), &line),
        None,
        "others came since"
    );
    assert_eq!(blocks.rest(&resource("299"), &line), Some(4..84));
    for _ in 0..9 {
        assert_eq!(blocks.rest(&resource("298"), "something else"), None);
    }
    assert_eq!(
        blocks.rest(&resource("298"), &line),
        None,
        "the key is not gone on with"
    );
}

proptest! {
    #[test]
    fn no_line_of_a_key_passes(
        fours in prop::collection::vec("[A-Za-z0-9+/]{4}", 16..120),
        width in prop_oneof![Just(64_usize), Just(70), Just(76), Just(48)],
        prefix in prop_oneof![
            Just("".to_owned()), "[a-z]{1,6} \\| ", "2026-11-28T04:[0-5][0-9]:00Z ", "[A-Z]{4} \\[[a-z]{1,8}\\]: ",
            "[a-z]{1,6}:".prop_filter("what stands behind it goes as its value", |name| !is_key(name.trim_end_matches(':'))),
        ],
    ) {
        let chain = redaction("detect: [private_key]");
        let lines = block(&fours.concat(), width);
        for (at, line) in lines.iter().enumerate() {
            let shown = text_of(&chain, &format!("{prefix}{line}"));
            let expected = match at + 1 == lines.len() {
                true => format!("{prefix}{line}"),
                false => format!("{prefix}<private_key:*>"),
            };
            prop_assert_eq!(shown, expected);
        }
    }
}
