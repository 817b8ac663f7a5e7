//! The newest samples of series, for who reads them without a query.

use vervet_model::{Labels, Matcher, UnixMillis};

use crate::engine::{Engine, QueryOptions};
use crate::error::QueryError;
use crate::queryable::{Queryable, Sample, is_stale};
use crate::syntax::{Edges, Selector, TimeShift};

/// A series with its newest sample, with what its list has to spare.
const NEWEST_BYTES: usize = 2 * size_of::<(Labels, Sample)>();

impl Engine {
    /// The newest sample of each series that fulfils one of the selectors (all matchers of one must hold) and has one within
    /// the lookback before `at`; in no order, a series as often as selectors select it. Stale series are left out.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn newest(
        &self,
        storage: &dyn Queryable,
        selectors: &[Vec<Matcher>],
        at: UnixMillis,
    ) -> Result<Vec<(Labels, Sample)>, QueryError> {
        let run = self.run(storage, "", QueryOptions::default());
        let state = self.state(run, self.charge());
        let start = at.0.saturating_sub(state.lookback()).saturating_add(1);
        let mut newest = Vec::new();
        for matchers in selectors {
            let selector = Selector {
                matchers: matchers.clone(),
                shift: TimeShift {
                    offset: 0,
                    at: None,
                },
                edges: Edges::Sampled,
            };
            state.select_mapped(&selector, (start, at.0), &mut |track| {
                let last = track.samples.last().filter(|last| !is_stale(last.value));
                if let Some(last) = last {
                    state.memory.grow(NEWEST_BYTES, "the newest samples")?;
                    newest.push((track.labels, *last));
                }
                Ok(None)
            })?;
        }
        Ok(newest)
    }
}
