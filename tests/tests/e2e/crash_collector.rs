//! The collector is killed at random moments under load: nothing acknowledged is lost or doubled.
//!
//! Two senders share 5,000 records a second. The one names itself and numbers its requests, as agents do, and
//! sends each until it is acknowledged. The other is a plain OTLP client that never sends a request again, so
//! that an unanswered request may be stored or not; none of its records may be there twice either.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::transport::Endpoint;
use vervet_model::Signal;
use vervet_wire::Source;
use vervet_wire::grpc::Client;

use crate::harness::{Collector, CollectorOptions, Record, log_request, now_nanos, say, turn};

const KILLS: u32 = 20;
const RECORDS_PER_REQUEST: u64 = 100;
/// Of one sender: two of them make 5,000 records a second.
const REQUEST_INTERVAL: Duration = Duration::from_millis(40);
/// The time between two records, so that their times follow the clock.
const RECORD_NANOS: i64 = 400_000;
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// One stream of numbered records.
struct Sender {
    service: &'static str,
    client: Client,
    /// Set when requests are numbered and repeated until they are acknowledged.
    agent_id: Option<String>,
    start: i64,
    stop: Arc<AtomicBool>,
}

/// What a sender knows at the end.
struct Sent {
    service: &'static str,
    numbers: u64,
    /// First numbers of the acknowledged requests.
    acknowledged: Vec<u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_collector_keeps_every_acknowledged_record_once() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        limits: "{flush_interval: 300ms, head: 4MiB}".to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let mut collector = Collector::start(options).await;
    let (start, began) = (now_nanos(), Instant::now());
    let stop = Arc::new(AtomicBool::new(false));
    let endpoint = format!("http://{}", collector.api.addresses.otlp_grpc);
    let senders = [
        ("crash-agent", Some("agent-under-test".to_owned())),
        ("crash-plain", None),
    ]
    .map(|(service, agent_id)| Sender {
        service,
        client: client(&endpoint),
        agent_id,
        start,
        stop: Arc::clone(&stop),
    });
    let tasks: Vec<JoinHandle<Sent>> = senders
        .into_iter()
        .map(|sender| tokio::spawn(sender.run()))
        .collect();
    for _kill in 0..KILLS {
        let pause = rand::rng().random_range(100..1_500);
        // Not to wait for something: the moment of the kill is what the test varies.
        sleep(Duration::from_millis(pause)).await;
        collector.program.kill();
        collector.start_again().await;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut checked, mut lost, mut doubled) = (0, 0, 0);
    let mut rate = 0;
    for task in tasks {
        let sent = task.await.unwrap();
        rate += sent.numbers / began.elapsed().as_secs().max(1);
        let end = start + i64::try_from(sent.numbers).unwrap() * RECORD_NANOS;
        let found = stored(&collector, sent.service, start, end).await;
        let times = |number: u64| found.get(&number).copied().unwrap_or(0);
        for first in &sent.acknowledged {
            let numbers = *first..first + RECORDS_PER_REQUEST;
            lost += numbers.clone().filter(|number| times(*number) == 0).count();
            checked += RECORDS_PER_REQUEST;
        }
        doubled += found.values().filter(|times| **times > 1).count();
    }
    say(&format!(
        "collector killed {KILLS} times at about {rate} records/s: \
         records checked: {checked}, lost: {lost}, doubled: {doubled}"
    ));
    assert_eq!((lost, doubled), (0, 0));
    assert!(
        checked > 10_000,
        "hardly anything was acknowledged: {checked}"
    );
    assert!(collector.terminate().success());
}

fn client(endpoint: &str) -> Client {
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).unwrap();
    let endpoint = endpoint
        .timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(2));
    Client::new(endpoint.connect_lazy(), None)
}

impl Sender {
    async fn run(self) -> Sent {
        let mut sent = Sent {
            service: self.service,
            numbers: 0,
            acknowledged: Vec::new(),
        };
        let mut ticks = interval(REQUEST_INTERVAL);
        // After a pause the sender catches up, as one with a buffer does.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sequence = 0;
        while !self.stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            sequence += 1;
            let first = sent.numbers;
            sent.numbers += RECORDS_PER_REQUEST;
            if self.send(first, sequence).await {
                sent.acknowledged.push(first);
            }
        }
        sent
    }

    /// Whether the request was acknowledged.
    async fn send(&self, first: u64, sequence: u64) -> bool {
        let records = (first..first + RECORDS_PER_REQUEST).map(|number| Record {
            time: self.start + i64::try_from(number).unwrap() * RECORD_NANOS,
            body: format!("record {number}"),
            severity: 9,
            ..Record::default()
        });
        let body = log_request(self.service, records);
        let source = self
            .agent_id
            .clone()
            .map(|agent_id| Source { agent_id, sequence });
        loop {
            match self
                .client
                .export(Signal::Logs, body.clone(), source.as_ref())
                .await
            {
                Ok(accepted) => {
                    assert_eq!(accepted.rejected, 0, "{}", accepted.message);
                    return true;
                }
                Err(_) if source.is_none() => {
                    sleep(RETRY_PAUSE).await;
                    return false;
                }
                Err(_) => sleep(RETRY_PAUSE).await,
            }
        }
    }
}

/// How often each number of a service is there.
async fn stored(collector: &Collector, service: &str, start: i64, end: i64) -> HashMap<u64, u32> {
    let query = format!("{{service_name=\"{service}\"}}");
    let mut found = HashMap::new();
    for line in collector.api.logs(&query, start, end).await {
        let number = line.line.strip_prefix("record ").unwrap().parse().unwrap();
        *found.entry(number).or_default() += 1;
    }
    found
}
