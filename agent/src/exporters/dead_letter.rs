//! What destinations refused for good, with the reason: a journal of its own under `data_dir/dead-letter`.
//!
//! In: letters from the lanes of all exporters, durable on return. Out: [`read`]. The journal is made when the first
//! letter comes. It has a disk budget of its own; the oldest segment (an eighth of it) goes when it is used up,
//! counted. A letter that cannot be kept, because the volume has had no room for long or it is larger than the budget,
//! is lost, counted and a warning; delivery goes on all the same.
//!
//! ```text
//! record kind    the signal
//! version        1       = 1
//! exporter       1 + n   length, name
//! sequence       8       of the buffer's record that held it
//! refused at     8       nanoseconds since the epoch
//! records        8       log records, data points or spans
//! status         1 + n   length, such as InvalidArgument or 413
//! reason         2 + n   length, what the destination said
//! request        the rest, OTLP protobuf
//! ```
//! All numbers are little-endian.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;
use vervet_journal::{
    Cursor, Entry, FileSystem, Journal, JournalConfig, JournalError, JournalStats, OnFull,
    OsFileSystem, Record,
};
use vervet_model::{Signal, UnixNanos};

use super::settings::DeadLetterConfig;
use crate::buffer::log_recovery;
use crate::figures::bytes;
use crate::pipeline::signed;
use crate::reloads;

/// The folder under `data_dir`.
pub const FOLDER: &str = "dead-letter";
/// The cursor that lets the oldest segment go. It never moves by itself.
const CURSOR: &str = "reader";
const READ_BYTES: usize = 1 << 20;
const VERSION: u8 = 1;
const SEGMENTS_MIN: u64 = 8;
const SEGMENT_BYTES: (u64, u64) = (128 << 10, 8 << 20);

/// One refused request, or the part of it that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub exporter: String,
    /// The buffer's record it comes from.
    pub sequence: u64,
    pub signal: Signal,
    /// When it was refused.
    pub at: UnixNanos,
    pub records: u64,
    /// Such as `InvalidArgument` or `413`.
    pub status: String,
    /// What the destination said.
    pub reason: String,
    /// An OTLP export request.
    pub payload: Bytes,
}

/// A record of the journal is no letter of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("dead letter {sequence} is not of a known version or ends early")]
pub struct BadLetter {
    pub sequence: u64,
}

/// The letters of one agent.
pub struct DeadLetters {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    config: DeadLetterConfig,
    state: Mutex<State>,
}

/// Letters on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLetters {
    pub letters: u64,
    pub files: u64,
    pub disk_bytes: u64,
    /// The command that shows them.
    pub look: &'static str,
}

#[derive(Debug, Default)]
struct State {
    open: Option<(Journal, Cursor)>,
    kept: u64,
    lost: u64,
    /// When one was, and why.
    last_lost: Option<(UnixNanos, String)>,
    /// How many had to make room for newer ones, and when the last did.
    dropped: u64,
    last_dropped: Option<UnixNanos>,
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("dir", &self.dir)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl DeadLetters {
    /// Opens what there is; a folder that cannot be opened is reported and tried again with the next letter. Blocks.
    pub fn new(data_dir: &Path, config: DeadLetterConfig) -> Self {
        Self::on(Arc::new(OsFileSystem), data_dir, config)
    }

    pub(crate) fn on(fs: Arc<dyn FileSystem>, data_dir: &Path, config: DeadLetterConfig) -> Self {
        let letters = Self {
            fs,
            dir: data_dir.join(FOLDER),
            config,
            state: Mutex::default(),
        };
        if letters.dir.exists()
            && let Err(error) = letters.open(&mut letters.state.lock())
        {
            tracing::error!(%error, "dead letters cannot be opened");
        }
        letters
    }

    /// Keeps a letter. Blocks for a write and a sync.
    ///
    /// # Errors
    /// It is not kept. With [`JournalError::NoSpace`] it may be when there is room on the volume; otherwise it is lost,
    /// which is for [`DeadLetters::lose`] to tell.
    pub fn keep(&self, letter: &Letter) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        self.append(&mut state, letter)?;
        state.kept += 1;
        self.look_for_dropped(&mut state, letter.at);
        Ok(())
    }

