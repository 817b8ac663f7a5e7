//! Random histories of appends, reads, commits, faults and power cuts against a plain model.
//!
//! After every start: each acknowledged record that a cursor still needs is there, intact and in order; nothing that was
//! refused is there; what a power cut or a failed sync left undecided is there once and whole, or not at all. What the
//! disk itself has damaged is bounded: a flipped bit costs one append at most, a bad sector its segment, and
//! neither goes unreported. While it runs: the budget holds, a segment goes only when every cursor has let go of it
//! or is set to lose it, and the statistics of both agree with the model.

mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use world::{Step, World};

/// Cases of each test here; together they are over ten thousand.
const CASES: u32 = 2_600;
const STEPS_MAX: usize = 36;

type Weighted = (u32, BoxedStrategy<Step>);

fn reader() -> impl Strategy<Value = usize> {
    0..2_usize
}

/// What every history is made of.
fn ordinary() -> Vec<Weighted> {
    vec![
        (
            9,
            prop::collection::vec(0..200_u16, 1..4)
                .prop_map(Step::Append)
                .boxed(),
        ),
        (
            4,
            (reader(), 0..600_u16)
                .prop_map(|(reader, bytes)| Step::Read(reader, bytes))
                .boxed(),
        ),
        (
            4,
            (reader(), any::<u8>())
                .prop_map(|(reader, share)| Step::Commit(reader, share))
                .boxed(),
        ),
        (1, reader().prop_map(Step::Rewind).boxed()),
        (1, Just(Step::Reopen).boxed()),
        (2, any::<u64>().prop_map(Step::Crash).boxed()),
        (1, Just(Step::Heal).boxed()),
    ]
}

fn histories(more: Vec<Weighted>) -> impl Strategy<Value = Vec<Step>> {
    let steps = ordinary().into_iter().chain(more);
    let step = proptest::strategy::Union::new_weighted(steps.collect());
    prop::collection::vec(step, 1..STEPS_MAX)
}

/// Runs the histories; says how many there were, so that the number is not a claim.
#[expect(clippy::print_stdout, reason = "the number of cases is shown")]
fn check(name: &str, more: Vec<Weighted>) {
    let cases = AtomicU64::new(0);
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    };
    // The same histories every time, so that a change is what makes a test fail; others on request.
    let mut runner = match std::env::var_os("VERVET_RANDOM_HISTORIES") {
        Some(_) => TestRunner::new(config),
        None => {
            let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            TestRunner::new_with_rng(config, rng)
        }
    };
    let outcome = runner.run(&histories(more), |steps| {
        cases.fetch_add(1, Ordering::Relaxed);
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.run(&Step::Crash(5));
        Ok(())
    });
    println!("{name}: cases: {}", cases.load(Ordering::Relaxed));
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(cases.into_inner() >= u64::from(CASES));
}

#[test]
fn what_was_acknowledged_survives_power_cuts_in_any_order_of_writes() {
    check(
        "power cuts",
        vec![
            (3, (1..14_u32).prop_map(Step::PowerCutAfter).boxed()),
            (2, any::<u64>().prop_map(Step::Crash).boxed()),
            (1, (1..50_u8).prop_map(Step::ShortWrites).boxed()),
        ],
    );
}

#[test]
fn a_full_disk_and_a_full_budget_lose_only_what_a_cursor_lets_go() {
    check(
        "full",
        vec![
            (2, (0..300_u16).prop_map(Step::Room).boxed()),
            (1, (1..50_u8).prop_map(Step::ShortWrites).boxed()),
            (
                2,
                (reader(), any::<bool>())
                    .prop_map(|(reader, drops)| Step::Policy(reader, drops))
                    .boxed(),
            ),
            (
                12,
                prop::collection::vec(100..400_u16, 1..4)
                    .prop_map(Step::Append)
                    .boxed(),
            ),
            (1, Just(Step::ToggleThird).boxed()),
        ],
    );
}

#[test]
fn a_failing_disk_leaves_nothing_half_done() {
    check(
        "failing",
        vec![
            (2, Just(Step::FailedSync).boxed()),
            (5, (0..12_u32).prop_map(Step::FailChangeAfter).boxed()),
            (2, any::<u64>().prop_map(Step::BadSector).boxed()),
            (1, (0..300_u16).prop_map(Step::Room).boxed()),
            (1, (1..14_u32).prop_map(Step::PowerCutAfter).boxed()),
        ],
    );
}

#[test]
fn rotten_bits_and_bad_sectors_cost_no_more_than_they_touch() {
    check(
        "rotten",
        vec![
            (3, any::<u64>().prop_map(Step::Flip).boxed()),
            (2, any::<u64>().prop_map(Step::BadSector).boxed()),
            (1, (1..14_u32).prop_map(Step::PowerCutAfter).boxed()),
            (1, Just(Step::ToggleThird).boxed()),
        ],
    );
}
