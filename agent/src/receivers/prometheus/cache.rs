//! The series of one target, from scrape to scrape.
//!
//! A *line* is what names a series in the body, as it is written there; a *series* is what it becomes, with the target's
//! labels and after relabelling. Several lines may become one series, and a line that relabelling drops becomes none. A body
//! mostly has the lines of the last one in the same order, so each line remembers the one that came after it: that is tried
//! first, by comparing bytes.
//!
//! A series takes the bytes of its line, those of its labels as OTLP attributes, and about 150 bytes more.

mod index;
mod names;
mod slab;

use vervet_exposition::Metadata;
use vervet_wire::otlp::{KeyValue, Value};
use vervet_wire::protobuf::Writer;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(super) use names::{About, Names};

use index::Index;
use slab::{NONE, Slab};

/// Lines that may be left over from failed scrapes, beside as many as the last good one had.
const LEFT_OVER_LINES_MAX: usize = 1_000;

/// What kind of points a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Number,
    /// An exponential histogram.
    Histogram,
}

/// The cached lines and series of a target.
#[derive(Debug)]
pub(super) struct SeriesCache {
    lines: Slab<Line>,
    lines_by_bytes: Index,
    series: Slab<Series>,
    series_by_labels: Index,
    pub(super) names: Names,
    seed: Seed,
    /// Counts scrapes, failed ones included.
    scrape: u32,
    /// The line that was read last in this scrape, and the first one of the last scrape.
    last: u32,
    first: u32,
    /// Lines in this scrape so far.
    seen: usize,
    /// Lines that the last good scrape left.
    good: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Line {
    bytes: Box<[u8]>,
    /// `NONE` when it is dropped.
    series: u32,
    seen: u32,
    follower: u32,
}

/// A series of a target.
#[derive(Debug)]
pub(super) struct Series {
    /// The labels but the name, as fields of a data point.
    pub(super) labels: Box<[u8]>,
    pub(super) name: u32,
    pub(super) shape: Shape,
    lines: u32,
    /// The scrape it was last in.
    seen: u32,
    /// In that scrape it had a sample that a marker has to end.
    tracked: bool,
    /// It has to be ended when it is gone.
    live: bool,
    /// Time of the last sample that was kept.
    last_ms: i64,
}

/// Where a line leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Dropped,
    Series(u32),
}

/// Why a sample is left out, by Prometheus's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// This scrape has one of that series and time.
    Duplicate,
    /// The last scrape had it already.
    Repeated,
    /// There is a later one of that series.
    OutOfOrder,
}

/// Makes hashes hard to foresee for whoever names series.
#[derive(Debug, Clone, Copy)]
struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(rand::random())
    }
}

impl Seed {
    fn hash(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.0)
    }

    fn hash_with(self, number: u32, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.0 ^ u64::from(number).rotate_left(32))
    }
}

impl Default for SeriesCache {
    fn default() -> Self {
        Self {
            lines: Slab::default(),
            lines_by_bytes: Index::default(),
            series: Slab::default(),
            series_by_labels: Index::default(),
            names: Names::default(),
            seed: Seed::default(),
            scrape: 1,
            last: NONE,
            first: NONE,
            seen: 0,
            good: 0,
            bytes: 0,
        }
    }
}

impl SeriesCache {
    /// Lines that are known.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// What lines and labels take, without what stands around them (bytes).
    #[cfg(test)]
    pub(super) fn text_bytes(&self) -> usize {
        self.bytes
    }

    /// Lines of the scrape that goes on.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// A series, and the names to write it with.
    pub(super) fn point_of(&mut self, id: u32) -> (Option<&Series>, &mut Names) {
        (self.series.get(id), &mut self.names)
    }

    /// Takes in what a target says of a family, unless it would be one more than `families_max`.
    pub(super) fn tell(&mut self, family: &str, metadata: Metadata<'_>, families_max: usize) {
        self.names.tell(family, metadata, self.scrape, families_max);
    }

    /// The line that is expected next, if `text` begins with it: its number and length.
    pub(super) fn expected(&self, text: &[u8]) -> Option<(u32, usize)> {
        let id = match self.lines.get(self.last) {
            Some(last) => last.follower,
            None => self.first,
        };
        let line = self.lines.get(id)?;
        let is_it = text.starts_with(&line.bytes);
        is_it.then_some((id, line.bytes.len()))
    }

    /// The line of these very bytes.
    pub(super) fn line(&self, bytes: &[u8]) -> Option<u32> {
        if let Some((id, length)) = self.expected(bytes)
            && length == bytes.len()
        {
            return Some(id);
        }
        let is_it = |id| self.lines.get(id).is_some_and(|line| *line.bytes == *bytes);
        self.lines_by_bytes.find(self.seed.hash(bytes), is_it)
    }

    /// Adds a line that is not known.
    pub(super) fn add_line(&mut self, bytes: &[u8], way: Way) -> u32 {
        let series = match way {
            Way::Dropped => NONE,
            Way::Series(id) => id,
        };
        if let Some(series) = self.series.get_mut(series) {
            series.lines += 1;
        }
        self.bytes += bytes.len();
        let id = self.lines.insert(Line {
            bytes: bytes.into(),
            series,
            seen: self.scrape.wrapping_sub(1),
            follower: NONE,
        });
        self.lines_by_bytes.insert(self.seed.hash(bytes), id);
        id
    }