    /// Says once that older letters have made room, and remembers it for the status.
    fn look_for_dropped(&self, state: &mut State, now: UnixNanos) {
        let stats = state.open.as_ref().map(|(journal, _)| journal.stats());
        let dropped = stats.as_ref().map_or(0, dropped);
        if dropped == state.dropped {
            return;
        }
        if state.last_dropped.is_none() {
            tracing::warn!(
                dead_letters = dropped,
                disk_bytes_max = self.config.disk_bytes,
                "dead letters are full, the oldest are dropped: send them again or raise dead_letter.disk"
            );
        }
        (state.dropped, state.last_dropped) = (dropped, Some(now));
    }

    /// When letters last had to make room for newer ones, and what there is to say of all that did.
    pub(crate) fn made_room(&self) -> Option<(UnixNanos, String)> {
        let state = self.state.lock();
        let at = state.last_dropped?;
        let told = format!(
            "dead letters: {} refused requests or parts of them had to make room for newer ones and are lost, the last at {}; \
             dead_letter.disk is {}",
            state.dropped,
            reloads::text(at),
            bytes(self.config.disk_bytes as f64)
        );
        Some((at, told))
    }

    /// A letter is given up.
    pub(crate) fn lose(&self, letter: &Letter, error: &JournalError) {
        let mut state = self.state.lock();
        state.lost += 1;
        state.last_lost = Some((letter.at, error.to_string()));
        tracing::error!(%error, exporter = letter.exporter, records = letter.records,
            "refused records could not be kept, they are lost");
    }

    /// When a letter was last lost, and what there is to say of all that were.
    pub(crate) fn lost(&self) -> Option<(UnixNanos, String)> {
        let state = self.state.lock();
        let (at, error) = state.last_lost.as_ref()?;
        let told = format!(
            "dead letters: {} refused requests or parts of them could not be kept and are lost, the last at {}: {error}",
            state.lost,
            reloads::text(*at)
        );
        Some((*at, told))
    }

    /// What lies on disk, also from earlier; `None` when nothing does.
    pub(crate) fn held(&self) -> Option<HeldLetters> {
        let state = self.state.lock();
        let stats = state.open.as_ref().map(|(journal, _)| journal.stats())?;
        let letters = letters(&stats);
        (letters > 0).then_some(HeldLetters {
            letters,
            files: stats.segments,
            disk_bytes: stats.disk_bytes,
            look: "vervet-agent buffer export --dead-letters --format text",
        })
    }

    fn append(&self, state: &mut State, letter: &Letter) -> Result<(), JournalError> {
        if state.open.is_none() {
            self.open(state)?;
        }
        let Some((journal, _)) = &state.open else {
            return Ok(());
        };
        let header = letter.encode_header();
        let appended = journal.append(&[Entry {
            kind: letter.signal as u8,
            parts: &[&header, &letter.payload],
        }]);
        if matches!(appended, Err(JournalError::Poisoned { .. })) {
            // The next letter opens it again.
            state.open = None;
        }
        appended.map(|_sequences| ())
    }

    fn open(&self, state: &mut State) -> Result<(), JournalError> {
        let config = journal_config(&self.dir, self.config.disk_bytes);
        let (journal, report) = Journal::open_with(config, Arc::clone(&self.fs))?;
        log_recovery("dead letters", &self.dir, &report);
        let mut cursor = journal.cursor(CURSOR)?;
        cursor.set_policy(OnFull::DropOldest);
        state.open = Some((journal, cursor));
        Ok(())
    }
}

/// Letters that had to make room.
fn dropped(stats: &JournalStats) -> u64 {
    let cursors = stats.cursors.iter();
    cursors.map(|cursor| cursor.dropped_records).sum()
}

/// Letters on disk: nothing moves the cursor but what makes room.
fn letters(stats: &JournalStats) -> u64 {
    stats.cursors.iter().map(|cursor| cursor.lag_records).sum()
}

fn journal_config(dir: &Path, disk_bytes: u64) -> JournalConfig {
    let (least, most) = SEGMENT_BYTES;
    let mut config = JournalConfig::new(dir);
    config.disk_bytes_max = disk_bytes;
    config.segment_bytes_max = (disk_bytes / SEGMENTS_MIN).clamp(least, most);
    config
}

