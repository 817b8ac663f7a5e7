//! Listing and watching at the API server.

use super::server::Mood;
use super::*;

fn api() -> Options {
    Options::of(SourceKind::Api)
}

fn watches(server: &Server) -> usize {
    server.requests_with("watch=1")
}

fn lists(server: &Server) -> usize {
    server.requests_with("limit=")
}

#[tokio::test]
async fn a_watch_brings_what_is_added_changed_and_deleted() {
    let server = Server::start().await;
    server.put(pod("a", &[]));
    let client = Client::start(&server, api());
    client.until_known("a").await;
    until("watch", || watches(&server) == 1).await;
    server.put(pod("b", &[("k", "1")]));
    client.until_known("b").await;
    server.put(pod("b", &[("k", "2")]));
    until("change", || client.label("b", "k").as_deref() == Some("2")).await;
    server.remove("a");
    until("burial", || client.status().tombstones == 1).await;
    assert!(client.find("a").is_some());
    // A name that is used again is another pod.
    let mut again = pod("c", &[]);
    again["metadata"]["name"] = json!("web-a");
    server.put(again);
    client.until_known("c").await;
    let uid = |uid: &str| client.find(uid).expect("known").uid.clone();
    assert_eq!((uid("a"), uid("c")), ("a".to_owned(), "c".to_owned()));
    assert_eq!((lists(&server), watches(&server)), (1, 1));
    assert_eq!(client.metric("watch_events_total"), 4);
}

#[tokio::test]
async fn a_pod_that_lived_shortly_is_still_known() {
    let server = Server::start().await;
    let client = Client::start(&server, api());
    until("watch", || watches(&server) == 1).await;
    server.put(pod("brief", &[("k", "v")]));
    server.remove("brief");
    until("burial", || client.status().tombstones == 1).await;
    assert_eq!(client.directory.known("brief"), Presence::Known);
    assert_eq!(client.label("brief", "k").as_deref(), Some("v"));
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let server = Server::start().await;
    let client = Client::start(&server, api());
    until("watch", || watches(&server) == 1).await;
    server.put(pod("a", &[]));
    client.until_known("a").await;
    server.cut();
    until("next watch", || watches(&server) == 2).await;
    let next = server.requests().pop().expect("a request");
    assert!(next.contains("resourceVersion=101&"), "{next}");
    server.put(pod("b", &[]));
    client.until_known("b").await;
    assert_eq!(lists(&server), 1);
    // The events before the cut are not sent again.
    assert_eq!(client.metric("watch_events_total"), 2);
}

#[tokio::test]
async fn a_bookmark_moves_the_version_on() {
    let server = Server::start().await;
    let client = Client::start(&server, api());
    until("watch", || watches(&server) == 1).await;
    // A kind of event that nobody knows is passed over.
    server.send(r#"{"type": "NEWS", "object": {"kind": "Pod"}}"#);
    let marked = server.bookmark();
    server.cut();
    let expected = format!("resourceVersion={marked}");
    until("next watch", || server.requests_with(&expected) == 1).await;
    server.put(pod("a", &[]));
    client.until_known("a").await;
    assert_eq!((lists(&server), watches(&server)), (1, 2));
}

#[tokio::test]
async fn a_token_that_is_rotated_under_a_watch_is_read_again() {
    let server = Server::start().await;
    let client = Client::start(&server, api());
    until("watch", || watches(&server) == 1).await;
    server.set_token("second-token");
    server.cut();
    client.until_error("401").await;
    client.set_token("second-token");
    server.put(pod("a", &[]));
    client.until_known("a").await;
    assert_eq!(lists(&server), 1);
    let shown = format!("{:?} {}", client.status(), client.metrics.encode_text());
    assert!(!shown.contains("-token"), "{shown}");
}

#[tokio::test]
async fn an_expired_version_is_made_good_by_a_list() {
    for gone_in_stream in [false, true] {
        let server = Server::start().await;
        server.put(pod("a", &[]));
        server.put(pod("b", &[]));
        let client = Client::start(&server, api());
        client.until_known("b").await;
        until("watch", || watches(&server) == 1).await;
        server.lose("a");
        server.compact(gone_in_stream);
        until("list", || lists(&server) == 2).await;
        until("burial", || client.status().tombstones == 1).await;
        server.put(pod("c", &[]));
        client.until_known("c").await;
        let requests = server.requests();
        let lists: Vec<_> = requests.iter().filter(|r| r.contains("limit=")).collect();
        // The first may come from the server's cache; after a version has expired that would be a step back.
        assert!(lists[0].contains("resourceVersion=0"), "{lists:?}");
        assert!(!lists[1].contains("resourceVersion"), "{lists:?}");
        assert_eq!(
            client.metric("source_requests_total{outcome=\"expired\"}"),
            1
        );
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_made_good_by_a_list() {
    for line in ["{\"type\": \"ADDED\", \"obj", "[]", "\u{0}\u{0}"] {
        let server = Server::start().await;
        let client = Client::start(&server, api());
        until("watch", || watches(&server) == 1).await;
        server.send(line);
        client.until_error("cannot be read").await;
        until("list", || lists(&server) == 2).await;
        server.put(pod("a", &[]));
        client.until_known("a").await;
    }
}

#[tokio::test]
async fn an_endless_event_is_given_up() {
    let server = Server::start().await;
    let client = Client::start(&server, api());
    until("watch", || watches(&server) == 1).await;
    server.send(&" x".repeat(EVENT_BYTES_MAX));
    client.until_error("over 4194304 bytes").await;
    until("list", || lists(&server) == 2).await;
    assert_eq!(client.status().pods, 0);
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let server = Server::start().await;
    server.set_page(2);
    for uid in ["a", "b", "c", "d", "e"] {
        server.put(pod(uid, &[]));
    }
    let client = Client::start(&server, api());
    client.until_known("e").await;
    assert_eq!(client.status().pods, 5);
    assert_eq!((lists(&server), client.status().tombstones), (3, 0));
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let server = Server::start().await;
    // Pages without pods, each of which says that there are more.
    server.set_page(0);
    server.put(pod("a", &[]));
    let client = Client::start(&server, api());
    client.until_error("goes on after 100 pages").await;
    server.set_page(1);
    client.until_known("a").await;
}

#[tokio::test]
async fn a_server_that_is_down_keeps_what_is_known() {
    let server = Server::start().await;
    server.put(pod("a", &[]));
    let client = Client::start(&server, api());
    client.until_known("a").await;
    until("watch", || watches(&server) == 1).await;
    server.set(Mood::Refuses("503 Service Unavailable\r\nretry-after: 0"));
    server.cut();
    client.until_error("503").await;
    assert!(client.find("a").is_some());
    assert_eq!(client.directory.known("b"), Presence::Pending);
    server.put(pod("b", &[]));
    server.set(Mood::Answers);
    client.until_known("b").await;
    // Both were waited for.
    assert_eq!(client.metric("waits_total{outcome=\"known\"}"), 2);
    assert_eq!(lists(&server), 1);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_named() {
    let server = Server::start().await;
    server.set_token("another");
    let client = Client::start(&server, api());
    client.until_error("401").await;
    assert!(!client.status().up);
    assert_eq!(client.status().since_success_seconds, None);
}
