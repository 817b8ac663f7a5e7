use super::*;

fn totals(records: u64) -> Totals {
    let mut totals = Totals::default();
    let bytes = records * 100;
    totals.add(Signal::Logs, Amount { records, bytes });
    totals
}

fn gone(from: u64, to: u64, loss: Loss) -> Gone {
    let (from, to) = (totals(from), totals(to));
    Gone { from, to, loss }
}

/// Records by what has taken them.
fn records(all: &AllGone, settled: u64) -> (u64, u64) {
    let mut sums = (0, 0);
    for (loss, amount) in all.amounts(Signal::Logs, totals(settled).get(Signal::Logs)) {
        assert_eq!(amount.bytes, amount.records * 100);
        match loss {
            Loss::Evicted => sums.0 += amount.records,
            Loss::Damage => sums.1 += amount.records,
            Loss::Absence => {}
        }
    }
    sums
}

#[test]
fn parts_that_overlap_or_touch_are_counted_once() {
    let mut all = AllGone::default();
    all.insert(gone(40, 50, Loss::Evicted));
    all.insert(gone(10, 20, Loss::Damage));
    all.insert(gone(20, 30, Loss::Evicted));
    all.insert(gone(30, 40, Loss::Evicted));
    assert_eq!(records(&all, 0), (30, 10));
    all.insert(gone(35, 60, Loss::Evicted));
    assert_eq!(records(&all, 0), (40, 10));
    all.insert(gone(10, 20, Loss::Evicted));
    assert_eq!(records(&all, 0), (40, 10));
    assert!(all.0.len() <= 3, "{all:?}");
    // Everything, of which only what lies around is new.
    all.insert(gone(5, 70, Loss::Damage));
    assert_eq!(records(&all, 0), (40, 25));
}

#[test]
fn what_came_in_an_absence_stays_that_and_is_not_stored_as_gone() {
    let mut all = AllGone::default();
    all.insert(gone(10, 20, Loss::Absence));
    all.insert(gone(5, 30, Loss::Evicted));
    assert_eq!(records(&all, 0), (15, 0));
    let stored = [gone(5, 10, Loss::Evicted), gone(20, 30, Loss::Evicted)];
    assert_eq!(all.stored(), stored);
    assert_eq!(all.taken(), stored);
}

#[test]
fn what_is_settled_is_not_gone() {
    let mut all = AllGone::default();
    all.insert(gone(10, 20, Loss::Evicted));
    assert_eq!(records(&all, 15), (5, 0));
    assert_eq!(records(&all, 30), (0, 0));
}

#[test]
fn an_exporter_comes_to_the_parts_in_order_and_as_far_as_they_lie_before_it() {
    let mut all = AllGone::default();
    all.insert(gone(10, 20, Loss::Evicted));
    all.insert(gone(30, 40, Loss::Damage));
    let next = |settled, before| {
        let part = all.next_before(&totals(settled), &totals(before))?;
        Some((part.from.records(), part.to.records(), part.loss))
    };
    assert_eq!(next(0, 10), None);
    assert_eq!(next(0, 15), Some((10, 15, Loss::Evicted)));
    assert_eq!(next(15, 15), None);
    assert_eq!(next(15, 30), Some((10, 20, Loss::Evicted)));
    assert_eq!(next(20, 30), None);
    assert_eq!(next(20, 50), Some((30, 40, Loss::Damage)));
    assert_eq!(next(40, 50), None);
    // Somebody who begins again comes to all of it again, but never back.
    assert_eq!(next(0, 50), Some((10, 20, Loss::Evicted)));
    assert_eq!(next(15, 12), None);
}

#[test]
fn parts_are_forgotten_once_nobody_comes_to_them_again() {
    let mut all = AllGone::default();
    all.insert(gone(10, 20, Loss::Evicted));
    all.insert(gone(30, 40, Loss::Damage));
    all.forget_before(&totals(19));
    assert_eq!(records(&all, 0), (10, 10));
    all.forget_before(&totals(20));
    assert_eq!(records(&all, 0), (0, 10));
    all.forget_before(&totals(100));
    assert_eq!(records(&all, 0), (0, 0));
}

#[test]
fn there_are_not_more_parts_than_the_limit() {
    let mut all = AllGone::default();
    for part in 0..2 * PARTS_MAX as u64 {
        all.insert(gone(part * 10, part * 10 + 5, Loss::Damage));
    }
    assert_eq!(records(&all, 0), (0, 5 * PARTS_MAX as u64));
}
