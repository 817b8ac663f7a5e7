//! Encodings, lines over the limit, and records of several lines, in files that are really read.

use super::*;
use crate::config::read_document;
use crate::config::substitute::SystemSources;

/// A receiver of `path` with further settings (YAML).
fn start_with(path: &Path, settings: &str, resume: Vec<FilePosition>) -> Running {
    let text = format!("include: ['{}']\n{settings}\n", path.display());
    let spec = read_document("f", &text, &SystemSources).expect("a spec");
    start(spec, resume)
}

fn utf16le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn utf_16_is_read_on_where_it_was_left() {
    let (_directory, path) = directory();
    append(
        &path,
        utf16le("\u{feff}erste Zeile ÄÖ\r\nTypeError: Ж\n    at a (b.js:1:1)\nU+0A0A: \u{0a0a}\n"),
    );
    let mut running = start_with(&path, "", Vec::new());
    running.until_count(3).await;
    let trace = "TypeError: Ж\n    at a (b.js:1:1)";
    assert_eq!(
        running.bodies(),
        ["erste Zeile ÄÖ", trace, "U+0A0A: \u{0a0a}"]
    );
    let (_, positions) = running.stop().await;
    assert_eq!(
        positions[0].offset,
        fs::metadata(&path).expect("metadata").len()
    );
    // From the middle of the file, in pieces that end within a character.
    let rest = utf16le("{\"msg\":\"😀\"}\nlast\n");
    append(&path, &rest[..7]);
    let mut running = start_with(&path, "", positions);
    append(&path, &rest[7..]);
    running.until_count(2).await;
    assert_eq!(running.bodies(), ["😀", "last"]);
    running.stop().await;
}

#[tokio::test]
async fn blank_lines_are_counted_and_no_records() {
    let (_directory, path) = directory();
    append(&path, "one\n\n  \t\r\ntwo\n");
    let mut running = start_with(&path, "", Vec::new());
    running.until_count(2).await;
    assert_eq!(running.bodies(), ["one", "two"]);
    assert!(running.metric("vervet_agent_filelog_blank_lines_total{receiver=\"files\"} 2"));
    assert!(running.metric("vervet_agent_filelog_lines_total{receiver=\"files\"} 4"));
    running.stop().await;
}

