//! Samples every [`SAMPLE_INTERVAL`] what the process takes, and tells the budget how close it is to the limit.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::system::{Sample, System};
use super::{MemoryBudget, Pressure};
use crate::buffer::blocking;

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Of what may be taken, in percent: from here on nothing new comes in, and from here on the agent is not ready.
const SOFT_PERCENT: u64 = 90;
const HARD_PERCENT: u64 = 95;
/// When the process has less than this part of what is taken, in percent, others have filled the memory and its own
/// waiting would free nothing.
const OWN_PERCENT: u64 = 25;

/// The budget and what was last sampled. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryWatch {
    budget: MemoryBudget,
    last: Arc<Mutex<Sample>>,
}

impl MemoryWatch {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self {
            budget,
            last: Arc::default(),
        }
    }

    pub(crate) fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    pub(crate) fn sample(&self) -> Sample {
        *self.last.lock()
    }

    /// Samples until `end` is cancelled.
    pub(crate) async fn run(self, system: System, end: CancellationToken) {
        loop {
            let system = system.clone();
            if let Some(sample) = blocking(move || system.sample()).await {
                self.note(sample);
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(SAMPLE_INTERVAL) => {}
            }
        }
    }

    pub(super) fn note(&self, sample: Sample) {
        *self.last.lock() = sample;
        let (before, now) = (self.budget.pressure(), sample.pressure());
        if before != now {
            tracing::warn!(?before, ?now, ?sample, "memory pressure has changed");
        }
        self.budget.set_pressure(now);
    }

    /// Why the agent is not ready, if memory is the reason.
    pub(crate) fn complaint(&self) -> Option<String> {
        let sample = self.sample();
        (self.budget.pressure() == Pressure::Hard).then(|| {
            format!(
                "memory: {} of {} bytes are taken, nothing new is taken in",
                sample.taken_bytes, sample.allowed_bytes
            )
        })
    }
}

impl Sample {
    pub(super) fn pressure(&self) -> Pressure {
        let percent = |part: u64, of: u64| u128::from(part) * 100 / u128::from(of.max(1));
        let taken = percent(self.taken_bytes, self.allowed_bytes);
        if percent(self.resident_bytes, self.taken_bytes) < u128::from(OWN_PERCENT) {
            return Pressure::None;
        }
        match taken {
            taken if taken >= u128::from(HARD_PERCENT) => Pressure::Hard,
            taken if taken >= u128::from(SOFT_PERCENT) => Pressure::Soft,
            _ => Pressure::None,
        }
    }
}
