//! `explain` and `test` as a person sees them, and that nothing secret reaches the disk.

use super::program::{Place, wait_until};

const CARD: &str = "4111 1111 1111 1111";
const CONFIG: &str = "data_dir: DIR/data\n\
    receivers:\n  files: {type: filelog, include: ['DIR/*.txt']}\n\
    processors:\n  pii: {type: redaction}\n\
    exporters:\n  main: {type: otlp, endpoint: 'http://127.0.0.1:9'}\n\
    pipelines:\n  logs: {from: [files], via: [pii], to: [main]}\n\
    admin: {listen: 127.0.0.1:0}\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_card_number_is_explained_and_never_on_disk() {
    let place = Place::new();
    let config = place.configure(CONFIG);
    let path = config.display().to_string();
    let line = format!(r#"{{"msg":"paid with {CARD}"}}"#);
    let explained = place.vervet(&["explain", "--config", &path, &line]);
    let out = text(&explained.stdout);
    assert_eq!(
        explained.status.code(),
        Some(0),
        "{}",
        text(&explained.stderr)
    );
    assert!(
        out.contains("pii (redaction) changes") && out.contains("[credit_card]"),
        "{out}"
    );
    // Four digits alone may stand in a time.
    assert!(!out.contains("1111 1111"), "{out}");
    let json = place.vervet(&[
        "explain",
        "--json",
        "--show-secrets",
        "--config",
        &path,
        &line,
    ]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let change = &json[0]["steps"][0]["changes"][0];
    assert_eq!(
        (&change["rule"], &change["before"]),
        (&"credit_card".into(), &format!("paid with {CARD}").into())
    );
    // The same line through a running agent: held in the buffer, without the number.
    std::fs::write(place.path("a.txt"), format!("{line}\n")).expect("written");
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    wait_until("the record in the buffer", || {
        text(&place.vervet(&["status", "--admin", &admin]).stdout).contains("1 (")
    });
    agent.signal("TERM");
    place.wait_for_log("shutting down");
    agent.signal("TERM");
    agent.wait();
    let mut bytes = Vec::new();
    collect(&place.path("data"), &mut bytes);
    let holds = |needle: &str| {
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    assert!(holds("<credit_card:*>") && !holds(CARD));
}

fn collect(dir: &std::path::Path, bytes: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).expect("folder") {
        let path = entry.expect("entry").path();
        match path.is_dir() {
            true => collect(&path, bytes),
            false => bytes.extend(std::fs::read(path).unwrap_or_default()),
        }
    }
}

#[test]
fn tests_of_a_configuration_pass_or_show_the_difference() {
    let place = Place::new();
    let tests = "tests:\n- {name: masked, input: {body: 'card 4111111111111111'}, expect: {body: 'card <credit_card:*>'}}\n";
    let config = place.configure(&format!("{CONFIG}{tests}"));
    let path = config.display().to_string();
    let passed = place.vervet(&["test", "--config", &path]);
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed.stderr));
    assert_eq!(text(&passed.stdout), "ok    masked\n1 passed, 0 failed\n");
    place.configure(&format!(
        "{CONFIG}{}",
        tests.replace("'card <credit_card:*>'", "other")
    ));
    let failed = place.vervet(&["test", "--config", &path]);
    assert_eq!(failed.status.code(), Some(1));
    let out = text(&failed.stdout);
    assert!(
        out.contains("FAIL  masked\n") && out.contains("agent.yaml:12"),
        "{out}"
    );
    assert!(
        out.contains("body\n        - \"other\"\n        + \"card <credit_card:*>\"\n"),
        "{out}"
    );
    place.configure(&format!(
        "{CONFIG}{}",
        tests.replace("body: 'card 4", "bdy: 'card 4")
    ));
    assert_eq!(
        place.vervet(&["test", "--config", &path]).status.code(),
        Some(78)
    );
}

#[test]
fn globs_without_a_file_are_told_by_explain_the_log_and_status() {
    let place = Place::new();
    let text_of = CONFIG.replace("['DIR/*.txt']", "['DIR/*.txt', 'DIR/nowhere/*.log']");
    let config = place.configure(&text_of);
    let path = config.display().to_string();
    let explained = place.vervet(&["explain", "--config", &path, "a line"]);
    let complaints = text(&explained.stderr);
    assert_eq!(explained.status.code(), Some(0), "{complaints}");
    assert_eq!(complaints.lines().count(), 2, "{complaints}");
    assert!(
        complaints.contains("/nowhere/*.log` matches no file yet"),
        "{complaints}"
    );
    let mut agent = place.start(&config);
    let line = place.wait_for_log("globs that match no file yet");
    assert!(line.contains(".txt") && line.contains("nowhere"), "{line}");
    let admin = place.admin_address();
    let status = || text(&place.vervet(&["status", "--admin", &admin]).stdout);
    wait_until("a warning", || {
        status().contains("~ receiver files: matches no file yet: ")
    });
    std::fs::write(place.path("a.txt"), "one\n").expect("written");
    wait_until("one is found", || {
        let status = status();
        !status.contains("~ receiver files") && status.contains("nowhere/*.log")
    });
    agent.signal("TERM");
    agent.signal("INT");
    assert_eq!(agent.wait(), Some(0));
}
