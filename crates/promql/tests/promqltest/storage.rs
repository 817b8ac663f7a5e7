//! An in-memory store for scripts: series in the order in which they were loaded.

use std::collections::HashMap;

use vervet_model::Labels;
use vervet_promql::{Queryable, QueryableError, Sample, SelectRequest, Series};

#[derive(Debug, Default)]
pub(crate) struct Storage {
    series: Vec<Series>,
    index: HashMap<Labels, usize>,
}

impl Storage {
    pub(crate) fn add(&mut self, labels: Labels, samples: Vec<Sample>) {
        let index = *self.index.entry(labels.clone()).or_insert_with(|| {
            self.series.push(Series {
                labels,
                samples: Vec::new(),
            });
            self.series.len() - 1
        });
        let existing = &mut self.series[index].samples;
        existing.extend(samples);
        // Of two samples at the same time the later line wins; the sort is stable.
        existing.reverse();
        existing.sort_by_key(|sample| sample.timestamp);
        existing.dedup_by_key(|sample| sample.timestamp);
    }
}

impl Queryable for Storage {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let matching = self.series.iter().filter(|series| {
            request
                .matchers
                .iter()
                .all(|matcher| matcher.matches_labels(&series.labels))
        });
        let within = |series: &Series| Series {
            labels: series.labels.clone(),
            samples: series
                .samples
                .iter()
                .copied()
                .filter(|sample| window.contains(&sample.timestamp))
                .collect(),
        };
        Ok(matching
            .map(within)
            .filter(|series| !series.samples.is_empty())
            .collect())
    }
}
