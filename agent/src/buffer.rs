//! The disk buffer: one journal under `data_dir/buffer`.
//!
//! In: batches from the receivers. Out: journal records ([`record`]), read by each exporter through its own cursor.
//! The cursor `checkpoints` belongs to the [`writer`]: its state is where files resume and how much was
//! ever appended, as of its position; records after it, about a segment of them, bring the rest. So after any crash the positions are exactly
//! those of the records in the journal: nothing read is lost, nothing is read twice.

mod gaps;
mod keeping;
mod positions;
mod record;
mod recovered;
mod stats;
pub(crate) mod unbooked;
mod writer;

pub(crate) use gaps::{JournalGap, tell_of_evictions};
pub(crate) use keeping::PositionKeeping;
pub(crate) use record::decode;
pub use record::{Amount, Totals};
#[cfg(test)]
pub(crate) use record::{encode_header, note};
pub(crate) use recovered::log_recovery;
pub(crate) use stats::BufferCollector;
pub(crate) use writer::{BufferWriter, TOO_LARGE, WriterParts};

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use vervet_journal::{
    Cursor, FileSystem, Inspector, Journal, JournalConfig, JournalError, LostEnd, RecoveryReport,
};
use vervet_model::UnixNanos;

pub(crate) use positions::{Checkpoints, OVER_KEPT, POSITIONS_MAX};

const CHECKPOINTS: &str = "checkpoints";
const REPLAY_BYTES: usize = 4 << 20;
const SEGMENT_BYTES_MAX: u64 = 16 << 20;
const SEGMENT_BYTES_MIN: u64 = 128 << 10;
/// Segments the budget is cut into at least, so that space comes back in small pieces.
const SEGMENTS_MIN: u64 = 8;

/// The journal of an agent, recovered.
pub(crate) struct Buffer {
    pub(crate) journal: Journal,
    cursor: Cursor,
    /// Moved by the writer; read by whatever is started while it runs.
    pub(crate) checkpoints: Arc<Mutex<Checkpoints>>,
    /// How storing them goes.
    pub(crate) keeping: PositionKeeping,
    /// Whether the journal held nothing and knew nothing when it was opened.
    pub(crate) is_new: bool,
    /// What is missing in it.
    pub(crate) gaps: Arc<[JournalGap]>,
    /// How much had been appended before what is being appended; moved by the writer.
    pub(crate) appending: Arc<Mutex<Totals>>,
    /// What a segment holds: larger batches and groups would leave too little room for others beside them.
    pub(crate) segment_bytes_max: usize,
    /// How much had been appended when the first record of each segment was, and when that was.
    marks: Vec<(Totals, UnixNanos)>,
}

impl Buffer {
    /// Books what repairs have found lost and nobody has booked yet, before an exporter comes to it. `data_dir` is the
    /// agent's.
    ///
    /// # Errors
    /// What is to be booked cannot be read, or an exporter's account cannot be stored: it is kept for the next attempt.
    pub(crate) fn book_lost(&self, data_dir: &Path) -> Result<(), UnbookedError> {
        let lost = unbooked::load(data_dir)?;
        if lost.is_empty() {
            return Ok(());
        }
        let appended = self.checkpoints.lock().totals;
        crate::exporters::book_lost(&self.journal, &self.gaps, &appended, &lost)?;
        Ok(unbooked::keep(data_dir, &[])?)
    }

