//! What stops have lost for good, remembered over restarts: batches of scrapes that found no room in the buffer before the
//! deadline, and bytes of deleted files that were not read. Lines of files that are still there are read again, and what
//! is in the buffer is sent after the next start: neither is lost.
//!
//! In: [`Stops::note`] at the end. Out: a section of the status and metrics, from `data_dir/lost-at-stops.json`. The file is
//! made at the first start with room for [`FILE_BYTES`] and written over in place, so that it can be written where the
//! stop loses something because the volume is full. One that a crash has garbled is set aside under [`GARBLED`], with an
//! error in the log, and begins anew; one that cannot be read is left as it is, and losses are told in the log alone.

pub(crate) mod files;

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
/// Where one goes that makes no sense.
const GARBLED: &str = "lost-at-stops.garbled";
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
    /// `shutdown`: no room in the buffer before the deadline; `deleted_at_stop`: not read of deleted files, in bytes of the
    /// file.
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
    /// `None` where there is a file that cannot be read: what it holds must not be written over.
    path: Option<PathBuf>,
    known: Arc<Mutex<LostAtStops>>,
}

impl Stops {
    /// Reads the file, and makes one where there is none. Failing is no reason not to start. Blocks.
    pub(crate) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE);
        let (known, is_usable) = match read(&path) {
            Ok(Some(known)) => (known, true),
            Ok(None) => (make(&path), true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = data_dir.join(GARBLED);
                tracing::error!(%error, aside = %aside.display(), "what earlier stops have lost makes no sense, it is set aside");
                match std::fs::rename(&path, &aside) {
                    Ok(()) => (make(&path), true),
                    Err(_it_stays) => (LostAtStops::default(), false),
                }
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "what earlier stops have lost cannot be read");
                (LostAtStops::default(), false)
            }
        };
        Self {
            path: is_usable.then_some(path),
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Says and remembers what a stop has lost, if it has. Blocks.
    pub(crate) fn note(&self, lost: &[LostLine], now: UnixNanos) {
        if lost.is_empty() {
            return;
        }
        let known = {
            let mut known = self.known.lock();
            known.stops += 1;
            known.last_unix_nano = now.0;
            known.last = crate::reloads::text(now);
            lost.iter().for_each(|line| known.add(line));
            known.clone()
        };
        for line in lost {
            tracing::error!(
                receiver = line.receiver,
                signal = line.signal,
                reason = line.reason,
                records = line.amount.records,
                bytes = line.amount.bytes,
                "the stop has lost records"
            );
        }
        let stored = match &self.path {
            Some(path) => store(path, &known),
            None => Err(io::Error::other("the file of earlier stops is of no use")),
        };
        if let Err(error) = stored {
            tracing::error!(%error, "what the stop has lost is only in this log");
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

    /// In a sentence. Bytes of files are no bytes of records.
    pub(crate) fn told(&self) -> String {
        let (mut records, mut files) = (Amount::default(), Amount::default());
        for line in &self.lost {
            match line.reason == DELETED {
                true => files.add(line.amount),
                false => records.add(line.amount),
            }
        }
        let mut lost = Vec::new();
        if !records.is_zero() {
            let number = count(&records.records.to_string());
            lost.push(format!(
                "{number} records ({})",
                bytes(records.bytes as f64)
            ));
        }
        if !files.is_zero() {
            let unread = bytes(files.bytes as f64);
            lost.push(format!("{unread} of deleted files, not read"));
        }
        format!(
            "stops have lost {}, the last at {}: see `lost at stops`",
            lost.join(" and "),
            self.last
        )
    }
}

/// What the file holds; `None` where there is none, or one that a full volume has left without a byte.
fn read(path: &Path) -> io::Result<Option<LostAtStops>> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(known) => Ok(Some(known)),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the file. Where there is no room now, there may be when it is needed.
fn make(path: &Path) -> LostAtStops {
    let none = LostAtStops::default();
    if let Err(error) = store(path, &none) {
        tracing::warn!(%error, path = %path.display(), "there is no room made to note what a stop loses");
    }
    none
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
    }

    #[test]
    fn a_file_that_makes_no_sense_is_set_aside_and_one_that_cannot_be_read_is_left_alone() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join(FILE);
        for text in ["", "{\"stops\":"] {
            std::fs::write(&path, text).expect("written");
            let stops = Stops::open(dir.path());
            assert_eq!(stops.known(), None);
            assert_eq!(std::fs::metadata(&path).expect("anew").len(), 4_096);
            stops.note(&[line("host", 3)], UnixNanos(1));
            assert!(Stops::open(dir.path()).known().is_some(), "{text:?}");
        }
        let aside = std::fs::read_to_string(dir.path().join(GARBLED)).expect("kept");
        assert_eq!(aside, "{\"stops\":");
        // Reading it fails for everybody.
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("made");
        let stops = Stops::open(dir.path());
        stops.note(&[line("host", 3)], UnixNanos(1));
        assert!(path.is_dir() && stops.known().is_some());
    }

    #[test]
    fn bytes_of_files_are_told_apart_from_records() {
        let deleted = LostLine {
            reason: DELETED.to_owned(),
            amount: Amount {
                records: 0,
                bytes: 3 << 20,
            },
            ..line("files", 0)
        };
        let told = |lost: &[LostLine]| {
            let mut all = LostAtStops::default();
            lost.iter().for_each(|line| all.add(line));
            all.told()
        };
        let (files, records) = ("3.0 MiB of deleted files, not read", "4 records (40 B)");
        let whole =
            |lost: &str| format!("stops have lost {lost}, the last at : see `lost at stops`");
        assert_eq!(told(std::slice::from_ref(&deleted)), whole(files));
        assert_eq!(told(&[line("host", 4)]), whole(records));
        let both = format!("{records} and {files}");
        assert_eq!(told(&[deleted, line("host", 4)]), whole(&both));
    }
}
