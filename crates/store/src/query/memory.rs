//! The memory of queries: a part for each, and a whole that all share. What does not fit is spilled to disk, or the
//! query is refused.

use std::fmt;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// One query's part of what all queries share.
#[derive(Debug)]
pub(crate) struct QueryPool {
    own: FairSpillPool,
    own_max: usize,
    shared: Arc<GreedyMemoryPool>,
}

impl QueryPool {
    pub(crate) fn new(own_max: usize, shared: &Arc<GreedyMemoryPool>) -> Self {
        Self {
            own: FairSpillPool::new(own_max),
            own_max,
            shared: Arc::clone(shared),
        }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.own, self.shared)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &'static str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        self.shared
            .try_grow(reservation, additional)
            .inspect_err(|_full| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.own_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_bounded_by_its_part_and_by_what_the_others_left() {
        let shared = Arc::new(GreedyMemoryPool::new(150));
        let pools: Vec<Arc<dyn MemoryPool>> = (0..2)
            .map(|_| Arc::new(QueryPool::new(100, &shared)) as Arc<dyn MemoryPool>)
            .collect();
        let first = MemoryConsumer::new("first").register(&pools[0]);
        let second = MemoryConsumer::new("second").register(&pools[1]);
        first.try_grow(101).unwrap_err();
        first.try_grow(100).unwrap();
        second.try_grow(51).unwrap_err();
        second.try_grow(50).unwrap();
        assert_eq!((pools[1].reserved(), shared.reserved()), (50, 150));
        drop(first);
        assert_eq!((pools[0].reserved(), shared.reserved()), (0, 50));
        second.try_grow(50).unwrap();
    }
}