    /// Opens the journal in `dir` and brings the positions up to its last record.
    ///
    /// # Errors
    /// The journal cannot be opened or read.
    pub(crate) fn open(
        dir: &Path,
        disk_bytes_max: u64,
        fs: Arc<dyn FileSystem>,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        let mut config = JournalConfig::new(dir);
        config.disk_bytes_max = disk_bytes_max;
        config.segment_bytes_max =
            (disk_bytes_max / SEGMENTS_MIN).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let segment_bytes_max = usize::try_from(config.segment_bytes_max).unwrap_or(usize::MAX);
        let (journal, report) = Journal::open_with(config, Arc::clone(&fs))?;
        // An exporter that is not there yet may need what no cursor does; the writer ends it.
        journal.keep_all(true);
        if journal.lacks_cursors() {
            tracing::error!(
                dir = %dir.display(),
                "every cursor of the buffer is gone, exporters start again at the oldest record"
            );
        }
        // A journal that has given out no number has sent nothing, whatever was created of it.
        let is_new = journal.last_sequence() == 0;
        let inspector = Inspector::open_with(dir, fs)?;
        let marks = marks(&inspector);
        let mut cursor = journal.cursor(CHECKPOINTS)?;
        let mut checkpoints = replay(&mut cursor)?;
        checkpoints.through = journal.last_sequence();
        if let Some(noted) = record::read_note(&report.note) {
            // What was appended behind the last checkpoint and is lost was received all the same.
            checkpoints.totals = checkpoints.totals.later(noted);
        }
        let next = (journal.last_sequence() + 1, checkpoints.totals);
        let mut gaps = gaps::find(&inspector, &report.gaps, next);
        gaps.extend(gaps::lost_whole(&report, checkpoints.totals));
        if let Some(end) = &report.lost_end {
            tell_of_lost_end(end, &gaps, &checkpoints.totals);
        }
        let buffer = Self {
            journal,
            cursor,
            checkpoints: Arc::new(Mutex::new(checkpoints)),
            keeping: PositionKeeping::default(),
            is_new,
            gaps: gaps.into(),
            appending: Arc::default(),
            segment_bytes_max,
            marks,
        };
        Ok((buffer, report))
    }
}

/// Why what a repair has found lost is not in the books yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnbookedError {
    #[error("the list of what is lost cannot be read or written")]
    List(#[from] std::io::Error),
    #[error("an exporter's account cannot be read or written")]
    Account(#[from] JournalError),
}

/// How much was in the end that is gone; which exporters have settled some of it, the books know.
fn tell_of_lost_end(end: &LostEnd, gaps: &[JournalGap], appended: &Totals) {
    let last = gaps.iter().rfind(|gap| gap.to == *appended);
    let records = last.map(|gap| appended.records() - gap.from.records());
    tracing::error!(
        segment = %end.segment.display(),
        bytes_left = end.bytes,
        lost_batches = end.through - end.after,
        lost_records = records,
        "the buffer ends before what was acknowledged: what no exporter had delivered of the rest is lost"
    );
}

/// A segment that cannot be read, or is of a version that noted no time, gives none.
fn marks(inspector: &Inspector) -> Vec<(Totals, UnixNanos)> {
    let segments = inspector.segments().unwrap_or_default().into_iter();
    let first = |segment| inspector.first_record(&segment).ok().flatten();
    let headers = segments.filter_map(|segment| decode(first(segment)?.payload).ok());
    headers
        .filter_map(|(header, _)| Some((header.before, header.appended?)))
        .collect()
}

/// The stored state with the records after it applied in order.
fn replay(cursor: &mut Cursor) -> Result<Checkpoints, JournalError> {
    let mut checkpoints = Checkpoints::decode(cursor.take_state()).unwrap_or_else(|error| {
        tracing::error!(%error, "file positions cannot be read, they start from what the buffer holds");
        Checkpoints::default()
    });
    let mut through = cursor.committed();
    loop {
        let records = cursor.read(REPLAY_BYTES)?;
        let Some(last) = records.last() else { break };
        through = last.sequence;
        for record in records {
            let bytes = record.payload.len();
            match (
                vervet_model::Signal::from_u8(record.kind),
                decode(record.payload),
            ) {
                (Some(signal), Ok((header, request))) => {
                    checkpoints.apply_header(&header);
                    checkpoints.totals = header.before;
                    let amount = Amount {
                        records: header.records,
                        bytes: request.len() as u64,
                    };
                    checkpoints.totals.add(signal, amount);
                }
                _ => tracing::error!(
                    sequence = record.sequence,
                    bytes,
                    "buffer record cannot be read"
                ),
            }
        }
    }
    if through > cursor.committed()
        && let Err(error) = cursor.commit(through, &checkpoints.encode())
    {
        // They are in the buffer still; the writer tries again.
        tracing::warn!(%error, "file positions could not be stored at the start");
    }
    Ok(checkpoints)
}

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going away, and this task with it.
        Err(_cancelled) => std::future::pending().await,
    }
}

#[cfg(test)]
pub(crate) mod tests;
