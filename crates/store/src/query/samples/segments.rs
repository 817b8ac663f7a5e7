//! Reads samples of chosen series from one segment.
//!
//! Rows are sorted by metric, series and time, so the statistics of a row group's metrics rule most groups
//! out before they are decoded, as do those of series ids and times. Of the others the series ids are decoded first, unless it is
//! remembered where each series is, then the times of the wanted series, then the values of those in the window.

use std::collections::BTreeSet;
use std::ops::Range;

use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::statistics::Statistics;

use super::Gathered;
use crate::StoreError;
use crate::columns::Columns;
use crate::query::search::metadata::SeriesRuns;
use crate::query::search::page_index::rows_of;
use crate::query::search::rows::selection_of;
use crate::query::search::segment::{Segment, Texts};
use crate::query::search::times;
use crate::segment::sample_values;
use crate::tables::{Table, column};

/// Adds the samples of the wanted series, which are all of the given metrics.
pub(super) fn read(
    segment: &Segment,
    metrics: &BTreeSet<&str>,
    gathered: &mut Gathered<'_>,
) -> Result<(), StoreError> {
    for group in 0..segment.metadata().parquet().num_row_groups() {
        if may_hold(segment, group, metrics)
            && may_hold_series(segment, group, &gathered.ids)
            && may_hold_time(segment, group, gathered.window)
        {
            read_group(segment, group, gathered)?;
        }
    }
    Ok(())
}

/// Rows of one series that follow each other.
struct Run {
    /// Of the series among those that are gathered.
    place: usize,
    rows: Range<usize>,
}

fn read_group(
    segment: &Segment,
    group: usize,
    gathered: &mut Gathered<'_>,
) -> Result<(), StoreError> {
    let table = Table::Samples.name();
    let mut runs = runs(segment, group, gathered)?;
    if runs.is_empty() {
        return Ok(());
    }
    let rows = Some(selected(&runs));
    let times = segment.read(group, Some(&[column::TIME]), rows, Texts::Plain)?;
    let times = Columns::new(table, &times).millis(column::TIME)?;
    let times = within(&mut runs, times.values(), gathered.window);
    if times.is_empty() {
        return Ok(());
    }
    // Segments of an earlier version have no mantissas.
    let names = [column::VALUE, column::MANTISSA, column::DIVISOR];
    let rows = Some(selected(&runs));
    let values = segment.read(group, Some(&names), rows, Texts::Plain)?;
    let values = sample_values(&values).map_err(|error| segment.error(error.into()))?;
    let mut samples = times.into_iter().zip(values.values().iter().copied());
    for run in runs {
        gathered.extend(run.place, samples.by_ref().take(run.rows.len()))?;
    }
    Ok(())
}

/// The rows of the series that are gathered.
fn runs(segment: &Segment, group: usize, gathered: &Gathered<'_>) -> Result<Vec<Run>, StoreError> {
    let metadata = segment.metadata();
    let rows = segment.group(group).map_or(0, rows_of);
    if let Some(known) = metadata.series_runs(group) {
        return Ok(wanted(known, rows, gathered));
    }
    let ids = segment.read(group, Some(&[column::SERIES_ID]), None, Texts::Plain)?;
    let ids = Columns::new(Table::Samples.name(), &ids).u64(column::SERIES_ID)?;
    let mut row = 0;
    let same = ids.values().chunk_by(|one, next| one == next);
    let runs = same.filter_map(|same| {
        let start = row;
        row += same.len();
        same.first().map(|id| (*id, start))
    });
    let runs: SeriesRuns = runs.collect();
    let found = wanted(&runs, rows, gathered);
    metadata.keep_series_runs(group, runs, rows);
    Ok(found)
}

fn wanted(runs: &[(u64, usize)], rows: usize, gathered: &Gathered<'_>) -> Vec<Run> {
    let starts = runs.iter().map(|(_id, start)| *start);
    let ends = starts.skip(1).chain([rows]);
    let runs = runs.iter().zip(ends);
    let wanted = runs.filter_map(|((id, start), end)| {
        let place = gathered.place(*id)?;
        let rows = *start..end;
        Some(Run { place, rows })
    });
    wanted.collect()
}

/// Leaves the rows in the window, both ends inclusive; their times. `times` are those of all rows of the runs.
fn within(runs: &mut Vec<Run>, mut times: &[i64], (start, end): (i64, i64)) -> Vec<i64> {
    let mut kept = Vec::new();
    runs.retain_mut(|run| {
        let (of_run, rest) = times
            .split_at_checked(run.rows.len())
            .unwrap_or((times, &[]));
        times = rest;
        let from = of_run.partition_point(|time| *time < start);
        let to = of_run.partition_point(|time| *time <= end);
        run.rows = run.rows.start + from..run.rows.start + to;
        kept.extend_from_slice(of_run.get(from..to).unwrap_or_default());
        !run.rows.is_empty()
    });
    kept
}

fn selected(runs: &[Run]) -> RowSelection {
    selection_of(runs.iter().map(|run| run.rows.clone()))
}

/// Whether a row group may hold one of the series, which are sorted by id.
fn may_hold_series(segment: &Segment, group: usize, ids: &[(u64, usize)]) -> bool {
    let Some((min, max)) = times::bounds(segment, group, column::SERIES_ID) else {
        return true;
    };
    // Parquet keeps unsigned numbers as the signed ones with the same bits.
    let (min, max) = (min.cast_unsigned(), max.cast_unsigned());
    let next = ids.partition_point(|(id, _place)| *id < min);
    ids.get(next).is_some_and(|(id, _place)| *id <= max)
}

fn may_hold_time(segment: &Segment, group: usize, window: (i64, i64)) -> bool {
    times::of_group(segment, group).is_none_or(|span| times::overlap(span, window))
}

/// Whether a row group may hold one of the metrics, by the bounds of its metric column.
fn may_hold(segment: &Segment, group: usize, metrics: &BTreeSet<&str>) -> bool {
    let chunk = segment.chunk(group, column::METRIC);
    let Some(Statistics::ByteArray(bounds)) = chunk.and_then(|chunk| chunk.statistics()) else {
        return true;
    };
    let (Some(min), Some(max)) = (bounds.min_opt(), bounds.max_opt()) else {
        return true;
    };
    // A bound that was cut is still a bound: the minimum is shortened, the maximum raised.
    metrics
        .iter()
        .any(|metric| metric.as_bytes() >= min.data() && metric.as_bytes() <= max.data())
}