    /// The series of a name and labels, new or not.
    pub(super) fn intern(&mut self, name: &str, labels: &[u8], shape: Shape) -> u32 {
        let name = self.names.take(name);
        let hash = self.seed.hash_with(name, labels);
        let all = &self.series;
        let is_it = |id| {
            let series = all.get(id);
            series.is_some_and(|series| {
                (series.name, series.shape) == (name, shape) && *series.labels == *labels
            })
        };
        if let Some(id) = self.series_by_labels.find(hash, is_it) {
            self.names.give_back(name);
            return id;
        }
        self.bytes += labels.len();
        let id = self.series.insert(Series {
            labels: labels.into(),
            name,
            shape,
            lines: 0,
            seen: self.scrape.wrapping_sub(1),
            tracked: false,
            live: false,
            last_ms: i64::MIN,
        });
        self.series_by_labels.insert(hash, id);
        id
    }

    /// Notes that a line is in this scrape.
    pub(super) fn see(&mut self, id: u32) -> Way {
        match self.lines.get_mut(self.last) {
            Some(last) => last.follower = id,
            None => self.first = id,
        }
        self.last = id;
        let Some(line) = self.lines.get_mut(id) else {
            return Way::Dropped;
        };
        if line.seen != self.scrape {
            line.seen = self.scrape;
            self.seen += 1;
        }
        match line.series {
            NONE => Way::Dropped,
            series => Way::Series(series),
        }
    }

    /// Notes a sample of a series. One without a time of its own (`explicit`) has that of the scrape.
    ///
    /// # Errors
    /// It is not to be kept.
    pub(super) fn sample(
        &mut self,
        id: u32,
        time_ms: i64,
        explicit: bool,
        tracked: bool,
    ) -> Result<(), LeftOut> {
        let scrape = self.scrape;
        let Some(series) = self.series.get_mut(id) else {
            return Ok(());
        };
        let again = series.seen == scrape;
        if !again {
            (series.seen, series.tracked) = (scrape, false);
        }
        if again && !explicit {
            return Err(LeftOut::Duplicate);
        }
        if time_ms < series.last_ms {
            return Err(LeftOut::OutOfOrder);
        }
        series.tracked |= tracked;
        if time_ms == series.last_ms {
            return Err(match again {
                true => LeftOut::Duplicate,
                false => LeftOut::Repeated,
            });
        }
        series.last_ms = time_ms;
        Ok(())
    }

    /// Ends a good scrape: hands the series to `end` that were there and are not. What is handed over is known until
    /// [`Self::next`].
    pub(super) fn commit(&mut self, time_ms: i64, mut end: impl FnMut(&Series, &mut Names)) {
        let (scrape, names) = (self.scrape, &mut self.names);
        for (_, series) in self.series.iter_mut() {
            let stays = series.seen == scrape && series.tracked;
            if series.live && !stays && series.last_ms < time_ms {
                series.last_ms = time_ms;
                end(series, names);
            }
            series.live = stays;
        }
        self.good = self.seen;
    }

    /// Ends a failed scrape, or the target: hands all series that are there to `end`. They stay known.
    pub(super) fn fail(&mut self, time_ms: i64, mut end: impl FnMut(&Series, &mut Names)) {
        let (scrape, names) = (self.scrape, &mut self.names);
        for (_, series) in self.series.iter_mut() {
            // What this scrape brought is not kept.
            if series.seen == scrape {
                series.last_ms = i64::MIN;
            }
            if std::mem::take(&mut series.live) && series.last_ms < time_ms {
                series.last_ms = time_ms;
                end(series, names);
            }
        }
    }

    /// Goes on to the next scrape; what was not in a good one is forgotten.
    pub(super) fn next(&mut self, was_good: bool) {
        if was_good || self.lines.len() > self.good * 2 + LEFT_OVER_LINES_MAX {
            self.forget();
        }
        if was_good {
            self.names.scraped(self.scrape);
        }
        self.scrape = self.scrape.wrapping_add(1);
        (self.last, self.seen) = (NONE, 0);
    }

    /// Drops the lines that were not in this scrape, and the series that have no line any more.
    fn forget(&mut self) {
        if self.seen == self.lines.len() {
            return;
        }
        let mut next = self.lines.next_from(0);
        while let Some(id) = next {
            if self
                .lines
                .get(id)
                .is_some_and(|line| line.seen != self.scrape)
            {
                self.forget_line(id);
            }
            next = self.lines.next_from(id + 1);
        }
        self.lines_by_bytes.shrink();
        self.series_by_labels.shrink();
    }

    fn forget_line(&mut self, id: u32) {
        let Some(line) = self.lines.remove(id) else {
            return;
        };
        self.bytes -= line.bytes.len();
        self.lines_by_bytes.remove(self.seed.hash(&line.bytes), id);
        let Some(series) = self.series.get_mut(line.series) else {
            return;
        };
        series.lines -= 1;
        if series.lines == 0
            && let Some(series) = self.series.remove(line.series)
        {
            self.bytes -= series.labels.len();
            let hash = self.seed.hash_with(series.name, &series.labels);
            self.series_by_labels.remove(hash, line.series);
            self.names.give_back(series.name);
        }
    }
}

impl Shape {
    /// The number of the field that holds attributes in such a point.
    fn labels_field(self) -> u32 {
        match self {
            Self::Number => 7,
            Self::Histogram => 1,
        }
    }

    /// Appends a label as a field of such a point.
    pub(super) fn write_label(self, name: &str, value: &str, out: &mut Vec<u8>) {
        let label = KeyValue::new(name, Value::from(value));
        Writer::new(out).message(self.labels_field(), |w| label.write(w));
    }
}

/// At most so many bytes of a text.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests;
