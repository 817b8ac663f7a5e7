//! What is missing in the journal, in records and bytes: exporters learn of it before they come to it.
//!
//! In: gaps that recovery has found between records, and segments that are taken while the agent runs. Out: how much had
//! been appended before and behind each. Both are in the headers of the records around it; where those cannot be read, an
//! exporter learns of the gap when it comes to it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use vervet_journal::{
    Evicted, Gap, Inspector, Item, Journal, JournalError, Record, RecoveryReport, SegmentView,
};
use vervet_model::Signal;

use super::record::{Amount, Totals, decode};
use crate::books::{Books, Gone, Loss};
use crate::exporters::CURSOR_PREFIX;

/// A part of the journal that is missing.
#[derive(Debug, Clone)]
pub(crate) struct JournalGap {
    pub(crate) from: Totals,
    pub(crate) to: Totals,
    pub(crate) sequences: RangeInclusive<u64>,
    /// Whole segments may be missing, and nothing speaks of damage.
    pub(crate) is_between_segments: bool,
}

/// Totals before and behind a record.
type Around = (Totals, Totals);

/// Reads the segments with records beside a gap. `next` is the number of the next record, and `appended` all that was
/// appended before it.
pub(super) fn find(
    inspector: &Inspector,
    gaps: &[Gap],
    (next, appended): (u64, Totals),
) -> Vec<JournalGap> {
    let mut around: BTreeMap<u64, Option<Around>> = BTreeMap::new();
    for gap in gaps {
        around.insert(gap.after, None);
        around.insert(gap.before, None);
    }
    let segments = match gaps {
        [] => Vec::new(),
        _ => inspector.segments().unwrap_or_default(),
    };
    let mut ends = segments.iter().skip(1).map(|next| next.first);
    for segment in &segments {
        let end = ends.next().unwrap_or(u64::MAX);
        if around.range(segment.first..end).next().is_some()
            && let Err(error) = read(inspector, segment, &mut around)
        {
            tracing::warn!(%error, segment = segment.first, "what is missing beside a segment is not known yet");
        }
    }
    let known = |sequence: u64| match around.get(&sequence).copied().flatten() {
        None if sequence == next => Some((appended, appended)),
        known => known,
    };
    let gaps = gaps.iter().filter_map(|gap| {
        let ((_, from), (to, _)) = (known(gap.after)?, known(gap.before)?);
        let is_between_segments = gap.is_between_segments;
        Some(JournalGap {
            from,
            to,
            sequences: gap.after + 1..=gap.before - 1,
            is_between_segments,
        })
    });
    gaps.collect()
}

/// A journal of which nothing is left but that something was acknowledged: no record tells where what is lost began.
pub(super) fn lost_whole(report: &RecoveryReport, appended: Totals) -> Option<JournalGap> {
    let end = report.lost_end.as_ref().filter(|_| report.records == 0)?;
    Some(JournalGap {
        from: Totals::default(),
        to: appended,
        sequences: end.after + 1..=end.through,
        is_between_segments: false,
    })
}

fn read(
    inspector: &Inspector,
    segment: &SegmentView,
    around: &mut BTreeMap<u64, Option<Around>>,
) -> Result<bool, JournalError> {
    inspector.read(segment, &mut |item| {
        if let Item::Record(record) = item
            && let Some(place) = around.get_mut(&record.sequence)
        {
            *place = totals_around(record);
        }
        Ok(())
    })
}

fn totals_around(record: Record) -> Option<Around> {
    let signal = Signal::from_u8(record.kind)?;
    let (header, request) = decode(record.payload).ok()?;
    let mut after = header.before;
    let (records, bytes) = (header.records, request.len() as u64);
    after.add(signal, Amount { records, bytes });
    Some((header.before, after))
}

/// From now on the books are told what `on_full: drop_oldest` takes, when it takes it. `appending` is how much had been
/// appended before what is being appended.
pub(crate) fn tell_of_evictions(
    journal: &Journal,
    books: &Arc<Books>,
    appending: &Arc<Mutex<Totals>>,
) {
    let (books, appending) = (Arc::clone(books), Arc::clone(appending));
    journal.set_eviction_listener(Box::new(move |evicted| {
        tell(&books, &appending, evicted);
    }));
}

fn tell(books: &Books, appending: &Mutex<Totals>, evicted: &Evicted) {
    let exporters = || {
        let cursors = evicted.cursors.iter();
        cursors.filter_map(|cursor| cursor.strip_prefix(CURSOR_PREFIX))
    };
    exporters().for_each(|exporter| books.note_eviction(exporter));
    let before = |record: &Record| {
        let decoded = decode(record.payload.clone()).ok();
        decoded.map(|(header, _)| header.before)
    };
    let Some(from) = evicted.head.as_ref().and_then(before) else {
        return;
    };
    let to = match (&evicted.last, &evicted.next) {
        // What is missing behind it is missing for another reason.
        (Some(last), _) => totals_around(last.clone()).map(|(_, after)| after),
        (None, Some(next)) => before(next),
        (None, None) => Some(*appending.lock()),
    };
    let Some(to) = to else { return };
    for exporter in exporters() {
        let loss = Loss::Evicted;
        books.gone(exporter, Gone { from, to, loss });
    }
}
