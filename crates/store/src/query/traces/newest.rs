//! Finds the traces whose matching spans started last.

use std::collections::HashMap;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampNanosecondType;
use parking_lot::Mutex;
use vervet_model::TraceId;

use crate::StoreError;
use crate::query::search::job::{Origin, UnitOrder, Visit};
use crate::query::search::rows::Rows;
use crate::query::search::times::Span;
use crate::tables::column;

/// The newest traces so far. Once there are enough, older spans are not read.
pub(super) struct NewestTraces {
    limit: usize,
    found: Mutex<Found>,
}

struct Found {
    latest: HashMap<TraceId, i64>,
    /// Spans before this cannot bring a trace into the answer.
    bound: i64,
}

impl NewestTraces {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            found: Mutex::new(Found {
                latest: HashMap::new(),
                bound: i64::MIN,
            }),
        }
    }

    /// The newest first.
    pub(super) fn into_ids(self) -> Vec<TraceId> {
        let mut found: Vec<_> = self.found.into_inner().latest.into_iter().collect();
        found.sort_by_key(|(id, latest)| (std::cmp::Reverse(*latest), *id));
        found.truncate(self.limit);
        found.into_iter().map(|(id, _latest)| id).collect()
    }
}

impl Found {
    fn add(&mut self, id: TraceId, time: i64) {
        let latest = self.latest.entry(id).or_insert(time);
        *latest = time.max(*latest);
    }

    /// Forgets what is older than the `limit` newest.
    fn trim(&mut self, limit: usize) {
        if self.latest.len() <= limit {
            return;
        }
        let mut times: Vec<i64> = self.latest.values().copied().collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let last = limit.checked_sub(1).and_then(|last| times.get(last));
        self.bound = last.copied().unwrap_or(i64::MAX);
        let bound = self.bound;
        self.latest.retain(|_id, latest| *latest >= bound);
    }
}

impl Visit for NewestTraces {
    fn span(&self) -> Span {
        (self.found.lock().bound, i64::MAX)
    }

    fn order(&self) -> UnitOrder {
        UnitOrder::NewestFirst
    }

    fn visit(&self, _origin: Origin, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        let table = rows.table().name();
        let (ids, times) = (
            rows.required(column::TRACE_ID)?,
            rows.required(column::TIME)?,
        );
        let ids = ids
            .as_binary_opt::<i32>()
            .ok_or(StoreError::Columns { table })?;
        let times = times
            .as_primitive_opt::<TimestampNanosecondType>()
            .ok_or(StoreError::Columns { table })?;
        let mut found = self.found.lock();
        for (id, time) in ids.iter().zip(times.values()) {
            if let Some(id) = id.and_then(TraceId::from_bytes)
                && *time >= found.bound
            {
                found.add(id, *time);
            }
        }
        found.trim(self.limit);
        Ok(())
    }
}
