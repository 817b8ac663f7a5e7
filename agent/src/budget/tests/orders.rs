//! Whatever the order of taking, waiting, giving back and going away: nobody waits for what is free, and everybody who
//! waits is served once the others have given back.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// The reserve is 2, and one kind can hold 10.
const LIMIT: u64 = 16;

#[derive(Debug, Clone)]
enum Step {
    Take(MemoryKind, usize),
    Wait(MemoryKind, usize),
    Grow(Index, usize),
    Shrink(Index, usize),
    GiveBack(Index),
    /// Somebody who waits looks whether it was served.
    Look(Index),
    /// Somebody who waits goes away, perhaps after it was served.
    GoAway(Index),
    Pressure(bool),
}

type Turns<'b> = Vec<Turn<'b>>;

/// Somebody who waits, or was served and has not looked yet.
struct Turn<'b> {
    kind: MemoryKind,
    bytes: u64,
    coming: Pin<Box<dyn Future<Output = MemoryPermit> + 'b>>,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || proptest::sample::select(MemoryKind::ALL.to_vec());
    let bytes = || prop_oneof![3 => 1..=2_usize, 2 => 3..=6_usize, 1 => 7..=20_usize];
    prop_oneof![
        4 => (kind(), bytes()).prop_map(|(kind, bytes)| Step::Take(kind, bytes)),
        5 => (kind(), bytes()).prop_map(|(kind, bytes)| Step::Wait(kind, bytes)),
        2 => (any::<Index>(), bytes()).prop_map(|(which, bytes)| Step::Grow(which, bytes)),
        1 => (any::<Index>(), bytes()).prop_map(|(which, bytes)| Step::Shrink(which, bytes)),
        4 => any::<Index>().prop_map(Step::GiveBack),
        2 => any::<Index>().prop_map(Step::Look),
        2 => any::<Index>().prop_map(Step::GoAway),
        1 => any::<bool>().prop_map(Step::Pressure),
    ]
}

fn used(usage: &MemoryUse, kind: MemoryKind) -> u64 {
    match kind {
        MemoryKind::Request => usage.request_bytes,
        MemoryKind::Source => usage.source_bytes,
        MemoryKind::Buffer => usage.buffer_bytes,
        MemoryKind::Export => usage.export_bytes,
    }
}

fn wait(budget: &MemoryBudget, kind: MemoryKind, bytes: usize) -> Turn<'_> {
    Turn {
        kind,
        bytes: bytes as u64,
        coming: Box::pin(budget.acquire(kind, bytes)),
    }
}

/// Those who have been served since hold what they waited for.
fn look(turns: &mut Turns<'_>, held: &mut Vec<MemoryPermit>) {
    turns.retain_mut(|turn| {
        now(&mut turn.coming)
            .map(|permit| held.push(permit))
            .is_none()
    });
}

fn apply<'b>(
    budget: &'b MemoryBudget,
    step: &Step,
    turns: &mut Turns<'b>,
    held: &mut Vec<MemoryPermit>,
) {
    match step {
        Step::Take(kind, bytes) => held.extend(budget.try_acquire(*kind, *bytes)),
        Step::Wait(kind, bytes) => {
            let mut turn = wait(budget, *kind, *bytes);
            match now(&mut turn.coming) {
                Some(permit) => held.push(permit),
                None => turns.push(turn),
            }
        }
        Step::Grow(which, bytes) if !held.is_empty() => {
            let at = which.index(held.len());
            let _refused = held[at].try_grow_to(*bytes);
        }
        Step::Shrink(which, bytes) if !held.is_empty() => {
            let at = which.index(held.len());
            held[at].shrink_to(*bytes);
        }
        Step::GiveBack(which) if !held.is_empty() => {
            let at = which.index(held.len());
            drop(held.swap_remove(at));
        }
        Step::Look(which) if !turns.is_empty() => {
            let at = which.index(turns.len());
            if let Some(permit) = now(&mut turns[at].coming) {
                held.push(permit);
                drop(turns.remove(at));
            }
        }
        Step::GoAway(which) if !turns.is_empty() => {
            let at = which.index(turns.len());
            drop(turns.remove(at));
        }
        Step::Pressure(true) => budget.set_pressure(Pressure::Soft),
        Step::Pressure(false) => budget.set_pressure(Pressure::None),
        _ => {}
    }
}

/// What holds after every step.
fn check(budget: &MemoryBudget) {
    let usage = budget.usage();
    assert!(usage.used_bytes <= LIMIT, "{usage:?}");
    let sum: u64 = MemoryKind::ALL
        .iter()
        .map(|kind| used(&usage, *kind).max(budget.reserve()))
        .sum();
    assert!(sum <= LIMIT, "a reserve was lent: {usage:?}");
    budget.set_pressure(usage.pressure);
    assert_eq!(budget.usage(), usage, "somebody waited for what was free");
}

/// Whoever stays within the reserve of its kind is let in.
fn check_reserves(budget: &MemoryBudget, turns: &Turns<'_>) {
    let usage = budget.usage();
    for kind in MemoryKind::ALL {
        let first = turns.iter().find(|turn| turn.kind == kind);
        let wanted = first.map_or(1, |turn| turn.bytes);
        if usage.pressure == Pressure::None && used(&usage, kind) + wanted <= budget.reserve() {
            assert!(
                first.is_none(),
                "{kind:?} waits within its reserve: {usage:?}"
            );
            assert!(budget.try_acquire(kind, 1).is_some(), "{kind:?}: {usage:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn everybody_is_served_in_the_end(steps in proptest::collection::vec(step(), 1..60)) {
        let budget = MemoryBudget::new(LIMIT);
        let (mut turns, mut held) = (Turns::new(), Vec::new());
        for step in &steps {
            apply(&budget, step, &mut turns, &mut held);
            check(&budget);
        }
        budget.set_pressure(Pressure::None);
        check(&budget);
        look(&mut turns, &mut held);
        check_reserves(&budget, &turns);
        while !turns.is_empty() {
            let waiting = turns.len();
            held.clear();
            look(&mut turns, &mut held);
            prop_assert!(turns.len() < waiting, "{waiting} wait though all was given back: {budget:?}");
        }
        held.clear();
        let usage = budget.usage();
        prop_assert_eq!((usage.used_bytes, usage.waiting), (0, 0));
    }
}
