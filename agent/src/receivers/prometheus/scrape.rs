//! The task that scrapes one target.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rustix::system::uname;
use tokio::sync::watch;
use vervet_exposition::{Escaping, accept_header};
use vervet_model::{Signal, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

use super::cache::SeriesCache;
use super::encode::Request;
use super::fetch::Fetch;
use super::http::HttpClient;
use super::job::JobConfig;
use super::pass::{Counts, Pass};
use super::status::{LastScrape, TargetStatus};
use super::target::Target;
use super::trouble::ScrapeError;
use crate::metrics::ScrapeCounts;
use crate::pipeline::{Batch, PipelineClosed, ReceiverContext};

/// The first scrape comes this soon.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// A scrape that begins so little late has the time it was planned for.
const LATE_MILLIS_MAX: i64 = 2;
/// A target that keeps failing is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

/// The hash of this machine's name.
static MACHINE: LazyLock<u64> = LazyLock::new(|| xxh3_64(uname().nodename().to_bytes()));

pub(super) struct Scraper {
    job: Arc<JobConfig>,
    client: Arc<HttpClient>,
    context: Arc<ReceiverContext>,
    target: Arc<Target>,
    status: Arc<TargetStatus>,
    accept: String,
    counts: ScrapeCounts,
    series: SeriesCache,
    scraped: bool,
    logged_at: Option<Instant>,
    wanted: watch::Receiver<bool>,
    limit: watch::Receiver<Option<Arc<str>>>,
}

impl Scraper {
    pub(super) fn new(
        job: Arc<JobConfig>,
        client: Arc<HttpClient>,
        context: Arc<ReceiverContext>,
        status: Arc<TargetStatus>,
        wanted: watch::Receiver<bool>,
        limit: watch::Receiver<Option<Arc<str>>>,
    ) -> Self {
        let counts = context.metrics.scrape.of(context.output.receiver());
        Self {
            accept: accept_header(&job.protocols, Escaping::AllowUtf8),
            target: Arc::clone(&status.target),
            job,
            client,
            context,
            status,
            counts,
            series: SeriesCache::default(),
            scraped: false,
            logged_at: None,
            wanted,
            limit,
        }
    }

    /// Scrapes until the target is gone, the shutdown token is cancelled or the pipeline is closed.
    pub(super) async fn run(mut self) {
        let shutdown = self.context.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            _closed = self.scrape_all() => {}
        }
    }

    async fn scrape_all(&mut self) -> Result<(), PipelineClosed> {
        let span = self.target.interval.min(FIRST_WITHIN);
        let mut planned = UnixMillis(self.now().0 + self.offset(span));
        loop {
            if !self.reaches(planned).await {
                if !self.comes_back(planned).await? {
                    return Ok(());
                }
                planned = self.next_place();
                continue;
            }
            self.scrape(planned).await?;
            planned = self.next_place();
        }
    }

    /// Waits for a time; false when the target is not wanted any more.
    async fn reaches(&mut self, time: UnixMillis) -> bool {
        let wait = self.until(time);
        tokio::select! {
            biased;
            _unwanted = self.wanted.wait_for(|wanted| !*wanted) => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Waits whether the target comes back; if it does not, ends its series and returns false. They end when the next scrape
    /// would have been.
    async fn comes_back(&mut self, planned: UnixMillis) -> Result<bool, PipelineClosed> {
        if !self.scraped {
            return Ok(false);
        }
        let interval = self.target.interval;
        let patience = self.until(planned) + interval + interval / 10;
        tokio::select! {
            biased;
            back = self.wanted.wait_for(|wanted| *wanted) => return Ok(back.is_ok()),
            () = tokio::time::sleep(patience) => {}
        }
        let mut pass = Pass::new(
            self.job.rules(&self.target),
            self.job.times(planned.0),
            &mut self.series,
            &self.context.resource,
        );
        pass.fail();
        let requests = pass.finish_for_good();
        self.send(requests).await?;
        Ok(false)
    }

    /// This target's place within `span`, by the hash of its labels and of the machine: the agents of many machines do not
    /// scrape and send all at once (milliseconds).
    fn offset(&self, span: Duration) -> i64 {
        let span = span.as_millis().max(1);
        let place = self.target.key ^ u128::from(*MACHINE);
        i64::try_from(place % span).unwrap_or(0)
    }

    /// The next of this target's places; a scrape that took long skips those it missed.
    fn next_place(&self) -> UnixMillis {
        let interval = self.interval_ms();
        let now = self.now().0;
        let since_last = (now - self.offset(self.target.interval)).rem_euclid(interval);
        UnixMillis(now + interval - since_last)
    }

    fn interval_ms(&self) -> i64 {
        i64::try_from(self.target.interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1)
    }

    fn until(&self, time: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(time.0 - self.now().0).unwrap_or(0))
    }

    fn now(&self) -> UnixMillis {
        self.context.clock.now().to_millis()
    }

    async fn scrape(&mut self, planned: UnixMillis) -> Result<(), PipelineClosed> {
        let started = Instant::now();
        let now = self.now();
        // Times at equal distances take less room, and a wait is never exact.
        let late_max = LATE_MILLIS_MAX.min(self.interval_ms() / 100);
        let time = match (0..=late_max).contains(&(now.0 - planned.0)) {
            true => planned,
            false => now,
        };
        let limit = self.limit.borrow_and_update().clone();
        let timeout = self.target.timeout;
        let mut pass = Pass::new(
            self.job.rules(&self.target),
            self.job.times(time.0),
            &mut self.series,
            &self.context.resource,
        );
        let fetch = Fetch {
            job: &self.job,
            client: &self.client,
            target: &self.target,
            accept: &self.accept,
            budget: self.context.output.budget(),
        };
        let fetched = match limit {
            Some(error) => Err(ScrapeError::TargetLimit(error)),
            None => match tokio::time::timeout(timeout, fetch.fetch(&mut pass)).await {
                Ok(fetched) => fetched,
                Err(_elapsed) => Err(ScrapeError::Timeout(timeout)),
            },
        };
        let scraped = fetched.and_then(|room| pass.commit().map(|()| room));
        if scraped.is_err() {
            pass.fail();
        }
        let duration = started.elapsed();
        let counts = pass.counts;
        let requests = pass.finish(scraped.is_ok(), duration.as_secs_f64());
        self.scraped = true;
        // What is sent takes room of its own.
        let outcome = scraped.map(drop);
        self.note(time, duration, counts, outcome);
        self.send(requests).await
    }

    async fn send(&self, requests: Vec<Request>) -> Result<(), PipelineClosed> {
        for Request { payload, points } in requests {
            let batch = Batch {
                signal: Signal::Metrics,
                payload,
                records: points,
                positions: Vec::new(),
                news: Vec::new(),
                parts: Vec::new(),
            };
            if let Some(batch) = self.context.process(batch) {
                self.context.output.send(batch).await?;
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        time: UnixMillis,
        duration: Duration,
        counts: Counts,
        outcome: Result<(), ScrapeError>,
    ) {
        let outcome = match outcome {
            Ok(()) => {
                self.counts.scraped(counts.scraped as u64);
                self.counts.left_out(counts.left_out);
                self.logged_at = None;
                Ok(())
            }
            Err(error) => {
                self.counts.failed(error.reason());
                if self.logged_at.is_none_or(|at| at.elapsed() > LOG_INTERVAL) {
                    self.logged_at = Some(Instant::now());
                    tracing::warn!(job = self.job.name, url = %self.target.url, %error, "scrape failed");
                }
                Err(error.to_string())
            }
        };
        self.status.scraped(LastScrape {
            at: time.to_nanos(),
            duration,
            samples: counts.scraped as u64,
            series: self.series.len() as u64,
            left_out: counts.left_out,
            outcome,
        });
    }
}
