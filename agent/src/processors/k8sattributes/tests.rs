use serde_json::{Value as Json, json};
use vervet_wire::otlp::{KeyValue, Value};

use super::*;
use crate::kubernetes::{LogPolicy, PodsDouble, Presence};

fn web() -> Json {
    json!({
        "metadata": {
            "name": "web-7d4b9c-x2x1z", "namespace": "shop", "uid": "u1",
            "labels": {"pod-template-hash": "7d4b9c", "app": "web", "team/name": "front"},
            "annotations": {"note": "n", "vervet.dev/format": "json"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d4b9c", "controller": true}],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [
                {"name": "app", "image": "ghcr.io/acme/web:2.1"},
                {"name": "proxy", "image": "envoy@sha256:ab"},
            ],
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "startTime": "2026-01-02T03:04:05Z",
            "containerStatuses": [
                {"name": "app", "restartCount": 1, "containerID": "containerd://c1",
                 "lastState": {"terminated": {"containerID": "containerd://c0"}}},
                {"name": "proxy", "restartCount": 0, "containerID": "containerd://p0"},
            ],
        },
    })
}

/// The attributes of a file below `/var/log/pods`, as its receiver makes them.
fn file(container: &str, restarts: i64) -> Vec<(String, Value<'static>)> {
    let path = format!("/var/log/pods/shop_web-7d4b9c-x2x1z_u1/{container}/{restarts}.log");
    let texts = [
        ("deployment.environment.name", "production"),
        ("service.name", container),
        ("log.file.path", &path),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "web-7d4b9c-x2x1z"),
        ("k8s.pod.uid", "u1"),
        ("k8s.container.name", container),
    ];
    let mut attributes = sent(&texts);
    attributes.push(("k8s.container.restart_count".to_owned(), restarts.into()));
    attributes
}

fn sent(texts: &[(&str, &str)]) -> Vec<(String, Value<'static>)> {
    let texts = texts.iter();
    texts
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned().into()))
        .collect()
}

fn step(settings: &str, pods: &PodsDouble) -> K8sAttributesStep {
    let spec: K8sAttributesSpec = serde_json::from_str(settings).expect("settings");
    let config = K8sAttributesConfig::try_from(spec).expect("valid");
    config.compile(&pods.directory)
}

fn knowing(pod: Json) -> PodsDouble {
    let pods = PodsDouble::new(Duration::from_secs(3_600));
    pods.put(pod);
    pods
}

