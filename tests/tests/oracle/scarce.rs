//! Scenarios with little of something: descriptors, room on the disk.

use vervet_tests::proxy::Mode;

use crate::scenario::{Scenario, millis};
use crate::setup::{EVICTED, MAIN};
use crate::writer::{Codec, Gate, Rotation};

/// Of which the receiver may have half.
const FEW_DESCRIPTORS: Option<u32> = Some(64);

impl Scenario {
    /// More files than descriptors.
    const MANY_FILES: Self = Self {
        rotation_interval: millis(900),
        files: 50,
        lines_per_second: 40,
        descriptors: FEW_DESCRIPTORS,
        kills: 4,
        kills_at_rotation: true,
        ..Self::CALM
    };
}

#[test]
fn few_descriptors_and_files_renamed() {
    Scenario {
        name: "few-descriptors-rename",
        rotation: Rotation::Rename,
        ..Scenario::MANY_FILES
    }
    .run();
}

#[test]
fn few_descriptors_and_files_renamed_out_of_the_globs() {
    Scenario {
        name: "few-descriptors-away",
        rotation: Rotation::RenameAway,
        gate: Gate::Known,
        ..Scenario::MANY_FILES
    }
    .run();
}

#[test]
fn few_descriptors_and_files_compressed() {
    for (name, codec, in_place) in [
        ("few-descriptors-gzip", Codec::Gzip, true),
        ("few-descriptors-zstd", Codec::Zstd, false),
    ] {
        Scenario {
            name,
            rotation: Rotation::Compress { codec, in_place },
            ..Scenario::MANY_FILES
        }
        .run();
    }
}

#[test]
fn a_dead_exporter_on_a_small_volume() {
    for (name, limits, volume_mebibytes) in [
        ("drop-oldest-budget", "{disk: 1MiB}", None),
        // Segments of a mebibyte: one that fills the volume would hold what is under way, too.
        ("drop-oldest-volume", "{disk: 8MiB}", Some(4)),
    ] {
        Scenario {
            name,
            rotation: Rotation::Rename,
            rotation_interval: millis(700),
            lines_per_second: 4_000,
            kills: 6,
            kills_at_rotation: true,
            exporters: &[MAIN, "second"],
            other_network: &[Mode::Refuse],
            network: &[Mode::Pass, Mode::StallAnswers, Mode::Pass],
            limits,
            volume_mebibytes,
            exporter: ", queue: {on_full: drop_oldest}",
            may_drop: Some(EVICTED),
            seconds: 10,
            ..Scenario::CALM
        }
        .run();
    }
}
