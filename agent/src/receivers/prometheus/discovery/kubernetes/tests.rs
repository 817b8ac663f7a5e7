//! Against an HTTPS server that plays the API server: lists, watches, bookmarks, forgotten versions.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::feed::Targets;
use super::*;
use crate::kubernetes::tests::server::Server;
use crate::receivers::prometheus::discovery::{Discovery, Group, GroupTable, LabelMap};

const DEADLINE: Duration = Duration::from_secs(30);
const NODES: &str = "/api/v1/nodes";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

/// A discovery at work.
struct Finding {
    table: Arc<GroupTable>,
    stop: CancellationToken,
    _files: TempDir,
}

fn find(server: &Server, role: Role, change: impl FnOnce(&mut KubernetesSdSpec)) -> Finding {
    let files = tempfile::tempdir().expect("folder");
    let (token, ca) = (files.path().join("token"), files.path().join("ca"));
    std::fs::write(&token, "first-token").expect("written");
    std::fs::write(&ca, &server.ca_pem).expect("written");
    let spec = json!({
        "role": role.as_str(),
        "api_server": server.url,
        "authorization": {"credentials_file": token},
        "tls_config": {"ca_file": ca},
    });
    let mut spec: KubernetesSdSpec = serde_json::from_value(spec).expect("readable");
    change(&mut spec);
    let discovery = KubernetesDiscovery::try_from(spec).expect("valid");
    let (table, stop) = (Arc::new(GroupTable::default()), CancellationToken::new());
    let groups = GroupSender::new(Arc::clone(&table), 0);
    tokio::spawn(Discovery::Kubernetes(discovery).run(groups, stop.clone()));
    Finding {
        table,
        stop,
        _files: files,
    }
}

/// The pods of one node, which is all that the server shows.
fn of_the_node(spec: &mut KubernetesSdSpec) {
    spec.selectors.push(SelectorSpec {
        role: Role::Pod,
        label: None,
        field: Some("spec.nodeName=n1".to_owned()),
    });
}

