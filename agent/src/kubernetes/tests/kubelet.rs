//! Polling the kubelet.

use super::server::Mood;
use super::*;

fn kubelet() -> Options {
    Options::of(SourceKind::Kubelet)
}

#[tokio::test]
async fn pods_are_learnt_changed_and_buried() {
    let server = Server::start().await;
    server.put(pod("a", &[("tier", "front")]));
    let client = Client::start(&server, kubelet());
    client.until_known("a").await;
    assert_eq!(client.label("a", "tier").as_deref(), Some("front"));
    let before = client.directory.generation();
    server.put(pod("a", &[("tier", "back")]));
    until("change", || client.directory.generation() > before).await;
    assert_eq!(client.label("a", "tier").as_deref(), Some("back"));
    assert_eq!(
        client.directory.generation_of("a"),
        Some(client.directory.generation())
    );
    server.remove("a");
    until("burial", || client.status().tombstones == 1).await;
    assert!(client.find("a").is_some());
    assert_eq!(client.metric("tombstones"), 1);
    assert_eq!(server.requests_with("/pods"), server.requests().len());
}

#[tokio::test]
async fn a_pod_the_kubelet_does_not_name_is_given_up_at_once() {
    let server = Server::start().await;
    server.put(pod("a", &[]));
    let client = Client::start(&server, kubelet());
    client.until_known("a").await;
    let gave_up = || client.directory.known("gone") == Presence::GaveUp;
    until("answer", gave_up).await;
    assert_eq!(client.metric("waits_total{outcome=\"unknown_pod\"}"), 1);
}

#[tokio::test]
async fn an_unknown_pod_brings_the_next_poll_forward() {
    let server = Server::start().await;
    let options = Options {
        interval: FOR_EVER,
        ..kubelet()
    };
    let client = Client::start(&server, options);
    until("first poll", || client.status().up).await;
    server.put(pod("short-lived", &[]));
    client.until_known("short-lived").await;
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_rotated_token_is_read_again() {
    let server = Server::start().await;
    server.set_token("second-token");
    server.put(pod("a", &[]));
    let client = Client::start(&server, kubelet());
    client.until_error("401").await;
    assert!(!client.status().up);
    assert_eq!(client.directory.known("a"), Presence::Pending);
    client.set_token("");
    client.until_error("holds no token").await;
    client.set_token("second-token\n");
    client.until_known("a").await;
    assert!(client.status().up);
    assert_eq!(client.metric("source_up"), 1);
    let shown = format!("{:?} {}", client.status(), client.metrics.encode_text());
    assert!(!shown.contains("-token"), "{shown}");
}

#[tokio::test]
async fn a_server_of_other_authorities_gets_no_request() {
    let (server, other) = (Server::start().await, Server::start().await);
    let options = Options {
        ca_pem: Some(other.ca_pem.clone()),
        ..kubelet()
    };
    let client = Client::start(&server, options);
    client.until_error("certificate").await;
    assert_eq!(server.requests(), Vec::<String>::new());
    // Authorities are rotated, too.
    let file = client.folder.path().join("ca.crt");
    std::fs::write(&file, "nothing").expect("written");
    client.until_error("holds no certificates").await;
    std::fs::remove_file(&file).expect("removed");
    client.until_error("cannot be read").await;
    std::fs::write(&file, &server.ca_pem).expect("written");
    until("recovery", || client.status().up).await;
}

#[tokio::test]
async fn the_certificate_must_be_for_the_server_name() {
    let server = Server::start().await;
    let named = |name: &str| Options {
        server_name: Some(name.to_owned()),
        ..kubelet()
    };
    let client = Client::start(&server, named("other.test"));
    client.until_error("not valid for name").await;
    assert_eq!(server.requests(), Vec::<String>::new());
    let client = Client::start(&server, named("kubelet.test"));
    until("answer", || client.status().up).await;
}

#[tokio::test]
async fn answers_that_are_no_list_change_nothing() {
    let server = Server::start().await;
    server.put(pod("a", &[]));
    let client = Client::start(&server, kubelet());
    client.until_known("a").await;
    let broken = json!({"kind": "PodList", "items": [{"metadata": "text"}]});
    for (mood, error) in [
        (Mood::Raves, "cannot be read"),
        (Mood::Says(json!({})), "no PodList"),
        (Mood::Says(json!({"kind": "Status"})), "no PodList"),
        (Mood::Says(json!([])), "cannot be read"),
        (Mood::Says(broken), "cannot be read"),
        (Mood::Refuses("403 Forbidden"), "403"),
        (Mood::Refuses("500 Internal Server Error"), "500"),
        (
            Mood::Refuses("302 Found\r\nlocation: https://127.0.0.1:1/pods"),
            "302",
        ),
        (Mood::Floods, "over 33554432 bytes"),
    ] {
        server.set(mood);
        client.until_error(error).await;
        assert!(client.find("a").is_some());
        server.set(Mood::Answers);
        until("recovery", || client.status().up).await;
        assert_eq!((client.status().pods, client.status().tombstones), (1, 0));
    }
}

#[tokio::test]
async fn a_server_that_never_answers_holds_logs_back_only_for_the_wait() {
    let server = Server::start().await;
    server.set(Mood::Keeps);
    let options = Options {
        timeout: Duration::from_millis(20),
        wait: Duration::from_millis(40),
        ..kubelet()
    };
    let client = Client::start(&server, options);
    assert_eq!(client.directory.known("a"), Presence::Pending);
    client.until_error("no answer within 20 ms").await;
    until("end", || client.directory.known("a") == Presence::GaveUp).await;
    assert_eq!(
        client.directory.find(&[Key::Uid("a")]),
        Err(directory::Miss::SourceDown)
    );
    assert_eq!(client.metric("misses_total{reason=\"source_down\"}"), 1);
    assert_eq!(client.metric("waits_total{outcome=\"timed_out\"}"), 1);
    // It is not waited for again, and known when it comes.
    assert_eq!(client.directory.known("a"), Presence::GaveUp);
    server.put(pod("a", &[]));
    server.set(Mood::Answers);
}
