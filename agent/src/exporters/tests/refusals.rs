//! What destinations answer when they do not take a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::destination::{Answer, Destination};
use super::rig::Rig;
use super::{texts, wait_until};
use crate::buffer::tests::full_disk::FullDisk;

const DISK_BYTES: u64 = 64 << 20;

fn answer(status: u16, body: &str) -> Answer {
    (status, Vec::new(), body.to_owned())
}

/// Both kinds against a destination that judges by the texts.
async fn check(
    judge: impl Fn(&[String]) -> Option<Answer> + Clone + Send + Sync + 'static,
    batch: &[String],
    delivered: &[String],
    refused: &[Vec<String>],
) {
    for kind in ["otlp", "otlphttp"] {
        let judge = judge.clone();
        let destination =
            Destination::with(move |texts, _| judge(texts), Duration::ZERO, None).await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.append(batch).expect("room");
        let settings = format!("type: {kind}, endpoint: 'http://{}'", destination.address);
        let running = rig.start("main", &settings).await;
        rig.wait_until_settled("main").await;
        running.stop().await;
        assert_eq!(destination.lines(), delivered, "{kind}");
        let book = rig.book("main");
        let records: usize = refused.iter().map(Vec::len).sum();
        let dropped = book
            .dropped
            .get("rejected")
            .map_or(0, |amount| amount.records);
        assert_eq!(dropped, records as u64, "{kind}");
        assert_eq!(book.delivered.records, delivered.len() as u64, "{kind}");
        if refused.is_empty() {
            continue;
        }
        let letters = rig.letters();
        let payloads: Vec<Vec<u8>> = letters
            .iter()
            .map(|letter| letter.payload.to_vec())
            .collect();
        let expected: Vec<Vec<u8>> = refused
            .iter()
            .map(|texts| super::rig::request(texts))
            .collect();
        assert_eq!(payloads, expected, "{kind}");
        for letter in letters {
            assert_eq!((letter.exporter.as_str(), letter.sequence), ("main", 1));
            let status = if kind == "otlp" {
                "InvalidArgument"
            } else {
                "400"
            };
            assert_eq!(letter.status, status);
            assert!(letter.reason.contains("bad record"), "{}", letter.reason);
        }
    }
}