/// Applies the step with these settings: what the resource then says, as text.
fn apply(
    settings: &str,
    pods: &PodsDouble,
    attributes: &[(String, Value<'static>)],
) -> std::collections::BTreeMap<String, String> {
    let is_file = attributes.iter().any(|(key, _)| key == "log.file.path");
    let origin = match is_file {
        true => Origin::File {
            service_is_guess: true,
        },
        false => Origin::Sender,
    };
    apply_from(origin, settings, pods, attributes)
}

fn apply_from(
    origin: Origin,
    settings: &str,
    pods: &PodsDouble,
    attributes: &[(String, Value<'static>)],
) -> std::collections::BTreeMap<String, String> {
    let before = attributes.iter().cloned();
    let mut resource = Resource {
        attributes: before
            .map(|(key, value)| KeyValue::new(key, value))
            .collect(),
    };
    let changed = step(settings, pods).apply(&mut resource, origin);
    let after: Vec<_> = resource.attributes.iter().map(|a| a.key.clone()).collect();
    let all: std::collections::BTreeSet<_> = after.iter().collect();
    assert_eq!(all.len(), after.len(), "an attribute stands twice");
    if !changed {
        assert_eq!(after.len(), attributes.len());
    }
    let texts = resource.attributes.iter();
    texts
        .map(|a| (a.key.to_string(), a.value.to_text().into_owned()))
        .collect()
}

#[track_caller]
fn check(
    found: &std::collections::BTreeMap<String, String>,
    present: &[(&str, &str)],
    absent: &[&str],
) {
    for (key, value) in present {
        assert_eq!(found.get(*key).map(String::as_str), Some(*value), "{key}");
    }
    for key in absent {
        assert_eq!(found.get(*key), None, "{key}");
    }
}

#[test]
fn a_file_gets_all_that_is_known_of_its_container() {
    let pods = knowing(web());
    let settings =
        r#"{"source": "api", "labels": ["app", "team/*"], "annotations": ["note", "nothing"]}"#;
    let found = apply(settings, &pods, &file("app", 1));
    check(
        &found,
        &[
            ("k8s.node.name", "n1"),
            ("k8s.pod.ip", "10.0.0.7"),
            ("k8s.pod.start_time", "2026-01-02T03:04:05Z"),
            ("k8s.deployment.name", "web"),
            ("k8s.replicaset.name", "web-7d4b9c"),
            ("container.id", "c1"),
            ("container.image.name", "ghcr.io/acme/web"),
            ("container.image.tags", r#"["2.1"]"#),
            ("k8s.pod.label.app", "web"),
            ("k8s.pod.label.team/name", "front"),
            ("k8s.pod.annotation.note", "n"),
            ("service.name", "web"),
            ("service.namespace", "shop"),
            ("service.version", "2.1"),
            ("service.instance.id", "shop.web-7d4b9c-x2x1z.app"),
            ("deployment.environment.name", "production"),
        ],
        &[
            "k8s.pod.label.pod-template-hash",
            "k8s.pod.annotation.vervet.dev/format",
        ],
    );
    // The run before the last restart had another id; of one before that nothing is known.
    let of = |restarts| apply("{}", &pods, &file("app", restarts)).remove("container.id");
    assert_eq!(of(0).as_deref(), Some("c0"));
    assert_eq!(of(7), None);
    let proxy = apply("{}", &pods, &file("proxy", 0));
    check(
        &proxy,
        &[("service.version", "sha256:ab"), ("container.id", "p0")],
        &["container.image.tags"],
    );
}

#[test]
fn the_service_is_named_by_opentelemetrys_rule() {
    let named = |labels: &[(&str, &str)], annotation: Option<&str>, settings: &str| {
        let mut pod = web();
        for (key, value) in labels {
            pod["metadata"]["labels"][*key] = json!(value);
        }
        if let Some(name) = annotation {
            pod["metadata"]["annotations"]["resource.opentelemetry.io/service.name"] = json!(name);
        }
        let found = apply(settings, &knowing(pod), &file("app", 1));
        (
            found["service.name"].clone(),
            found["service.version"].clone(),
        )
    };
    let labels = [
        ("app.kubernetes.io/name", "by-name"),
        ("app.kubernetes.io/version", "9"),
    ];
    let expect = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    assert_eq!(named(&labels, None, "{}"), expect("by-name", "9"));
    let with_instance = [labels.as_slice(), &[("app.kubernetes.io/instance", "by-i")]].concat();
    assert_eq!(named(&with_instance, None, "{}"), expect("by-i", "9"));
    let both = named(&with_instance, Some("by-annotation"), "{}");
    assert_eq!(both, expect("by-annotation", "9"));
    let without = r#"{"well_known_labels": false}"#;
    assert_eq!(named(&with_instance, None, without), expect("web", "2.1"));
    let empty = [("app.kubernetes.io/name", "")];
    assert_eq!(named(&empty, Some(""), "{}"), expect("web", "2.1"));
    // An annotation that says the container's name is no guess.
    assert_eq!(named(&labels, Some("app"), "{}").0, "app");
    // Without an owner it is the pod's name.
    let mut alone = web();
    alone["metadata"]["ownerReferences"] = json!(null);
    let found = apply("{}", &knowing(alone), &file("app", 1));
    assert_eq!(found["service.name"], "web-7d4b9c-x2x1z");
    check(&found, &[], &["k8s.deployment.name", "k8s.replicaset.name"]);
}

#[test]
fn a_receivers_own_service_name_stays() {
    let mut attributes = file("app", 1);
    attributes[1].1 = "checkout".into();
    let found = apply("{}", &knowing(web()), &attributes);
    assert_eq!(found["service.name"], "checkout");
}

#[test]
fn what_a_process_calls_itself_wins_be_it_its_containers_name() {
    let mut pod = web();
    pod["metadata"]["labels"]["app.kubernetes.io/name"] = json!("by-label");
    pod["metadata"]["annotations"]["resource.opentelemetry.io/service.name"] = json!("by-note");
    let pods = knowing(pod);
    // A file's lines as another collector sends them, the process's own records, and both without a file.
    let of_file = file("app", 1);
    let own = sent(&[
        ("service.name", "app"),
        ("k8s.pod.uid", "u1"),
        ("k8s.container.name", "app"),
    ]);
    for attributes in [&of_file, &own] {
        let found = apply_from(Origin::Sender, "{}", &pods, attributes);
        assert_eq!(found["service.name"], "app");
    }
    // Somebody named the service of a file in the configuration: only the pod's annotation knows better.
    let named = Origin::File {
        service_is_guess: false,
    };
    let found = apply_from(named, "{}", &pods, &of_file);
    assert_eq!(found["service.name"], "by-note");
    let mut plain = web();
    plain["metadata"]["labels"]["app.kubernetes.io/name"] = json!("by-label");
    let found = apply_from(named, "{}", &knowing(plain.clone()), &of_file);
    assert_eq!(found["service.name"], "app");
    // Nobody did: the path is the weakest.
    let found = apply("{}", &knowing(plain.clone()), &of_file);
    assert_eq!(found["service.name"], "by-label");
    for (name, expected) in [
        ("unknown_service", "by-label"),
        ("unknown_service:node", "by-label"),
        ("unknown_service_desk", "unknown_service_desk"),
    ] {
        let own = sent(&[("service.name", name), ("k8s.pod.uid", "u1")]);
        let found = apply("{}", &knowing(plain.clone()), &own);
        assert_eq!(found["service.name"], expected);
    }
}

#[test]
fn resource_annotations_become_attributes_but_no_origin() {
    let mut pod = web();
    let annotations = &mut pod["metadata"]["annotations"];
    for (key, value) in [
        ("deployment.environment.name", "staging"),
        ("team", "front"),
        ("k8s.pod.uid", "forged"),
        ("k8s.namespace.name", "kube-system"),
        ("host.name", "forged"),
        ("log.file.path", "/etc/passwd"),
        ("", "nameless"),
    ] {
        annotations[format!("resource.opentelemetry.io/{key}")] = json!(value);
    }
    let pods = knowing(pod);
    let found = apply("{}", &pods, &file("app", 1));
    check(
        &found,
        &[
            ("deployment.environment.name", "staging"),
            ("team", "front"),
            ("k8s.pod.uid", "u1"),
            ("k8s.namespace.name", "shop"),
        ],
        &["host.name", ""],
    );
    assert_ne!(found["log.file.path"], "/etc/passwd");
    // What a sender says of itself stays.
    let from = [
        ("k8s.pod.uid", "u1"),
        ("deployment.environment.name", "canary"),
    ];
    let found = apply("{}", &pods, &sent(&from));
    check(
        &found,
        &[("deployment.environment.name", "canary"), ("team", "front")],
        &[],
    );
}

#[test]
fn senders_are_told_by_uid_container_and_address() {
    let pods = knowing(web());
    for (key, value, container) in [
        ("k8s.pod.uid", "u1", None),
        ("container.id", "p0", Some("proxy")),
        ("container.id", "containerd://c0", Some("app")),
        ("k8s.pod.ip", "10.0.0.7", None),
        ("k8s.pod.ip", "::ffff:10.0.0.7", None),
    ] {
        let from = [(key, value), ("service.name", "unknown_service:node")];
        let found = apply("{}", &pods, &sent(&from));
        check(
            &found,
            &[
                (key, value),
                ("k8s.pod.name", "web-7d4b9c-x2x1z"),
                ("k8s.deployment.name", "web"),
                ("service.name", "web"),
            ],
            &[],
        );
        let name = found.get("k8s.container.name").map(String::as_str);
        assert_eq!(name, container, "{key}");
    }
    // The first key that leads to a pod counts.
    let from = [("k8s.pod.uid", "unknown"), ("k8s.pod.ip", "10.0.0.7")];
    let found = apply("{}", &pods, &sent(&from));
    check(
        &found,
        &[
            ("k8s.pod.uid", "unknown"),
            ("k8s.pod.name", "web-7d4b9c-x2x1z"),
        ],
        &[],
    );
}

#[test]
fn the_only_container_of_a_pod_needs_no_name() {
    let mut pod = web();
    pod["spec"]["containers"] = json!([{"name": "app", "image": "web:3"}]);
    pod["spec"]["initContainers"] = json!([{"name": "init", "image": "init:1"}]);
    let found = apply("{}", &knowing(pod), &sent(&[("k8s.pod.uid", "u1")]));
    check(
        &found,
        &[
            ("k8s.container.name", "app"),
            ("service.version", "3"),
            ("container.id", "c1"),
        ],
        &[],
    );
}

#[test]
fn what_is_not_known_leaves_the_resource_as_it_is() {
    let pods = knowing(web());
    for attributes in [
        sent(&[]),
        sent(&[("k8s.pod.uid", "u2")]),
        sent(&[("k8s.pod.ip", "not an address")]),
        sent(&[("k8s.pod.ip", "10.0.0.8")]),
        vec![("k8s.pod.uid".to_owned(), Value::Int(1))],
    ] {
        assert_eq!(apply("{}", &pods, &attributes).len(), attributes.len());
    }
    pods.fail();
    let found = apply("{}", &pods, &sent(&[("k8s.pod.uid", "u1")]));
    check(&found, &[("k8s.deployment.name", "web")], &[]);
}

#[test]
fn a_path_alone_tells_the_instance() {
    let pods = PodsDouble::new(Duration::ZERO);
    let found = apply("{}", &pods, &file("app", 0));
    check(
        &found,
        &[
            ("service.name", "app"),
            ("service.namespace", "shop"),
            ("service.instance.id", "shop.web-7d4b9c-x2x1z.app"),
        ],
        &["k8s.deployment.name"],
    );
}

#[test]
fn a_pod_that_is_gone_is_still_known_but_not_by_address() {
    let pods = knowing(web());
    pods.remove("u1");
    assert_eq!(pods.directory.known("u1"), Presence::Known);
    assert_eq!(
        pods.directory.log_policy("u1", "app"),
        LogPolicy {
            exclude: false,
            format: Some("json".into())
        }
    );
    let found = apply("{}", &pods, &file("app", 1));
    check(&found, &[("k8s.deployment.name", "web")], &[]);
    let found = apply("{}", &pods, &sent(&[("k8s.pod.ip", "10.0.0.7")]));
    assert_eq!(found.len(), 1);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, error) in [
        (r#"{"labels": ["a"]}"#, "labels needs a source"),
        (r#"{"source": "none", "wait": "1s"}"#, "wait needs a source"),
        (r#"{"source": "api", "labels": ["["]}"#, "labels: "),
        (
            r#"{"source": "api", "endpoint": "http://a"}"#,
            "is not https",
        ),
        (
            r#"{"source": "api", "endpoint": "https://a/x"}"#,
            "https://host:port",
        ),
        (
            r#"{"source": "api", "endpoint": "https://u:p@a"}"#,
            "https://host:port",
        ),
        (r#"{"source": "api", "endpoint": "a"}"#, "endpoint `a`"),
        (
            r#"{"source": "kubelet", "endpoint": "https://node-1:10250", "server_name": "n"}"#,
            "needs an endpoint with an IP address",
        ),
        (
            r#"{"source": "kubelet", "server_name": "a b"}"#,
            "no address",
        ),
        (r#"{"source": "api", "node": ""}"#, "node is empty"),
        (
            r#"{"source": "kubelet", "interval": "10ms"}"#,
            "at least 1s",
        ),
        (r#"{"source": "kubelet", "timeout": "0s"}"#, "longer than 0"),
        (r#"{"source": "kubelet", "wait": "2m"}"#, "at most 60s"),
        (
            r#"{"source": "kubelet", "tombstones": "25h"}"#,
            "at most 24h",
        ),
    ] {
        let spec: K8sAttributesSpec = serde_json::from_str(settings).expect("settings");
        let refused = K8sAttributesConfig::try_from(spec).expect_err(settings);
        let refused = refused.to_string();
        assert!(refused.contains(error), "{settings}: {refused}");
    }
    for unknown in [
        r#"{"insecure_skip_verify": true}"#,
        r#"{"source": "kubectl"}"#,
    ] {
        assert!(serde_json::from_str::<K8sAttributesSpec>(unknown).is_err());
    }
}

#[test]
fn one_process_has_one_source() {
    let configs = |settings: &[&str]| {
        let processors = settings.iter().enumerate().map(|(index, settings)| {
            let spec: K8sAttributesSpec = serde_json::from_str(settings).expect("settings");
            let config = K8sAttributesConfig::try_from(spec).expect("valid");
            (
                index.to_string(),
                ProcessorConfig::K8sAttributes(Box::new(config)),
            )
        });
        K8sAttributesConfig::shared_source(&processors.collect())
    };
    assert!(configs(&[]).expect("agreed").is_none());
    assert!(configs(&["{}"]).expect("agreed").is_none());
    let (source, annotations) = configs(&[
        "{}",
        r#"{"source": "api", "annotations": ["a"], "labels": ["x"]}"#,
        r#"{"source": "api", "annotations": ["b/*"]}"#,
    ])
    .expect("agreed")
    .expect("a source");
    assert_eq!(source.kind, SourceKind::Api);
    assert!(annotations.is_match("a") && annotations.is_match("b/c"));
    assert!(!annotations.is_match("c"));
    let two = [r#"{"source": "api"}"#, r#"{"source": "kubelet"}"#];
    assert!(configs(&two).is_err());
}
