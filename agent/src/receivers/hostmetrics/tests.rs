use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vervet_model::SystemClock;
use vervet_wire::otlp::{MetricData, for_each_metric};

use super::proc;
use super::*;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchQueue, channel};
use crate::processors::Chains;

#[test]
fn states_of_memory_add_up_to_the_total() {
    let text = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\n\
                SReclaimable: 40 kB\nSUnreclaim: 10 kB\nSwapTotal: 8 kB\nSwapFree: 2 kB\nOdd line";
    let memory = proc::memory(text);
    let states = memory.states();
    assert_eq!(
        states.iter().map(|(_, bytes)| bytes).sum::<u64>(),
        1000 * 1024
    );
    assert_eq!(states[0], ("used", 500 * 1024));
    assert_eq!((memory.swap_total, memory.swap_free), (8 * 1024, 2 * 1024));
}

#[test]
fn processors_are_told_from_their_sum() {
    let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 1\nbtime 1700000000\n";
    let stat = proc::stat(text);
    assert_eq!(stat.boot_time, 1_700_000_000);
    let cpus: Vec<_> = stat
        .cpus
        .iter()
        .map(|cpu| (cpu.name.as_str(), cpu.ticks))
        .collect();
    assert_eq!(
        cpus,
        [
            ("cpu0", [1, 2, 3, 4, 5, 6, 7, 8]),
            ("cpu1", [1, 0, 0, 0, 0, 0, 0, 0])
        ]
    );
}

#[test]
fn disks_and_interfaces_that_tell_nothing_are_left_out() {
    let disks = proc::disks(
        "   7  0 loop0 1 1 1 1 1 1 1 1 1 1 1\n 259  0 nvme0n1 10 0 20 0 30 0 40 0 0 5000 0 0\n short",
    );
    assert_eq!(disks.len(), 1);
    assert_eq!(disks[0].device, "nvme0n1");
    assert_eq!(
        (disks[0].operations, disks[0].bytes),
        ([10, 30], [20 * 512, 40 * 512])
    );
    assert_eq!(disks[0].io_millis, 5000);
    let net = "Inter-|   Receive  |  Transmit\n face |bytes packets\n\
               eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n veth12: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n";
    let interfaces = proc::interfaces(net);
    assert_eq!(interfaces.len(), 1);
    assert_eq!(
        (interfaces[0].bytes, interfaces[0].dropped),
        ([1, 5], [4, 8])
    );
}

#[test]
fn only_local_disks_count_as_file_systems() {
    let mounts = proc::mounts(
        "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw,relatime 0 0\n/dev/sda1 /var/lib/kubelet ext4 rw 0 0\n\
         nfs:/x /mnt/x nfs4 rw 0 0\n/dev/sdb1 /mnt/my\\040disk xfs ro,noatime 0 0\ncut",
    );
    let seen: Vec<_> = mounts
        .iter()
        .map(|m| (m.device.as_str(), m.mountpoint.as_str(), m.read_only))
        .collect();
    assert_eq!(
        seen,
        [
            ("/dev/sda1", "/", false),
            ("/dev/sdb1", "/mnt/my disk", true)
        ]
    );
}

/// Starts a receiver that reads every second.
fn start() -> (BatchQueue, CancellationToken, tokio::task::JoinHandle<()>) {
    let metrics = Arc::new(AgentMetrics::default());
    let (output, queue) = channel("host", 1 << 20, Arc::clone(&metrics));
    let shutdown = CancellationToken::new();
    let context = ReceiverContext {
        output,
        chains: Chains::default(),
        pods: PodDirectory::none(),
        resource: vec![("host.name".to_owned(), "n1".to_owned())],
        resume: Vec::new(),
        metrics,
        shutdown: shutdown.clone(),
        clock: Arc::new(SystemClock),
    };
    let spec = HostmetricsSpec {
        interval: HumanDuration(Duration::from_secs(1)),
        proc_path: None,
    };
    let config = HostmetricsConfig::try_from(spec).expect("valid");
    let task = tokio::spawn(HostmetricsReceiver::new(config, context).run());
    (queue, shutdown, task)
}

/// The names of the next reading's metrics, each of which is checked.
async fn next_names(queue: &mut BatchQueue) -> Vec<String> {
    let next = tokio::time::timeout(Duration::from_secs(10), queue.next());
    let queued = next.await.expect("in time").expect("open");
    let mut names = Vec::new();
    for_each_metric(&queued.batch.payload, |resource, _, metric| {
        assert_eq!(resource.str("host.name"), "n1");
        match &metric.data {
            MetricData::Sum {
                points,
                monotonic: true,
                ..
            } => {
                let started = points.iter().all(|point| point.start_unix_nano > 0);
                assert!(started, "{}", metric.name);
            }
            MetricData::Gauge(points) if metric.name == "system.cpu.utilization" => {
                let sum: f64 = points.iter().map(|point| point.value.as_f64()).sum();
                assert!((sum - 1.0).abs() < 1e-9, "{sum}");
            }
            _ => {}
        }
        names.push(metric.name.into_owned());
    })
    .expect("valid");
    queued.settle(Ok(()));
    names
}

#[tokio::test]
async fn the_first_reading_comes_at_once_and_later_ones_have_utilization() {
    let (mut queue, shutdown, task) = start();
    let first = next_names(&mut queue).await;
    let second = next_names(&mut queue).await;
    for name in [
        "system.cpu.time",
        "system.memory.usage",
        "system.cpu.load_average.1m",
        "system.uptime",
    ] {
        assert!(
            first.iter().any(|known| known == name),
            "{name} of {first:?}"
        );
    }
    assert!(!first.iter().any(|name| name == "system.cpu.utilization"));
    assert!(second.iter().any(|name| name == "system.cpu.utilization"));
    shutdown.cancel();
    task.await.expect("ended");
}
