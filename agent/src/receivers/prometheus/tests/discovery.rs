//! Targets that come and go.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ::http::HeaderMap;
use axum::Json;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::*;
use crate::config::secret::Secret;
use crate::receivers::prometheus::discovery::dns::{DnsDiscovery, Records};
use crate::receivers::prometheus::discovery::{Discovery, Group, GroupSender, GroupTable};
use crate::receivers::prometheus::spec::{AuthorizationSpec, FileSdSpec, HttpSdSpec};

const DEADLINE: Duration = Duration::from_secs(30);

fn without_targets(name: &str) -> ScrapeSpec {
    ScrapeSpec {
        static_configs: Vec::new(),
        ..job(name, "unused:1")
    }
}

/// Waits until the addresses of a table's targets are these.
async fn until_found(table: &GroupTable, expected: &[&str]) -> Vec<Group> {
    let found = async {
        loop {
            let groups: Vec<Group> = table
                .all()
                .iter()
                .flat_map(|groups| groups.to_vec())
                .collect();
            let targets = groups.iter().flat_map(|group| &group.targets);
            let mut found: Vec<&str> = targets
                .map(|target| target["__address__"].as_str())
                .collect();
            found.sort_unstable();
            if found == expected {
                return groups;
            }
            table.changed().await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.unwrap_or_else(|_| panic!("never {expected:?}, but {:?}", table.all()))
}

struct Finding {
    table: Arc<GroupTable>,
    stop: CancellationToken,
}

fn find(discovery: Discovery) -> Finding {
    let table = Arc::new(GroupTable::default());
    let stop = CancellationToken::new();
    let groups = GroupSender::new(Arc::clone(&table), 0);
    tokio::spawn(discovery.run(groups, stop.clone()));
    Finding { table, stop }
}

/// The one discovery of a job.
fn discovery(change: impl FnOnce(&mut ScrapeSpec)) -> Discovery {
    let mut spec = without_targets("j");
    change(&mut spec);
    let spec = PrometheusSpec {
        scrape_configs: vec![spec],
        max_series_per_target: None,
    };
    let config = PrometheusConfig::try_from(spec).expect("valid");
    let job = config.jobs.into_iter().next().expect("a job");
    job.discoveries.into_iter().next().expect("a discovery")
}

fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(&new, path).expect("renamed");
}

#[tokio::test]
async fn files_are_read_when_they_change() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    write(
        &path("a.yaml"),
        "- targets: ['a:1', 'b:1']\n  labels: {env: test}\n- targets: []\n",
    );
    write(&path("b.json"), r#"[{"targets": ["c:1"]}]"#);
    write(&path("c.txt"), "- targets: ['no:1']\n");
    let pattern = |name: &str| path(name).to_string_lossy().into_owned();
    let files = FileSdSpec {
        files: vec![pattern("*.yaml"), pattern("b.json")],
        refresh_interval: None,
    };
    let finding = find(discovery(|spec| spec.file_sd_configs = vec![files]));
    let groups = until_found(&finding.table, &["a:1", "b:1", "c:1"]).await;
    let label = |at: usize, name: &str| groups[at].labels.get(name).cloned();
    assert_eq!(label(0, "env").as_deref(), Some("test"));
    assert_eq!(label(0, "__meta_filepath"), Some(pattern("a.yaml")));
    // What makes no sense changes nothing, and what else changes is taken over.
    write(&path("a.yaml"), "- targts: ['x:1']\n");
    write(&path("b.json"), r#"[{"targets": ["d:1"], "labels": null}]"#);
    until_found(&finding.table, &["a:1", "b:1", "d:1"]).await;
    write(&path("a.yaml"), "- targets: ['e:1']\n");
    until_found(&finding.table, &["d:1", "e:1"]).await;
    std::fs::remove_file(path("a.yaml")).expect("removed");
    write(&path("new.yaml"), "- {targets: ['f:1']}\n");
    until_found(&finding.table, &["d:1", "f:1"]).await;
    finding.stop.cancel();
}

#[tokio::test]
async fn servers_are_asked_again_and_again() {
    let answer = Arc::new(Mutex::new(
        json!([{"targets": ["a:1"], "labels": {"env": "test"}}]),
    ));
    let shown = Arc::clone(&answer);
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let serving = move |headers: HeaderMap| {
        counting.fetch_add(1, Ordering::SeqCst);
        let answer: Value = shown.lock().clone();
        let is_known = headers["authorization"] == "Bearer s3cret";
        async move {
            if is_known {
                Json(answer)
            } else {
                Json(json!("who?"))
            }
        }
    };
    let (address, _stop) = serve(Router::new().route("/targets", get(serving))).await;
    let server = HttpSdSpec {
        url: format!("http://{address}/targets"),
        refresh_interval: Some(Span(Duration::from_millis(10))),
        authorization: Some(AuthorizationSpec {
            credentials: Some(Secret::new("s3cret")),
            ..AuthorizationSpec::default()
        }),
        ..HttpSdSpec::default()
    };
    let url = server.url.clone();
    let finding = find(discovery(|spec| spec.http_sd_configs = vec![server]));
    let groups = until_found(&finding.table, &["a:1"]).await;
    let expected = BTreeMap::from([("env", "test"), ("__meta_url", url.as_str())]);
    let labels: BTreeMap<&str, &str> = groups[0]
        .labels
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(labels, expected);
    *answer.lock() = json!([{"targets": ["b:1"]}, {"targets": ["c:1"]}]);
    until_found(&finding.table, &["b:1", "c:1"]).await;
    // An answer that is no list of groups changes nothing.
    *answer.lock() = json!({"targets": ["x:1"]});
    let before = asked.load(Ordering::SeqCst);
    while asked.load(Ordering::SeqCst) < before + 2 {
        tokio::task::yield_now().await;
    }
    until_found(&finding.table, &["b:1", "c:1"]).await;
    *answer.lock() = json!([{"targets": ["c:1"]}]);
    until_found(&finding.table, &["c:1"]).await;
    finding.stop.cancel();
}

/// Data of records by name and type.
type Answers = BTreeMap<(String, u16), Vec<Vec<u8>>>;

/// A name server: `answers` by name and type, as the data of records.
async fn name_server(answers: Arc<Mutex<Answers>>) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = socket.local_addr().expect("address");
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
            let query = &buffer[..bytes];
            let (name, end) = read_name(query, 12);
            let kind = u16::from_be_bytes([query[end], query[end + 1]]);
            let (records, exists) = {
                let known = answers.lock();
                let exists = known.keys().any(|(known, _)| *known == name);
                (known.get(&(name, kind)).cloned(), exists)
            };
            let records_count = u16::try_from(records.as_ref().map_or(0, Vec::len)).expect("few");
            let mut reply = query[..2].to_vec();
            reply.extend([0x81, if exists { 0x80 } else { 0x83 }, 0, 1]);
            reply.extend(records_count.to_be_bytes());
            reply.extend([0, 0, 0, 0]);
            reply.extend(&query[12..end + 4]);
            for data in records.unwrap_or_default() {
                reply.extend([0xc0, 12]);
                reply.extend(kind.to_be_bytes());
                reply.extend([0, 1, 0, 0, 0, 60]);
                reply.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
                reply.extend(data);
            }
            let _gone = socket.send_to(&reply, from).await;
        }
    });
    address
}

