//! `validate` as a person sees it.

use super::program::Place;

fn validate(text: &str) -> (Option<i32>, String, String) {
    let place = Place::new();
    let config = place.configure(text);
    let output = place.vervet(&["validate", "--config", &config.display().to_string()]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_valid_configuration_is_summed_up_and_oddities_are_warned_of() {
    let (code, out, err) = validate(
        "data_dir: DIR/data\nreceivers:\n  files: {type: filelog, include: [/a]}\n  host: {type: hostmetrics}\n\
         processors:\n  r: {type: resource, set: {a: b}}\nexporters:\n  main:\n    type: otlp\n    \
         endpoint: https://a:1\n    auth: {bearer_token_file: DIR/none}\npipelines:\n  logs: {from: [files], via: [r], to: [main]}\n\
         limits: {disk: 1MiB}\ntests: [{input: {body: a}, expect: {body: a}}]\n",
    );
    assert_eq!(code, Some(0), "{err}");
    let expected = "valid\n  logs    files -> r -> main\n  holds   2 receivers, 1 processor, 1 exporter, 1 test";
    assert!(out.contains(expected), "{out}");
    assert!(
        out.contains("at most 1.0 MiB\n  admin   127.0.0.1:7421"),
        "{out}"
    );
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    assert!(
        lines[0].ends_with(
            "agent.yaml:4: warning: receivers.host: no pipeline uses it, it is not started"
        ),
        "{err}"
    );
    assert!(
        lines[1].contains("agent.yaml:11: warning: exporters.main.auth.bearer_token_file: "),
        "{err}"
    );
    assert!(
        lines[1].contains("none cannot be read: No such file"),
        "{err}"
    );
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_mistakes() {
    let (code, out, err) = validate(
        "data_dir: DIR/data\nreceivers:\n  files: {type: filelog, include: [/a]}\nexporters:\n  main:\n    type: otlp\n    \
         endpoint: https://a:1\n    ca_file: DIR/none.pem\n    cert_file: DIR/agent.yaml\n    key_file: DIR\n    \
         timeout: 0s\npipelines:\n  logs: {from: [files], to: [main]}\n",
    );
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    let lines: Vec<&str> = err.lines().collect();
    let expected = [
        (
            "agent.yaml:8: exporters.main.ca_file: ",
            "none.pem cannot be read: No such file",
        ),
        (
            "agent.yaml:9: exporters.main.cert_file: ",
            "holds no certificate",
        ),
        ("agent.yaml:10: exporters.main.key_file: ", "is not a file"),
        ("agent.yaml:11: exporters.main: timeout must be longer", ""),
        ("cannot be used: 4 mistakes", ""),
    ];
    assert_eq!(lines.len(), expected.len(), "{err}");
    for (line, (place, why)) in lines.iter().zip(expected) {
        assert!(
            line.contains(place) && line.contains(why),
            "{line}\n{place}{why}"
        );
    }
}

#[test]
fn what_cannot_work_on_this_machine_is_told() {
    let rest =
        "receivers:\n  files: {type: filelog, include: [DIR]}\nexporters:\n  main: {type: debug}\n";
    let (code, _, err) = validate(&format!("data_dir: DIR/data\n{rest}"));
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("pipelines: there is none"), "{err}");
    let whole = format!("{rest}pipelines:\n  logs: {{from: [files], to: [main]}}\n");
    let (code, _, err) = validate(&format!("data_dir: DIR/agent.yaml\n{whole}"));
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("agent.yaml:1: data_dir: "), "{err}");
    assert!(err.contains("is there and is no folder"), "{err}");
    let (code, _, err) = validate(&format!("data_dir: DIR/data\n{whole}"));
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("agent.yaml:3: warning: receivers.files.include: "),
        "{err}"
    );
    assert!(
        err.contains("is a folder, of which nothing is read"),
        "{err}"
    );
}

#[test]
fn mistakes_go_to_standard_error_with_exit_code_78() {
    let (code, out, err) =
        validate("limts: {}\nexporters:\n  main: {type: otlp, endpoint: \"a\\eb\"}\n");
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(
        err.contains("agent.yaml:1: unknown key `limts`; did you mean `limits`?"),
        "{err}"
    );
    assert!(
        err.contains("endpoint `a\\u{1b}b`") && !err.contains('\u{1b}'),
        "{err}"
    );
    assert!(
        err.ends_with("agent.yaml cannot be used: 2 mistakes\n"),
        "{err}"
    );
    let (code, _, err) = validate("a: [");
    assert_eq!(code, Some(78), "{err}");
}

#[test]
fn absurd_files_are_refused_quickly() {
    let deep = "a: ".to_owned() + &"[".repeat(100_000);
    let anchors = "a: &a [x, x, x, x, x, x, x, x]\n".to_owned()
        + &(0..30)
            .map(|n| {
                format!(
                    "b{n}: &b{n} [*{0}, *{0}, *{0}, *{0}]\n",
                    if n == 0 {
                        "a".to_owned()
                    } else {
                        format!("b{}", n - 1)
                    }
                )
            })
            .collect::<String>();
    let many: String = (0..2_000).map(|n| format!("key{n}: 1\n")).collect();
    for text in [
        deep,
        anchors,
        many,
        "\u{0}\u{1}".to_owned(),
        "- 1\n".to_owned(),
    ] {
        let (code, _, err) = validate(&text);
        assert_eq!(code, Some(78));
        assert!(!err.is_empty());
    }
}