impl Finding {
    /// All targets by address, once their addresses are these.
    async fn until(&self, expected: &[&str]) -> Vec<LabelMap> {
        let found = async {
            loop {
                let mut found = self.targets();
                found.sort_by(|a, b| a["__address__"].cmp(&b["__address__"]));
                let addresses = found.iter().map(|target| target["__address__"].as_str());
                if addresses.eq(expected.iter().copied()) {
                    return found;
                }
                self.table.changed().await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, found).await;
        found.unwrap_or_else(|_| panic!("never {expected:?}, but {:?}", self.targets()))
    }

    fn targets(&self) -> Vec<LabelMap> {
        let groups: Vec<Group> = self
            .table
            .all()
            .iter()
            .flat_map(|groups| groups.to_vec())
            .collect();
        groups.iter().flat_map(whole).collect()
    }
}

impl Drop for Finding {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The targets of a group, each with all its labels.
fn whole(group: &Group) -> Vec<LabelMap> {
    let with_labels = |target: &LabelMap| {
        let mut labels = group.labels.clone();
        labels.extend(target.clone());
        labels
    };
    group.targets.iter().map(with_labels).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

fn pod(uid: &str, ip: &str, ports: Value) -> Value {
    json!({
        "metadata": {"name": format!("web-{uid}"), "namespace": "shop", "uid": uid},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "web:1", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip},
    })
}

fn port(number: u16) -> Value {
    json!([{"containerPort": number, "name": "http", "protocol": "TCP"}])
}

/// What a document becomes.
fn targets<D: Targets + serde::de::DeserializeOwned>(document: Value) -> Vec<LabelMap> {
    let object: D = serde_json::from_value(document).expect("readable");
    whole(&object.group())
}

/// Labels under `__meta_kubernetes_`, without it.
fn meta(labels: &LabelMap) -> Vec<(&str, &str)> {
    let own = labels.iter();
    let own =
        own.filter_map(|(name, value)| Some((name.strip_prefix(labels::PREFIX)?, value.as_str())));
    own.collect()
}

#[tokio::test]
async fn pods_come_change_and_go_over_a_watch() {
    let server = Server::start().await;
    server.put(pod("a", "10.0.0.1", port(80)));
    let finding = find(&server, Role::Pod, of_the_node);
    finding.until(&["10.0.0.1:80"]).await;
    until("a watch", || server.requests_with("watch=1") == 1).await;
    server.put(pod("b", "10.0.0.2", port(80)));
    server.put(pod("a", "10.0.0.1", port(81)));
    finding.until(&["10.0.0.1:81", "10.0.0.2:80"]).await;
    server.remove("a");
    finding.until(&["10.0.0.2:80"]).await;
    // A watch that ends goes on from the last bookmark, and nothing is listed again.
    let version = server.bookmark();
    server.put(pod("c", "10.0.0.3", port(80)));
    finding.until(&["10.0.0.2:80", "10.0.0.3:80"]).await;
    server.cut();
    let resumed = format!("resourceVersion={}&", version + 1);
    until("the next watch", || server.requests_with(&resumed) == 1).await;
    assert_eq!(server.requests_with("limit="), 1);
}

#[tokio::test]
async fn what_was_missed_is_made_good_by_a_list() {
    for gone_in_stream in [false, true] {
        let server = Server::start().await;
        server.put(pod("a", "10.0.0.1", port(80)));
        server.put(pod("b", "10.0.0.2", port(80)));
        let finding = find(&server, Role::Pod, of_the_node);
        finding.until(&["10.0.0.1:80", "10.0.0.2:80"]).await;
        until("a watch", || server.requests_with("watch=1") == 1).await;
        // It goes away unseen, and the version that the watch would go on from is forgotten: 410.
        server.lose("a");
        server.compact(gone_in_stream);
        finding.until(&["10.0.0.2:80"]).await;
        assert_eq!(server.requests_with("limit="), 2);
    }
}

#[tokio::test]
async fn an_api_server_that_refuses_changes_nothing() {
    let server = Server::start().await;
    server.put(pod("a", "10.0.0.1", port(80)));
    let finding = find(&server, Role::Pod, of_the_node);
    finding.until(&["10.0.0.1:80"]).await;
    until("a watch", || server.requests_with("watch=1") == 1).await;
    let asked = server.requests().len();
    server.set(crate::kubernetes::tests::server::Mood::Refuses(
        "503 Service Unavailable",
    ));
    server.compact(false);
    until("questions", || server.requests().len() > asked + 1).await;
    finding.until(&["10.0.0.1:80"]).await;
    server.set(crate::kubernetes::tests::server::Mood::Answers);
    server.put(pod("b", "10.0.0.2", port(80)));
    finding.until(&["10.0.0.1:80", "10.0.0.2:80"]).await;
}

#[tokio::test]
async fn nodes_are_asked_for_everywhere_and_services_in_their_namespaces() {
    let server = Server::start().await;
    let node = json!({
        "metadata": {"name": "n1", "uid": "n1"},
        "status": {
            "addresses": [{"type": "Hostname", "address": "host"}, {"type": "InternalIP", "address": "10.0.1.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    });
    server.put_at(NODES, node);
    let in_shop = |spec: &mut KubernetesSdSpec| spec.namespaces.names = vec!["shop".to_owned()];
    let nodes = find(&server, Role::Node, in_shop);
    let found = nodes.until(&["10.0.1.1:10250"]).await;
    assert_eq!(found[0]["instance"], "n1");
    let service = |namespace: &str| {
        json!({
            "metadata": {"name": "web", "namespace": namespace, "uid": namespace},
            "spec": {"type": "ClusterIP", "clusterIP": "10.1.0.1", "ports": [{"port": 80, "name": "http"}]},
        })
    };
    for namespace in ["shop", "pay", "else"] {
        let path = format!("/api/v1/namespaces/{namespace}/services");
        server.put_at(&path, service(namespace));
    }
    let services = find(&server, Role::Service, |spec| {
        spec.namespaces.names = vec!["shop".to_owned(), "pay".to_owned()];
    });
    services.until(&["web.pay.svc:80", "web.shop.svc:80"]).await;
    server.remove_at("/api/v1/namespaces/pay/services", "pay");
    services.until(&["web.shop.svc:80"]).await;
}

fn slice(addresses: &[(&str, &str)]) -> Value {
    let endpoints = addresses.iter().map(|(address, pod)| {
        json!({
            "addresses": [address], "conditions": {"ready": true}, "nodeName": "n1",
            "targetRef": {"kind": "Pod", "name": pod, "namespace": "shop"},
        })
    });
    json!({
        "metadata": {
            "name": "web-x1", "namespace": "shop", "uid": "s", "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": endpoints.collect::<Vec<_>>(),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    })
}

#[tokio::test]
async fn endpoints_have_the_labels_of_their_service_and_pod() {
    let server = Server::start().await;
    let ports = json!([{"containerPort": 8080, "name": "http"}, {"containerPort": 9090, "name": "metrics"}]);
    server.put(pod("a", "10.0.0.1", ports));
    let service = |team: &str| json!({"metadata": {"name": "web", "namespace": "shop", "uid": "w", "labels": {"team": team}}, "spec": {}});
    server.put_at("/api/v1/services", service("one"));
    server.put_at(SLICES, slice(&[("10.0.0.1", "web-a")]));
    let finding = find(&server, Role::EndpointSlice, of_the_node);
    // The port that no endpoint leads to is a target, too.
    let found = finding.until(&["10.0.0.1:8080", "10.0.0.1:9090"]).await;
    let label = |at: usize, name: &str| {
        found[at]
            .get(&format!("__meta_kubernetes_{name}"))
            .map(String::as_str)
    };
    assert_eq!(label(0, "service_label_team"), Some("one"));
    assert_eq!(label(0, "namespace"), Some("shop"));
    assert_eq!(label(0, "endpointslice_name"), Some("web-x1"));
    assert_eq!(label(0, "endpointslice_port_name"), Some("http"));
    assert_eq!(
        label(0, "endpointslice_endpoint_conditions_ready"),
        Some("true")
    );
    assert_eq!(label(0, "endpointslice_address_target_name"), Some("web-a"));
    assert_eq!(label(0, "pod_name"), Some("web-a"));
    assert_eq!(label(0, "pod_container_port_number"), Some("8080"));
    assert_eq!(label(1, "pod_container_port_name"), Some("metrics"));
    assert_eq!(label(1, "endpointslice_port"), None);
    assert_eq!(label(1, "service_name"), Some("web"));
    // The service changes, then the slice, then it is gone.
    until("three watches", || server.requests_with("watch=1") == 3).await;
    server.put_at("/api/v1/services", service("two"));
    let team = "__meta_kubernetes_service_label_team";
    until("another team", || {
        finding
            .targets()
            .iter()
            .any(|target| target.get(team).is_some_and(|team| team == "two"))
    })
    .await;
    server.put_at(
        SLICES,
        slice(&[("10.0.0.1", "web-a"), ("10.0.0.9", "unknown")]),
    );
    finding
        .until(&["10.0.0.1:8080", "10.0.0.1:9090", "10.0.0.9:8080"])
        .await;
    server.remove_at(SLICES, "s");
    finding.until(&[]).await;
}

#[test]
fn a_pod_has_a_target_for_each_port_of_each_container() {
    let pod = json!({
        "metadata": {
            "name": "web-a", "namespace": "shop", "uid": "u1",
            "labels": {"app.kubernetes.io/name": "web"}, "annotations": {"prometheus.io/scrape": "true", "empty": ""},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d", "controller": true}],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [
                {"name": "app", "image": "web:1", "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]},
                {"name": "side", "image": "side:1"},
            ],
            "initContainers": [{"name": "first", "image": "first:1"}],
        },
        "status": {
            "phase": "Running", "podIP": "fd00::1", "hostIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "app", "containerID": "containerd://abc"}],
        },
    });
    let found = targets::<Pod>(pod);
    let addresses: Vec<&str> = found
        .iter()
        .map(|target| target["__address__"].as_str())
        .collect();
    assert_eq!(addresses, ["[fd00::1]:80", "fd00::1", "fd00::1"]);
    let expected = [
        ("namespace", "shop"),
        ("pod_annotation_prometheus_io_scrape", "true"),
        ("pod_annotationpresent_empty", "true"),
        ("pod_annotationpresent_prometheus_io_scrape", "true"),
        ("pod_container_id", "containerd://abc"),
        ("pod_container_image", "web:1"),
        ("pod_container_init", "false"),
        ("pod_container_name", "app"),
        ("pod_container_port_name", "http"),
        ("pod_container_port_number", "80"),
        ("pod_container_port_protocol", "TCP"),
        ("pod_controller_kind", "ReplicaSet"),
        ("pod_controller_name", "web-7d"),
        ("pod_host_ip", "10.0.0.1"),
        ("pod_ip", "fd00::1"),
        ("pod_label_app_kubernetes_io_name", "web"),
        ("pod_labelpresent_app_kubernetes_io_name", "true"),
        ("pod_name", "web-a"),
        ("pod_node_name", "n1"),
        ("pod_phase", "Running"),
        ("pod_ready", "true"),
        ("pod_uid", "u1"),
    ];
    assert_eq!(meta(&found[0]), expected);
    assert_eq!(found[2]["__meta_kubernetes_pod_container_init"], "true");
    // One that has no address yet has no target.
    assert!(targets::<Pod>(json!({"metadata": {"name": "a"}, "spec": {}})).is_empty());
}

#[test]
fn the_best_address_of_a_node_is_taken() {
    let node = json!({
        "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": {"providerID": "aws:///i-1"},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": "host"}, {"type": "ExternalIP", "address": "1.2.3.4"},
                {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "10.0.0.2"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    });
    let found = targets::<Node>(node);
    assert_eq!(
        (found.len(), found[0]["__address__"].as_str()),
        (1, "10.0.0.1:10250")
    );
    let expected = [
        ("node_address_ExternalIP", "1.2.3.4"),
        ("node_address_Hostname", "host"),
        ("node_address_InternalIP", "10.0.0.1"),
        ("node_label_zone", "a"),
        ("node_labelpresent_zone", "true"),
        ("node_name", "n1"),
        ("node_provider_id", "aws:///i-1"),
    ];
    assert_eq!(meta(&found[0]), expected);
}

#[test]
fn a_service_says_of_what_kind_it_is() {
    let service = |kind: &str| {
        json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "type": kind, "clusterIP": "10.1.0.1", "externalName": "x.test", "loadBalancerIP": "1.1.1.1",
                "ports": [{"port": 80, "name": "http", "protocol": "TCP"}],
            },
        })
    };
    let labels = |kind: &str, name: &str| {
        let found = targets::<Service>(service(kind));
        found[0]
            .get(&format!("__meta_kubernetes_service_{name}"))
            .cloned()
    };
    assert_eq!(
        labels("ClusterIP", "cluster_ip").as_deref(),
        Some("10.1.0.1")
    );
    assert_eq!(labels("ClusterIP", "external_name"), None);
    assert_eq!(labels("ExternalName", "cluster_ip"), None);
    assert_eq!(
        labels("ExternalName", "external_name").as_deref(),
        Some("x.test")
    );
    assert_eq!(
        labels("LoadBalancer", "loadbalancer_ip").as_deref(),
        Some("1.1.1.1")
    );
    assert_eq!(labels("LoadBalancer", "port_number").as_deref(), Some("80"));
}
