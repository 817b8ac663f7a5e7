//! A charge against its own limit and the common one.

use super::*;

const MIB: usize = 1 << 20;

fn charge(own: usize, together: usize) -> Charge {
    Charge::new(&Arc::new(Pool::new(together)), own)
}

#[test]
fn a_query_is_refused_at_its_own_limit_and_what_it_asked_for_is_not_taken() {
    let charge = charge(100, MIB);
    charge.grow(60, "first").unwrap();
    let error = charge.grow(41, "second").unwrap_err();
    assert_eq!(
        error,
        MemoryError::Query {
            what: "second",
            limit: 100
        }
    );
    assert_eq!((charge.held(), charge.left()), (60, 40));
    charge.grow(40, "third").unwrap();
    charge.grow(usize::MAX, "overflow").unwrap_err();
    assert_eq!((charge.held(), charge.peak()), (100, 100));
}

#[test]
fn queries_share_one_amount_to_the_last_byte() {
    let pool = Arc::new(Pool::new(3 * MIB));
    let (first, second) = (Charge::new(&pool, 8 * MIB), Charge::new(&pool, 8 * MIB));
    first.grow(2 * MIB, "").unwrap();
    // The first keeps a little more than it holds; what is left is given to the byte.
    let left = 3 * MIB - pool.used();
    second.grow(left, "").unwrap();
    let error = second.grow(1, "more").unwrap_err();
    assert_eq!(
        error,
        MemoryError::Together {
            what: "more",
            limit: 3 * MIB
        }
    );
    drop(first);
    second.grow(2 * MIB, "").unwrap();
    drop(second);
    assert_eq!(pool.used(), 0);
}

#[test]
fn settling_gives_back_and_keeps_what_stays() {
    let charge = charge(64 * MIB, 64 * MIB);
    charge.grow(10, "before").unwrap();
    let before = charge.loose();
    charge.grow(32 * MIB, "work").unwrap();
    charge.keep(5, "texts").unwrap();
    charge.settle(before + 7, "value").unwrap();
    assert_eq!((charge.held(), charge.loose()), (22, 17));
    assert!(charge.pool.used() <= SLACK_BYTES, "{}", charge.pool.used());
    // A value that nothing was charged for is found when it is settled.
    charge.settle(65 * MIB, "value").unwrap_err();
}

#[test]
fn what_is_held_for_a_while_goes_when_it_is_dropped() {
    let charge = charge(100, 100);
    {
        let mut held = charge.hold(30, "a").unwrap();
        held.grow(30, "b").unwrap();
        held.grow(41, "c").unwrap_err();
        assert_eq!(charge.held(), 60);
    }
    assert_eq!((charge.held(), charge.peak()), (0, 60));
}
