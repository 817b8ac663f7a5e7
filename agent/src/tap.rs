//! A live look at what is about to be stored.
//!
//! In: every batch behind the processors, offered by the way to the buffer. Out: records as JSON lines for whoever
//! asked. Without a tap an offer is one load of a counter. With one, a batch is passed by reference into the tap's
//! queue of [`QUEUE_BATCHES`] and [`QUEUE_BYTES_MAX`]; what does not fit is counted and said, never waited for.
//! Taking batches apart and filtering happens on the tap's own task. At most [`TAPS_MAX`] taps at once.

mod lines;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vervet_model::{Clock, Signal};

use crate::config::{PipelineConfig, filter_of, unknown};
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::pipeline::Batch;
use crate::processors::Chain;

/// Taps at once.
pub const TAPS_MAX: usize = 4;
/// Batches waiting for one tap, at most, and their bytes.
const QUEUE_BATCHES: usize = 32;
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// Lines handed to the connection at once, at most (bytes).
const CHUNK_BYTES: usize = 64 << 10;

/// Where batches are offered and taps are opened. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct TapHub(Arc<Hub>);

#[derive(Debug, Default)]
struct Hub {
    open: AtomicUsize,
    next_id: AtomicU64,
    taps: RwLock<Vec<Subscriber>>,
    /// The receivers of each pipeline there is; `None` where that is not known.
    pipelines: RwLock<Option<BTreeMap<&'static str, Vec<String>>>>,
}

#[derive(Debug)]
struct Subscriber {
    id: u64,
    signal: Signal,
    receiver: Option<String>,
    queue: mpsc::Sender<Offered>,
    load: Arc<Load>,
}

/// What waits, and what did not fit.
#[derive(Debug, Default)]
struct Load {
    waiting_bytes: AtomicUsize,
    missed_records: AtomicU64,
}

#[derive(Debug)]
struct Offered {
    receiver: Arc<str>,
    payload: Bytes,
}

/// What a tap wants to see.
#[derive(Debug, Clone)]
pub struct TapQuery {
    pub signal: Signal,
    pub receiver: Option<String>,
    /// A condition in the language of the processors.
    pub condition: Option<String>,
    /// Text that one of the record's values must hold.
    pub grep: Option<String>,
    /// Records after which the tap ends.
    pub limit: Option<u64>,
}

/// Why there is no tap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    #[error("there are {TAPS_MAX} taps already; close one")]
    TooMany,
    #[error("the condition cannot be used: {0}")]
    Condition(String),
    /// Nothing would ever be seen.
    #[error("{0}")]
    Unknown(String),
}

/// An open tap; dropping it closes it.
pub(crate) struct Tap {
    hub: TapHub,
    id: u64,
    query: TapQuery,
    condition: Chain,
    offers: mpsc::Receiver<Offered>,
    load: Arc<Load>,
    /// Lines that do not fit into the chunk under way.
    ready: VecDeque<String>,
    shown: u64,
    end: CancellationToken,
}

impl TapHub {
    /// From now on these pipelines are at work.
    pub(crate) fn set_pipelines(&self, pipelines: &[PipelineConfig]) {
        let known = pipelines
            .iter()
            .map(|pipeline| (pipeline.signal.as_str(), pipeline.from.clone()));
        *self.0.pipelines.write() = Some(known.collect());
    }

    /// What `query` asks for that is not there.
    fn unknown(&self, query: &TapQuery) -> Option<String> {
        let pipelines = self.0.pipelines.read();
        let pipelines = pipelines.as_ref()?;
        let signal = query.signal.as_str();
        let Some(receivers) = pipelines.get(signal) else {
            let known: Vec<&str> = pipelines.keys().copied().collect();
            return Some(unknown("pipeline", signal, &known));
        };
        let wanted = query.receiver.as_ref()?;
        if receivers.contains(wanted) {
            return None;
        }
        let known: Vec<&str> = receivers.iter().map(String::as_str).collect();
        let elsewhere = pipelines.iter();
        let elsewhere = elsewhere.filter(|(_, receivers)| receivers.contains(wanted));
        let elsewhere: Vec<&str> = elsewhere.map(|(pipeline, _)| *pipeline).collect();
        Some(match elsewhere.is_empty() {
            true => unknown("receiver", wanted, &known),
            false => format!(
                "receiver `{wanted}` sends nothing to pipeline `{signal}`, only to {}; those that do: {}",
                elsewhere.join(" and "),
                known.join(", ")
            ),
        })
    }

