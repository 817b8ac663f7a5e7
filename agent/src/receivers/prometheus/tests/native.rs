//! Bodies in protobuf: native histograms, exemplars, when series began.

use ::http::{HeaderMap, header};
use parking_lot::Mutex;
use vervet_wire::otlp::{ExponentialHistogramPoint, KeyValue, NumberPoint, Temporality};
use vervet_wire::protobuf::{Reader, Writer};

use super::*;

const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

fn message(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    fill(&mut Writer::new(&mut out));
    out
}

fn label(w: &mut Writer<'_>, name: &str, value: &str) {
    w.message(1, |w| {
        w.string(1, name);
        w.string(2, value);
    });
}

fn timestamp(w: &mut Writer<'_>, field: u32, seconds: u64) {
    w.message(field, |w| w.varint(1, seconds));
}

/// A family of one metric, with its length before it.
fn family(name: &str, kind: u64, metric: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let family = message(|w| {
        w.string(1, name);
        w.string(2, "Some help");
        w.varint(3, kind);
        w.message(4, metric);
    });
    // A field's value stands behind its key of one byte.
    message(|w| w.bytes_always(1, &family)).split_off(1)
}

fn exemplar(w: &mut Writer<'_>, field: u32, value: f64) {
    w.message(field, |w| {
        label(w, "trace_id", "0123456789abcdef0123456789abcdef");
        label(w, "span_id", "0123456789abcdef");
        label(w, "user", "7");
        w.fixed64(2, value.to_bits());
        timestamp(w, 3, 1_700_000_000);
    });
}

/// A counter, and a histogram that is native and classic.
fn body() -> Vec<u8> {
    let counter = family("c_total", 0, |w| {
        label(w, "p", "a");
        w.message(3, |w| {
            w.fixed64(1, 5.0_f64.to_bits());
            exemplar(w, 2, 2.5);
            timestamp(w, 3, 1_600_000_000);
        });
    });
    let histogram = family("h", 4, |w| {
        w.message(7, |w| {
            w.varint(1, 6);
            w.fixed64(2, 12.5_f64.to_bits());
            w.message(3, |w| {
                w.varint(1, 4);
                w.fixed64(2, 0.5_f64.to_bits());
            });
            w.sint32(5, 2);
            w.fixed64(6, 0.001_f64.to_bits());
            w.varint(7, 1);
            w.message(12, |w| {
                w.sint32(1, 1);
                w.varint(2, 3);
            });
            // 1, 3 and 1, each as the difference to the one before.
            w.message(13, |w| w.raw(&[2, 4, 3]));
            timestamp(w, 15, 1_600_000_000);
            exemplar(w, 16, 0.7);
        });
    });
    [counter, histogram].concat()
}

/// Serves one body after the other, the last one for good, and notes what was asked for.
async fn serve_protobuf(bodies: Vec<Vec<u8>>) -> (String, Arc<Mutex<String>>, CancellationToken) {
    let accepted = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&accepted);
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |headers: HeaderMap| {
        let accepted = headers[header::ACCEPT].to_str().expect("text");
        accepted.clone_into(&mut noted.lock());
        let at = count.fetch_add(1, Ordering::SeqCst).min(bodies.len() - 1);
        let body = bodies[at].clone();
        async move { ([(CONTENT_TYPE, PROTOBUF)], body) }
    };
    let (address, stop) = serve(Router::new().route("/metrics", get(answer))).await;
    (address, accepted, stop)
}

