use vervet_model::{ManualClock, UnixNanos};

use super::*;
use crate::config::substitute::SystemSources;

const CONFIG: &str = r#"
data_dir: /tmp/explain
resource: {host.name: n1}
receivers:
  pods: {type: filelog, include: [/var/log/pods/*/*/*.log], format: container}
  app: {type: filelog, include: [/srv/*.log, /var/log/pods/x_y_z/*/*.log], service_name: shop}
  otlp: {type: otlp, grpc: 127.0.0.1:0}
  host: {type: hostmetrics}
processors:
  tag: {type: resource, set: {team: blue}}
  pii: {type: redaction}
exporters:
  main: {type: otlp, endpoint: 'http://127.0.0.1:9'}
pipelines:
  logs: {from: [pods, app, otlp], via: [tag, pii], to: [main]}
"#;

const CARD: &str = "4111111111111111";

fn config(text: &str) -> AgentConfig {
    AgentConfig::parse("f", text, &SystemSources).unwrap_or_else(|error| panic!("{error}"))
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(UnixNanos(1_700_000_000_000_000_000)))
}

fn explain(text: &str, receiver: &str, path: Option<&str>, secrets: Secrets) -> Vec<Way> {
    let config = config(CONFIG);
    let explainer = Explainer::new(&config, clock(), secrets).expect("usable");
    let origin = Origin {
        receiver: Some(receiver.to_owned()).filter(|name| !name.is_empty()),
        path: path.map(str::to_owned),
    };
    explainer
        .text(&origin, text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_container_line_is_told_stage_by_stage() {
    let line = format!(
        r#"2026-01-31T08:00:00.5Z stderr F {{"level":"warn","msg":"card {CARD}","user":{{"password":"hunter2"}},"n":7}}"#
    );
    let path = "/var/log/pods/shop_web-1_0f/next/0.log";
    let ways = explain(&line, "", Some(path), Secrets::Hide);
    let text = render(&ways);
    assert!(!text.contains(CARD) && !text.contains("hunter2"), "{text}");
    let without_record: String = text
        .lines()
        .filter(|line| !line.starts_with("stored"))
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(without_record, @r#"
    receiver  pods (filelog): its globs match /var/log/pods/shop_web-1_0f/next/0.log
    pod       told by the path; no k8sattributes processor is on the way
    runtime   cri: its part of the line is taken off
    format    json, 82 bytes: found by auto: the text is json
    record
      resource.attributes["host.name"]                    n1
      resource.attributes["service.name"]                 next
      resource.attributes["log.file.path"]                /var/log/pods/shop_web-1_0f/next/0.log
      resource.attributes["log.file.name"]                0.log
      resource.attributes["k8s.namespace.name"]           shop
      resource.attributes["k8s.pod.name"]                 web-1
      resource.attributes["k8s.pod.uid"]                  0f
      resource.attributes["k8s.container.name"]           next
      resource.attributes["k8s.container.restart_count"]  0
      time                                                2026-01-31T08:00:00.5Z
      severity                                            warn ("warn")
      body                                                card <credit_card:*>
      attributes["user"]["password"]                      <key:*>
      attributes["n"]                                     7
      attributes["log.iostream"]                          stderr
    pipeline  logs
      tag (resource) changes
        resource.attributes["team"]: ->  blue  [resource]
      pii (redaction) changes
        attributes["user"]["password"]: ->  <key:*>  [key]
        body: ->  card <credit_card:*>  [credit_card]
    goes to   main
    "#);
    let record = ways[0].record.as_ref().expect("stored").to_string();
    assert!(
        record.contains("card <credit_card:*>") && !record.contains(CARD),
        "{record}"
    );
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    for text in [
        format!(r#"{{"msg":"a","password":"hunter2 {CARD}"}}"#),
        format!(r#"{{"msg":"m","a":{{"{CARD}":{{"password":"hunter2"}}}},"list":["{CARD}"]}}"#),
        format!("pay {CARD} password=hunter2 \u{1b}[31m"),
    ] {
        let hidden = explain(&text, "app", None, Secrets::Hide);
        let all = render(&hidden) + &serde_json::to_string(&hidden).expect("JSON");
        assert!(!all.contains(CARD), "{all}");
        assert!(
            !all.contains("hunter2") || text.contains("password="),
            "{all}"
        );
        let shown = render(&explain(&text, "app", None, Secrets::Show));
        assert!(shown.contains(CARD), "{shown}");
        assert!(!shown.contains('\u{1b}'));
    }
}

#[test]
fn several_lines_are_the_records_the_receiver_makes_of_them() {
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    x()\nValueError: no\nnext\n";
    let ways = explain(trace, "app", None, Secrets::Hide);
    assert_eq!(ways.len(), 2, "{}", render(&ways));
    assert!(render(&ways).contains("record 2 of 2"));
    let ways = explain("\n\n", "app", None, Secrets::Hide);
    assert_eq!(render(&ways), "no record: blank lines are passed over\n");
}

#[test]
fn the_receiver_is_found_or_asked_for() {
    let config = config(CONFIG);
    let explainer = Explainer::new(&config, clock(), Secrets::Hide).expect("usable");
    let ask = |receiver: Option<&str>, path: Option<&str>| {
        let origin = Origin {
            receiver: receiver.map(str::to_owned),
            path: path.map(str::to_owned),
        };
        let ways = explainer.text(&origin, b"x");
        ways.map(|ways| (ways[0].receiver.clone(), ways[0].chosen_by.clone()))
    };
    let error = |receiver, path| ask(receiver, path).expect_err("refused").to_string();
    assert_eq!(ask(None, Some("/srv/a.log")).expect("one").0, "app");
    let both = ask(None, Some("/var/log/pods/x_y_z/c/0.log")).expect("two");
    assert!(both.1.contains("as do those of pods"), "{both:?}");
    assert_eq!(
        error(None, None),
        "say which receiver, with --receiver or --path (known: app, pods)"
    );
    assert_eq!(
        error(None, Some("/nowhere")),
        "no filelog receiver reads /nowhere"
    );
    assert_eq!(
        error(Some("host"), None),
        "receiver `host` reads no log lines"
    );
    assert!(error(Some("nope"), None).starts_with("there is no receiver `nope`"));
    let odd = ask(Some("app"), Some("/elsewhere")).expect("named");
    assert!(
        odd.1.contains("its globs do not match /elsewhere"),
        "{odd:?}"
    );
    let text = render(&explain("plain\n", "otlp", None, Secrets::Hide));
    let body = text.lines().find(|line| line.starts_with("  body"));
    assert!(body.is_some_and(|line| line.ends_with("  plain")), "{text}");
}

#[test]
fn a_receiver_without_a_pipeline_ends_there() {
    let config = config(&CONFIG.replace("from: [pods, app, otlp]", "from: [pods]"));
    let explainer = Explainer::new(&config, clock(), Secrets::Hide).expect("usable");
    let origin = Origin {
        receiver: Some("app".to_owned()),
        path: None,
    };
    let ways = explainer.text(&origin, b"x").expect("explained");
    assert_eq!((ways[0].pipeline, &ways[0].record), (None, &None));
    assert!(render(&ways).contains("no pipeline takes logs from this receiver"));
}

/// The paths at which a test differs, for one entry of `tests`.
fn check(case: &str) -> Vec<String> {
    let config = config(&format!("{CONFIG}tests:\n- {case}\n"));
    let explainer = Explainer::new(&config, clock(), Secrets::Show).expect("usable");
    let result = explainer.check(&config.tests[0]).expect("runs");
    let text = |difference: &Difference| {
        format!(
            "{} {} {}",
            difference.path, difference.expected, difference.actual
        )
    };
    result.differences.iter().map(text).collect()
}

#[test]
fn tests_pass_when_everything_expected_is_so() {
    for case in [
        format!("{{input: {{body: 'card {CARD}'}}, expect: {{body: 'card <credit_card:*>'}}}}"),
        "{input: {body: a, attributes: {n: 1, f: 1.5, l: [a, true]}}, expect: {attributes: {n: 1, f: 1.5, l: [a, true], gone: null}}}".to_owned(),
        "{input: {body: {a: {b: 1}}}, expect: {body: {a: {b: 1}}}}".to_owned(),
        "{input: {body: a, resource: {x: y}}, expect: {resource: {x: y, host.name: n1, team: blue}}}".to_owned(),
        "{input: {body: a, severity: warning, time: '2026-01-31T08:00:00Z'}, expect: {severity: warn, time: '2026-01-31T09:00:00+01:00'}}".to_owned(),
        r#"{receiver: pods, input: {line: '2026-01-31T08:00:00Z stdout F {"level":"error","msg":"m"}'}, expect: {body: m, severity: error, attributes: {log.iostream: stdout}}}"#.to_owned(),
        "{receiver: app, input: {line: 'level=info msg=m', format: logfmt, path: /srv/a.log}, expect: {body: m, resource: {log.file.path: /srv/a.log, service.name: shop}}}".to_owned(),
        "{input: {body: a}, expect: {dropped: false}}".to_owned(),
    ] {
        assert_eq!(check(&case), Vec::<String>::new(), "{case}");
    }
}

#[test]
fn failing_tests_say_what_is_different() {
    for (case, expected) in [
        (
            "{input: {body: a}, expect: {body: b, severity: error}}",
            vec![r#"body "b" "a""#, "severity error unknown"],
        ),
        (
            "{input: {body: a, attributes: {n: 1}}, expect: {attributes: {n: '1', m: 2}}}",
            vec![r#"attributes["m"] 2 (absent)"#, r#"attributes["n"] "1" 1"#],
        ),
        (
            "{input: {body: a}, expect: {resource: {team: null}}}",
            vec![r#"resource.attributes["team"] (absent) "blue""#],
        ),
        (
            "{input: {body: a}, expect: {dropped: true}}",
            vec!["dropped yes no"],
        ),
        (
            "{input: {line: \"a\\nb\", format: plain}, expect: {body: a}}",
            vec!["records 1 2"],
        ),
        (
            "{input: {line: ''}, receiver: app, expect: {body: a}}",
            vec!["records 1 0"],
        ),
    ] {
        assert_eq!(check(case), expected, "{case}");
    }
}

const PODS: &str = r#"{"kind": "List", "items": [{
    "metadata": {
        "name": "web-1", "namespace": "shop", "uid": "0f",
        "labels": {"team": "front", "app.kubernetes.io/name": "checkout"},
        "annotations": {"vervet.dev/format.next": "logfmt", "vervet.dev/exclude-containers": "proxy"}
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "next", "image": "web:2.1"}]}
}]}"#;

fn with_pods() -> AgentConfig {
    config(
        &CONFIG
            .replace(
                "  pii:",
                "  k8s: {type: k8sattributes, source: api, labels: [team]}\n  pii:",
            )
            .replace("via: [tag, pii]", "via: [k8s, tag, pii]"),
    )
}

fn explain_with(pods: &str, path: &str) -> Result<String, ExplainError> {
    let config = with_pods();
    let pods = match pods {
        "" => PodDirectory::none(),
        answer => read_pods(&config, answer.as_bytes()).expect("pods"),
    };
    let explainer = Explainer::with_pods(&config, clock(), Secrets::Hide, pods).expect("usable");
    let origin = Origin {
        receiver: None,
        path: Some(path.to_owned()),
    };
    let line = b"2026-01-31T08:00:00.5Z stdout F level=warn msg=hi";
    explainer.text(&origin, line).map(|ways| render(&ways))
}

#[test]
fn a_pods_labels_are_explained_from_a_saved_answer() {
    let path = "/var/log/pods/shop_web-1_0f/next/0.log";
    let text = explain_with(PODS, path).expect("explained");
    for part in [
        "pod       shop/web-1, known from --pod\n",
        "format    logfmt, 17 bytes: asked for by the pod (vervet.dev/format)\n",
        "k8s (k8sattributes) changes\n",
        "resource.attributes[\"k8s.pod.label.team\"]: ->  front",
        "resource.attributes[\"k8s.node.name\"]: ->  n1",
        "resource.attributes[\"service.name\"]: next  ->  checkout",
        "resource.attributes[\"service.version\"]: ->  2.1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Without it, or of another pod, what the path tells; and what would tell more.
    let alone = explain_with("", path).expect("explained");
    assert!(alone.contains("k8s.pod.name\"]"), "{alone}");
    assert!(alone.contains("--pod FILE tells labels"), "{alone}");
    let other = path.replace("_0f", "_1f");
    let other = explain_with(PODS, &other).expect("explained");
    assert!(other.contains("--pod names none with uid 1f"), "{other}");
    let excluded = explain_with(PODS, &path.replace("next", "proxy"));
    assert!(matches!(excluded, Err(ExplainError::Excluded { .. })));
}

#[test]
fn what_is_no_answer_about_pods_is_refused() {
    let config = with_pods();
    for answer in [
        "",
        "Unauthorized",
        "{\"kind\": \"Status\"}",
        "[1]",
        "{\"kind\": \"Pod\", \"spec\": 3}",
    ] {
        assert!(read_pods(&config, answer.as_bytes()).is_err(), "{answer}");
    }
    let one = r#"{"kind": "Pod", "metadata": {"name": "a", "namespace": "b", "uid": "c"}}"#;
    let pods = read_pods(&config, one.as_bytes()).expect("one pod");
    assert_eq!(pods.status().map(|status| status.pods), Some(1));
}

#[test]
fn a_test_may_say_in_which_file_a_line_or_record_stands() {
    let path = "/var/log/pods/shop_web-1_0f/next/0.log";
    let text = CONFIG
        .replace(
            "  pii:",
            "  k8s: {type: k8sattributes, source: api, labels: [team]}\n  pii:",
        )
        .replace("via: [tag, pii]", "via: [k8s, tag, pii]");
    let expect = "expect: {resource: {k8s.pod.name: web-1, k8s.pod.label.team: front, service.name: checkout, x: null}}";
    let config = config(&format!(
        "{text}tests:\n- {{input: {{line: '2026-01-31T08:00:00Z stdout F a=1 b=2', path: {path}}}, {expect}}}\n\
         - {{input: {{body: b, path: {path}}}, {expect}}}\n\
         - {{input: {{body: b, path: {path}, resource: {{service.name: own}}}}, expect: {{resource: {{service.name: own}}}}}}\n"
    ));
    let pods = read_pods(&config, PODS.as_bytes()).expect("pods");
    let explainer = Explainer::with_pods(&config, clock(), Secrets::Show, pods).expect("usable");
    for case in &config.tests {
        assert_eq!(case.receiver.as_deref(), Some("pods"), "told by the path");
        let result = explainer.check(case).expect("runs");
        assert!(result.passed(), "{result:?}");
    }
}

#[test]
fn a_link_that_the_receiver_refuses_is_told_with_the_reason() {
    let dir = tempfile::tempdir().expect("folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(path("logs")).expect("made");
    std::fs::create_dir(path("other")).expect("made");
    std::fs::write(path("other/secret.log"), "x\n").expect("written");
    std::fs::write(path("logs/real.log"), "x\n").expect("written");
    std::os::unix::fs::symlink(path("other/secret.log"), path("logs/link.log")).expect("linked");
    std::os::unix::fs::symlink(path("logs/real.log"), path("logs/inner.log")).expect("linked");
    let explain = |roots: &str, receiver: Option<&str>, name: &str| {
        let text = format!(
            "receivers: {{files: {{type: filelog, include: ['{}'], link_roots: [{roots}]}}}}\n\
             exporters: {{main: {{type: debug}}}}\npipelines: {{logs: {{from: [files], to: [main]}}}}\n",
            path("logs/*.log")
        );
        let config = AgentConfig::parse("f", &text, &SystemSources).expect("valid");
        let clock = Arc::new(ManualClock::new(UnixNanos(1)));
        let explainer = Explainer::new(&config, clock, Secrets::Hide).expect("built");
        let origin = Origin {
            receiver: receiver.map(str::to_owned),
            path: Some(path(name)),
        };
        let ways = explainer.text(&origin, b"a line");
        ways.map(|ways| ways.len())
            .map_err(|error| error.to_string())
    };
    for receiver in [None, Some("files")] {
        let error = explain("", receiver, "logs/link.log").expect_err("refused");
        let expected = format!(
            "receiver `files` does not read {}: it leads to {}, which is not below {}; `link_roots` names folders",
            path("logs/link.log"),
            path("other/secret.log"),
            path("logs")
        );
        assert!(error.starts_with(&expected), "{error}\n{expected}");
    }
    let allowed = format!("'{}'", path("other"));
    assert_eq!(explain(&allowed, None, "logs/link.log"), Ok(1));
    for name in ["logs/real.log", "logs/inner.log", "logs/absent.log"] {
        assert_eq!(explain("", None, name), Ok(1), "{name}");
    }
    std::fs::create_dir(path("logs/folder.log")).expect("made");
    let error = explain("", None, "logs/folder.log").expect_err("a folder");
    assert!(error.ends_with("it is no regular file"), "{error}");
}
