//! The task that scrapes one target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, StatusCode};
use vervet_model::{Signal, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

use super::encode::{Encoder, Request, SeriesCache};
use super::exposition::{ExpositionError, Syntax, parse};
use super::{BODY_BYTES_MAX, TargetConfig};
use crate::budget::{MemoryKind, MemoryPermit};
use crate::metrics::ScrapeCounts;
use crate::pipeline::{Batch, PipelineClosed, ReceiverContext};

const ACCEPTED: &str =
    "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
/// The first scrape comes this soon.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// Room taken for a body of unknown length, before it grows.
const ROOM_BYTES: usize = 64 << 10;
/// A target that keeps failing is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

pub(super) struct Target {
    config: Arc<TargetConfig>,
    client: Client,
    context: Arc<ReceiverContext>,
    counts: ScrapeCounts,
    series: SeriesCache,
    logged_at: Option<Instant>,
}

/// Why a scrape brought nothing. The next one may.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error("the request failed: {}", with_causes(.0))]
    Request(#[source] reqwest::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the target answered {0}")]
    Status(StatusCode),
    #[error("the body is over {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// The memory budget is used up.
    #[error("no memory is left for the body")]
    NoMemory,
    #[error("the body is no UTF-8 text")]
    NotText,
    #[error("the body is no exposition text: {0}")]
    Malformed(#[source] ExpositionError),
    #[error("the scrape was given up")]
    Aborted,
}

impl ScrapeError {
    /// The value of the label `reason`.
    fn reason(&self) -> &'static str {
        match self {
            Self::Request(error) if error.is_connect() => "connect",
            Self::Request(_) => "request",
            Self::Timeout(_) => "timeout",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::NoMemory => "no_memory",
            Self::NotText | Self::Malformed(_) => "malformed",
            Self::Aborted => "aborted",
        }
    }
}

/// The messages of an error and what caused it: the outermost alone says little.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Target {
    pub(super) fn new(config: TargetConfig, client: Client, context: Arc<ReceiverContext>) -> Self {
        let counts = context.metrics.scrape.of(context.output.receiver());
        let config = Arc::new(config);
        Self {
            config,
            client,
            context,
            counts,
            series: SeriesCache::default(),
            logged_at: None,
        }
    }

    /// Scrapes until the shutdown token is cancelled or the pipeline is closed.
    pub(super) async fn run(mut self) {
        let shutdown = self.context.shutdown.clone();
        let scraping = async {
            tokio::time::sleep(self.offset(self.config.interval.min(FIRST_WITHIN))).await;
            loop {
                if self.scrape().await.is_err() {
                    return;
                }
                tokio::time::sleep(self.until_next()).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = scraping => {}
        }
    }

    /// This target's place within `span`, by the hash of its labels.
    fn offset(&self, span: Duration) -> Duration {
        let text = format!("{} {:?}", self.config.url, self.config.labels);
        let span_millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(xxh3_64(text.as_bytes()) % span_millis)
    }

    /// The time until this target's next place; a scrape that took long skips those it missed.
    fn until_next(&self) -> Duration {
        let interval = i64::try_from(self.config.interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        let offset = i64::try_from(self.offset(self.config.interval).as_millis()).unwrap_or(0);
        let since_last = (self.now().0 - offset).rem_euclid(interval);
        Duration::from_millis(u64::try_from(interval - since_last).unwrap_or(0))
    }

    fn now(&self) -> UnixMillis {
        self.context.clock.now().to_millis()
    }

    async fn scrape(&mut self) -> Result<(), PipelineClosed> {
        let (time, started) = (self.now().to_nanos(), Instant::now());
        let time_unix_nano = u64::try_from(time.0).unwrap_or(0);
        let fetched = match tokio::time::timeout(self.config.timeout, self.fetch()).await {
            Ok(fetched) => fetched,
            Err(_elapsed) => Err(ScrapeError::Timeout(self.config.timeout)),
        };
        let duration = started.elapsed();
        let work = Work {
            config: Arc::clone(&self.config),
            context: Arc::clone(&self.context),
            series: std::mem::take(&mut self.series),
            time_unix_nano,
            duration,
        };
        // Text of many megabytes takes longer than a task may block.
        let done = tokio::task::spawn_blocking(move || work.encode(fetched)).await;
        let Done {
            series,
            requests,
            samples,
        } = done.unwrap_or_else(|_panicked| Done {
            series: SeriesCache::default(),
            requests: Vec::new(),
            samples: Err(ScrapeError::Aborted),
        });
        self.series = series;
        self.note(samples);
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

    fn note(&mut self, samples: Result<u64, ScrapeError>) {
        match samples {
            Ok(samples) => {
                self.counts.scraped(samples);
                self.logged_at = None;
            }
            Err(error) => {
                self.counts.failed(error.reason());
                if self.logged_at.is_none_or(|at| at.elapsed() > LOG_INTERVAL) {
                    self.logged_at = Some(Instant::now());
                    tracing::warn!(url = %self.config.url, %error, "scrape failed");
                }
            }
        }
    }

    async fn fetch(&self) -> Result<(Bytes, Syntax, MemoryPermit), ScrapeError> {
        let seconds = self.config.timeout.as_secs_f64().to_string();
        let mut response = self
            .client
            .get(self.config.url.clone())
            .header(ACCEPT, ACCEPTED)
            .header("X-Prometheus-Scrape-Timeout-Seconds", seconds)
            .send()
            .await
            .map_err(ScrapeError::Request)?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status()));
        }
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let is_openmetrics =
            media_type.is_some_and(|text| text.trim().starts_with("application/openmetrics-text"));
        let mut body = BytesMut::new();
        let declared = response.content_length().unwrap_or(0);
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        if declared > BODY_BYTES_MAX {
            return Err(ScrapeError::TooLarge);
        }
        // Waits for room only here, where it holds none: targets that wait for each other would never end.
        let budget = self.context.output.budget();
        let mut room = budget
            .acquire(MemoryKind::Source, declared.max(ROOM_BYTES))
            .await;
        while let Some(chunk) = response.chunk().await.map_err(ScrapeError::Request)? {
            let bytes = body.len() + chunk.len();
            if bytes > BODY_BYTES_MAX {
                return Err(ScrapeError::TooLarge);
            }
            if !room.try_grow_to(bytes) {
                return Err(ScrapeError::NoMemory);
            }
            body.extend_from_slice(&chunk);
        }
        let syntax = if is_openmetrics {
            Syntax::OpenMetrics
        } else {
            Syntax::Text
        };
        Ok((body.freeze(), syntax, room))
    }
}