/// Hands every letter under `dir` (`data_dir/dead-letter`) to `each`, oldest first, one that cannot be read as an
/// error. An agent that runs has the folder locked. Blocks.
///
/// # Errors
/// The folder cannot be opened or read.
pub fn read(
    dir: &Path,
    mut each: impl FnMut(Result<Letter, BadLetter>),
) -> Result<(), JournalError> {
    let (journal, _report) = Journal::open(JournalConfig::new(dir))?;
    let mut cursor = journal.cursor(CURSOR)?;
    loop {
        let records = cursor.read(READ_BYTES)?;
        if records.is_empty() {
            return Ok(());
        }
        records
            .into_iter()
            .for_each(|record| each(Letter::decode(record)));
    }
}

impl Letter {
    /// What stands before the request. Texts that are too long for their length fields are cut.
    fn encode_header(&self) -> Vec<u8> {
        let cut = |text: &str, bytes_max: u16| -> Vec<u8> {
            let bytes = text.as_bytes();
            bytes
                .get(..usize::from(bytes_max))
                .unwrap_or(bytes)
                .to_vec()
        };
        let mut out = Vec::with_capacity(64 + self.reason.len());
        let put_short = |out: &mut Vec<u8>, text: &str| {
            let text = cut(text, u8::MAX.into());
            out.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
            out.put_slice(&text);
        };
        out.put_u8(VERSION);
        put_short(&mut out, &self.exporter);
        out.put_u64_le(self.sequence);
        out.put_i64_le(self.at.0);
        out.put_u64_le(self.records);
        put_short(&mut out, &self.status);
        let reason = cut(&self.reason, u16::MAX);
        out.put_u16_le(u16::try_from(reason.len()).unwrap_or(u16::MAX));
        out.put_slice(&reason);
        out
    }

    /// Reads a record of the dead letters' journal.
    ///
    /// # Errors
    /// It is none, or of a newer version.
    pub fn decode(record: Record) -> Result<Self, BadLetter> {
        let sequence = record.sequence;
        Self::read(record).ok_or(BadLetter { sequence })
    }

    fn read(record: Record) -> Option<Self> {
        let mut rest = record.payload;
        if rest.try_get_u8().ok()? != VERSION {
            return None;
        }
        let exporter = take_short(&mut rest)?;
        let sequence = rest.try_get_u64_le().ok()?;
        let at = UnixNanos(rest.try_get_i64_le().ok()?);
        let records = rest.try_get_u64_le().ok()?;
        let status = take_short(&mut rest)?;
        let length = rest.try_get_u16_le().ok()?;
        let reason = take_text(&mut rest, length.into())?;
        Some(Self {
            exporter,
            sequence,
            signal: Signal::from_u8(record.kind)?,
            at,
            records,
            status,
            reason,
            payload: rest,
        })
    }
}

fn take_short(rest: &mut Bytes) -> Option<String> {
    let length = rest.try_get_u8().ok()?;
    take_text(rest, length.into())
}

fn take_text(rest: &mut Bytes, length: usize) -> Option<String> {
    (rest.len() >= length).then(|| String::from_utf8_lossy(&rest.split_to(length)).into_owned())
}

/// Shows the dead letters as metrics, counted since the process started.
#[derive(Debug)]
pub(crate) struct DeadLetterCollector(pub(crate) Arc<DeadLetters>);

impl Collector for DeadLetterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let stats = state.open.as_ref().map(|(journal, _)| journal.stats());
        let dropped = stats.as_ref().map_or(0, dropped);
        let counters: [(&str, &str, u64); 3] = [
            (
                "dead_letter_kept",
                "Refused requests or parts of them, kept",
                state.kept,
            ),
            (
                "dead_letter_lost",
                "Refused requests or parts of them that could not be kept",
                state.lost,
            ),
            (
                "dead_letter_dropped",
                "Kept ones that had to make room for newer ones",
                dropped,
            ),
        ];
        for (name, help, value) in counters {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(counter)?;
        }
        let letters = stats.as_ref().map_or(0, letters);
        let bytes = stats.as_ref().map_or(0, |stats| stats.disk_bytes);
        let gauges = [
            (
                "dead_letter_disk_bytes",
                "Bytes of dead letters on disk",
                bytes,
            ),
            (
                "dead_letter_held",
                "Dead letters on disk, also from earlier",
                letters,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(signed(value)).encode(gauge)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
