//! Typed requests read segments themselves, without a query planner.
//!
//! A request is cut into units: one per head batch and one per row group. The threads of a [`Pool`] take
//! units of all running requests in turn, so that a heavy request slows a small one by its share only. For
//! each unit [`prune`] decides by statistics whether it can hold a matching row, then the conditions are
//! evaluated cheapest first, each reading its column for the rows that are left ([`rows::Rows`]); wide
//! columns are decoded for the rows of the answer only. A search newest first keeps the times of its best
//! rows and skips every page that is older.
//!
//! Invariants: dropping a request's future, or its deadline, stops its threads at the next page they read.
//! A segment, or a part of one, that cannot be read is left out with a warning that names it; nothing else
//! is.
//!
//! Limits: threads as many as cores; [`REQUESTS_MAX`] requests at once; [`cache::METADATA_BYTES_MAX`] of footers in memory, and
//! [`PAGES_PART`] of a query's memory of pages;
//! [`aggregate::CELLS_MAX`] cells of a count; the memory of one answer is that of a query
//! (`query_memory_bytes`).

pub mod aggregate;
mod cache;
mod constant;
#[cfg(feature = "sql")]
mod ids;
mod input;
pub(super) mod job;
mod literal;
pub(super) mod maps;
pub(super) mod metadata;
mod needs;
pub(crate) mod page_cache;
pub(super) mod page_index;
mod pages;
pub(super) mod pass;
mod pool;
pub(super) mod predicate;
mod prune;
pub(super) mod rows;
pub(super) mod segment;
pub mod sketch;
pub(super) mod stop;
mod templates;
#[cfg(test)]
mod tests;
mod text;
pub(super) mod times;
pub(super) mod top;
mod values;
mod visit;

use std::sync::Arc;

use tokio::sync::Semaphore;
use vervet_model::UnixNanos;

use self::cache::MetadataCache;
use self::page_cache::PageCacheStats;
use self::pool::Pool;
pub(crate) use self::predicate::Predicate;
use self::segment::Segment;
use self::stop::Stop;
use crate::StoreError;
use crate::catalog::DataFile;
use crate::query::damaged::Damage;
use crate::tables::Table;

/// Requests that are answered at once; others wait, as long as their deadline lets them.
const REQUESTS_MAX: usize = 64;

/// Pages kept take one part in so many of what a query may.
const PAGES_PART: usize = 4;

/// The threads and the memory that typed requests share.
pub(crate) struct Searcher {
    pool: Pool,
    places: Semaphore,
    cache: Arc<MetadataCache>,
}

impl Searcher {
    /// Starts one thread per core. `query_memory_bytes` is what one query may take.
    pub(crate) fn start(query_memory_bytes: usize) -> std::io::Result<Self> {
        let pages = query_memory_bytes / PAGES_PART;
        Ok(Self {
            pool: Pool::start()?,
            places: Semaphore::new(REQUESTS_MAX),
            cache: Arc::new(MetadataCache::new(pages)),
        })
    }

    /// Indexes of segments that could not be used, since the start.
    pub(crate) fn damaged_indexes(&self) -> u64 {
        self.cache.damaged_indexes()
    }

    pub(crate) fn pages(&self) -> PageCacheStats {
        self.cache.pages().stats()
    }

    /// Opens a segment that is read besides typed requests.
    pub(crate) fn open(&self, file: &DataFile, stop: &Arc<Stop>) -> Result<Segment, StoreError> {
        self.cache.open(file, stop)
    }

    /// The segments that could not be read.
    pub(crate) fn damage(&self) -> &Damage {
        self.cache.damage()
    }

    /// Forgets what is kept of segments, as after a start.
    pub(crate) fn forget(&self) {
        self.cache.clear();
    }
}

impl crate::Store {
    /// Forgets what is kept in memory of segments, so that the next request reads it again as after a start.
    pub fn forget_segments(&self) {
        self.0.searcher.forget();
    }
}

/// The rows that a request looks at.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) table: Table,
    pub(crate) filter: Arc<Predicate>,
    /// Inclusive.
    pub(crate) start: UnixNanos,
    /// Exclusive.
    pub(crate) end: UnixNanos,
}

/// What a request found, and what it could not look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    pub found: T,
    /// Each names a segment that is left out, and why. Empty when the answer is complete.
    pub warnings: Vec<String>,
}

impl<T> Answer<T> {
    /// Adds the warnings of another part of the same answer.
    pub(crate) fn and_warnings_of<U>(mut self, other: Answer<U>) -> Self {
        for warning in other.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        self
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            found: f(self.found),
            warnings: self.warnings,
        }
    }
}

/// So that a complete answer reads like what was found.
impl<T> std::ops::Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.found
    }
}

impl<T: IntoIterator> IntoIterator for Answer<T> {
    type Item = T::Item;
    type IntoIter = T::IntoIter;

    fn into_iter(self) -> T::IntoIter {
        self.found.into_iter()
    }
}