    /// Shows a batch to the taps that want it.
    pub(crate) fn offer(&self, receiver: &Arc<str>, batch: &Batch) {
        if self.0.open.load(Ordering::Relaxed) > 0 {
            self.offer_all(receiver, batch);
        }
    }

    #[cold]
    fn offer_all(&self, receiver: &Arc<str>, batch: &Batch) {
        for tap in self.0.taps.read().iter() {
            let other = tap
                .receiver
                .as_ref()
                .is_some_and(|wanted| **wanted != **receiver);
            if tap.signal == batch.signal && !other {
                tap.offer(receiver, batch);
            }
        }
    }

    /// Opens a tap that ends when `end` is cancelled.
    ///
    /// # Errors
    /// There are too many, there is no such receiver or pipeline, or the condition makes no sense.
    pub(crate) fn open(
        &self,
        query: TapQuery,
        clock: &Arc<dyn Clock>,
        end: CancellationToken,
    ) -> Result<Tap, TapError> {
        if let Some(message) = self.unknown(&query) {
            return Err(TapError::Unknown(message));
        }
        let condition = match &query.condition {
            Some(text) => condition(text, query.signal, clock).map_err(TapError::Condition)?,
            None => Chain::default(),
        };
        let (queue, offers) = mpsc::channel(QUEUE_BATCHES);
        let load = Arc::<Load>::default();
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let mut taps = self.0.taps.write();
        if taps.len() >= TAPS_MAX {
            return Err(TapError::TooMany);
        }
        taps.push(Subscriber {
            id,
            signal: query.signal,
            receiver: query.receiver.clone(),
            queue,
            load: Arc::clone(&load),
        });
        self.0.open.store(taps.len(), Ordering::Relaxed);
        drop(taps);
        Ok(Tap {
            hub: self.clone(),
            id,
            query,
            condition,
            offers,
            load,
            ready: VecDeque::new(),
            shown: 0,
            end,
        })
    }
}

/// A chain that drops whatever the condition does not hold for.
fn condition(text: &str, signal: Signal, clock: &Arc<dyn Clock>) -> Result<Chain, String> {
    const NAME: &str = "where";
    let filter = filter_of(text)?;
    let processors = BTreeMap::from([(NAME.to_owned(), filter)]);
    let (metrics, pods) = (AgentMetrics::default(), PodDirectory::none());
    let names = [NAME.to_owned()];
    let chain = Chain::build(&names, &processors, signal, &metrics, clock, &pods);
    chain.map_err(|error| error.message)
}

impl Subscriber {
    fn offer(&self, receiver: &Arc<str>, batch: &Batch) {
        let bytes = batch.payload.len();
        let waiting = self.load.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let offered = Offered {
            receiver: Arc::clone(receiver),
            payload: batch.payload.clone(),
        };
        let fits = waiting == 0 || waiting + bytes <= QUEUE_BYTES_MAX;
        if !fits || self.queue.try_send(offered).is_err() {
            self.load.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.load
                .missed_records
                .fetch_add(batch.records, Ordering::Relaxed);
        }
    }
}

impl Tap {
    /// The next lines; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.chunk() {
                return Some(chunk);
            }
            if self.query.limit.is_some_and(|limit| self.shown >= limit) {
                return None;
            }
            let offered = tokio::select! {
                biased;
                () = self.end.cancelled() => return None,
                offered = self.offers.recv() => offered?,
            };
            self.take(&offered);
        }
    }

    fn take(&mut self, offered: &Offered) {
        let bytes = offered.payload.len();
        let missed = self.load.missed_records.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.ready.push_back(format!("{{\"missed\":{missed}}}\n"));
        }
        let room = self
            .query
            .limit
            .map_or(u64::MAX, |limit| limit - self.shown);
        let mut records = 0;
        let (grep, ready) = (self.query.grep.as_deref(), &mut self.ready);
        let read = lines::each(self.query.signal, offered, &self.condition, |line| {
            if records < room && grep.is_none_or(|text| lines::holds(line, text)) {
                records += 1;
                ready.push_back(format!(
                    "{line}
"
                ));
            }
        });
        if let Err(error) = read {
            tracing::debug!(%error, "batch cannot be shown");
        }
        self.shown += records;
        self.load.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn chunk(&mut self) -> Option<Bytes> {
        let mut chunk = String::new();
        while chunk.len() < CHUNK_BYTES {
            let Some(line) = self.ready.pop_front() else {
                break;
            };
            chunk.push_str(&line);
        }
        Some(chunk)
            .filter(|chunk| !chunk.is_empty())
            .map(Bytes::from)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut taps = self.hub.0.taps.write();
        taps.retain(|tap| tap.id != self.id);
        self.hub.0.open.store(taps.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
