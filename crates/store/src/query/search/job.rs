//! One request on its way: the units that are left, and what became of the others.

use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use arrow::array::AsArray as _;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::TimestampNanosecondType;
use parking_lot::Mutex;
use parquet::errors::ParquetError;
use tokio::sync::oneshot;

use super::cache::MetadataCache;
use super::needs::possible_groups;
use super::pass::Cut;
use super::pool::{Work, WorkQueue};
use super::rows::Rows;
use super::segment::Segment;
use super::stop::Stop;
use super::times::{self, Page, Span, overlap};
pub(crate) use super::visit::{Origin, Picked, UnitOrder, Visit};
use super::{Wanted, prune};
use crate::StoreError;
use crate::segment::index::IndexError;
use crate::tables::column;

/// A row group whose columns take more than this is read in parts (bytes).
const DECODED_BYTES_MAX: i64 = 64 << 20;
/// Row groups whose first pages in time are looked at by themselves: until a search has some rows to compare with.
const SLICED_GROUPS_MAX: usize = 4;
const SLICED_PAGES_MIN: usize = 4;
/// Of the pages one in this many comes first.
const SLICE: usize = 4;
/// Warnings of one answer.
pub(crate) const WARNINGS_MAX: usize = 20;

pub(crate) enum Unit {
    Head(usize),
    File(usize),
    Group {
        file: usize,
        segment: Arc<Segment>,
        group: usize,
        /// The times that are looked at.
        within: Span,
    },
    Pick(Picked),
}

pub(crate) struct Queued {
    pub(crate) priority: i64,
    pub(crate) unit: Unit,
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.priority.cmp(&other.priority)
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.priority == other.priority
    }
}

impl Eq for Queued {}

/// The threads hold it as long as there is something to do. What the caller waits for is that the last one lets go.
pub(crate) struct Job<V> {
    pub(crate) wanted: Wanted,
    pub(crate) cut: Arc<Cut>,
    pub(crate) visitor: Arc<V>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) cache: Arc<MetadataCache>,
    pub(crate) queue: WorkQueue,
    pub(crate) own: Weak<Self>,
    pub(crate) state: Arc<Mutex<State>>,
    /// Row groups of which the newest rows were looked at before the others.
    pub(crate) sliced: AtomicUsize,
    /// The last field, so that the caller has the visitor for itself when this is dropped.
    pub(crate) _done: oneshot::Sender<()>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) units: BinaryHeap<Queued>,
    pub(crate) running: usize,
    pub(crate) warnings: Vec<String>,
    pub(crate) failed: Option<StoreError>,
}

impl State {
    pub(crate) fn is_finished(&self) -> bool {
        self.units.is_empty() && self.running == 0
    }
}

impl<V: Visit> Job<V> {
    /// The file that a unit is of; the name of the head for its batches.
    fn path(&self, unit: &Unit) -> PathBuf {
        let file = match unit {
            Unit::Head(_) | Unit::Pick((Origin::Head { .. }, _)) => None,
            Unit::File(file)
            | Unit::Group { file, .. }
            | Unit::Pick((Origin::Group { file, .. }, _)) => self.cut.files.get(*file),
        };
        file.map_or_else(|| PathBuf::from("(memory)"), |file| file.path.to_path_buf())
    }

    fn run(&self, unit: Unit) -> Result<Vec<Queued>, StoreError> {
        self.stop.check()?;
        match unit {
            Unit::Head(batch) => self.look_at_head(batch).map(|()| Vec::new()),
            Unit::File(file) => self.open(file),
            Unit::Group {
                file,
                segment,
                group,
                within,
            } => self
                .look_at_group(Origin::Group { file, group }, &segment, within)
                .map(|()| Vec::new()),
            Unit::Pick(picked) => self.pick(picked).map(|()| Vec::new()),
        }
    }

    /// The times that matter still.
    fn span(&self) -> Span {
        let (wanted, left) = (self.wanted.span(), self.visitor.span());
        (wanted.0.max(left.0), wanted.1.min(left.1))
    }

    fn look_at_head(&self, batch: usize) -> Result<(), StoreError> {
        let Some(head) = self.cut.heads.get(batch) else {
            return Ok(());
        };
        let mut rows = Rows::of_head(self.wanted.table, head);
        keep_times(&mut rows, self.span())?;
        self.wanted.filter.narrow(&mut rows)?;
        if rows.is_empty() {
            return Ok(());
        }
        self.visitor.visit(Origin::Head { batch }, &mut rows)
    }

