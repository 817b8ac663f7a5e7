//! An in-memory store for scripts: series in the order in which they were loaded.

use std::collections::{HashMap, HashSet};

use vervet_model::Labels;
use vervet_promql::{
    HistogramSample, HistogramSeries, Queryable, QueryableError, Sample, SelectRequest, Series,
    StartSeries, StartTime,
};

#[derive(Debug, Default)]
pub(crate) struct Storage {
    series: Vec<Stored>,
    index: HashMap<Labels, usize>,
    starts: Vec<StartSeries>,
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<Sample>,
    pub(crate) histograms: Vec<HistogramSample>,
}

impl Storage {
    pub(crate) fn add(
        &mut self,
        labels: Labels,
        samples: Vec<Sample>,
        histograms: Vec<HistogramSample>,
    ) {
        let index = *self.index.entry(labels.clone()).or_insert_with(|| {
            self.series.push(Stored {
                labels,
                samples: Vec::new(),
                histograms: Vec::new(),
            });
            self.series.len() - 1
        });
        let stored = &mut self.series[index];
        // Of two samples at the same time the later line wins.
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

    pub(crate) fn add_starts(&mut self, labels: Labels, starts: Vec<StartTime>) {
        self.starts.push(StartSeries { labels, starts });
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

impl Queryable for Storage {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let within = |series: &Stored| Series {
            labels: series.labels.clone(),
            samples: series
                .samples
                .iter()
                .copied()
                .filter(|sample| window.contains(&sample.timestamp))
                .collect(),
        };
        let all = self.matching(request).map(within);
        Ok(all.filter(|series| !series.samples.is_empty()).collect())
    }

    fn select_histograms(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<HistogramSeries>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let within = |series: &Stored| HistogramSeries {
            labels: series.labels.clone(),
            samples: series
                .histograms
                .iter()
                .filter(|sample| window.contains(&sample.timestamp))
                .cloned()
                .collect(),
        };
        let all = self.matching(request).map(within);
        Ok(all.filter(|series| !series.samples.is_empty()).collect())
    }

    fn select_starts(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<StartSeries>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let matches = |series: &&StartSeries| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
        };
        let within = |series: &StartSeries| StartSeries {
            labels: series.labels.clone(),
            starts: series
                .starts
                .iter()
                .copied()
                .filter(|start| window.contains(&start.timestamp))
                .collect(),
        };
        Ok(self.starts.iter().filter(matches).map(within).collect())
    }
}
