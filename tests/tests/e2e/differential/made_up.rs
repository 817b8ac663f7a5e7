//! Series that are made up, to have what real targets seldom show: counters that begin anew, gaps, values that are no
//! number or infinite, series that end, and histograms.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use vervet_wire::remote_write::{Sample, Series, Version, write_series};

const STEP_MS: i64 = 15_000;
/// Samples lie so far behind whole seconds (ms), where the steps of subqueries are: see [`super::OFF_BEAT_MS`].
const BEHIND_MS: i64 = 123;
const SAMPLES: i64 = 160;
/// What ends a series.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
const BOUNDS: [&str; 6] = ["0.1", "0.5", "1", "2.5", "10", "+Inf"];

type Labels = Vec<(String, String)>;

/// Forty minutes of samples, one in 15 s.
pub(super) struct MadeUp {
    from_ms: i64,
    series: Vec<(Labels, Vec<Sample>)>,
}

fn labels(name: &str, pairs: &[(&str, &str)]) -> Labels {
    let name = [("__name__", name)];
    let mut labels: Labels = name
        .iter()
        .chain(pairs)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    labels.sort();
    labels
}

impl MadeUp {
    /// The last of the samples are just before a time.
    pub(super) fn until(end_ms: i64) -> Self {
        let from_ms = (end_ms / STEP_MS - SAMPLES) * STEP_MS + BEHIND_MS;
        let mut made_up = Self {
            from_ms,
            series: Vec::new(),
        };
        let mut rng = StdRng::seed_from_u64(7);
        for service in ["api", "web", "worker"] {
            for instance in ["a:1", "b:2"] {
                let at = [("service", service), ("instance", instance)];
                for method in ["GET", "POST"] {
                    for code in ["200", "404", "500"] {
                        let more = [("method", method), ("code", code)];
                        made_up.counter(&mut rng, "http_requests_total", &[at, more].concat());
                    }
                }
                made_up.gauge(&mut rng, "queue_depth", &at);
                made_up.histogram(&mut rng, "request_seconds", &at);
            }
            let version = format!("1.{}", service.len());
            let build = [("service", service), ("version", version.as_str())];
            made_up.push("build_info", &build, |_| Some(1.0));
        }
        made_up
    }

    pub(super) fn first_ms(&self) -> i64 {
        self.from_ms
    }

    /// All of it as one request.
    pub(super) fn request(&self) -> Vec<u8> {
        let series: Vec<Series<'_>> = self
            .series
            .iter()
            .map(|(labels, samples)| Series {
                labels: labels
                    .iter()
                    .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                    .collect(),
                samples: samples.clone(),
                ..Series::default()
            })
            .collect();
        let mut body = Vec::new();
        write_series(Version::V1, &mut body, &series);
        snap::raw::Encoder::new().compress_vec(&body).unwrap()
    }

    fn push(
        &mut self,
        name: &str,
        pairs: &[(&str, &str)],
        mut value: impl FnMut(i64) -> Option<f64>,
    ) {
        let at = |number| self.from_ms + number * STEP_MS;
        let sample = |number| {
            Some(Sample {
                time_ms: at(number),
                value: value(number)?,
            })
        };
        let samples = (0..SAMPLES).filter_map(sample).collect();
        self.series.push((labels(name, pairs), samples));
    }

    /// Rises by chance, begins anew now and then; one in four ends early, one in four has a gap of eight minutes.
    fn counter(&mut self, rng: &mut StdRng, name: &str, pairs: &[(&str, &str)]) {
        let (shape, mut total) = (rng.random_range(0..4), 0.0);
        let pace = rng.random_range(1..50);
        let rng = &mut *rng;
        self.push(name, pairs, |number| {
            if rng.random_range(0..60) == 0 {
                total = 0.0;
            }
            total += f64::from(rng.random_range(0..pace));
            match (shape, number) {
                (0, 101..) | (1, 60..92) => None,
                (0, 100) => Some(STALE),
                _ => Some(total),
            }
        });
    }

    fn gauge(&mut self, rng: &mut StdRng, name: &str, pairs: &[(&str, &str)]) {
        let mut depth = 0.0;
        self.push(name, pairs, |_| {
            depth += rng.random_range(-4.0..4.1);
            Some(match rng.random_range(0..80) {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 => 0.0,
                _ => depth,
            })
        });
    }

    fn histogram(&mut self, rng: &mut StdRng, name: &str, pairs: &[(&str, &str)]) {
        let mut rates: Vec<u32> = Vec::new();
        for _ in BOUNDS {
            let before = rates.last().copied().unwrap_or(0);
            rates.push(before + rng.random_range(0..9));
        }
        let bucket = format!("{name}_bucket");
        for (bound, rate) in BOUNDS.iter().zip(&rates) {
            let pairs = [pairs, &[("le", *bound)]].concat();
            let rate = f64::from(*rate);
            self.push(&bucket, &pairs, |number| Some(rate * number as f64));
        }
        let rate = f64::from(*rates.last().unwrap());
        let count = format!("{name}_count");
        self.push(&count, pairs, |number| Some(rate * number as f64));
        let sum = format!("{name}_sum");
        self.push(&sum, pairs, |number| Some(rate * number as f64 * 0.7));
    }
}