    /// The row groups of a file that may hold a wanted row.
    fn open(&self, file: usize) -> Result<Vec<Queued>, StoreError> {
        let Some(data_file) = self.cut.files.get(file) else {
            return Ok(Vec::new());
        };
        let known = data_file.time_range.map(|(first, last)| (first.0, last.0));
        if known.is_some_and(|known| !overlap(known, self.span())) {
            return Ok(Vec::new());
        }
        let segment = Arc::new(self.cache.open(data_file, &self.stop)?);
        let span = self.span();
        let mut spans = vec![span];
        if self.visitor.takes_counts()
            && let Some(cube) = self.indexed(&segment, Segment::cube)
        {
            let whole = known.unwrap_or((i64::MIN, i64::MAX));
            if let Some(left) = self
                .visitor
                .take_counts(&cube, &self.wanted.filter, whole, span)?
            {
                spans = left;
            }
        }
        let has_tokens = self.indexed(&segment, |segment| {
            possible_groups(&self.wanted.filter, segment)
        });
        let order = self.visitor.order();
        let groups = 0..segment.metadata().parquet().num_row_groups();
        let tokens_fit = |group: usize| {
            let found = has_tokens.as_ref().and_then(|groups| groups.get(group));
            found.copied().unwrap_or(true)
        };
        let mut units = Vec::new();
        for group in groups.filter(|group| tokens_fit(*group)) {
            if prune::remaining(&self.wanted.filter, &segment, group).is_none() {
                continue;
            }
            let known = times::of_group(&segment, group);
            for within in &spans {
                if known.is_none_or(|known| overlap(known, *within)) {
                    units.push(Queued {
                        priority: order.priority(known),
                        unit: Unit::Group {
                            file,
                            segment: Arc::clone(&segment),
                            group,
                            within: *within,
                        },
                    });
                }
            }
        }
        Ok(units)
    }

    /// What the index of a segment tells; nothing when it is damaged.
    fn indexed<T>(
        &self,
        segment: &Segment,
        read: impl Fn(&Segment) -> Result<Option<T>, IndexError>,
    ) -> Option<T> {
        read(segment).unwrap_or_else(|_damaged| {
            if self.stop.check().is_ok() {
                self.cache.note_damaged_index(segment.path());
            }
            None
        })
    }

    fn look_at_group(
        &self,
        origin: Origin,
        segment: &Segment,
        within: Span,
    ) -> Result<(), StoreError> {
        let Origin::Group { group, .. } = origin else {
            return Ok(());
        };
        let left = || {
            let span = self.span();
            (span.0.max(within.0), span.1.min(within.1))
        };
        let known = times::of_group(segment, group);
        if known.is_some_and(|known| !overlap(known, left())) {
            return Ok(());
        }
        let Some(conditions) = prune::remaining(&self.wanted.filter, segment, group) else {
            return Ok(());
        };
        for part in self.parts(segment, group)? {
            self.stop.check()?;
            let span = left();
            let Some(part) = part.within(known, span) else {
                continue;
            };
            let mut rows = Rows::of_group(self.wanted.table, segment, group);
            if let Some(ranges) = &part.ranges {
                rows.restrict(ranges);
            }
            for condition in &conditions {
                condition.skip_pages(&mut rows)?;
            }
            let inside = |(first, last): Span| span.0 <= first && last <= span.1;
            if !rows.is_empty() && !part.span.is_some_and(inside) {
                keep_times(&mut rows, span)?;
            }
            for condition in &conditions {
                condition.narrow(&mut rows)?;
            }
            if !rows.is_empty() {
                self.visitor.visit(origin, &mut rows)?;
            }
        }
        Ok(())
    }

    /// The rows of a group as they are looked at: at once; page by page when that would take too much memory; or first
    /// those pages that are first in time, which may make the others superfluous.
    fn parts(&self, segment: &Segment, group: usize) -> Result<Vec<Part>, StoreError> {
        let mut pages = segment.time_pages(group)?;
        let order = self.visitor.order();
        let of = |pages: &[Page]| Part {
            pages: pages.to_vec(),
            is_whole: false,
        };
        let large = segment
            .group(group)
            .is_some_and(|group| group.total_byte_size() > DECODED_BYTES_MAX);
        if large && !pages.is_empty() {
            pages.sort_by_key(|page| std::cmp::Reverse(order.priority(Some(page.span))));
            return Ok(pages.chunks(1).map(of).collect());
        }
        let is_worth_it = order != UnitOrder::Any
            && pages.len() >= SLICED_PAGES_MIN
            && self.sliced.fetch_add(1, Ordering::Relaxed) < SLICED_GROUPS_MAX;
        if !is_worth_it {
            let is_whole = true;
            return Ok(vec![Part { pages, is_whole }]);
        }
        pages.sort_by_key(|page| std::cmp::Reverse(order.priority(Some(page.span))));
        let (first, others) = pages.split_at(pages.len() / SLICE);
        Ok(vec![of(first), of(others)])
    }

