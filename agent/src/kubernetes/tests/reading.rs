//! Documents and settings, without a server.

use std::net::IpAddr;

use globset::{Glob, GlobSet};

use super::document::PodDocument;
use super::*;

fn read(document: Value, keep: &str) -> Option<Pod> {
    let keep = Glob::new(keep).expect("glob");
    let keep = GlobSet::builder().add(keep).build().expect("globs");
    let document: PodDocument = serde_json::from_value(document).expect("document");
    Pod::from_document(document, &keep)
}

#[test]
fn a_pod_is_read_whole() {
    let long = "x".repeat(VALUE_BYTES_MAX - 1) + "é";
    let pod = read(
        json!({
            "metadata": {
                "name": "web-7d4b9c-x2x1z", "namespace": "shop", "uid": "u1",
                "labels": {"pod-template-hash": "7d4b9c", "long": long},
                "annotations": {
                    "kubernetes.io/config.hash": "h1", "team/owner": "shop", "other": "x",
                    "resource.opentelemetry.io/service.name": "front",
                    "vervet.dev/format": "json", "vervet.dev/exclude-containers": "proxy",
                },
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d4b9c", "controller": true}],
            },
            "spec": {
                "nodeName": "n1",
                "initContainers": [{"name": "init", "image": "busybox"}],
                "containers": [{"name": "app", "image": "acme/web:2"}],
            },
            "status": {
                "podIP": "10.0.0.7",
                "podIPs": [{"ip": "10.0.0.7"}, {"ip": "FD00::7"}, {"ip": "none"}],
                "startTime": "2026-01-02T03:04:05Z",
                "containerStatuses": [{
                    "name": "app", "restartCount": 2, "containerID": "containerd://c2",
                    "lastState": {"terminated": {"containerID": "containerd://c1"}},
                }],
            },
        }),
        "team/*",
    )
    .expect("a pod");
    let ips: [IpAddr; 2] = ["10.0.0.7", "fd00::7"].map(|ip| ip.parse().expect("address"));
    assert_eq!(pod.ips, ips);
    assert_eq!(pod.static_uid.as_deref(), Some("h1"));
    assert_eq!(pod.workload.deployment.as_deref(), Some("web"));
    let annotations: Vec<&str> = pod.annotations.keys().map(String::as_str).collect();
    let expected = ["resource.opentelemetry.io/service.name", "team/owner"];
    assert_eq!(annotations, expected);
    assert_eq!(pod.labels["long"].len(), VALUE_BYTES_MAX - 1);
    let app = pod.only_container().expect("one beside the init container");
    assert_eq!(app.name, "app");
    assert_eq!(app.id(Some(2)), Some("c2"));
    assert_eq!(app.id(Some(1)), Some("c1"));
    assert_eq!(app.id(Some(0)), None);
    assert_eq!(app.id(None), Some("c2"));
    assert!(pod.policy("proxy").exclude);
    assert!(!pod.policy("app").exclude);
    assert!(pod.owns_ips);
}

#[test]
fn a_container_that_waits_for_its_restart_has_one_run() {
    let status = json!({
        "name": "app", "restartCount": 3, "containerID": "cri-o://c3",
        "lastState": {"terminated": {"containerID": "cri-o://c3"}},
    });
    let mut document = pod("u", &[]);
    document["status"]["containerStatuses"] = json!([status]);
    let pod = read(document, "none").expect("a pod");
    assert_eq!(pod.containers[0].runs, [(3, "c3".to_owned())]);
}

#[test]
fn missing_and_null_parts_are_no_mistakes() {
    let bare = json!({"metadata": {"name": "a", "namespace": "b", "uid": "c"}});
    assert!(read(bare, "*").is_some());
    let nulls = json!({
        "metadata": {
            "name": "a", "namespace": "b", "uid": "c", "labels": null, "annotations": null,
            "ownerReferences": null,
        },
        "spec": {"containers": null, "nodeName": null},
        "status": {"containerStatuses": null, "podIPs": [{}], "podIP": ""},
    });
    assert!(read(nulls, "*").is_some());
    for lacking in [
        json!({}),
        json!({"metadata": {"name": "a", "namespace": "b"}}),
        json!({"metadata": {"name": "a", "namespace": "b", "uid": ""}}),
        json!({"metadata": {"name": "a", "uid": "c"}}),
    ] {
        assert_eq!(read(lacking, "*"), None);
    }
}

