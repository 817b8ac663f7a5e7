//! The series and samples that both are given.

use bytes::Bytes;
use vervet_model::{Clock as _, SystemClock};
use vervet_wire::remote_write::{Sample, Series, Version, write_series};

use crate::generate::Random;

const SEED: u64 = 31;
const STEP_MS: i64 = 15_000;
const PER_HOUR: i64 = 240;
/// Series that share a request when the day is filled, and when it is scraped.
const SERIES_PER_FILL: usize = 100;
const SERIES_PER_SCRAPE: usize = 2_000;
/// Samples of a series in a request that fills the day. Prometheus takes none an hour older than the newest.
const SAMPLES_PER_FILL: i64 = PER_HOUR / 4;
/// Scrapes after the day.
const SCRAPES: i64 = 200;

const BOUNDS: [&str; 20] = [
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75",
    "1", "1.5", "2.5", "5", "7.5", "10", "30", "60", "+Inf",
];

/// How the values of a series come about.
#[derive(Debug, Clone, Copy)]
enum Motion {
    /// A counter that grows by about so much in a step.
    Counter(f64),
    /// A gauge around a value.
    Gauge(f64),
    One,
}

struct OneSeries {
    labels: Vec<(String, String)>,
    motion: Motion,
    seed: u64,
}

pub(super) struct Data {
    series: Vec<OneSeries>,
    pub(super) start_ms: i64,
    pub(super) hours: i64,
}

/// Requests in order, one list for each connection, so that no series is sent by two.
pub(super) type Bodies = Vec<Vec<Bytes>>;

/// Connections at once.
const CONNECTIONS: usize = 4;

impl Data {
    pub(super) fn new(hours: i64) -> Self {
        let end_ms = SystemClock.now().to_millis().0 / STEP_MS * STEP_MS;
        Self {
            series: series(),
            start_ms: end_ms - (hours * PER_HOUR + SCRAPES) * STEP_MS,
            hours,
        }
    }

    /// The time of the last sample of the day, before the scrapes.
    pub(super) fn end_ms(&self) -> i64 {
        self.start_ms + self.hours * PER_HOUR * STEP_MS
    }

    /// One hour of all series.
    pub(super) fn hour(&self, hour: i64) -> Bodies {
        let quarters = (0..PER_HOUR / SAMPLES_PER_FILL).map(|quarter| {
            let first = hour * PER_HOUR + quarter * SAMPLES_PER_FILL;
            first..first + SAMPLES_PER_FILL
        });
        self.bodies(SERIES_PER_FILL, quarters)
    }

    /// The scrapes after the day.
    pub(super) fn scrapes(&self) -> Bodies {
        let first = self.hours * PER_HOUR;
        let scrapes = (first..first + SCRAPES).map(|step| step..step + 1);
        self.bodies(SERIES_PER_SCRAPE, scrapes)
    }

    pub(super) fn scraped_samples(&self) -> usize {
        self.series.len() * usize::try_from(SCRAPES).unwrap_or(0)
    }

    /// Requests of so many series each, for one span of steps after the other.
    fn bodies(&self, series: usize, spans: impl Iterator<Item = std::ops::Range<i64>>) -> Bodies {
        let mut bodies: Bodies = vec![Vec::new(); CONNECTIONS];
        for span in spans {
            for (number, some) in self.series.chunks(series).enumerate() {
                let body = self.body(some, span.clone());
                if let Some(connection) = bodies.get_mut(number % CONNECTIONS) {
                    connection.push(body);
                }
            }
        }
        bodies
    }

    fn body(&self, some: &[OneSeries], steps: std::ops::Range<i64>) -> Bytes {
        let all: Vec<Series<'_>> = some
            .iter()
            .map(|series| Series {
                labels: series
                    .labels
                    .iter()
                    .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                    .collect(),
                samples: steps
                    .clone()
                    .map(|step| Sample {
                        time_ms: self.start_ms + step * STEP_MS,
                        value: series.value(step),
                    })
                    .collect(),
                ..Series::default()
            })
            .collect();
        let mut body = Vec::new();
        write_series(Version::V1, &mut body, &all);
        // A body of bytes in memory always compresses.
        let packed = snap::raw::Encoder::new().compress_vec(&body);
        packed.unwrap_or_default().into()
    }
}

impl OneSeries {
    /// The same for the same step.
    fn value(&self, step: i64) -> f64 {
        let noise = Random::new(self.seed ^ step.cast_unsigned()).below(1_000) as f64 / 1_000.0;
        match self.motion {
            Motion::Counter(pace) => (step as f64 * pace + noise * pace).floor(),
            Motion::Gauge(middle) => (middle * (0.9 + noise / 5.0)).round(),
            Motion::One => 1.0,
        }
    }
}

/// Series of a seed.
struct Made {
    random: Random,
    all: Vec<OneSeries>,
}

type Label<'n> = (&'n str, String);

impl Made {
    fn add(&mut self, name: &str, labels: &[Label<'_>], motion: Motion) {
        let mut labels: Vec<(String, String)> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        labels.push(("__name__".to_owned(), name.to_owned()));
        labels.push(("job".to_owned(), "bench".to_owned()));
        labels.sort();
        self.all.push(OneSeries {
            labels,
            motion,
            seed: self.random.bits(),
        });
    }

    fn requests(&mut self, instance: &Label<'_>) {
        for path in 0..10 {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                for code in [200, 201, 400, 404, 500] {
                    let labels = [
                        instance.clone(),
                        ("path", format!("/api/v1/resource{path}")),
                        ("method", method.to_owned()),
                        ("code", code.to_string()),
                    ];
                    let pace = f64::from((path + 1) * (600 - code)) / 40.0;
                    self.add("bench_requests_total", &labels, Motion::Counter(pace));
                }
            }
        }
    }

    fn latencies(&mut self, instance: &Label<'_>) {
        for path in ["/api", "/static"] {
            for (number, bound) in (1..).zip(BOUNDS) {
                let labels = [
                    instance.clone(),
                    ("path", path.to_owned()),
                    ("le", bound.to_owned()),
                ];
                let pace = Motion::Counter(f64::from(number) * 7.0);
                self.add("bench_latency_seconds_bucket", &labels, pace);
            }
        }
    }

    fn containers(&mut self, instance: &Label<'_>) {
        for (pod, container) in (0..4).flat_map(|pod| (0..20).map(move |c| (pod, c))) {
            let here = [
                instance.clone(),
                ("pod", format!("pod-{pod}")),
                ("container", format!("container-{container}")),
            ];
            let middle = f64::from(container + 1) * 10_485_760.0;
            self.add("bench_memory_bytes", &here, Motion::Gauge(middle));
            let version = format!("1.{container}.{pod}");
            let image = format!("registry/team/service-{container}:{version}");
            let more = [
                ("version", version),
                ("region", format!("region-{}", pod % 3)),
                ("image", image),
            ];
            let labels = [&here[..], &more].concat();
            self.add("bench_container_info", &labels, Motion::One);
        }
    }
}

/// 5,000 counters, 1,000 buckets, 2,000 gauges and as many series that tell of them.
fn series() -> Vec<OneSeries> {
    let mut made = Made {
        random: Random::new(SEED),
        all: Vec::new(),
    };
    for instance in 0..25 {
        let instance = ("instance", format!("10.0.0.{instance}:9100"));
        made.requests(&instance);
        made.latencies(&instance);
        made.containers(&instance);
    }
    made.all
}
