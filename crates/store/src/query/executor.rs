//! The threads that queries run on, so that a heavy one never delays the intake of data.
//!
//! Statements are planned on threads of their own, at most [`PLANNED_MAX`] at once.
//! Light and heavy queries have a thread per core each. Those of heavy ones have a lower priority (nice 10): where
//! both want the processor, the light ones get about nine tenths of it, whatever the heavy ones do, and when there is
//! no light one, the heavy ones get all of it. At most [`ExecutorConfig::heavy_max`] heavy ones run at once.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::admission::{Lane, LaneStats, Weight};
use crate::StoreError;

/// Stack of a thread (bytes; what is not used takes no memory): plans are walked recursively.
const STACK_BYTES: usize = 128 << 20;
/// Added to the nice value of threads that run heavy queries.
const HEAVY_NICE: i32 = 10;

/// Statements that are planned at once, each on a thread of its own: planning does not yield.
const PLANNED_MAX: usize = 4;

/// How many queries run and wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExecutorConfig {
    pub(crate) light_max: usize,
    pub(crate) heavy_max: usize,
    /// Queries that wait, in each lane.
    pub(crate) waiting_max: usize,
}

/// Both lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryStats {
    pub light: LaneStats,
    pub heavy: LaneStats,
}

pub(crate) struct Executor {
    planning: Threads,
    light: Threads,
    heavy: Threads,
}

struct Threads {
    runtime: Option<Runtime>,
    lane: Lane,
}

impl Executor {
    pub(crate) fn start(config: ExecutorConfig) -> std::io::Result<Self> {
        let planning = builder("vervet-plan").worker_threads(PLANNED_MAX).build()?;
        let light = builder("vervet-query").build()?;
        let heavy = builder("vervet-heavy")
            .on_thread_start(|| {
                // Where it is not allowed, heavy queries are only bounded in number.
                let _same_priority = rustix::process::nice(HEAVY_NICE);
            })
            .build()?;
        let threads = |runtime, running_max| Threads {
            runtime: Some(runtime),
            lane: Lane::new(running_max, config.waiting_max),
        };
        Ok(Self {
            planning: threads(planning, PLANNED_MAX),
            light: threads(light, config.light_max),
            heavy: threads(heavy, config.heavy_max),
        })
    }

    pub(crate) fn stats(&self) -> QueryStats {
        QueryStats {
            light: self.light.lane.stats(),
            heavy: self.heavy.lane.stats(),
        }
    }

    /// Runs a query to its end or its deadline, the wait for a place included. Dropping the returned future stops it
    /// where its plan next yields, and frees its place then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        weight: Weight,
        timeout: Duration,
        query: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + timeout;
        // The deadline is kept outside of the task: inside, it would wait for the plan to yield.
        let mut task = self.spawn(weight, deadline, query).await?;
        match tokio::time::timeout_at(deadline, &mut task.0).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(StoreError::Engine(error.into())),
            Err(_elapsed) => Err(StoreError::Timeout { after: timeout }),
        }
    }

    /// Starts a query once there is a place for it. It ends when the returned task is dropped.
    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        weight: Weight,
        deadline: Instant,
        query: impl Future<Output = T> + Send + 'static,
    ) -> Result<AbortOnDrop<T>, StoreError> {
        let threads = match weight {
            Weight::Planning => &self.planning,
            Weight::Light => &self.light,
            Weight::Heavy => &self.heavy,
        };
        threads.spawn(deadline, query).await
    }
}

impl Threads {
    async fn spawn<T: Send + 'static>(
        &self,
        deadline: Instant,
        query: impl Future<Output = T> + Send + 'static,
    ) -> Result<AbortOnDrop<T>, StoreError> {
        let place = self.lane.enter(deadline).await?;
        let runtime = self.runtime.as_ref().ok_or(StoreError::Busy)?;
        Ok(AbortOnDrop(runtime.spawn(async move {
            let _until_it_ends = place;
            query.await
        })))
    }
}

fn builder(name: &str) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder
        .thread_name(name)
        .thread_stack_size(STACK_BYTES)
        .enable_all();
    builder
}

/// The last store may be dropped on a thread that must not wait for others to end.
impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A query that ends with its caller.
pub(crate) struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
