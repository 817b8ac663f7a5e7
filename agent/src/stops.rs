//! What stops have lost for good, remembered over restarts: batches of scrapes that found no room in the buffer before the
//! deadline, and bytes of deleted files that were not read. Lines of files that are still there are read again, and what
//! is in the buffer is sent after the next start: neither is lost.
//!
//! In: [`Stops::note`] at the end. Out: a section of the status and metrics, from `data_dir/lost-at-stops.json`. The file is
//! made at the first start with room for [`FILE_BYTES`] and written over in place, so that it can be written where the
//! stop loses something because the volume is full. One that a crash has garbled begins anew, with an error in the log.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use serde::{Deserialize, Serialize};
use vervet_model::UnixNanos;

use crate::books::{ReceiverLine, UNITS};
use crate::buffer::Amount;
use crate::figures::{bytes, count};
use crate::metrics::Labels;

const FILE: &str = "lost-at-stops.json";
const FILE_BYTES: usize = 4 << 10;
/// For its owner alone, as the other files of the data folder.
const MODE: u32 = 0o600;
/// Receivers told apart; what further ones lose is told in the log alone.
const LINES_MAX: usize = 1_000;

/// The reason for batches that found no room in time and come from nowhere again.
pub(crate) const NOT_STORED: &str = "shutdown";
/// The reason for batches that found no room in time and are read again.
pub(crate) const READ_AGAIN: &str = "read_again";
/// The reason for bytes of deleted files.
pub(crate) const DELETED: &str = "deleted_at_stop";

/// What one receiver has lost at stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLine {
    pub receiver: String,
    pub signal: String,
    /// `shutdown`: no room in the buffer before the deadline; `deleted_at_stop`: of deleted files, in bytes of the file.
    pub reason: String,
    pub amount: Amount,
}

/// What stops have lost in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAtStops {
    /// Stops that have lost something.
    pub stops: u64,
    /// When the last one was (RFC 3339).
    pub last: String,
    last_unix_nano: i64,
    pub lost: Vec<LostLine>,
}

/// The file and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    path: PathBuf,
    known: Arc<Mutex<LostAtStops>>,
}

impl Stops {
    /// Reads the file, and makes one where there is none. Failing is no reason not to start. Blocks.
    pub(crate) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE);
        let known = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(%error, path = %path.display(), "what earlier stops have lost cannot be read");
                LostAtStops::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let none = LostAtStops::default();
                if let Err(error) = store(&path, &none) {
                    tracing::warn!(%error, path = %path.display(), "there is no room made to note what a stop loses");
                }
                none
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "what earlier stops have lost cannot be read");
                LostAtStops::default()
            }
        };
        let known = Arc::new(Mutex::new(known));
        Self { path, known }
    }

    /// Says and remembers what a stop has lost, if it has. Blocks.
    pub(crate) fn note(&self, lost: &[LostLine], now: UnixNanos) {
        if lost.is_empty() {
            return;
        }
        let mut known = self.known.lock();
        known.stops += 1;
        known.last_unix_nano = now.0;
        known.last = crate::reloads::text(now);
        for line in lost {
            tracing::error!(
                receiver = line.receiver,
                signal = line.signal,
                reason = line.reason,
                records = line.amount.records,
                bytes = line.amount.bytes,
                "the stop has lost records"
            );
            known.add(line);
        }
        if let Err(error) = store(&self.path, &known) {
            tracing::error!(%error, path = %self.path.display(), "what the stop has lost is only in this log");
        }
    }

    /// `None` when none has lost anything.
    pub(crate) fn known(&self) -> Option<LostAtStops> {
        let known = self.known.lock();
        (known.stops > 0).then(|| known.clone())
    }
}

