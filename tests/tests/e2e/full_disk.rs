//! The disk is full: senders are told to come back, nothing acknowledged is lost, and it goes on by itself
//! once there is room.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString as _};

use vervet_tests::Tmpfs;

use crate::harness::{
    Api, Collector, CollectorOptions, Record, eventually, log_request, now_nanos, say, skip, turn,
};

const DISK_MEBIBYTES: u32 = 96;
/// What the ballast leaves for the collector.
const ROOM_BYTES: u64 = 12 << 20;
const RECORDS_PER_REQUEST: u64 = 100;
/// Random, so that it does not compress.
const BODY_BYTES: usize = 1_000;
const REQUESTS_MAX: u64 = 2_000;
const RECOVERS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_and_recovers_without_loss() {
    const NAME: &str = "full_disk_refuses_and_recovers_without_loss";
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let disk = match Tmpfs::mount(&dir.path().join("data"), DISK_MEBIBYTES) {
        Ok(disk) => disk,
        Err(reason) => return skip(NAME, &reason),
    };
    let options = CollectorOptions {
        limits: "{flush_interval: 1s}".to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let mut collector = Collector::start(options).await;
    let mut sender = Sender {
        start: now_nanos(),
        next: 0,
        acknowledged: Vec::new(),
    };
    for _request in 0..5 {
        assert_eq!(
            sender.send(&collector.api).await,
            200,
            "before the disk is full"
        );
    }
    let ballast = fill(&disk, ROOM_BYTES);
    let refused = sender
        .send_until(&collector.api, |status| status != 200)
        .await;
    assert!(matches!(refused, 429 | 503), "{refused}");
    for _request in 0..20 {
        let status = sender.send(&collector.api).await;
        assert!(matches!(status, 200 | 429 | 503), "{status}");
    }
    sender.check(&collector.api, "while the disk is full").await;
    std::fs::remove_file(ballast).unwrap();
    eventually("senders are served again", RECOVERS_WITHIN, async || {
        (sender.send(&collector.api).await == 200).then_some(())
    })
    .await;
    eventually("it calls itself ready again", RECOVERS_WITHIN, async || {
        (collector.api.get("/readyz", &[]).await?.0 == 200).then_some(())
    })
    .await;
    sender.check(&collector.api, "after there was room").await;
    collector.program.kill();
    collector.start_again().await;
    sender.check(&collector.api, "after a crash").await;
}

/// Sends numbered records and knows which were acknowledged.
struct Sender {
    start: i64,
    next: u64,
    acknowledged: Vec<u64>,
}

impl Sender {
    async fn send(&mut self, api: &Api) -> u16 {
        let first = self.next;
        self.next += RECORDS_PER_REQUEST;
        let records = (first..self.next).map(|number| Record {
            time: self.start + i64::try_from(number).unwrap() * 1_000,
            body: format!(
                "{number} {}",
                Alphanumeric.sample_string(&mut rand::rng(), BODY_BYTES)
            ),
            severity: 9,
            ..Record::default()
        });
        let (status, _) = api.otlp("logs", log_request("full-disk", records)).await;
        if status == 200 {
            self.acknowledged.push(first);
        }
        status
    }

    async fn send_until(&mut self, api: &Api, wanted: impl Fn(u16) -> bool) -> u16 {
        for _request in 0..REQUESTS_MAX {
            let status = self.send(api).await;
            if wanted(status) {
                return status;
            }
        }
        panic!("not within {REQUESTS_MAX} requests");
    }

    async fn check(&self, api: &Api, when: &str) {
        let end = self.start + i64::try_from(self.next).unwrap() * 1_000;
        let mut found: HashMap<u64, u32> = HashMap::new();
        for line in api
            .logs("{service_name=\"full-disk\"}", self.start, end)
            .await
        {
            let (number, _) = line.line.split_once(' ').unwrap();
            *found.entry(number.parse().unwrap()).or_default() += 1;
        }
        let numbers = self
            .acknowledged
            .iter()
            .flat_map(|first| *first..first + RECORDS_PER_REQUEST);
        let lost = numbers
            .clone()
            .filter(|number| !found.contains_key(number))
            .count();
        let doubled = found.values().filter(|times| **times > 1).count();
        let checked = numbers.count();
        say(&format!(
            "full disk, {when}: records checked: {checked}, lost: {lost}, doubled: {doubled}"
        ));
        assert_eq!((lost, doubled), (0, 0), "{when}");
    }
}

/// Writes a file that leaves `room` bytes.
fn fill(disk: &Tmpfs, room: u64) -> PathBuf {
    let stats = rustix::fs::statvfs(disk.path()).unwrap();
    let free = stats.f_bavail * stats.f_frsize;
    let path = disk.path().join("ballast");
    let mut file = File::create(&path).unwrap();
    let zeros = vec![0; 1 << 20];
    for _mebibyte in 0..free.saturating_sub(room) >> 20 {
        file.write_all(&zeros).unwrap();
    }
    path
}
