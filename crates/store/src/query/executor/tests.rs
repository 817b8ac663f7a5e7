use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::*;

const CONFIG: ExecutorConfig = ExecutorConfig {
    light_max: 2,
    heavy_max: 1,
    waiting_max: 3,
};
const LONG: Duration = Duration::from_secs(60);

fn started() -> Arc<Executor> {
    Arc::new(Executor::start(CONFIG).unwrap())
}

/// A query that runs until it is told to end.
struct Blocker {
    end: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Blocker {
    /// Returns when the query runs.
    async fn start(executor: &Arc<Executor>, weight: Weight) -> Self {
        let (end, ended) = oneshot::channel();
        let (running, runs) = oneshot::channel();
        let executor = Arc::clone(executor);
        let task = tokio::spawn(async move {
            let query = async move {
                running.send(()).unwrap();
                let _told = ended.await;
                Ok(())
            };
            executor.run(weight, LONG, query).await
        });
        runs.await.unwrap();
        Self { end, task }
    }

    async fn end(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

async fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !what() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_queries_wait_for_each_other_and_never_before_light_ones() {
    let executor = started();
    let first = Blocker::start(&executor, Weight::Heavy).await;
    let waiting = {
        let executor = Arc::clone(&executor);
        tokio::spawn(async move { executor.run(Weight::Heavy, LONG, async { Ok(7) }).await })
    };
    until(|| executor.stats().heavy.waiting == 1).await;
    // However many heavy ones wait, light ones run.
    for _query in 0..10 {
        executor
            .run(Weight::Light, LONG, async { Ok(()) })
            .await
            .unwrap();
    }
    let stats = executor.stats();
    assert_eq!((stats.heavy.running, stats.heavy.waiting), (1, 1));
    assert!(!waiting.is_finished());
    first.end().await;
    assert_eq!(waiting.await.unwrap().unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_bounded_and_a_caller_that_goes_away_leaves_it() {
    let executor = started();
    let running = Blocker::start(&executor, Weight::Heavy).await;
    let waiting: Vec<JoinHandle<Result<(), StoreError>>> = (0..CONFIG.waiting_max)
        .map(|_| {
            let executor = Arc::clone(&executor);
            tokio::spawn(async move { executor.run(Weight::Heavy, LONG, async { Ok(()) }).await })
        })
        .collect();
    until(|| executor.stats().heavy.waiting == CONFIG.waiting_max).await;
    let refused = executor.run(Weight::Heavy, LONG, async { Ok(()) }).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert_eq!(executor.stats().heavy.refused, 1);
    for task in &waiting {
        task.abort();
    }
    until(|| executor.stats().heavy.waiting == 0).await;
    running.end().await;
    executor
        .run(Weight::Heavy, LONG, async { Ok(()) })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_at_the_deadline() {
    let executor = started();
    let running = Blocker::start(&executor, Weight::Heavy).await;
    let timeout = Duration::from_millis(20);
    let refused = executor.run(Weight::Heavy, timeout, async { Ok(()) }).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_caller_went_away_frees_its_place_when_it_ends() {
    let executor = started();
    let Blocker { end, task } = Blocker::start(&executor, Weight::Heavy).await;
    task.abort();
    until(|| executor.stats().heavy.running == 0).await;
    assert!(end.is_closed());
}

/// Does units of work until told to stop, yielding after each as a plan does after a batch.
async fn work(
    units: Arc<AtomicU64>,
    unit_rounds: u64,
    stop: Arc<AtomicBool>,
) -> Result<(), StoreError> {
    let mut state = 1_u64;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..unit_rounds {
            state = std::hint::black_box(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
        units.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// As much heavy work as is admitted, on all threads, against a light query on all threads: while the light one does
/// its share, the heavy ones together do less than it. So it takes at most twice as long as it would alone.
#[tokio::test(flavor = "multi_thread")]
async fn heavy_queries_do_less_work_than_the_light_one_beside_them() {
    const LIGHT_UNITS: u64 = 4_000;
    const UNIT_ROUNDS: u64 = 20_000;
    let cores = std::thread::available_parallelism().unwrap().get();
    let executor = started();
    let stop = Arc::new(AtomicBool::new(false));
    let run = |weight: Weight, units: &Arc<AtomicU64>| {
        let (executor, units, stop) = (Arc::clone(&executor), Arc::clone(units), Arc::clone(&stop));
        tokio::spawn(async move {
            let query = async move {
                let parts: Vec<_> = (0..cores)
                    .map(|_| tokio::spawn(work(Arc::clone(&units), UNIT_ROUNDS, Arc::clone(&stop))))
                    .collect();
                for part in parts {
                    part.await.unwrap()?;
                }
                Ok(())
            };
            executor.run(weight, LONG, query).await
        })
    };
    let (heavy, light) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let hostile: Vec<_> = (0..3).map(|_| run(Weight::Heavy, &heavy)).collect();
    until(|| heavy.load(Ordering::Relaxed) > 100).await;
    let before = heavy.load(Ordering::Relaxed);
    let beside = run(Weight::Light, &light);
    until(|| light.load(Ordering::Relaxed) >= LIGHT_UNITS).await;
    let heavy_units = heavy.load(Ordering::Relaxed) - before;
    let light_units = light.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    beside.await.unwrap().unwrap();
    for query in hostile {
        query.await.unwrap().unwrap();
    }
    assert!(
        heavy_units < light_units,
        "{heavy_units} of heavy queries, {light_units} of the light one"
    );
}