/// The name at a place in a message, and where it ends.
fn read_name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while message[at] != 0 {
        let length = usize::from(message[at]);
        let label = String::from_utf8_lossy(&message[at + 1..at + 1 + length]);
        labels.push(label.to_lowercase());
        at += length + 1;
    }
    (labels.join("."), at + 1)
}

fn service(host: &str, port: u16) -> Vec<u8> {
    let mut data = vec![0, 1, 0, 1];
    data.extend(port.to_be_bytes());
    for label in host.split('.') {
        data.push(u8::try_from(label.len()).expect("short"));
        data.extend(label.bytes());
    }
    data.push(0);
    data
}

fn names(address: SocketAddr, names: &[&str], records: Records) -> Discovery {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    let mut connection = ConnectionConfig::udp();
    connection.port = address.port();
    let server = NameServerConfig::new(address.ip(), true, vec![connection]);
    Discovery::Dns(DnsDiscovery {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        records,
        interval: Duration::from_millis(10),
        servers: Some(ResolverConfig::from_parts(None, Vec::new(), vec![server])),
    })
}

#[tokio::test]
async fn services_of_a_name_are_targets() {
    let name = ("_metrics._tcp.shop.test".to_owned(), 33);
    let records = vec![service("a.shop.test", 9_100), service("b.shop.test", 9_101)];
    let answers = Arc::new(Mutex::new(BTreeMap::from([(name.clone(), records)])));
    let address = name_server(Arc::clone(&answers)).await;
    let finding = find(names(
        address,
        &["_metrics._tcp.shop.test."],
        Records::Services,
    ));
    let groups = until_found(&finding.table, &["a.shop.test:9100", "b.shop.test:9101"]).await;
    assert_eq!(
        groups[0].labels["__meta_dns_name"],
        "_metrics._tcp.shop.test."
    );
    let target = &groups[0].targets[0];
    assert_eq!(target["__meta_dns_srv_record_target"], "a.shop.test.");
    assert_eq!(target["__meta_dns_srv_record_port"], "9100");
    answers
        .lock()
        .insert(name.clone(), vec![service("c.shop.test", 1)]);
    until_found(&finding.table, &["c.shop.test:1"]).await;
    // A name that is not there any more has no targets.
    answers.lock().clear();
    until_found(&finding.table, &[]).await;
    finding.stop.cancel();
}

