//! `tap` on a running agent.

use std::io::Write as _;

use super::program::Place;

const CONFIG: &str = "data_dir: DIR/data\n\
    receivers:\n  files: {type: filelog, include: ['DIR/*.txt']}\n\
    processors:\n  pii: {type: redaction}\n\
    exporters:\n  main: {type: otlp, endpoint: 'http://127.0.0.1:9'}\n\
    pipelines:\n  logs: {from: [files], via: [pii], to: [main]}\n\
    admin: {listen: 127.0.0.1:0}\n";

#[test]
fn a_tap_shows_what_is_about_to_be_stored() {
    let place = Place::new();
    let config = place.configure(CONFIG);
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    // Lines are written until the tap has seen what it waits for.
    let (done, path) = (
        std::sync::atomic::AtomicBool::new(false),
        place.path("a.txt"),
    );
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::create(&path).expect("created");
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                writeln!(file, "level=info msg=\"quiet 4111111111111111\"").expect("written");
                writeln!(file, "level=error msg=\"loud 4111111111111111\"").expect("written");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let arguments = [
            "tap",
            "--admin",
            &admin,
            "--receiver",
            "files",
            "--where",
            "severity_number >= 17",
            "--grep",
            "loud",
            "--limit",
            "3",
        ];
        let output = place.vervet(&arguments);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        output
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(text.lines().count(), 3, "{text}");
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            (&line["severity"], &line["body"]),
            (&"error".into(), &"loud <credit_card:*>".into())
        );
        assert_eq!(line["receiver"], "files");
    }
    let wrong = place.vervet(&["tap", "--admin", &admin, "--where", "severity >>"]);
    let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(error.contains("the condition cannot be used"), "{error}");
    let wrong = place.vervet(&["tap", "--admin", &admin, "--pipeline", "log"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("unknown pipeline `log`"));
    names_that_are_not_there_are_refused(&place, &admin);
    agent.signal("TERM");
    place.wait_for_log("shutting down");
    agent.signal("TERM");
    assert_eq!(agent.wait(), Some(0));
}

fn names_that_are_not_there_are_refused(place: &Place, admin: &str) {
    for (arguments, expected) in [
        (
            ["--receiver", "nope"],
            "unknown receiver `nope` (known: files)",
        ),
        (
            ["--pipeline", "traces"],
            "unknown pipeline `traces` (known: logs)",
        ),
    ] {
        let wrong = place.vervet(&["tap", "--admin", admin, arguments[0], arguments[1]]);
        let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert_eq!(wrong.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}
