mod orders;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::system::{Sample, System};
use super::*;

const MIB: usize = 1 << 20;

/// What a future gives at once, if it does.
fn now<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn budget() -> MemoryBudget {
    MemoryBudget::new(16 << 20)
}

#[test]
fn a_flood_of_one_kind_leaves_the_others_their_reserve() {
    let budget = budget();
    let sources: Vec<_> =
        std::iter::from_fn(|| now(&mut Box::pin(budget.acquire(MemoryKind::Source, MIB))))
            .collect();
    assert_eq!(sources.len(), 10, "five eighths of 16 MiB");
    for kind in [MemoryKind::Request, MemoryKind::Buffer, MemoryKind::Export] {
        let own = [budget.try_acquire(kind, MIB), budget.try_acquire(kind, MIB)];
        assert!(own.iter().all(Option::is_some), "{kind:?}");
        assert!(
            budget.try_acquire(kind, 1).is_none(),
            "{kind:?} over its reserve"
        );
        std::mem::forget(own);
    }
    let usage = budget.usage();
    assert_eq!((usage.used_bytes, usage.refused), (usage.limit_bytes, 3));
}

#[test]
fn nobody_borrows_while_another_kind_waits() {
    let budget = budget();
    let borrowed: Vec<_> = (0..10)
        .map(|_| budget.try_acquire(MemoryKind::Request, MIB))
        .collect();
    let mut large = Box::pin(budget.acquire(MemoryKind::Source, 8 * MIB));
    assert!(now(&mut large).is_none());
    for given_back in borrowed {
        assert!(
            budget.try_acquire(MemoryKind::Request, MIB).is_none(),
            "overtaken"
        );
        drop(given_back);
        if budget.usage().source_bytes > 0 {
            break;
        }
    }
    let permit = now(&mut large).expect("served");
    assert_eq!(permit.bytes(), 8 << 20);
}

#[test]
fn whoever_waits_for_borrowers_takes_no_reserve_from_the_others() {
    for (borrower, waits) in [
        (MemoryKind::Request, MemoryKind::Source),
        (MemoryKind::Source, MemoryKind::Export),
        (MemoryKind::Export, MemoryKind::Source),
    ] {
        let budget = budget();
        let _borrowed = budget.try_acquire(borrower, 10 * MIB).expect("free");
        let _own = budget.try_acquire(waits, MIB).expect("free");
        let mut large = Box::pin(budget.acquire(waits, 4 * MIB));
        assert!(now(&mut large).is_none());
        let mut others = MemoryKind::ALL.to_vec();
        others.retain(|kind| *kind != borrower && *kind != waits);
        for kind in others {
            let own = budget.try_acquire(kind, 2 * MIB);
            assert!(own.is_some(), "{kind:?} while {waits:?} waits");
            assert!(budget.try_acquire(kind, 1).is_none(), "{kind:?} borrows");
        }
    }
}

#[test]
fn two_that_wait_for_more_than_their_reserves_come_in_one_after_the_other() {
    let budget = budget();
    let borrowed = budget
        .try_acquire(MemoryKind::Request, 10 * MIB)
        .expect("free");
    let mut export = Box::pin(budget.acquire(MemoryKind::Export, 8 * MIB));
    let mut source = Box::pin(budget.acquire(MemoryKind::Source, 8 * MIB));
    assert!(now(&mut export).is_none() && now(&mut source).is_none());
    drop(borrowed);
    let first = now(&mut export).expect("it has waited longest");
    assert!(now(&mut source).is_none());
    drop(first);
    assert_eq!(now(&mut source).expect("served").bytes(), 8 << 20);
}

#[test]
fn waiting_is_in_order_and_gives_up_without_a_trace() {
    let budget = budget();
    let all = budget
        .try_acquire(MemoryKind::Export, 10 * MIB)
        .expect("free");
    let mut first = Box::pin(budget.acquire(MemoryKind::Export, 6 * MIB));
    let mut second = Box::pin(budget.acquire(MemoryKind::Export, MIB));
    assert!(now(&mut first).is_none());
    assert!(now(&mut second).is_none());
    assert!(
        budget.try_acquire(MemoryKind::Export, 1).is_none(),
        "a queue is not overtaken"
    );
    drop(first);
    drop(all);
    // It was granted, but nobody came for it.
    assert_eq!(budget.usage().used_bytes, 1 << 20);
    drop(second);
    assert_eq!((budget.usage().used_bytes, budget.usage().waiting), (0, 0));
}

#[test]
fn an_item_over_the_whole_share_is_held_alone() {
    let budget = budget();
    let huge = budget
        .try_acquire(MemoryKind::Export, 64 * MIB)
        .expect("taken");
    assert_eq!(huge.bytes(), 10 << 20);
    assert!(budget.try_acquire(MemoryKind::Export, 1).is_none());
    drop(huge);
    let mut grown = budget.try_acquire(MemoryKind::Request, MIB).expect("free");
    assert!(grown.try_grow_to(9 * MIB));
    let _other = budget.try_acquire(MemoryKind::Request, MIB).expect("free");
    assert!(!grown.try_grow_to(10 * MIB), "the other holds the rest");
    grown.shrink_to(MIB);
    assert_eq!(budget.usage().request_bytes, 2 << 20);
}

