//! The scenarios.

use vervet_tests::proxy::Mode;

use crate::scenario::{BAD_NETWORK, Scenario, millis};
use crate::setup::EVICTED;
use crate::shape::Shape;
use crate::writer::{Codec, Gate, Rotation};

#[test]
fn rename_and_kill() {
    Scenario {
        name: "rename",
        rotation: Rotation::Rename,
        rotation_interval: millis(1_500),
        files: 2,
        kills: 20,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        collector_fails: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn fast_rotation() {
    Scenario {
        name: "fast-rotation",
        rotation: Rotation::Rename,
        // A hundred a minute.
        rotation_interval: millis(600),
        kills: 2,
        network: BAD_NETWORK,
        seconds: 10,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn rotation_as_fast_as_it_goes() {
    Scenario {
        name: "breakneck-rotation",
        rotation: Rotation::Rename,
        rotation_interval: millis(20),
        kills: 2,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn logrotate_with_delaycompress() {
    Scenario {
        name: "logrotate",
        rotation: Rotation::Logrotate { kept: 4 },
        rotation_interval: millis(500),
        kills: 4,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn copytruncate_of_what_is_unread() {
    Scenario {
        name: "copytruncate-unread",
        rotation: Rotation::CopyTruncate { found: true },
        rotation_interval: millis(300),
        kills: 4,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn numbered_shift() {
    Scenario {
        name: "shift",
        rotation: Rotation::Shift { kept: 4 },
        rotation_interval: millis(300),
        kills: 2,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn files_that_live_for_a_moment() {
    Scenario {
        name: "short-lived",
        rotation: Rotation::ShiftAtOnce { kept: 10 },
        rotation_interval: millis(50),
        lines_per_second: 200,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn renamed_out_of_the_globs() {
    Scenario {
        name: "rename-away",
        rotation: Rotation::RenameAway,
        rotation_interval: millis(500),
        gate: Gate::Known,
        unterminated: true,
        kills: 2,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn written_to_after_rename() {
    Scenario {
        name: "late-writes",
        rotation: Rotation::Rename,
        rotation_interval: millis(1_000),
        late_writes: millis(700),
        kills: 2,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn copytruncate() {
    Scenario {
        name: "copytruncate",
        rotation: Rotation::CopyTruncate { found: false },
        rotation_interval: millis(300),
        gate: Gate::Delivered,
        kills: 2,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn deleted_unread_while_the_agent_lives() {
    Scenario {
        name: "delete-unread",
        rotation: Rotation::DeleteCreate,
        rotation_interval: millis(400),
        gate: Gate::Held,
        unterminated: true,
        network: BAD_NETWORK,
        collector_fails: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn deleted_and_recreated_with_the_same_inode() {
    Scenario {
        name: "delete-reuse",
        rotation: Rotation::DeleteCreate,
        rotation_interval: millis(300),
        gate: Gate::Delivered,
        kills: 4,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn symlink_switched_while_the_agent_lives() {
    Scenario {
        name: "symlink-unread",
        rotation: Rotation::Symlink,
        rotation_interval: millis(400),
        gate: Gate::Held,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn symlink_switched_and_killed() {
    Scenario {
        name: "symlink-kill",
        rotation: Rotation::Symlink,
        rotation_interval: millis(400),
        gate: Gate::Delivered,
        kills: 4,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn container_lines_in_pieces() {
    Scenario {
        name: "cri",
        rotation: Rotation::Rename,
        rotation_interval: millis(1_000),
        writers_per_file: 2,
        lines_per_second: 500,
        shape: Shape::Cri,
        kills: 4,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn buffer_full_while_the_collector_is_away() {
    Scenario {
        name: "disk-full",
        rotation: Rotation::Rename,
        rotation_interval: millis(700),
        files: 2,
        kills: 3,
        kills_at_rotation: true,
        network: &[Mode::Refuse, Mode::Refuse, Mode::Stall, Mode::Pass],
        ..Scenario::FULL_BUFFER
    }
    .run();
}

#[test]
fn buffer_full_and_files_deleted_unread() {
    Scenario {
        name: "disk-full-delete",
        rotation: Rotation::DeleteCreate,
        rotation_interval: millis(700),
        gate: Gate::Held,
        ..Scenario::FULL_BUFFER
    }
    .run();
}

#[test]
fn buffer_full_and_files_cut_unread() {
    Scenario {
        name: "disk-full-cut",
        rotation: Rotation::CopyTruncate { found: false },
        rotation_interval: millis(1_500),
        // A line of it; the others wait for room in the buffer.
        gate: Gate::Known,
        lines_per_second: 12_000,
        seconds: 16,
        ..Scenario::FULL_BUFFER
    }
    .run();
}

#[test]
fn buffer_full_and_equal_files_cut_unread_and_killed() {
    Scenario {
        name: "disk-full-cut-equal-kill",
        rotation: Rotation::CopyTruncate { found: false },
        rotation_interval: millis(1_500),
        gate: Gate::Known,
        equal_beginnings: true,
        lines_per_second: 12_000,
        kills: 4,
        kills_at_rotation: true,
        seconds: 16,
        ..Scenario::FULL_BUFFER
    }
    .run();
}

#[test]
fn compressed_files_are_excluded() {
    for (name, codec, in_place) in [
        ("gzip-excluded", Codec::Gzip, true),
        ("zstd-excluded", Codec::Zstd, false),
    ] {
        Scenario {
            name,
            rotation: Rotation::Compress { codec, in_place },
            rotation_interval: millis(500),
            gate: Gate::Delivered,
            kills: 2,
            kills_at_rotation: true,
            receiver: ", exclude: [\"**/*.gz\", \"**/*.zst\"]",
            ..Scenario::CALM
        }
        .run();
    }
}

#[test]
fn what_is_given_up_is_in_the_books() {
    Scenario {
        name: "drop-oldest",
        rotation: Rotation::Rename,
        rotation_interval: millis(700),
        lines_per_second: 6_000,
        kills: 6,
        // Away for long enough that more is written than the buffer holds, and back again, so that much arrives
        // of which the agent has not heard when it is killed.
        network: &[Mode::Refuse, Mode::Pass, Mode::StallAnswers, Mode::Pass],
        network_interval: millis(3_000),
        limits: "{disk: 1MiB}",
        must_say: "journal full, oldest records dropped",
        exporter: ", queue: {on_full: drop_oldest}",
        may_drop: Some(EVICTED),
        seconds: 12,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn copytruncate_with_copies_in_the_globs() {
    Scenario {
        name: "copytruncate-found",
        rotation: Rotation::CopyTruncate { found: true },
        rotation_interval: millis(300),
        gate: Gate::Delivered,
        kills: 4,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn copytruncate_with_equal_beginnings() {
    Scenario {
        name: "copytruncate-equal-beginnings",
        rotation: Rotation::CopyTruncate { found: false },
        rotation_interval: millis(300),
        gate: Gate::Delivered,
        equal_beginnings: true,
        kills: 4,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn same_inode_and_equal_beginnings() {
    Scenario {
        name: "delete-reuse-equal-beginnings",
        rotation: Rotation::DeleteCreate,
        rotation_interval: millis(300),
        gate: Gate::Delivered,
        equal_beginnings: true,
        kills: 4,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn gzip_in_place() {
    Scenario {
        name: "gzip",
        // Whole generations come and are compressed while nobody looks.
        down_max: millis(2_000),
        rotation: Rotation::Compress {
            codec: Codec::Gzip,
            in_place: true,
        },
        rotation_interval: millis(700),
        kills: 4,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn zstd_in_place() {
    Scenario {
        name: "zstd",
        // Whole generations come and are compressed while nobody looks.
        down_max: millis(2_000),
        rotation: Rotation::Compress {
            codec: Codec::Zstd,
            in_place: true,
        },
        rotation_interval: millis(700),
        kills: 4,
        kills_at_rotation: true,
        ..Scenario::CALM
    }
    .run();
}

#[test]
fn gzip_renamed_when_complete() {
    Scenario {
        name: "gzip-renamed",
        rotation: Rotation::Compress {
            codec: Codec::Gzip,
            in_place: false,
        },
        rotation_interval: millis(700),
        kills: 4,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}
