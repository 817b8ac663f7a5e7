//! Instant and range selectors, and subqueries.

use crate::error::QueryError;
use crate::eval::{Evaluator, Grid, Track};
use crate::queryable::{Sample, is_stale};
use crate::syntax::{Expr, Node, Selector, Subquery, TimeShift};

/// The raw samples behind a range vector, without staleness markers, for all steps of the grid.
#[derive(Debug)]
pub(crate) struct RangeSource {
    pub(crate) tracks: Vec<Track>,
    /// Milliseconds.
    pub(crate) range: i64,
    pub(crate) shift: TimeShift,
}

impl RangeSource {
    /// The samples of a track in (end - range, end].
    pub(crate) fn window(track: &Track, end: i64, range: i64) -> &[Sample] {
        let start = end.saturating_sub(range);
        let from = track
            .samples
            .partition_point(|sample| sample.timestamp <= start);
        let to = track
            .samples
            .partition_point(|sample| sample.timestamp <= end);
        track.samples.get(from..to).unwrap_or_default()
    }
}

impl Evaluator<'_> {
    /// At each step the newest sample within the lookback, unless it marks the series as stale.
    pub(crate) fn eval_selector(&self, selector: &Selector) -> Result<Vec<Track>, QueryError> {
        self.eval_newest(selector, |sample| sample.value)
    }

    /// At each step something of the newest sample.
    pub(crate) fn eval_newest(
        &self,
        selector: &Selector,
        pick: impl Fn(&Sample) -> f64,
    ) -> Result<Vec<Track>, QueryError> {
        let lookback = self.query.lookback();
        let mut tracks = self.select_window(selector, lookback)?;
        for track in &mut tracks {
            self.query.check_deadline()?;
            let (mut next, mut picked) = (0, Vec::new());
            for step in self.grid.times() {
                let reference = selector.shift.reference(step);
                while track
                    .samples
                    .get(next)
                    .is_some_and(|sample| sample.timestamp <= reference)
                {
                    next += 1;
                }
                let newest = next
                    .checked_sub(1)
                    .and_then(|index| track.samples.get(index));
                if let Some(sample) = newest
                    && sample.timestamp > reference.saturating_sub(lookback)
                    && !is_stale(sample.value)
                {
                    picked.push(Sample {
                        timestamp: step,
                        value: pick(sample),
                    });
                }
            }
            self.query.charge(picked.len())?;
            track.samples = picked;
        }
        tracks.retain(|track| !track.samples.is_empty());
        Ok(tracks)
    }

    /// Reads what a selector needs over the whole grid when each step looks back by `lookback`.
    fn select_window(&self, selector: &Selector, lookback: i64) -> Result<Vec<Track>, QueryError> {
        if self.grid.len() == 0 {
            return Ok(Vec::new());
        }
        let first = selector.shift.reference(self.grid.start);
        let last = selector.shift.reference(self.grid.end);
        let start = first.saturating_sub(lookback).saturating_add(1);
        self.query.select(selector, start, last)
    }

    /// The samples behind an expression whose type is known to be a range vector.
    pub(crate) fn eval_range_source(&self, node: &Node) -> Result<RangeSource, QueryError> {
        match node.bare() {
            Expr::Matrix { selector, range } => {
                let mut tracks = self.select_window(selector, *range)?;
                for track in &mut tracks {
                    track.samples.retain(|sample| !is_stale(sample.value));
                }
                Ok(RangeSource {
                    tracks,
                    range: *range,
                    shift: selector.shift,
                })
            }
            Expr::Subquery(subquery) => self.eval_subquery(subquery),
            _ => Err(QueryError::Parse {
                message: format!(
                    "expected a range vector, got {}",
                    node.value_type().as_str()
                ),
                position: Some(node.position),
            }),
        }
    }

    fn eval_subquery(&self, subquery: &Subquery) -> Result<RangeSource, QueryError> {
        let step = subquery.step.unwrap_or_else(|| self.query.subquery_step());
        let first = subquery.shift.reference(self.grid.start);
        let after = first.saturating_sub(subquery.range);
        let grid = Grid {
            // The first multiple of the step after the window's open start.
            start: after
                .div_euclid(step)
                .saturating_add(1)
                .saturating_mul(step),
            end: subquery.shift.reference(self.grid.end),
            step,
        };
        let tracks = Evaluator::new(self.query, grid)?.eval_vector(&subquery.expr)?;
        Ok(RangeSource {
            tracks,
            range: subquery.range,
            shift: subquery.shift,
        })
    }
}
