//! Puts a decoded request into the head.

use std::collections::BTreeMap;

use vervet_model::{Labels, UnixMillis};

use super::{Applied, AppliedSource, Inner};
use crate::catalog::MetricMetadata;
use crate::head::Generation;
use crate::head::series::{SeriesIndex, SeriesRefusal};
use crate::ingest::{
    Content, Decoded, DecodedMetrics, DecodedSample, DecodedSeries, SampleSeries, reason,
};
use crate::tables::Table;

/// Metrics whose type, help and unit are kept; of further ones these are not.
const METADATA_MAX: usize = 100_000;

impl Inner {
    pub(super) fn apply(
        &self,
        journal_sequence: u64,
        decoded: Decoded,
        source: Option<AppliedSource<'_>>,
    ) -> Applied {
        let _no_freeze = self.applying.lock();
        {
            let applied = self.applied.read();
            if journal_sequence <= applied.journal {
                return repeated();
            }
        }
        let view = self.cut();
        let Some(active) = view.generations.last() else {
            return Applied::default();
        };
        let known = source.is_some_and(|source| {
            source.sequence <= self.applied.read().agent(source.agent_id, source.signal)
        });
        let received_at = decoded.received_at;
        let outcome = if known {
            repeated()
        } else {
            self.store_rows(active, decoded)
        };
        self.record(active, journal_sequence, source, received_at);
        outcome
    }

    fn store_rows(&self, active: &Generation, decoded: Decoded) -> Applied {
        match decoded.content {
            Content::Logs(batch) => push_batch(active, Table::Logs, batch),
            Content::Spans(batch) => push_batch(active, Table::Spans, batch),
            Content::Metrics(metrics) => self.push_metrics(active, metrics),
        }
    }

    /// Notes the sequences after the rows, so that a flush in between cannot commit one without the other.
    fn record(
        &self,
        active: &Generation,
        journal_sequence: u64,
        source: Option<AppliedSource<'_>>,
        received_at: vervet_model::UnixNanos,
    ) {
        let mut progress = active.progress.lock();
        progress.journal_position = journal_sequence;
        progress.since.get_or_insert(received_at);
        let mut applied = self.applied.write();
        applied.journal = journal_sequence;
        let Some(source) = source else { return };
        let agents = applied.agents.entry(source.signal).or_default();
        let highest = agents.entry(source.agent_id.to_owned()).or_default();
        *highest = source.sequence.max(*highest);
        progress
            .agent_sequences
            .insert((source.agent_id.to_owned(), source.signal), *highest);
    }

    fn push_metrics(&self, active: &Generation, metrics: DecodedMetrics) -> Applied {
        let resolved = self.observe_series(&metrics);
        let known = self.observe_known(&metrics.samples);
        let mut known = known.into_iter();
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut stored = 0;
        active.push_samples(metrics.samples.iter().filter_map(|sample| {
            let found = match sample.series {
                SampleSeries::Known(slot) => {
                    let id = known.next().flatten().ok_or(reason::INTERNAL);
                    id.map(|id| (slot, id))
                }
                SampleSeries::Listed(index) => {
                    let index = usize::try_from(index).ok()?;
                    let id = metrics.series.get(index)?.id;
                    resolved.get(index)?.map(|slot| (slot, id))
                }
            };
            match found {
                Ok((slot, id)) => {
                    stored += 1;
                    Some((slot, id, sample.time_ms, sample.value))
                }
                Err(reason) => {
                    *counts.entry(reason).or_default() += 1;
                    None
                }
            }
        }));
        // After the samples can be read: an answer from before them must not seem to be one from after.
        let times = metrics.samples.iter().map(|sample| sample.time_ms);
        if let Some(earliest) = times.min() {
            self.sample_changes.lock().note(earliest);
        }
        let series = metrics.series.iter().zip(&resolved);
        self.known_series
            .insert(series.filter_map(|(series, slot)| Some((series.key?, (*slot).ok()?))));
        self.update_metadata(active, metrics.metadata);
        Applied {
            stored,
            rejected: counts.into_iter().collect(),
            repeated: false,
        }
    }

    /// Notes the days of samples whose series are known. Returns the ids of these, in the order of the samples.
    fn observe_known(&self, samples: &[DecodedSample]) -> Vec<Option<u64>> {
        let mut days = DayOf::default();
        let mut unseen = Vec::new();
        let mut ids = Vec::with_capacity(samples.len());
        {
            let index = self.series.read();
            for sample in samples {
                let SampleSeries::Known(slot) = sample.series else {
                    continue;
                };
                let day = days.of(sample.time_ms);
                let found = index.seen(slot, day);
                if found.is_some_and(|(_id, was_seen)| !was_seen) {
                    unseen.push((slot, day));
                }
                ids.push(found.map(|(id, _was_seen)| id));
            }
        }
        if !unseen.is_empty() {
            let mut index = self.series.write();
            for (slot, day) in unseen {
                index.see(slot, day);
            }
        }
        ids
    }

