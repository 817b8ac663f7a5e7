//! Scenarios of configurations: several receivers and exporters, and what changes between kills and at work.

use std::time::Duration;

use vervet_tests::proxy::Mode;

use crate::changes::{Changes, Globs};
use crate::ledger::Written;
use crate::scenario::{BAD_NETWORK, Other, Scenario, millis, scale};
use crate::setup::{MAIN, NOT_CONFIGURED, Setup};
use crate::shape::Shape;
use crate::site::{Site, wait_until};
use crate::writer::{Codec, Rotation};

const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(30);
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

const CONTAINERS: &[Other] = &[Other {
    name: "containers",
    folder: "containers",
    rotation: Rotation::Rename,
    shape: Shape::Cri,
}];

#[test]
fn an_exporter_comes_and_goes() {
    Scenario {
        name: "exporter-comes-and-goes",
        rotation: Rotation::Rename,
        rotation_interval: millis(700),
        kills: 8,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        exporters: &[MAIN, "second"],
        changes: Changes::Exporter,
        may_drop: Some(NOT_CONFIGURED),
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn globs_change_while_files_rotate() {
    Scenario {
        name: "globs-change",
        rotation: Rotation::Rename,
        rotation_interval: millis(400),
        files: 3,
        kills: 8,
        kills_at_rotation: true,
        changes: Changes::Globs(CHOICE),
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn globs_change_while_files_are_compressed() {
    Scenario {
        name: "globs-change-gzip",
        rotation: Rotation::Compress {
            codec: Codec::Gzip,
            in_place: false,
        },
        rotation_interval: millis(500),
        files: 2,
        kills: 8,
        kills_at_rotation: true,
        changes: Changes::Globs(CHOICE),
        ..Scenario::CALM
    }
    .run();
}

/// In the end all files are named again, under whatever name they have by then.
/// Some find the hidden names that compressed files grow under.
const CHOICE: &[Globs] = &[
    // Fewer files.
    Globs {
        include: &["app-0.log*"],
        exclude: &[],
    },
    Globs {
        include: &["app-*.log*"],
        exclude: &["**/app-1.log*"],
    },
    // Not under the names they are rotated to.
    Globs {
        include: &["app-*.log"],
        exclude: &[],
    },
    Globs {
        include: &["app-*"],
        exclude: &["*.log.[0-9]*"],
    },
    // Only under these.
    Globs {
        include: &["*.log.*"],
        exclude: &[],
    },
    // Other words for the same.
    Globs {
        include: &["**/*.log*"],
        exclude: &["**/*.none"],
    },
];

#[test]
fn two_receivers_to_one_exporter() {
    Scenario {
        name: "two-receivers",
        rotation: Rotation::Rename,
        rotation_interval: millis(600),
        others: CONTAINERS,
        kills: 6,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        collector_fails: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn two_receivers_to_two_exporters() {
    Scenario {
        name: "two-receivers-and-exporters",
        rotation: Rotation::Compress {
            codec: Codec::Zstd,
            in_place: false,
        },
        rotation_interval: millis(600),
        others: CONTAINERS,
        exporters: &[MAIN, "second"],
        kills: 6,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        other_network: &[
            Mode::Stall,
            Mode::Pass,
            Mode::StallAnswers,
            Mode::ResetAfter(20_000),
        ],
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn an_exporter_that_is_added_begins_with_what_comes() {
    const SECOND: &str = "second";
    let both = Setup {
        exporters: &[MAIN, SECOND],
        ..Setup::new("exporter-added", &["*.log"])
    };
    let site = Site::new(both.clone());
    let alone = Setup {
        exporters: &[MAIN],
        ..both.clone()
    };
    let is_there = || site.book_of(SECOND).is_some();
    let take_over = |setup: &Setup, there: bool| {
        site.configure(setup);
        site.agent.reload();
        assert!(wait_until(TAKEN_OVER_WITHIN, || is_there() == there));
    };
    let [main, second] = [0, 1].map(|at| &site.ends[at].ledger);
    let mut written = Written::of(0);
    // The lines that were written while the second exporter was not there.
    let mut without = Vec::new();
    site.configure(&alone);
    site.agent.start();
    for _round in 0..4 * scale() {
        let first = written.lines;
        for _kill in 0..2 {
            site.write_lines(&mut written, "app.log", 50);
            site.kill_within(300);
        }
        assert!(wait_until(ARRIVES_WITHIN, || main.has_all(&[written.clone()])));
        without.push(first..written.lines);
        take_over(&both, true);
        for _kill in 0..2 {
            site.write_lines(&mut written, "app.log", 50);
            site.kill_within(300);
        }
        let of_second = Written {
            at_risk: without.clone(),
            ..written.clone()
        };
        assert!(wait_until(ARRIVES_WITHIN, || {
            main.has_all(std::slice::from_ref(&written))
                && second.has_all(std::slice::from_ref(&of_second))
        }));
        // With nothing held it leaves nothing behind, and will be new again.
        let is_settled = || {
            site.book_of(SECOND)
                .is_some_and(|line| line.held.records == 0)
        };
        assert!(wait_until(ARRIVES_WITHIN, is_settled));
        take_over(&alone, false);
    }
    let verdict = main.verdict(&[written.clone()]);
    assert_eq!((verdict.lost.count, verdict.duplicated.count), (0, 0));
    written.at_risk = without;
    let verdict = second.verdict(&[written.clone()]);
    assert_eq!((verdict.lost.count, verdict.duplicated.count), (0, 0));
    let not_its_own: u64 = written
        .at_risk
        .iter()
        .map(|lines| lines.end - lines.start)
        .sum();
    assert_eq!(
        verdict.lost_at_risk, not_its_own,
        "it was sent what was stored before it came"
    );
    assert_eq!(verdict.records + not_its_own, written.lines);
    site.agent.terminate();
}
