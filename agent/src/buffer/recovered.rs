//! What opening a journal has found, in the log: plain figures, and the sequences that are lost.

use std::path::Path;

use vervet_journal::{Gap, RecoveryReport};

/// Ranges of sequences in one line of the log.
const RANGES_MAX: usize = 16;

/// Logs what opening the journal of `what` in `dir` has found: an error where it is damaged now, a warning where records
/// are missing that damage took earlier.
pub(crate) fn log_recovery(what: &str, dir: &Path, report: &RecoveryReport) {
    let of = |is_between_segments: bool| {
        let gaps = report.gaps.iter().copied();
        gaps.filter(move |gap| gap.is_between_segments == is_between_segments)
    };
    let lost_sequences = sequences(of(false));
    let found = Found {
        quarantined_bytes: report.quarantined.iter().map(|range| range.bytes).sum(),
        lost_end: report
            .lost_end
            .as_ref()
            .map(|end| format!("{}..{}", end.after + 1, end.through)),
        // Whole segments that `on_full: drop_oldest` took, or somebody removed.
        gone_sequences: sequences(of(true)),
    };
    macro_rules! tell {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                what,
                dir = %dir.display(),
                segments = report.segments,
                batches = report.records,
                bytes = report.payload_bytes,
                torn_bytes = report.torn_bytes,
                quarantined_ranges = report.quarantined.len(),
                quarantined_bytes = found.quarantined_bytes,
                lost_sequences,
                lost_end = found.lost_end,
                gone_sequences = found.gone_sequences,
                missing_cursors = report.missing_cursors.join(","),
                damaged_cursors = report.corrupt_cursors.join(","),
                restored_cursors = report.restored_cursors.join(","),
                $text
            )
        };
    }
    match (report.found_damage(), lost_sequences.is_empty()) {
        (true, _) => tell!(error, "opened damaged, what is not damaged is kept"),
        (false, false) => tell!(warn, "opened, batches that damage took earlier are missing"),
        (false, true) => tell!(info, "opened"),
    }
}

struct Found {
    quarantined_bytes: u64,
    lost_end: Option<String>,
    gone_sequences: String,
}

/// Such as `1..1, 3..5`, and how many ranges there are beyond [`RANGES_MAX`].
fn sequences(gaps: impl Iterator<Item = Gap>) -> String {
    let all: Vec<String> = gaps
        .map(|gap| format!("{}..{}", gap.after + 1, gap.before - 1))
        .collect();
    let shown = all.get(..RANGES_MAX).unwrap_or(&all).join(", ");
    match all.len().saturating_sub(RANGES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_sequences_are_told_as_ranges_and_not_without_end() {
        let gap = |after| Gap {
            after,
            before: after + 3,
            is_between_segments: false,
        };
        assert_eq!(sequences([gap(0), gap(7)].into_iter()), "1..2, 8..9");
        let many = sequences((0..20).map(|n| gap(n * 10)));
        assert!(many.ends_with("151..152 and 4 more"), "{many}");
    }
}
