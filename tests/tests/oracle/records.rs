//! Scenarios of what lines are made of: other encodings, and records that a rotation parts.

use crate::scenario::{BAD_NETWORK, Scenario, millis};
use crate::shape::{Order, Shape};
use crate::writer::{Gate, Rotation};

#[test]
fn utf_16_renamed() {
    for (name, order) in [
        ("utf-16le-rename", Order::Little),
        ("utf-16be-rename", Order::Big),
    ] {
        Scenario {
            name,
            shape: Shape::Utf16(order),
            rotation: Rotation::Rename,
            rotation_interval: millis(500),
            // A last line without line feed counts where the file was read under its own name.
            gate: Gate::Known,
            unterminated: order == Order::Big,
            kills: 4,
            kills_at_rotation: true,
            network: BAD_NETWORK,
            ..Scenario::CALM
        }
        .run();
    }
}

#[test]
fn utf_16_copied_and_cut() {
    for (name, order, found) in [
        ("utf-16le-copytruncate", Order::Little, true),
        ("utf-16be-copytruncate", Order::Big, false),
    ] {
        Scenario {
            name,
            shape: Shape::Utf16(order),
            rotation: Rotation::CopyTruncate { found },
            rotation_interval: millis(300),
            gate: if found { Gate::Open } else { Gate::Delivered },
            kills: 4,
            kills_at_rotation: true,
            ..Scenario::CALM
        }
        .run();
    }
}

#[test]
fn container_lines_in_two_files() {
    for (name, rotation) in [
        ("cri-in-two-files", Rotation::Rename),
        ("cri-in-two-files-away", Rotation::RenameAway),
    ] {
        Scenario {
            name,
            shape: Shape::Cri,
            rotation,
            rotation_interval: millis(700),
            // Pieces are joined where the first file was read under its own name.
            gate: Gate::Known,
            writers_per_file: 2,
            lines_per_second: 500,
            mixes_pieces: true,
            kills: 6,
            kills_at_rotation: true,
            ..Scenario::CALM
        }
        .run();
    }
}

#[test]
fn traces_in_two_files() {
    Scenario {
        name: "traces",
        shape: Shape::Traces,
        rotation: Rotation::Rename,
        rotation_interval: millis(500),
        kills: 6,
        kills_at_rotation: true,
        network: BAD_NETWORK,
        ..Scenario::CALM
    }
    .run();
}