#[test]
fn addresses_of_the_node_and_of_ended_pods_are_not_the_pods() {
    for (part, key, value) in [
        ("spec", "hostNetwork", json!(true)),
        ("status", "phase", json!("Succeeded")),
        ("status", "phase", json!("Failed")),
    ] {
        let mut document = pod("u", &[]);
        document[part][key] = value;
        assert!(!read(document, "*").expect("a pod").owns_ips);
    }
}

#[test]
fn events_that_are_cut_or_changed_anywhere_do_no_harm() {
    let event = json!({"type": "ADDED", "object": pod("u", &[("k", "v")])}).to_string();
    for end in 0..event.len() {
        assert!(document::WatchEvent::<PodDocument>::parse(&event.as_bytes()[..end]).is_err());
    }
    for at in 0..event.len() {
        for byte in [b'"', b'{', b'0', 0xff] {
            let mut bytes = event.clone().into_bytes();
            bytes[at] = byte;
            // Whatever it says then, it is an event or an error.
            let _outcome = document::WatchEvent::<PodDocument>::parse(&bytes);
        }
    }
    let deep = "[".repeat(100_000);
    let event = format!("{{\"type\": \"ADDED\", \"object\": {deep}");
    assert!(document::WatchEvent::<PodDocument>::parse(event.as_bytes()).is_err());
}

fn config(kind: SourceKind) -> SourceConfig {
    SourceConfig {
        kind,
        endpoint: None,
        server_name: None,
        node: None,
        token_file: "/t".into(),
        ca_file: "/c".into(),
        interval: FOR_EVER,
        timeout: FOR_EVER,
        wait: FOR_EVER,
        tombstones: FOR_EVER,
    }
}

fn open(config: &SourceConfig, variables: &[(&str, &str)]) -> Result<String, StartError> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let surroundings = Surroundings {
        variable: &variable,
        annotations: GlobSet::empty(),
        metrics: KubernetesMetrics::default(),
    };
    let (directory, _source) = PodSource::open(config, surroundings)?;
    Ok(directory
        .status()
        .map_or(String::new(), |status| status.endpoint))
}

#[test]
fn what_settings_leave_out_comes_from_the_environment() {
    let api = [
        ("KUBERNETES_SERVICE_HOST", "fd00::1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("NODE_NAME", "n1"),
    ];
    let api_config = config(SourceKind::Api);
    assert_eq!(open(&api_config, &api).as_deref(), Ok("https://[fd00::1]/"));
    assert_eq!(open(&api_config, &api[..2]), Err(StartError::NoNode));
    assert_eq!(open(&api_config, &api[2..]), Err(StartError::NoEndpoint));
    let kubelet = config(SourceKind::Kubelet);
    let node_ip = [("NODE_IP", "10.1.0.4")];
    let address = |ip: &str| Ok(format!("https://{ip}:10250/"));
    assert_eq!(open(&kubelet, &node_ip), address("10.1.0.4"));
    assert_eq!(open(&kubelet, &[]), address("127.0.0.1"));
    let named = SourceConfig {
        server_name: Some("node-4".to_owned()),
        ..kubelet
    };
    assert_eq!(open(&named, &node_ip), address("node-4"));
    let unknown = open(&named, &[("NODE_IP", "node.internal")]);
    assert!(matches!(unknown, Err(StartError::NoAddress(_))));
    assert_eq!(open(&config(SourceKind::None), &[]), Ok(String::new()));
}

#[test]
fn without_a_source_nothing_is_known_and_nothing_waited_for() {
    let none = PodDirectory::none();
    assert_eq!(none.known("a"), Presence::GaveUp);
    assert_eq!(none.log_policy("a", "b"), LogPolicy::default());
    assert_eq!((none.generation(), none.generation_of("a")), (0, None));
    assert_eq!(none.status(), None);
}
