//! What `filelog` receivers count.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use vervet_model::Signal;

use super::{Counters, Gauges, Labels, ReceiverMetrics};
use crate::buffer::Amount;
use crate::pipeline::signed;
use crate::receivers::filelog::descriptors::Descriptors;
use crate::receivers::filelog::progress::{FileTotals, FilelogProgress};

/// Bytes behind, as the tailers tell.
#[derive(Debug)]
struct ProgressCollector(FilelogProgress);

type TotalsGauge = (&'static str, &'static str, fn(&FileTotals) -> u64);

impl Collector for ProgressCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.0.totals();
        let gauges: [TotalsGauge; 3] = [
            (
                "filelog_behind_bytes",
                "Bytes in files that have not been read yet",
                |totals| totals.behind_bytes,
            ),
            ("filelog_behind_files", "Files with such bytes", |totals| {
                totals.behind_files
            }),
            (
                "filelog_folders_gone",
                "Folders of globs that were there and are gone",
                |totals| totals.folders_gone,
            ),
        ];
        for (name, help, of) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (receiver, totals) in &totals {
                let labels: Labels = vec![("receiver", receiver.clone())];
                ConstGauge::new(signed(of(totals))).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Why the rest of a line over the limit is not there.
const LINE_TRUNCATED: &str = "line_truncated";
/// Why bytes of a deleted file were not read although the receiver has not stopped.
pub(crate) const UNREADABLE: &str = "unreadable";

/// Why bytes of one were not read that was closed when it was deleted.
pub(crate) const UNREAD: &str = "deleted_unread";

/// The families of all `filelog` receivers, each with the label `receiver`.
#[derive(Clone, Default)]
pub(crate) struct FilelogMetrics {
    lines: Counters,
    bytes: Counters,
    parse_errors: Counters,
    invalid_utf8: Counters,
    split_lines: Counters,
    blank_lines: Counters,
    truncated_lines: Counters,
    rotations: Counters,
    truncations: Counters,
    continued: Counters,
    lost_bytes: Counters,
    missed_files: Counters,
    open_errors: Counters,
    links_refused: Counters,
    files: Gauges,
    /// How far each receiver has read its files.
    pub(crate) progress: FilelogProgress,
    /// What they may have open together.
    pub(crate) descriptors: Descriptors,
    receivers: ReceiverMetrics,
    open_files: Gauges,
}

/// One receiver's members of the families.
#[derive(Clone)]
pub(crate) struct FilelogCounts {
    pub(crate) lines: Counter,
    pub(crate) bytes: Counter,
    pub(crate) invalid_utf8: Counter,
    pub(crate) split_lines: Counter,
    pub(crate) blank_lines: Counter,
    pub(crate) rotations: Counter,
    pub(crate) truncations: Counter,
    pub(crate) continued: Counter,
    pub(crate) open_errors: Counter,
    pub(crate) links_refused: Counter,
    pub(crate) missed_files: Counter,
    pub(crate) files: Gauge,
    pub(crate) open_files: Gauge,
    receiver: Labels,
    parse_errors: Counters,
    lost_bytes: Counters,
    truncated_lines: Counter,
    receivers: ReceiverMetrics,
}

impl FilelogMetrics {
    pub(super) fn new(receivers: &ReceiverMetrics) -> Self {
        Self {
            receivers: receivers.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let mut counter = |name: &str, help: &str, family: &Counters| {
            registry.register(format!("filelog_{name}"), help, family.clone());
        };
        counter("lines", "Lines read from files", &self.lines);
        counter("bytes", "Bytes read from files", &self.bytes);
        counter(
            "parse_errors",
            "Records kept as plain text because they are not of their format",
            &self.parse_errors,
        );
        counter(
            "invalid_utf8",
            "Records in which invalid UTF-8 was replaced",
            &self.invalid_utf8,
        );
        counter(
            "split_lines",
            "Pieces cut off lines over the limit",
            &self.split_lines,
        );
        counter(
            "blank_lines",
            "Lines that are no records because nothing stands in them",
            &self.blank_lines,
        );
        counter(
            "truncated_lines",
            "Lines over the limit whose rest was dropped",
            &self.truncated_lines,
        );
        counter(
            "rotations",
            "Files that lost their name while they were read",
            &self.rotations,
        );
        counter(
            "truncations",
            "Files read again from the start because they shrank or changed",
            &self.truncations,
        );
        counter(
            "open_errors",
            "Failed attempts to open or read a file",
            &self.open_errors,
        );
        counter(
            "links_refused",
            "Links that are not followed because of where they lead",
            &self.links_refused,
        );
        counter(
            "continued",
            "Files whose content was read before under another inode: copies and compressed files",
            &self.continued,
        );
        self.register_losses(registry);
        registry.register("filelog_files", "Files followed", self.files.clone());
        registry.register_collector(Box::new(ProgressCollector(self.progress.clone())));
        registry.register(
            "filelog_open_files",
            "Files followed that are open",
            self.open_files.clone(),
        );
    }

    fn register_losses(&self, registry: &mut Registry) {
        registry.register(
            "filelog_lost_bytes",
            "Bytes of deleted files that were not read",
            self.lost_bytes.clone(),
        );
        registry.register(
            "filelog_missed_files",
            "Files that were deleted before they could be opened",
            self.missed_files.clone(),
        );
    }

    pub(crate) fn of(&self, receiver: &str) -> FilelogCounts {
        let labels: Labels = vec![("receiver", receiver.to_owned())];
        let counter = |family: &Counters| family.get_or_create(&labels).clone();
        // A counter that begins above zero has no increase.
        for reason in [UNREADABLE, UNREAD] {
            let mut labels = labels.clone();
            labels.push(("reason", reason.to_owned()));
            drop(self.lost_bytes.get_or_create(&labels));
        }
        FilelogCounts {
            lines: counter(&self.lines),
            bytes: counter(&self.bytes),
            invalid_utf8: counter(&self.invalid_utf8),
            split_lines: counter(&self.split_lines),
            blank_lines: counter(&self.blank_lines),
            rotations: counter(&self.rotations),
            truncations: counter(&self.truncations),
            continued: counter(&self.continued),
            open_errors: counter(&self.open_errors),
            links_refused: counter(&self.links_refused),
            missed_files: counter(&self.missed_files),
            files: self.files.get_or_create(&labels).clone(),
            truncated_lines: counter(&self.truncated_lines),
            open_files: self.open_files.get_or_create(&labels).clone(),
            parse_errors: self.parse_errors.clone(),
            lost_bytes: self.lost_bytes.clone(),
            receivers: self.receivers.clone(),
            receiver: labels,
        }
    }
}

impl FilelogCounts {
    pub(crate) fn parse_error(&self, format: &'static str) {
        let mut labels = self.receiver.clone();
        labels.push(("format", format.to_owned()));
        self.parse_errors.get_or_create(&labels).inc();
    }

    /// Bytes of deleted files that were not read.
    pub(crate) fn lost(&self, reason: &'static str, bytes: u64) {
        if bytes > 0 {
            let mut labels = self.receiver.clone();
            labels.push(("reason", reason.to_owned()));
            self.lost_bytes.get_or_create(&labels).inc_by(bytes);
            let receiver = self.receiver.first().map(|(_, name)| name.as_str());
            let (receiver, amount) = (receiver.unwrap_or_default(), Amount { records: 0, bytes });
            self.receivers
                .dropped(receiver, Signal::Logs, reason, amount);
        }
    }

    /// Lines that were over the limit, and the bytes of text dropped of them. They belong to records that are kept,
    /// so no record is counted.
    pub(crate) fn truncated(&self, lines: u64, bytes: u64) {
        self.truncated_lines.inc_by(lines);
        if bytes > 0 {
            let receiver = self.receiver.first().map(|(_, name)| name.as_str());
            let (receiver, amount) = (receiver.unwrap_or_default(), Amount { records: 0, bytes });
            self.receivers
                .dropped(receiver, Signal::Logs, LINE_TRUNCATED, amount);
        }
    }
}