#[tokio::test]
async fn addresses_of_names_get_the_port() {
    let answers = BTreeMap::from([
        (
            ("a.test".to_owned(), 1),
            vec![vec![10, 0, 0, 1], vec![10, 0, 0, 2]],
        ),
        (("b.test".to_owned(), 1), vec![vec![10, 0, 0, 3]]),
        (
            ("a.test".to_owned(), 28),
            vec![[[0xfd, 0].as_slice(), &[0; 13], &[7]].concat()],
        ),
    ]);
    let address = name_server(Arc::new(Mutex::new(answers))).await;
    let v4 = find(names(address, &["a.test.", "b.test."], Records::V4(80)));
    until_found(&v4.table, &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]).await;
    let v6 = find(names(address, &["a.test.", "b.test."], Records::V6(80)));
    until_found(&v6.table, &["[fd00::7]:80"]).await;
    v4.stop.cancel();
    v6.stop.cancel();
}

#[tokio::test]
async fn a_target_that_is_gone_ends_and_one_that_comes_back_goes_on() {
    let (address, _stop) = serve(Router::new().route("/metrics", get(|| async { "a 1\n" }))).await;
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("t.yaml");
    let listed = format!("- targets: ['{address}']\n");
    write(&file, &listed);
    let mut spec = without_targets("shop");
    spec.file_sd_configs = vec![FileSdSpec {
        files: vec![file.to_string_lossy().into_owned()],
        refresh_interval: None,
    }];
    let mut running = start(vec![spec]);
    assert_eq!(value(&next_points(&mut running.queue).await, "up"), 1.0);
    write(&file, "[]\n");
    // Scrapes go on until it is noticed; then everything ends, the figures included.
    let last = loop {
        let points = next_points(&mut running.queue).await;
        if points.iter().any(|point| point.ends) {
            break points;
        }
    };
    let ended: Vec<&str> = last.iter().map(|point| point.name.as_str()).collect();
    let expected = [
        "a",
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ];
    assert_eq!(ended, expected);
    assert!(last.iter().all(|point| point.ends), "{last:?}");
    write(&file, &listed);
    let back = next_points(&mut running.queue).await;
    assert_eq!(
        (value(&back, "up"), value(&back, "scrape_series_added")),
        (1.0, 1.0)
    );
    running.stop().await;
}
