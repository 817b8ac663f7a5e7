//! Whether data flows: a stage that has had something to do for [`STUCK_AFTER`] and finished none of it is stuck.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use vervet_model::{Clock, UnixNanos};

/// How long input may wait without anything moving before the agent is not ready.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// One stage's state.
#[derive(Clone)]
pub(crate) struct StageHealth {
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    /// Since when something waits and nothing has moved; 0 when nothing waits.
    waiting_since: Arc<AtomicI64>,
    /// What it waits for.
    wants: Arc<AtomicU8>,
    /// What fails, and will until somebody does something.
    faults: Arc<Mutex<BTreeMap<&'static str, Fault>>>,
}

/// Work that fails.
#[derive(Debug)]
struct Fault {
    /// Without it is told elsewhere.
    told: Option<String>,
    failures: u64,
}

/// What a stage waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Want {
    Other,
    /// Room in the disk budget.
    Budget,
    /// Room on the volume.
    Volume,
}

/// Every stage of an agent; they come and go when its configuration changes.
#[derive(Clone, Default)]
pub(crate) struct Stages(Arc<RwLock<BTreeMap<String, StageHealth>>>);

impl Stages {
    /// A new stage, in the place of one of the same name.
    pub(crate) fn add(&self, name: &str, clock: Arc<dyn Clock>) -> StageHealth {
        let stage = StageHealth::new(name, clock);
        self.0.write().insert(name.to_owned(), stage.clone());
        stage
    }

    pub(crate) fn remove(&self, name: &str) {
        self.0.write().remove(name);
    }

    /// The stages that are stuck, with a line that says so.
    pub(crate) fn complaints(&self) -> Vec<(String, String)> {
        let stages = self.0.read();
        let stuck = stages.iter();
        stuck
            .filter_map(|(name, stage)| Some((name.clone(), stage.complaint()?)))
            .collect()
    }

    /// What fails in which stage.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let stages = self.0.read();
        let faults = stages.iter().flat_map(|(name, stage)| {
            let faults = stage.faults().into_iter();
            faults.map(|fault| (name.clone(), fault))
        });
        faults.collect()
    }

    /// What a stage waits for, if it does.
    pub(crate) fn wants(&self, name: &str) -> Want {
        let stages = self.0.read();
        stages.get(name).map_or(Want::Other, StageHealth::wants)
    }

    /// How long a stage has had something to do and finished none of it.
    pub(crate) fn waited(&self, name: &str) -> Option<Duration> {
        self.0.read().get(name)?.waited()
    }
}

impl StageHealth {
    pub(crate) fn new(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.into(),
            clock,
            waiting_since: Arc::default(),
            wants: Arc::default(),
            faults: Arc::default(),
        }
    }

    /// There is something to do.
    pub(crate) fn waits(&self) {
        let now = self.clock.now().0.max(1);
        // Only the first of several calls counts; a failure means it has been set already.
        let _already =
            self.waiting_since
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn waits_for(&self, want: Want) {
        self.wants.store(want as u8, Ordering::Relaxed);
    }

    pub(crate) fn wants(&self) -> Want {
        const BUDGET: u8 = Want::Budget as u8;
        const VOLUME: u8 = Want::Volume as u8;
        match self.wants.load(Ordering::Relaxed) {
            BUDGET => Want::Budget,
            VOLUME => Want::Volume,
            _ => Want::Other,
        }
    }

    /// Some `work` has failed: how often it had since it last worked.
    pub(crate) fn fails(&self, work: &'static str, told: Option<String>) -> u64 {
        let mut faults = self.faults.lock();
        let failures = faults.get(work).map_or(0, |fault| fault.failures);
        let fault = Fault {
            told,
            failures: failures + 1,
        };
        faults.insert(work, fault);
        failures
    }

    pub(crate) fn works(&self, work: &'static str) {
        self.faults.lock().remove(work);
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        let faults = self.faults.lock();
        let told = faults.values().filter_map(|fault| fault.told.clone());
        told.collect()
    }

    /// Something was done.
    pub(crate) fn moved(&self) {
        self.waiting_since.store(0, Ordering::Relaxed);
        self.waits_for(Want::Other);
    }

    /// How long something has waited and nothing has moved; `None` when nothing waits.
    fn waited(&self) -> Option<Duration> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        (since != 0).then(|| self.clock.now().since(UnixNanos(since)))
    }

    /// Why the stage is stuck, if it is.
    pub(crate) fn complaint(&self) -> Option<String> {
        let waited = self.waited().filter(|waited| *waited > STUCK_AFTER)?;
        let seconds = waited.as_secs();
        Some(format!("{}: nothing has moved for {seconds} s", self.name))
    }
}

#[cfg(test)]
mod tests {
    use vervet_model::ManualClock;

    use super::*;

    #[test]
    fn a_stage_is_stuck_only_while_something_waits() {
        let clock = Arc::new(ManualClock::new(UnixNanos(1)));
        let stage = StageHealth::new("buffer", Arc::clone(&clock) as Arc<dyn Clock>);
        clock.advance(STUCK_AFTER * 2);
        assert_eq!(stage.complaint(), None);
        stage.waits();
        clock.advance(STUCK_AFTER);
        stage.waits();
        assert_eq!(stage.complaint(), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            stage.complaint().as_deref(),
            Some("buffer: nothing has moved for 61 s")
        );
        stage.moved();
        assert_eq!(stage.complaint(), None);
    }

    #[test]
    fn a_fault_is_told_until_the_work_succeeds() {
        let stage = StageHealth::new("buffer", Arc::new(ManualClock::new(UnixNanos(1))));
        let fails = |work, told: &str| stage.fails(work, Some(told.to_owned()));
        assert_eq!((fails("read", "one"), fails("read", "two")), (0, 1));
        assert_eq!(stage.fails("commit", None), 0);
        stage.works("commit");
        assert_eq!(stage.faults(), ["two"]);
        stage.works("read");
        assert_eq!((stage.faults().len(), fails("read", "three")), (0, 0));
    }
}