/// What this process has lost by now, as its receivers' books tell at the end.
pub(crate) fn lost(receivers: &[ReceiverLine]) -> Vec<LostLine> {
    let lines = receivers.iter().flat_map(|line| {
        let dropped = line.dropped.iter();
        let lost = dropped.filter(|(reason, amount)| {
            [NOT_STORED, DELETED].contains(&reason.as_str()) && !amount.is_zero()
        });
        lost.map(|(reason, amount)| LostLine {
            receiver: line.receiver.clone(),
            signal: line.signal.to_owned(),
            reason: reason.clone(),
            amount: *amount,
        })
    });
    lines.collect()
}

impl LostAtStops {
    fn add(&mut self, line: &LostLine) {
        let is_same = |known: &&mut LostLine| {
            (&known.receiver, &known.signal, &known.reason)
                == (&line.receiver, &line.signal, &line.reason)
        };
        if let Some(known) = self.lost.iter_mut().find(is_same) {
            known.amount.add(line.amount);
        } else if self.lost.len() < LINES_MAX {
            self.lost.push(line.clone());
        }
    }

    pub(crate) fn last_at(&self) -> UnixNanos {
        UnixNanos(self.last_unix_nano)
    }

    /// In a sentence.
    pub(crate) fn told(&self) -> String {
        let mut all = Amount::default();
        self.lost.iter().for_each(|line| all.add(line.amount));
        format!(
            "stops have lost {} records ({}), the last at {}: see `lost at stops`",
            count(&all.records.to_string()),
            bytes(all.bytes as f64),
            self.last
        )
    }
}

fn store(path: &Path, known: &LostAtStops) -> io::Result<()> {
    let mut text = serde_json::to_vec(known)?;
    // Blanks keep the room.
    text.resize(
        text.len().max(FILE_BYTES).next_multiple_of(FILE_BYTES),
        b' ',
    );
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(path)?;
    file.write_all_at(&text, 0)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

impl Collector for Stops {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let known = self.known.lock().clone();
        let help = "Stops that have lost something";
        let metric = encoder.encode_descriptor("lossy_stops", help, None, MetricType::Counter)?;
        ConstCounter::new(known.stops).encode(metric)?;
        for (unit, of) in UNITS {
            let name = format!("lost_at_stops_{unit}");
            let help = "Lost at stops of this agent, also of earlier processes";
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for line in &known.lost {
                let labels: Labels = vec![
                    ("receiver", line.receiver.clone()),
                    ("signal", line.signal.clone()),
                    ("reason", line.reason.clone()),
                ];
                ConstCounter::new(of(line.amount)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(receiver: &str, records: u64) -> LostLine {
        LostLine {
            receiver: receiver.to_owned(),
            signal: "metrics".to_owned(),
            reason: NOT_STORED.to_owned(),
            amount: Amount {
                records,
                bytes: records * 10,
            },
        }
    }

    #[test]
    fn what_stops_have_lost_is_summed_up_over_restarts_in_a_file_that_keeps_its_room() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join(FILE);
        let stops = Stops::open(dir.path());
        assert_eq!(stops.known(), None);
        stops.note(&[], UnixNanos(1));
        assert_eq!(Stops::open(dir.path()).known(), None, "nothing was lost");
        stops.note(&[line("host", 3)], UnixNanos(1_000_000_000));
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), 4_096);
        let stops = Stops::open(dir.path());
        stops.note(
            &[line("host", 4), line("scrape", 1)],
            UnixNanos(2_000_000_000),
        );
        let known = Stops::open(dir.path()).known().expect("told");
        assert_eq!((known.stops, &*known.last), (2, "1970-01-01T00:00:02Z"));
        assert_eq!(known.lost, [line("host", 7), line("scrape", 1)]);
        let metrics = crate::metrics::AgentMetrics::default();
        metrics.register(|registry| registry.register_collector(Box::new(stops)));
        let text = metrics.encode_text();
        let expected = "vervet_agent_lost_at_stops_records_total{receiver=\"host\",signal=\"metrics\",reason=\"shutdown\"} 7\n";
        assert!(text.contains(expected), "{text}");
        std::fs::write(&path, "{\"stops\":").expect("written");
        assert_eq!(Stops::open(dir.path()).known(), None);
    }
}