fn bad(texts: &[String]) -> Option<Answer> {
    let is_bad = |text: &String| text.ends_with('7');
    texts.iter().any(is_bad).then(|| answer(400, "bad record"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_costs_only_itself() {
    let all = texts(0..40);
    let (refused, delivered): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|text| text.ends_with('7'));
    let refused: Vec<Vec<String>> = refused.into_iter().map(|text| vec![text]).collect();
    check(bad, &all, &delivered, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_goes_in_pieces() {
    let too_large = |texts: &[String]| (texts.len() > 3).then(|| answer(413, "too large"));
    let all = texts(0..50);
    check(too_large, &all, &all, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_the_limit_of_a_grpc_server_goes_in_pieces() {
    let destination = Destination::start().await;
    let mut rig = Rig::new(256 << 20);
    let all: Vec<String> = ["a", "b", "c"].map(|text| text.repeat(6 << 20)).into();
    rig.append(&all).expect("room");
    let settings = format!(
        "type: otlp, compression: none, endpoint: 'http://{}'",
        destination.address
    );
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    assert_eq!(rig.book("main").delivered.records, 3);
    assert!(destination.lines() == all, "all is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_success_in_json_is_counted() {
    for (rejected, records) in [("3", 3), ("\"4\"", 4), ("null", 0)] {
        let answered = move |_: &[String], _: &http::HeaderMap| {
            let headers = vec![("content-type", "application/json".to_owned())];
            let partial =
                format!("{{\"rejectedLogRecords\": {rejected}, \"errorMessage\": \"old\"}}");
            Some((200, headers, format!("{{\"partialSuccess\": {partial}}}")))
        };
        let destination = Destination::with(answered, Duration::ZERO, None).await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.append(&texts(0..10)).expect("room");
        let settings = format!("type: otlphttp, endpoint: 'http://{}'", destination.address);
        let running = rig.start("main", &settings).await;
        rig.wait_until_settled("main").await;
        running.stop().await;
        let book = rig.book("main");
        let left_out = book.dropped.get("rejected_by_collector");
        let left_out = left_out.map_or(0, |amount| amount.records);
        assert_eq!((left_out, book.delivered.records), (records, 10 - records));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_proxy_refuses_nothing() {
    let asked = AtomicUsize::new(0);
    let page = move |_: &[String], _: &http::HeaderMap| {
        let headers = vec![("content-type", "text/html".to_owned())];
        let body = "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>";
        let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then(|| (400, headers, body.to_owned()))
    };
    let destination = Destination::with(page, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    let all = texts(0..10);
    rig.append(&all).expect("room");
    let settings = format!(
        "type: otlphttp, endpoint: 'http://{}', retry: {{initial: 1ms}}",
        destination.address
    );
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    assert_eq!(rig.book("main").delivered.records, 10);
    assert_eq!(destination.lines(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_takes_nothing_is_not_asked_for_every_record() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let never = move |_: &[String], _: &http::HeaderMap| {
        count.fetch_add(1, Ordering::Relaxed);
        Some(answer(400, "bad record"))
    };
    let destination = Destination::with(never, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    let all = texts(0..1_000);
    rig.append(&all).expect("room");
    let settings = format!("type: otlp, endpoint: 'http://{}'", destination.address);
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    assert_eq!(rig.book("main").dropped["rejected"].records, 1_000);
    assert!(asked.load(Ordering::Relaxed) <= 33);
    let letters = rig.letters();
    let kept: u64 = letters.iter().map(|letter| letter.records).sum();
    assert_eq!(kept, 1_000, "all of it is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_was_asked_for_is_kept() {
    let first = AtomicUsize::new(0);
    let busy_once = move |_: &[String], _: &http::HeaderMap| {
        let is_first = first.fetch_add(1, Ordering::Relaxed) == 0;
        let headers = vec![("retry-after", "1".to_owned())];
        is_first.then(|| (429, headers, "busy".to_owned()))
    };
    let destination = Destination::with(busy_once, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    for text in texts(0..8) {
        rig.append(&[text]).expect("room");
    }
    let settings = format!(
        "type: otlphttp, endpoint: 'http://{}', retry: {{initial: 1ms, max: 1ms}}",
        destination.address
    );
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    destination.state(|state| {
        let pause = state.came_at[1] - state.came_at[0];
        // The other lanes wait as well. The destination's clock starts a little before the exporter's.
        assert!(pause >= Duration::from_millis(990), "{pause:?}");
    });
    assert_eq!(destination.lines(), texts(0..8));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_lose_nothing_and_a_new_token_is_read() {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let judge = move |_: &[String], headers: &http::HeaderMap| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let token = headers.get("authorization").expect("sent").to_str();
        assert_eq!(headers["x-scope-orgid"], "one");
        let html = vec![("content-type", "text/html".to_owned())];
        match number {
            0 => Some(answer(404, "not found")),
            1 => Some(answer(403, "forbidden")),
            2 => Some((200, html, "<html>".to_owned())),
            3 => Some(answer(500, "broken")),
            _ if token.expect("text") != "Bearer new-token" => Some(answer(401, "who are you?")),
            _ => None,
        }
    };
    let destination = Destination::with(judge, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    let token = rig.dir.path().join("token");
    std::fs::write(&token, "old-token\n").expect("written");
    rig.append(&texts(0..3)).expect("room");
    let settings = format!(
        "type: otlphttp, endpoint: 'http://{}/', auth: {{bearer_token_file: '{}'}}, \
         headers: {{X-Scope-OrgID: one}}, retry: {{initial: 1ms, max: 5ms}}",
        destination.address,
        token.display()
    );
    let running = rig.start("main", &settings).await;
    wait_until("the old token was refused", || {
        tried.load(Ordering::Relaxed) >= 6
    })
    .await;
    std::fs::write(&token, "new-token").expect("written");
    rig.wait_until_settled("main").await;
    running.stop().await;
    assert_eq!(destination.lines(), texts(0..3));
    assert!(rig.book("main").dropped.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_destination_leaves_out_are_counted() {
    let partly = |_: &[String], _: &http::HeaderMap| {
        let body = vervet_wire::otlp::encode_response(2, "too old");
        let headers = vec![("content-type", "application/x-protobuf".to_owned())];
        Some((
            200,
            headers,
            String::from_utf8(body.to_vec()).expect("ASCII"),
        ))
    };
    let destination = Destination::with(partly, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    rig.append(&texts(0..5)).expect("room");
    let settings = format!("type: otlphttp, endpoint: 'http://{}'", destination.address);
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    let book = rig.book("main");
    assert_eq!(book.dropped["rejected_by_collector"].records, 2);
    assert_eq!(book.delivered.records, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_wait_for_room_on_the_volume() {
    let disk = FullDisk::default();
    let is_full = Arc::clone(&disk.is_full);
    is_full.store(true, Ordering::SeqCst);
    let destination = Destination::with(|texts, _| bad(texts), Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES).letters_on(Arc::new(disk));
    rig.append(&texts(0..10)).expect("room");
    let settings = format!(
        "type: otlp, endpoint: 'http://{}', retry: {{initial: 1ms, max: 2ms}}",
        destination.address
    );
    let running = rig.start("main", &settings).await;
    let attempts = || {
        let standing = rig.metrics.standings.of("main")?;
        let told = standing.trouble()?;
        let is_told = told.contains("1 refused records cannot be put aside, no space left");
        is_told.then_some(standing.attempts)
    };
    wait_until("told", || attempts() > Some(2)).await;
    assert_eq!(rig.book("main").held.records, 10, "nothing is settled");
    is_full.store(false, Ordering::SeqCst);
    rig.wait_until_settled("main").await;
    running.stop().await;
    let book = rig.book("main");
    assert_eq!(
        (book.dropped["rejected"].records, book.dropped.len()),
        (1, 1)
    );
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload, super::rig::request(&texts(7..8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_that_cannot_be_kept_have_a_reason_of_their_own() {
    let destination = Destination::with(|texts, _| bad(texts), Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    std::fs::write(rig.dir.path().join("dead-letter"), "a file").expect("written");
    rig.append(&texts(0..10)).expect("room");
    let settings = format!("type: otlp, endpoint: 'http://{}'", destination.address);
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    let book = rig.book("main");
    assert_eq!(book.dropped["rejected_not_kept"].records, 1);
    assert_eq!((book.dropped.len(), book.delivered.records), (1, 9));
}
