//! A request from its start to its answer.

use std::collections::BinaryHeap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::array::RecordBatch;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::job::{Job, Picked, Queued, State, Unit, Visit};
use super::stop::Stop;
use super::times::{Span, overlap};
use super::{Answer, Searcher, Wanted};
use crate::StoreError;
use crate::catalog::DataFile;
use crate::head::View;
use crate::tables::Layout;

/// The files and batches of one cut, which are numbered the same for all passes of a request.
pub(crate) struct Cut {
    /// Keeps the files from being deleted.
    view: Arc<View>,
    pub(crate) heads: Vec<RecordBatch>,
    pub(crate) files: Vec<DataFile>,
}

impl Cut {
    pub(crate) fn new(view: Arc<View>, wanted: &Wanted) -> Self {
        let span = wanted.span();
        let overlaps = |file: &&DataFile| {
            let known = file.time_range.map(|(first, last)| (first.0, last.0));
            known.is_none_or(|known| overlap(known, span))
        };
        let files = view.snapshot.table(wanted.table);
        Self {
            heads: view.batches(wanted.table),
            files: files.filter(overlaps).cloned().collect(),
            view,
        }
    }
}

impl Wanted {
    /// Both ends inclusive.
    pub(crate) fn span(&self) -> Span {
        (self.start.0, self.end.0.saturating_sub(1))
    }
}

/// Stops the threads of a request whose future is dropped.
struct StopOnDrop(Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A request in one or more passes over the same cut, with one deadline.
pub(crate) struct Pass<'s> {
    searcher: &'s Searcher,
    wanted: Wanted,
    cut: Arc<Cut>,
    stop: StopOnDrop,
    timeout: Duration,
    warnings: Vec<String>,
}

impl<'s> Pass<'s> {
    pub(crate) fn new(
        searcher: &'s Searcher,
        view: Arc<View>,
        wanted: Wanted,
        timeout: Duration,
    ) -> Self {
        Self {
            searcher,
            cut: Arc::new(Cut::new(view, &wanted)),
            wanted,
            stop: StopOnDrop(Arc::new(Stop::after(timeout))),
            timeout,
            warnings: Vec::new(),
        }
    }

    /// Shows the visitor all rows that fulfil the conditions.
    ///
    /// # Errors
    /// The visitor's, or [`StoreError::Timeout`].
    pub(crate) async fn all<V: Visit>(&mut self, visitor: V) -> Result<V, StoreError> {
        let order = visitor.order();
        let heads = (0..self.cut.heads.len()).map(|batch| Queued {
            priority: i64::MAX,
            unit: Unit::Head(batch),
        });
        let files = self.cut.files.iter().enumerate().map(|(index, file)| {
            let span = file.time_range.map(|(first, last)| (first.0, last.0));
            Queued {
                priority: order.priority(span),
                unit: Unit::File(index),
            }
        });
        let units = heads.chain(files).collect();
        self.run(visitor, units).await
    }

    /// Shows the visitor rows that were chosen before.
    ///
    /// # Errors
    /// As [`Pass::all`].
    pub(crate) async fn picked<V: Visit>(
        &mut self,
        visitor: V,
        picked: Vec<Picked>,
    ) -> Result<V, StoreError> {
        let units = picked.into_iter().map(|picked| Queued {
            priority: 0,
            unit: Unit::Pick(picked),
        });
        self.run(visitor, units.collect()).await
    }

    /// The layout of the table in this cut.
    pub(crate) fn layout(&self) -> &Layout {
        self.cut.view.snapshot.layout(self.wanted.table)
    }

    pub(crate) fn answer<T>(self, found: T) -> Answer<T> {
        Answer {
            found,
            warnings: self.warnings,
        }
    }

    async fn run<V: Visit>(
        &mut self,
        visitor: V,
        units: BinaryHeap<Queued>,
    ) -> Result<V, StoreError> {
        if units.is_empty() {
            return Ok(visitor);
        }
        let timeout = || StoreError::Timeout {
            after: self.timeout,
        };
        let place = tokio::time::timeout(self.stop.0.left(), self.searcher.places.acquire());
        let _place = place.await.ok().and_then(Result::ok).ok_or_else(timeout)?;
        let (done, finished) = oneshot::channel::<()>();
        let queue = self.searcher.pool.queue();
        let visitor = Arc::new(visitor);
        let state = Arc::new(Mutex::new(State {
            units,
            ..State::default()
        }));
        queue.push(Arc::new_cyclic(|own: &Weak<Job<V>>| Job {
            wanted: self.wanted.clone(),
            cut: Arc::clone(&self.cut),
            visitor: Arc::clone(&visitor),
            stop: Arc::clone(&self.stop.0),
            cache: Arc::clone(&self.searcher.cache),
            queue: queue.clone(),
            own: Weak::clone(own),
            state: Arc::clone(&state),
            sliced: AtomicUsize::new(0),
            _done: done,
        }));
        // The threads look at the deadline at each page; here it bounds a wait for threads that are busy.
        let _is_dropped = tokio::time::timeout(self.stop.0.left(), finished).await;
        let mut state = std::mem::take(&mut *state.lock());
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        let visitor = state.is_finished().then(|| Arc::into_inner(visitor));
        let visitor = visitor.flatten().ok_or_else(timeout)?;
        self.warnings.append(&mut state.warnings);
        Ok(visitor)
    }
}