#[tokio::test]
async fn other_encodings_are_a_setting() {
    let (_directory, path) = directory();
    append(&path, b"caf\xe9\n");
    let mut running = start_with(&path, "encoding: latin-1", Vec::new());
    running.until_count(1).await;
    assert_eq!(running.bodies(), ["café"]);
    assert!(running.metric("vervet_agent_filelog_invalid_utf8_total{receiver=\"files\"} 0"));
    running.stop().await;

    let (_directory, path) = directory();
    append(&path, b"\0a\0\n");
    let mut running = start_with(&path, "encoding: utf-16be", Vec::new());
    running.until_count(1).await;
    assert_eq!(running.bodies(), ["a"]);
    running.stop().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_no_text() {
    let (_directory, path) = directory();
    append(&path, b"\xef\xbb\xbf{\"msg\":\"m\"}\n");
    let mut running = start_with(&path, "format: json", Vec::new());
    running.until_count(1).await;
    assert_eq!(running.bodies(), ["m"]);
    running.stop().await;
}

#[tokio::test]
async fn the_rest_of_a_long_line_is_dropped_and_counted_by_choice() {
    let (_directory, path) = directory();
    append(&path, format!("{}\nshort\n", "x".repeat(700_000)));
    let settings = "max_line: 1KiB\non_long_line: truncate";
    let mut running = start_with(&path, settings, Vec::new());
    running.until_count(2).await;
    assert_eq!(running.seen[0].body, "x".repeat(1024));
    assert_eq!(running.seen[1].body, "short");
    for line in [
        "vervet_agent_filelog_truncated_lines_total{receiver=\"files\"} 1",
        "vervet_agent_receiver_dropped_bytes_total{receiver=\"files\",signal=\"logs\",reason=\"line_truncated\"} 698976",
        "vervet_agent_receiver_dropped_records_total{receiver=\"files\",signal=\"logs\",reason=\"line_truncated\"} 0",
    ] {
        assert!(
            running.metric(line),
            "{line}\n{}",
            running.metrics.encode_text()
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn pieces_over_the_limit_are_dropped_or_records_of_their_own() {
    let piece = |flag: &str, byte: &str| {
        format!("2024-01-02T03:04:05Z stdout {flag} {}\n", byte.repeat(600))
    };
    let lines = piece("P", "a") + &piece("P", "b") + &piece("F", "c") + &piece("F", "d");
    for (settings, expected) in [
        ("max_line: 1300", [1_200, 600, 600].as_slice()),
        ("max_line: 1300\non_long_line: truncate", &[1_200, 600]),
    ] {
        let (_directory, path) = directory();
        append(&path, &lines);
        let mut running = start_with(&path, settings, Vec::new());
        running.until_count(expected.len()).await;
        let lengths: Vec<_> = running.seen.iter().map(|seen| seen.body.len()).collect();
        assert_eq!(lengths, expected, "{settings}");
        running.stop().await;
    }
}

#[tokio::test]
async fn own_patterns_join_lines() {
    let text = "[1] first\nsecond\n\nfourth\n[2] next\n+ more\n";
    for (settings, expected) in [
        (
            r"multiline: {start: '^\[\d+\]', max_wait: 200ms}",
            vec!["[1] first\nsecond\n\nfourth", "[2] next\n+ more"],
        ),
        (
            r"multiline: {continue: '^(\+|s)', max_wait: 200ms}",
            vec!["[1] first\nsecond", "fourth", "[2] next\n+ more"],
        ),
        (
            r"multiline: {start: '^\[\d+\]', max_lines: 2, max_wait: 200ms}",
            vec!["[1] first\nsecond", "fourth", "[2] next\n+ more"],
        ),
        (
            "multiline: none",
            vec!["[1] first", "second", "fourth", "[2] next", "+ more"],
        ),
    ] {
        let (_directory, path) = directory();
        append(&path, text);
        let mut running = start_with(&path, settings, Vec::new());
        running.until_count(expected.len()).await;
        assert_eq!(running.bodies(), expected, "{settings}");
        running.stop().await;
    }
}

#[test]
fn settings_that_cannot_be_used_say_why() {
    for (settings, expected) in [
        (
            "multiline: {start: a, continue: b}",
            "multiline takes one of `type`, `start` and `continue`",
        ),
        (
            "multiline: {start: '('}",
            "multiline.start: regex parse error",
        ),
        (
            "multiline: {max_lines: 0}",
            "multiline.max_lines must be from 1 to 100000",
        ),
        (
            "multiline: {max_bytes: 1GiB}",
            "multiline.max_bytes must be from 1KiB to 16MiB",
        ),
        (
            "multiline: {max_wait: 2m}",
            "multiline.max_wait must be from 0s to 60s",
        ),
        ("max_line: 10", "max_line must be from 1KiB to 16MiB"),
        (
            "format: regex",
            "format.pattern is missing, which regex needs",
        ),
    ] {
        let text = format!("include: [a]\n{settings}\n");
        let spec: FilelogSpec = read_document("f", &text, &SystemSources).expect("a spec");
        let error = FilelogConfig::try_from(spec).err().unwrap_or_default();
        assert!(error.starts_with(expected), "{settings}: {error}");
    }
    for (settings, expected) in [
        (
            "multiline: joined",
            "f:2: multiline: unknown value `joined`",
        ),
        (
            "multiline: {begin: a}",
            "f:2: multiline: unknown key `begin`",
        ),
        (
            "encoding: utf8",
            "f:2: encoding: unknown value `utf8`; did you mean `utf-8`?",
        ),
        (
            "on_long_line: drop",
            "f:2: on_long_line: unknown value `drop`",
        ),
    ] {
        let text = format!("include: [a]\n{settings}\n");
        let error = read_document::<FilelogSpec>("f", &text, &SystemSources).expect_err("invalid");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