/// What is needed to turn an answer into requests.
struct Work {
    config: Arc<TargetConfig>,
    context: Arc<ReceiverContext>,
    series: SeriesCache,
    time_unix_nano: u64,
    duration: Duration,
}

struct Done {
    series: SeriesCache,
    requests: Vec<Request>,
    samples: Result<u64, ScrapeError>,
}

impl Work {
    fn encode(mut self, fetched: Result<(Bytes, Syntax, MemoryPermit), ScrapeError>) -> Done {
        let samples = match &fetched {
            Ok((body, syntax, _room)) => match std::str::from_utf8(body) {
                Ok(text) => parse(text, *syntax).map_err(ScrapeError::Malformed),
                Err(_invalid) => Err(ScrapeError::NotText),
            },
            Err(_failed) => Err(ScrapeError::Aborted),
        };
        let mut encoder = Encoder::new(
            &self.config.labels,
            self.config.honor_labels,
            self.time_unix_nano,
            &self.context.resource,
        );
        let count = samples.as_ref().map_or(0, Vec::len);
        let up = samples.is_ok();
        let failure = match samples {
            Ok(samples) => {
                encoder.scrape(samples, &mut self.series);
                None
            }
            Err(error) => {
                self.series.nothing_scraped();
                encoder.end_series(&mut self.series);
                Some(error)
            }
        };
        encoder.report(
            "up",
            "Whether the target could be scraped",
            f64::from(u8::from(up)),
        );
        encoder.report(
            "scrape_duration_seconds",
            "Time the scrape took",
            self.duration.as_secs_f64(),
        );
        let scraped = u32::try_from(count).map_or(f64::MAX, f64::from);
        encoder.report(
            "scrape_samples_scraped",
            "Samples the target exposed",
            scraped,
        );
        let requests = encoder.finish();
        let samples = match (fetched, failure) {
            (Err(error), _) | (Ok(_), Some(error)) => Err(error),
            (Ok(_), None) => Ok(count as u64),
        };
        Done {
            series: self.series,
            requests,
            samples,
        }
    }
}
