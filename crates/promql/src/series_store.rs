//! Series held in memory, for scripts and for tests of rules.

use std::collections::{HashMap, HashSet};

use vervet_model::{Labels, METRIC_NAME};

use crate::native::{HistogramSample, HistogramSeries};
use crate::queryable::{
    Queryable, QueryableError, Sample, SelectRequest, Series, StartSeries, StartTime,
};

/// Holds what it is given, in the order in which series first came. It has no limits: its user has.
#[derive(Debug, Default)]
pub struct SeriesStore {
    series: Vec<Stored>,
    index: HashMap<Labels, usize>,
    starts: Vec<StartSeries>,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Or it was there already.
    Added,
    /// Another value is there at its time.
    Duplicate,
    /// Something later is there.
    OutOfOrder,
}

#[derive(Debug)]
struct Stored {
    labels: Labels,
    /// Sorted by time, as are the histograms.
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
}

impl Stored {
    fn parts(&self) -> (&Labels, &[Sample], &[HistogramSample]) {
        (&self.labels, &self.samples, &self.histograms)
    }
}

impl SeriesStore {
    /// Adds to a series. Of two samples at the same time the one that comes later counts.
    pub fn add(&mut self, labels: Labels, samples: Vec<Sample>, histograms: Vec<HistogramSample>) {
        let stored = self.stored(labels);
        let times: HashSet<i64> = samples
            .iter()
            .map(|sample| sample.timestamp)
            .chain(histograms.iter().map(|sample| sample.timestamp))
            .collect();
        stored
            .samples
            .retain(|sample| !times.contains(&sample.timestamp));
        stored
            .histograms
            .retain(|sample| !times.contains(&sample.timestamp));
        stored.samples.extend(samples);
        stored.histograms.extend(histograms);
        stored.samples.sort_by_key(|sample| sample.timestamp);
        stored.histograms.sort_by_key(|sample| sample.timestamp);
    }

    /// Adds a sample as a store does that takes nothing out of order. What is after `until` has not happened yet.
    pub fn append(&mut self, labels: Labels, sample: Sample, until: i64) -> Appended {
        let stored = self.stored(labels);
        let samples = &stored.samples;
        let at = samples.partition_point(|known| known.timestamp <= until);
        let before = at.checked_sub(1).and_then(|last| samples.get(last));
        let histograms = &stored.histograms;
        let histogram = histograms.partition_point(|known| known.timestamp <= until);
        let histogram = histogram.checked_sub(1);
        let histogram = histogram.and_then(|last| histograms.get(last));
        let known = before.map(|known| known.timestamp);
        let known = known.max(histogram.map(|known| known.timestamp));
        if known > Some(sample.timestamp) {
            return Appended::OutOfOrder;
        }
        if known == Some(sample.timestamp) {
            let same = |known: &Sample| known.value.to_bits() == sample.value.to_bits();
            return match before.is_some_and(same) {
                true => Appended::Added,
                false => Appended::Duplicate,
            };
        }
        stored.samples.insert(at, sample);
        Appended::Added
    }

    fn stored(&mut self, labels: Labels) -> &mut Stored {
        let end = self.series.len();
        let index = *self.index.entry(labels).or_insert_with_key(|labels| {
            self.series.push(Stored {
                labels: labels.clone(),
                samples: Vec::new(),
                histograms: Vec::new(),
            });
            end
        });
        &mut self.series[index]
    }

    /// Adds when counters of a series began.
    pub fn add_starts(&mut self, labels: Labels, starts: Vec<StartTime>) {
        self.starts.push(StartSeries { labels, starts });
    }

    /// Everything, in the order of labels: of each series the samples and the histograms.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[Sample], &[HistogramSample])> {
        let mut all: Vec<&Stored> = self.series.iter().collect();
        all.sort_by(|a, b| {
            let key = |stored: &Stored| stored.labels.get(METRIC_NAME).map(str::to_owned);
            key(a).cmp(&key(b)).then_with(|| a.labels.cmp(&b.labels))
        });
        all.into_iter().map(Stored::parts)
    }

    fn matching(&self, request: &SelectRequest<'_>) -> impl Iterator<Item = &Stored> {
        let matchers = request.matchers.to_vec();
        self.series.iter().filter(move |series| {
            matchers
                .iter()
                .all(|matcher| matcher.matches_labels(&series.labels))
        })
    }
}

/// What is within the request's time.
fn window<'s, T: Clone>(
    sorted: &'s [T],
    request: &SelectRequest<'_>,
    time: impl Fn(&T) -> i64,
) -> &'s [T] {
    let from = sorted.partition_point(|item| time(item) < request.start.0);
    let to = sorted.partition_point(|item| time(item) <= request.end.0);
    // The window may be empty.
    sorted.get(from..to).unwrap_or_default()
}

impl Queryable for SeriesStore {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let within = |series: &Stored| Series {
            labels: series.labels.clone(),
            samples: window(&series.samples, request, |sample| sample.timestamp).to_vec(),
        };
        let all = self.matching(request).map(within);
        Ok(all.filter(|series| !series.samples.is_empty()).collect())
    }

    fn select_histograms(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<HistogramSeries>, QueryableError> {
        let within = |series: &Stored| HistogramSeries {
            labels: series.labels.clone(),
            samples: window(&series.histograms, request, |sample| sample.timestamp).to_vec(),
        };
        let all = self.matching(request).map(within);
        Ok(all.filter(|series| !series.samples.is_empty()).collect())
    }

    fn select_starts(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<StartSeries>, QueryableError> {
        let matches = |series: &&StartSeries| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
        };
        let within = |series: &StartSeries| StartSeries {
            labels: series.labels.clone(),
            starts: window(&series.starts, request, |start| start.timestamp).to_vec(),
        };
        Ok(self.starts.iter().filter(matches).map(within).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_added_when_nothing_that_happened_is_at_its_time_or_later() {
        let labels = || Labels::from_pairs([(METRIC_NAME, "a")]);
        let sample = |timestamp, value| Sample { timestamp, value };
        let mut store = SeriesStore::default();
        store.add(labels(), vec![sample(10, 1.0), sample(30, 3.0)], Vec::new());
        for (added, until, expected) in [
            (sample(10, 5.0), 10, Appended::Duplicate),
            (sample(10, 1.0), 10, Appended::Added),
            (sample(5, 5.0), 10, Appended::OutOfOrder),
            (sample(20, 2.0), 20, Appended::Added),
        ] {
            assert_eq!(store.append(labels(), added, until), expected, "{added:?}");
        }
        let (_, samples, _) = store.iter().next().expect("a series");
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [1.0, 2.0, 3.0]);
    }
}