/// Hands over the numbers and histograms of the next batch.
async fn next_data(
    queue: &mut BatchQueue,
    mut numbers: impl FnMut(&str, &NumberPoint<'_>),
    mut histograms: impl FnMut(&str, &ExponentialHistogramPoint<'_>),
) {
    let next = tokio::time::timeout(Duration::from_secs(20), queue.next());
    let queued = next.await.expect("in time").expect("open");
    for_each_metric(&queued.batch.payload, |_, _, metric| match &metric.data {
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.iter().for_each(|point| numbers(&metric.name, point));
        }
        MetricData::ExponentialHistogram {
            points,
            temporality,
        } => {
            assert_eq!(*temporality, Temporality::Cumulative);
            points
                .iter()
                .for_each(|point| histograms(&metric.name, point));
        }
        other => panic!("{other:?}"),
    })
    .expect("valid");
    queued.settle(Ok(()));
}

/// The one exemplar among the fields of a point that are not read: value, trace, span, labels.
fn exemplar_of(rest: &[u8], field: u32) -> (f64, String, String, Vec<String>) {
    let (mut value, mut trace, mut span, mut labels) =
        (0.0, String::new(), String::new(), Vec::new());
    let mut reader = Reader::new(rest);
    while let Some((number, found)) = reader.next_field().expect("valid") {
        assert_eq!(number, field);
        let mut reader = Reader::new(found.bytes(number).expect("a message"));
        while let Some((number, field)) = reader.next_field().expect("valid") {
            match number {
                2 => assert_eq!(field.fixed64(number), Ok(1_700_000_000_000_000_000)),
                3 => value = f64::from_bits(field.fixed64(number).expect("a double")),
                4 => span = hex::encode(field.bytes(number).expect("bytes")),
                5 => trace = hex::encode(field.bytes(number).expect("bytes")),
                7 => {
                    let label =
                        KeyValue::read(field.bytes(number).expect("a message")).expect("valid");
                    labels.push(format!("{}={}", label.key, label.value.to_text()));
                }
                other => panic!("{other}"),
            }
        }
    }
    (value, trace, span, labels)
}

#[tokio::test]
async fn native_histograms_are_exponential_ones_and_exemplars_stay() {
    let gone = family("g", 1, |w| {
        w.message(2, |w| w.fixed64(1, 1.0_f64.to_bits()))
    });
    let (address, accepted, _stop) = serve_protobuf(vec![body(), gone]).await;
    let mut spec = job("shop", &address);
    spec.scrape_native_histograms = true;
    let mut running = start(vec![spec]);
    let traced = |value: f64| {
        let ids = ["0123456789abcdef0123456789abcdef", "0123456789abcdef"].map(str::to_owned);
        let [trace, span] = ids;
        (value, trace, span, vec!["user=7".to_owned()])
    };
    let (mut seen, mut names) = (0, Vec::new());
    next_data(
        &mut running.queue,
        |name, point| {
            if name == "c_total" {
                assert_eq!(point.value, Number::Double(5.0));
                assert_eq!(point.start_unix_nano, 1_600_000_000_000_000_000);
                assert_eq!(exemplar_of(&point.rest, 5), traced(2.5));
            }
            names.push(name.to_owned());
        },
        |name, point| {
            assert_eq!(
                (name, point.scale, point.count, point.zero_count),
                ("h", 2, 6, 1)
            );
            assert_eq!((point.sum, point.zero_threshold), (Some(12.5), 0.001));
            assert_eq!(
                (
                    point.positive.offset,
                    point.positive.bucket_counts.as_slice()
                ),
                (0, [1, 3, 1].as_slice())
            );
            assert_eq!(point.start_unix_nano, 1_600_000_000_000_000_000);
            let labels: Vec<_> = point.attributes.iter().map(|label| &*label.key).collect();
            assert_eq!(labels, ["env", "instance", "job"]);
            assert_eq!(exemplar_of(&point.rest, 11), traced(0.7));
            seen += 1;
        },
    )
    .await;
    assert_eq!((seen, names.contains(&"h_bucket".to_owned())), (1, false));
    assert!(
        accepted
            .lock()
            .starts_with("application/vnd.google.protobuf;"),
        "{}",
        accepted.lock()
    );
    // When it is gone, a marker of its own kind says so.
    let mut ended = Vec::new();
    next_data(
        &mut running.queue,
        |_, _| {},
        |name, point| {
            ended.push((
                name.to_owned(),
                point.flags & NumberPoint::NO_RECORDED_VALUE,
            ))
        },
    )
    .await;
    assert_eq!(ended, [("h".to_owned(), 1)]);
    running.stop().await;
}

#[tokio::test]
async fn without_native_histograms_the_classic_buckets_are_taken() {
    let (address, accepted, _stop) = serve_protobuf(vec![body()]).await;
    let mut running = start(vec![job("shop", &address)]);
    let points = next_points(&mut running.queue).await;
    let buckets: Vec<_> = points
        .iter()
        .filter(|point| point.name == "h_bucket")
        .map(|point| (point.labels["le"].as_str(), point.value))
        .collect();
    assert_eq!(buckets, [("0.5", 4.0), ("+Inf", 6.0)]);
    assert_eq!(
        (value(&points, "h_count"), value(&points, "h_sum")),
        (6.0, 12.5)
    );
    assert!(
        accepted.lock().starts_with("application/openmetrics-text;"),
        "{}",
        accepted.lock()
    );
    running.stop().await;
}

#[tokio::test]
async fn both_forms_are_taken_if_wanted() {
    let (address, _accepted, _stop) = serve_protobuf(vec![body()]).await;
    let mut spec = job("shop", &address);
    spec.scrape_native_histograms = true;
    spec.always_scrape_classic_histograms = true;
    let mut running = start(vec![spec]);
    let (mut buckets, mut native) = (0, 0);
    next_data(
        &mut running.queue,
        |name, _| buckets += usize::from(name == "h_bucket"),
        |_, _| native += 1,
    )
    .await;
    assert_eq!((buckets, native), (2, 1));
    running.stop().await;
}