    /// Enters the request's series in the index; of each the slot, or the reason it was refused. Mostly all of them
    /// are known and were seen on that day, which takes no more than a look.
    fn observe_series(&self, metrics: &DecodedMetrics) -> Vec<Result<u32, &'static str>> {
        let days = series_days(metrics);
        let mut unsettled = Vec::new();
        let mut resolved = Vec::with_capacity(days.len());
        {
            let index = self.series.read();
            for (place, (series, days)) in metrics.series.iter().zip(&days).enumerate() {
                let slot = days.and_then(|days| {
                    index.settled(series.id, metrics.labels.get(series.labels), days)
                });
                if slot.is_none() {
                    unsettled.push(place);
                }
                resolved.push(slot.ok_or(reason::INTERNAL));
            }
        }
        if unsettled.is_empty() {
            return resolved;
        }
        let mut index = self.series.write();
        for place in unsettled {
            let (Some(series), Some(Some(days)), Some(result)) = (
                metrics.series.get(place),
                days.get(place),
                resolved.get_mut(place),
            ) else {
                continue;
            };
            let labels = metrics.labels.to_labels(series.labels);
            *result = self.observe(&mut index, series, &labels, *days);
        }
        resolved
    }

    fn observe(
        &self,
        index: &mut SeriesIndex,
        series: &DecodedSeries,
        labels: &Labels,
        (first, last): (i32, i32),
    ) -> Result<u32, &'static str> {
        let mut observe = |day| {
            let series_max = self.config.series_max;
            index.observe(
                series.id,
                labels,
                series.kind,
                &series.unit,
                day,
                series_max,
            )
        };
        observe(first)
            .and_then(|_slot| observe(last))
            .map_err(|refusal| match refusal {
                SeriesRefusal::Limit => reason::SERIES_LIMIT,
                SeriesRefusal::Collision => reason::SERIES_COLLISION,
            })
    }

    fn update_metadata(&self, active: &Generation, metadata: Vec<MetricMetadata>) {
        let changed: Vec<MetricMetadata> = {
            let known = self.metadata.read();
            metadata
                .into_iter()
                .filter(|new| known.get(&new.metric) != Some(new))
                .collect()
        };
        if changed.is_empty() {
            return;
        }
        let mut known = self.metadata.write();
        let mut progress = active.progress.lock();
        for new in changed {
            // Of metrics without a sample, which remote write may describe, there is no other bound.
            if known.len() >= METADATA_MAX && !known.contains_key(&new.metric) {
                continue;
            }
            known.insert(new.metric.clone(), new.clone());
            progress.metadata.insert(new.metric.clone(), new);
        }
    }
}

/// Tells days. Nearly all samples of a request are of one moment.
#[derive(Default)]
struct DayOf {
    last: Option<(i64, i32)>,
}

impl DayOf {
    fn of(&mut self, time_ms: i64) -> i32 {
        match self.last {
            Some((last_ms, day)) if last_ms == time_ms => day,
            _ => {
                let day = UnixMillis(time_ms).to_nanos().day();
                self.last = Some((time_ms, day));
                day
            }
        }
    }
}

/// The first and last day with a sample of each listed series; `None` for one without samples.
fn series_days(metrics: &DecodedMetrics) -> Vec<Option<(i32, i32)>> {
    let mut days: Vec<Option<(i32, i32)>> = vec![None; metrics.series.len()];
    let mut day_of = DayOf::default();
    for sample in &metrics.samples {
        let SampleSeries::Listed(index) = sample.series else {
            continue;
        };
        let day = day_of.of(sample.time_ms);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(range) = days.get_mut(index) {
            let (first, last) = range.unwrap_or((day, day));
            *range = Some((first.min(day), last.max(day)));
        }
    }
    days
}

fn push_batch(active: &Generation, table: Table, batch: arrow::array::RecordBatch) -> Applied {
    let stored = batch.num_rows() as u64;
    active.push_batch(table, batch);
    Applied {
        stored,
        ..Applied::default()
    }
}

fn repeated() -> Applied {
    Applied {
        repeated: true,
        ..Applied::default()
    }
}
