//! The journal through its public surface: life cycle, damage, faults and a model.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

mod damage;
mod ends;
mod faults;
mod formats;
mod life_cycle;
mod lost_cursors;
mod model;
mod pipes;
mod removed;
mod sim;
mod support;