    fn pick(&self, (origin, numbers): Picked) -> Result<(), StoreError> {
        let ranges = ranges(&numbers);
        let table = self.wanted.table;
        match origin {
            Origin::Head { batch } => {
                let Some(head) = self.cut.heads.get(batch) else {
                    return Ok(());
                };
                let mut rows = Rows::of_head(table, head);
                rows.restrict(&ranges);
                self.visitor.visit(origin, &mut rows)
            }
            Origin::Group { file, group } => {
                let Some(data_file) = self.cut.files.get(file) else {
                    return Ok(());
                };
                let segment = self.cache.open(data_file, &self.stop)?;
                let mut rows = Rows::of_group(table, &segment, group);
                rows.restrict(&ranges);
                self.visitor.visit(origin, &mut rows)
            }
        }
    }

    /// Notes what became of a unit.
    fn finish(&self, path: &Path, result: Result<Vec<Queued>, StoreError>) {
        let mut state = self.state.lock();
        state.running = state.running.saturating_sub(1);
        let mut more = false;
        match result {
            Ok(units) => {
                more = !units.is_empty();
                state.units.extend(units);
            }
            Err(error) if is_damage(&error) => {
                tracing::warn!(%error, "a segment is left out of an answer");
                self.cache.damage().note(path, &error);
                let warning = warning(&error);
                if state.warnings.len() < WARNINGS_MAX && !state.warnings.contains(&warning) {
                    state.warnings.push(warning);
                }
            }
            Err(error) => {
                state.units.clear();
                self.stop.stop();
                state.failed.get_or_insert(error);
            }
        }
        drop(state);
        if more && let Some(own) = self.own.upgrade() {
            self.queue.push(own);
        }
    }
}

impl<V: Visit> Work for Job<V> {
    fn step(&self) {
        let unit = {
            let mut state = self.state.lock();
            let Some(queued) = state.units.pop() else {
                return;
            };
            state.running += 1;
            queued.unit
        };
        let path = self.path(&unit);
        // A damaged file may bring its reader to panic; the request must go on without it all the same.
        let run = std::panic::AssertUnwindSafe(|| self.run(unit));
        let result = std::panic::catch_unwind(run).unwrap_or_else(|_panic| {
            Err(StoreError::Read {
                path: path.clone(),
                source: ParquetError::General("the reader panicked".to_owned()),
            })
        });
        self.finish(&path, result);
    }

    fn has_steps(&self) -> bool {
        !self.state.lock().units.is_empty()
    }
}

/// The pages of a row group that are looked at together.
struct Part {
    /// Empty when they are not known.
    pages: Vec<Page>,
    /// Whether that is the row group.
    is_whole: bool,
}

impl Part {
    /// Those of the pages that overlap a time span; `None` when there are none. `known` are the times of the group.
    fn within(&self, known: Option<Span>, span: Span) -> Option<Chosen> {
        let inside = self.pages.iter().filter(|page| overlap(page.span, span));
        let mut inside: Vec<&Page> = inside.collect();
        if self.is_whole && inside.len() == self.pages.len() {
            return Some(Chosen {
                ranges: None,
                span: known,
            });
        }
        inside.sort_by_key(|page| page.rows.start);
        let spans = inside.iter().map(|page| page.span);
        let bounds = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let ranges = inside.into_iter().map(|page| page.rows.clone()).collect();
        Some(Chosen {
            ranges: Some(ranges),
            span: Some(bounds),
        })
    }
}

/// Rows of a row group and their times.
struct Chosen {
    /// `None` for all.
    ranges: Option<Vec<Range<usize>>>,
    span: Option<Span>,
}

/// Keeps the rows whose time lies within.
fn keep_times(rows: &mut Rows<'_>, span: Span) -> Result<(), StoreError> {
    let times = rows.required(column::TIME)?;
    let table = rows.table().name();
    let times = times
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or(StoreError::Columns { table })?;
    let within = |time: &i64| span.0 <= *time && *time <= span.1;
    let mask: BooleanBuffer = times.values().iter().map(within).collect();
    rows.keep(&mask)
}

/// Ascending numbers as ranges.
fn ranges(numbers: &[u32]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for number in numbers {
        let number = usize::try_from(*number).unwrap_or(usize::MAX);
        match ranges.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => ranges.push(number..number + 1),
        }
    }
    ranges
}

/// Whether an error means that one segment cannot be read, as opposed to the request.
fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Read { .. } | StoreError::Io { .. } | StoreError::Columns { .. }
    )
}

/// What is said of a segment that is left out.
pub(crate) fn warning(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}; its rows are missing", cause.unwrap_or_default())
}