#[tokio::test]
async fn under_pressure_requests_are_refused_and_sources_go_one_at_a_time() {
    let budget = budget();
    budget.set_pressure(Pressure::Soft);
    assert!(budget.try_acquire(MemoryKind::Request, 1).is_none());
    let export = budget.acquire(MemoryKind::Export, MIB).await;
    let mut source = Box::pin(budget.acquire(MemoryKind::Source, MIB));
    assert!(now(&mut source).is_none(), "something is held");
    drop(export);
    let one = source.await;
    let mut next = Box::pin(budget.acquire(MemoryKind::Source, MIB));
    assert!(now(&mut next).is_none());
    budget.set_pressure(Pressure::None);
    let two = tokio::time::timeout(Duration::from_secs(5), next)
        .await
        .expect("let in");
    assert_eq!(one.bytes() + two.bytes(), 2 << 20);
}

#[test]
fn pressure_follows_what_cannot_be_taken_back() {
    let sample = |taken_bytes, resident_bytes| Sample {
        allowed_bytes: 1000,
        taken_bytes,
        resident_bytes,
    };
    assert_eq!(sample(899, 899).pressure(), Pressure::None);
    assert_eq!(sample(900, 800).pressure(), Pressure::Soft);
    assert_eq!(sample(950, 800).pressure(), Pressure::Hard);
    assert_eq!(
        sample(950, 100).pressure(),
        Pressure::None,
        "others have filled it"
    );
    assert_eq!(Sample::default().pressure(), Pressure::None);
}

#[test]
fn a_full_control_group_keeps_the_agent_from_being_ready() {
    let watch = MemoryWatch::new(budget());
    let sample = |taken_bytes| Sample {
        allowed_bytes: 1000,
        taken_bytes,
        resident_bytes: 800,
    };
    watch.note(sample(940));
    assert_eq!(
        (watch.complaint(), watch.budget().pressure()),
        (None, Pressure::Soft)
    );
    watch.note(sample(950));
    assert_eq!(
        watch.complaint().as_deref(),
        Some("memory: 950 of 1000 bytes are taken, nothing new is taken in")
    );
    assert!(watch.budget().try_acquire(MemoryKind::Request, 1).is_none());
    watch.note(sample(500));
    assert_eq!(watch.complaint(), None);
    assert!(watch.budget().try_acquire(MemoryKind::Request, 1).is_some());
}

fn files(root: &Path, files: &[(&str, &str)]) -> System {
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, text).expect("written");
    }
    System::at(root)
}

const HOST: [(&str, &str); 2] = [
    (
        "proc/meminfo",
        "MemTotal:        1048576 kB\nMemFree: 1 kB\nMemAvailable:    524288 kB\n",
    ),
    ("proc/self/status", "Name:\tx\nVmRSS:\t    2048 kB\n"),
];

#[test]
fn without_a_control_group_the_host_is_the_limit() {
    let dir = tempfile::tempdir().expect("folder");
    let system = files(dir.path(), &HOST);
    let expected = Sample {
        allowed_bytes: 1 << 30,
        taken_bytes: 512 << 20,
        resident_bytes: 2 << 20,
    };
    assert_eq!(system.sample(), Some(expected));
    assert_eq!(system.budget_bytes(), 128 << 20);
    let nothing = tempfile::tempdir().expect("folder");
    assert_eq!(System::at(nothing.path()).sample(), None);
    assert_eq!(System::at(nothing.path()).budget_bytes(), 128 << 20);
}

#[test]
fn the_smallest_limit_on_the_way_up_counts_and_page_cache_does_not() {
    let dir = tempfile::tempdir().expect("folder");
    files(dir.path(), &HOST);
    let system = files(
        dir.path(),
        &[
            ("proc/self/cgroup", "1:cpu:/other\n0::/pods/agent\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/memory.max", "67108864\n"),
            ("sys/fs/cgroup/pods/memory.current", "20000000\n"),
            (
                "sys/fs/cgroup/pods/memory.stat",
                "anon 9\nactive_file 4000000\ninactive_file 5000000\nslab_reclaimable 1000000\n",
            ),
            ("sys/fs/cgroup/pods/agent/memory.max", "134217728\n"),
        ],
    );
    let sample = system.sample().expect("figures");
    assert_eq!(
        (sample.allowed_bytes, sample.taken_bytes),
        (64 << 20, 10_000_000)
    );
    assert_eq!(system.budget_bytes(), 32 << 20);
}

#[test]
fn version_1_groups_are_read_and_their_no_limit_is_none() {
    let dir = tempfile::tempdir().expect("folder");
    files(dir.path(), &HOST);
    let of = |limit: &str| {
        files(
            dir.path(),
            &[
                ("proc/self/cgroup", "4:memory:/box\n0::/\n"),
                ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", limit),
                (
                    "sys/fs/cgroup/memory/box/memory.usage_in_bytes",
                    "3000000\n",
                ),
                (
                    "sys/fs/cgroup/memory/box/memory.stat",
                    "total_inactive_file 1000000\n",
                ),
            ],
        )
    };
    let sample = of("33554432\n").sample().expect("figures");
    assert_eq!(
        (sample.allowed_bytes, sample.taken_bytes),
        (32 << 20, 2_000_000)
    );
    let sample = of("9223372036854771712\n").sample().expect("figures");
    assert_eq!(sample.allowed_bytes, 1 << 30);
}
