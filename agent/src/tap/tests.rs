use serde_json::Value as Json;
use vervet_model::SystemClock;
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, write_resource_logs};

use super::*;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn query() -> TapQuery {
    TapQuery {
        signal: Signal::Logs,
        receiver: None,
        condition: None,
        grep: None,
        limit: None,
    }
}

fn open(hub: &TapHub, query: TapQuery) -> Result<Tap, TapError> {
    hub.open(query, &clock(), CancellationToken::new())
}

fn batch(bodies: &[&str]) -> Batch {
    let mut payload = Vec::new();
    let resource = Resource {
        attributes: vec![KeyValue::new("service.name", "shop")],
    };
    write_resource_logs(&mut payload, &resource, &Scope::default(), |writer| {
        for body in bodies {
            writer.push(&LogRecord {
                body: (*body).into(),
                severity_number: 17,
                ..LogRecord::default()
            });
        }
    });
    Batch {
        signal: Signal::Logs,
        payload: payload.into(),
        records: bodies.len() as u64,
        positions: Vec::new(),
        news: Vec::new(),
        parts: Vec::new(),
    }
}

async fn bodies(tap: &mut Tap) -> Vec<String> {
    let chunk = tap.next().await.expect("lines");
    let lines = String::from_utf8(chunk.to_vec()).expect("text");
    let body = |line: &str| {
        let line: Json = serde_json::from_str(line).expect("JSON");
        match line.get("missed") {
            Some(missed) => format!("missed {missed}"),
            None => line["body"].as_str().expect("a body").to_owned(),
        }
    };
    lines.lines().map(body).collect()
}

#[tokio::test]
async fn a_tap_sees_what_it_asked_for() {
    let hub = TapHub::default();
    let (files, otlp): (Arc<str>, Arc<str>) = ("files".into(), "otlp".into());
    hub.offer(&files, &batch(&["before anybody looked"]));
    let mut all = open(&hub, query()).expect("opens");
    let of_otlp = TapQuery {
        receiver: Some("otlp".to_owned()),
        ..query()
    };
    let mut of_otlp = open(&hub, of_otlp).expect("opens");
    let some = TapQuery {
        grep: Some("b".to_owned()),
        condition: Some("body != \"bc\" and severity_number >= 17".to_owned()),
        limit: Some(2),
        ..query()
    };
    let mut some = open(&hub, some).expect("opens");
    hub.offer(&files, &batch(&["a", "ab", "bc"]));
    hub.offer(&otlp, &batch(&["b", "bb"]));
    assert_eq!(bodies(&mut all).await, ["a", "ab", "bc"]);
    assert_eq!(bodies(&mut all).await, ["b", "bb"]);
    assert_eq!(bodies(&mut of_otlp).await, ["b", "bb"]);
    assert_eq!(bodies(&mut some).await, ["ab"]);
    assert_eq!(bodies(&mut some).await, ["b"]);
    assert_eq!(some.next().await, None, "the limit is reached");
}

#[tokio::test]
async fn a_slow_tap_loses_records_and_is_told_how_many() {
    let hub = TapHub::default();
    let mut tap = open(&hub, query()).expect("opens");
    let receiver: Arc<str> = "files".into();
    for _ in 0..QUEUE_BATCHES + 5 {
        hub.offer(&receiver, &batch(&["x", "y"]));
    }
    assert_eq!(bodies(&mut tap).await, ["missed 10", "x", "y"]);
    let large = "z".repeat(QUEUE_BYTES_MAX);
    let mut other = open(&hub, query()).expect("opens");
    hub.offer(&receiver, &batch(&[&large]));
    hub.offer(&receiver, &batch(&["after"]));
    assert_eq!(bodies(&mut other).await, ["missed 1", &large]);
}

#[tokio::test]
async fn taps_are_few_close_when_dropped_and_end_with_the_agent() {
    let hub = TapHub::default();
    let mut taps: Vec<Tap> = (0..TAPS_MAX)
        .map(|_| open(&hub, query()).expect("opens"))
        .collect();
    assert_eq!(open(&hub, query()).err(), Some(TapError::TooMany));
    taps.pop();
    let end = CancellationToken::new();
    let mut last = hub
        .open(query(), &clock(), end.clone())
        .expect("room again");
    end.cancel();
    assert_eq!(last.next().await, None);
    drop((taps, last));
    assert_eq!(hub.0.open.load(Ordering::Relaxed), 0);
    let bad = TapQuery {
        condition: Some("body ==".to_owned()),
        ..query()
    };
    assert!(matches!(open(&hub, bad), Err(TapError::Condition(_))));
}
