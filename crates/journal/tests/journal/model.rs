//! Random histories of appends, reads, commits, faults and power cuts against a plain model.
//!
//! After every start: each acknowledged record that a cursor still needs is there, intact and in order; nothing that was
//! refused is there; what a power cut or a failed sync left undecided is there once and whole, or not at all. What the
//! disk itself has damaged is bounded: a flipped bit costs one append at most, a bad sector its segment, a cut of the last
//! segment what was cut off; none goes unreported, and nothing else is taken for a cut end; that holds for every record on disk, whether or not a cursor waits for it. While it runs: the budget holds, a segment goes only when every cursor has let go of it
//! or is set to lose it, what is under way last of all, and the statistics of both agree with the model.

mod world;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
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

/// A seed to run instead of a fresh one, as a failure prints it; and how many fresh seeds to run.
const SEED: &str = "VERVET_HISTORIES_SEED";
const ROUNDS: &str = "VERVET_HISTORIES_ROUNDS";
/// The seed that is run every time, so that a change is what makes it fail.
const FIXED_SEED: u64 = 0;

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// The fixed seed and fresh ones, which find what the fixed one does not.
fn seeds() -> Vec<u64> {
    if let Some(seed) = number_in(SEED) {
        return vec![seed];
    }
    // Every `RandomState` has keys of its own.
    let fresh = || RandomState::new().build_hasher().finish();
    let rounds = number_in(ROUNDS).unwrap_or(1);
    let fresh = (0..rounds).map(|_round| fresh());
    std::iter::once(FIXED_SEED).chain(fresh).collect()
}

/// Runs the histories of every seed; says how many there were, so that the number is not a claim.
#[expect(clippy::print_stdout, reason = "seeds and number of cases are shown")]
fn check(name: &str, more: Vec<Weighted>) {
    let histories = histories(more);
    for seed in seeds() {
        let cases = AtomicU64::new(0);
        let config = ProptestConfig {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 4000,
            ..ProptestConfig::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&histories, |steps| {
            cases.fetch_add(1, Ordering::Relaxed);
            replay(&steps);
            Ok(())
        });
        let run = cases.load(Ordering::Relaxed);
        println!("{name}: seed {seed}, cases: {run}");
        if let Err(error) = outcome {
            panic!("{name}: {error}\nthe same again: {SEED}={seed} and the name of this test");
        }
        assert!(run >= u64::from(CASES));
    }
}

fn replay(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.run(step);
    }
    world.run(&Step::Crash(5));
}

/// A flip takes a record that both cursors have committed; another takes a cursor's file, which starts again at the
/// oldest record and wants it back.
#[test]
fn what_rot_took_unseen_is_not_expected_by_a_cursor_that_starts_again() {
    replay(&[
        Step::Append(vec![73, 15]),
        Step::Read(0, 104),
        Step::Append(vec![41]),
        Step::Append(vec![120]),
        Step::Append(vec![127]),
        Step::Read(1, 104),
        Step::Commit(0, 128),
        Step::Commit(1, 128),
        Step::Append(vec![34]),
        Step::Flip(7_857_827_079_902_942_143),
        Step::Flip(246_258_248_882_078_397),
        Step::Append(vec![0]),
        Step::Append(vec![0]),
    ]);
}

/// The power goes when two segments have just been deleted, and the first of them is back.
#[test]
fn a_segment_that_comes_back_without_the_one_behind_it_is_counted_as_it_is() {
    replay(&[
        Step::Append(vec![0]),
        Step::Policy(0, true),
        Step::Append(vec![100, 251]),
        Step::Append(vec![321]),
        Step::Room(32),
        Step::Policy(1, true),
        Step::Append(vec![0]),
        Step::Append(vec![390, 347, 352]),
        Step::Crash(2_300_514_855_558_328_168),
    ]);
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
            (2, (0..300_u16).prop_map(Step::FillBut).boxed()),
            (3, Just(Step::Settle).boxed()),
            (1, (1..50_u8).prop_map(Step::ShortWrites).boxed()),
            (
                2,
                (reader(), any::<bool>())
                    .prop_map(|(reader, drops)| Step::Policy(reader, drops))
                    .boxed(),
            ),
            (
                2,
                (reader(), any::<u8>())
                    .prop_map(|(reader, share)| Step::Hold(reader, share))
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
fn a_cut_end_is_told_and_its_numbers_are_not_given_out_again() {
    check(
        "cut",
        vec![
            (3, any::<u64>().prop_map(Step::Cut).boxed()),
            (1, (1..50_u8).prop_map(Step::ShortWrites).boxed()),
            (
                2,
                (reader(), any::<bool>())
                    .prop_map(|(reader, drops)| Step::Policy(reader, drops))
                    .boxed(),
            ),
            (
                4,
                prop::collection::vec(100..400_u16, 1..4)
                    .prop_map(Step::Append)
                    .boxed(),
            ),
        ],
    );
}

#[test]
fn a_failing_disk_leaves_nothing_half_done() {
    check(
        "failing",
        vec![
            (2, Just(Step::FailedSync).boxed()),
            (4, Just(Step::Mend).boxed()),
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
