//! Series like those of Prometheus's node exporter, scraped every 15 s.
//!
//! Of a target's 387 series three quarters are counters, a tenth of them standing still; the others are
//! gauges that walk in whole pages or in hundredths, gauges that stay as they are, and some (6 %) that use all bits of
//! a float. All samples of a scrape have one time, which is off the grid by up to 4 ms.

use vervet_model::METRIC_NAME;
use vervet_wire::otlp::{
    KeyValue, Metric, MetricData, Number, NumberPoint, PROMETHEUS_SCOPE, Resource, Scope,
    Temporality, write_resource_metrics,
};

use super::{Random, START_UNIX_NANO};

/// Time between two scrapes.
pub const SCRAPE_INTERVAL_NANO: u64 = 15_000_000_000;
/// A scrape is late by up to so many milliseconds.
const JITTER_MILLIS_MAX: u64 = 4;

type Dimension = (&'static str, &'static [&'static str]);

const CPU: Dimension = (
    "cpu",
    &[
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
    ],
);
const MODE: Dimension = (
    "mode",
    &[
        "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
    ],
);
const DISK: Dimension = (
    "device",
    &["sda", "sdb", "nvme0n1", "nvme1n1", "dm-0", "dm-1"],
);
const INTERFACE: Dimension = (
    "device",
    &[
        "eth0",
        "eth1",
        "lo",
        "cni0",
        "flannel.1",
        "veth3a1c",
        "veth77f0",
        "veth9e42",
    ],
);
const MOUNT: Dimension = (
    "mountpoint",
    &[
        "/",
        "/boot",
        "/run",
        "/tmp",
        "/var/lib/kubelet",
        "/var/lib/containerd",
        "/var/log",
        "/data",
    ],
);

/// How the values of a series move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Motion {
    /// Stays as it is.
    Still,
    /// A counter in hundredths of a second.
    Seconds,
    /// A counter of whole things, each series at a pace of its own.
    Count,
    /// A gauge that walks in pages of 4096 bytes.
    Pages,
    /// A gauge that walks in hundredths.
    Hundredths,
    /// A gauge whose every value is new.
    Float,
}

struct Family {
    motion: Motion,
    dimensions: &'static [Dimension],
    names: &'static [&'static str],
}

const FAMILIES: [Family; 13] = [
    Family {
        motion: Motion::Seconds,
        dimensions: &[CPU, MODE],
        names: &["node_cpu_seconds_total"],
    },
    Family {
        motion: Motion::Seconds,
        dimensions: &[CPU],
        names: &[
            "node_schedstat_running_seconds_total",
            "node_schedstat_waiting_seconds_total",
        ],
    },
    Family {
        motion: Motion::Count,
        dimensions: &[CPU],
        names: &["node_schedstat_timeslices_total"],
    },
    Family {
        motion: Motion::Float,
        dimensions: &[CPU],
        names: &["node_cpu_scaling_frequency_hertz"],
    },
    Family {
        motion: Motion::Count,
        dimensions: &[DISK],
        names: &[
            "node_disk_reads_completed_total",
            "node_disk_writes_completed_total",
            "node_disk_read_bytes_total",
            "node_disk_written_bytes_total",
            "node_disk_reads_merged_total",
            "node_disk_writes_merged_total",
        ],
    },
    Family {
        motion: Motion::Seconds,
        dimensions: &[DISK],
        names: &[
            "node_disk_io_time_seconds_total",
            "node_disk_read_time_seconds_total",
            "node_disk_write_time_seconds_total",
        ],
    },
    Family {
        motion: Motion::Count,
        dimensions: &[INTERFACE],
        names: &[
            "node_network_receive_bytes_total",
            "node_network_receive_packets_total",
            "node_network_transmit_bytes_total",
            "node_network_transmit_packets_total",
        ],
    },
    Family {
        motion: Motion::Still,
        dimensions: &[INTERFACE],
        names: &[
            "node_network_receive_drop_total",
            "node_network_receive_errs_total",
            "node_network_transmit_drop_total",
            "node_network_transmit_errs_total",
            "node_network_mtu_bytes",
            "node_network_up",
        ],
    },
    Family {
        motion: Motion::Pages,
        dimensions: &[MOUNT],
        names: &["node_filesystem_avail_bytes", "node_filesystem_free_bytes"],
    },
    Family {
        motion: Motion::Still,
        dimensions: &[MOUNT],
        names: &[
            "node_filesystem_size_bytes",
            "node_filesystem_files",
            "node_filesystem_readonly",
        ],
    },
    Family {
        motion: Motion::Pages,
        dimensions: &[],
        names: &[
            "node_memory_MemFree_bytes",
            "node_memory_MemAvailable_bytes",
            "node_memory_Buffers_bytes",
            "node_memory_Cached_bytes",
            "node_memory_Active_bytes",
            "node_memory_Inactive_bytes",
            "node_memory_Dirty_bytes",
            "node_memory_Writeback_bytes",
            "node_memory_AnonPages_bytes",
            "node_memory_Mapped_bytes",
            "node_memory_Shmem_bytes",
            "node_memory_Slab_bytes",
        ],
    },
    Family {
        motion: Motion::Hundredths,
        dimensions: &[],
        names: &["node_load1", "node_load5", "node_load15"],
    },
    Family {
        motion: Motion::Float,
        dimensions: &[],
        names: &[
            "node_nf_conntrack_entries_ratio",
            "node_timex_estimated_error_seconds",
            "node_timex_frequency_adjustment_ratio",
            "node_timex_maxerror_seconds",
            "node_timex_offset_seconds",
            "scrape_duration_seconds",
        ],
    },
];

/// One series and where it stands.
#[derive(Debug, Clone)]
struct Series {
    name: &'static str,
    labels: Vec<(&'static str, &'static str)>,
    motion: Motion,
    /// The most a counter grows by between two scrapes, or a gauge moves by.
    pace: u64,
    /// In the motion's own steps: things, hundredths of a second, pages.
    steps: u64,
    value: f64,
}

/// A node whose series are scraped.
#[derive(Debug, Clone)]
pub struct Target {
    random: Random,
    instance: String,
    series: Vec<Series>,
    /// When the scrape was due.
    due_unix_nano: u64,
    now_unix_nano: u64,
}

impl Target {
    /// The `index`-th node of a cluster.
    pub fn new(seed: u64, index: u64) -> Self {
        let mut random = Random::new(seed.wrapping_add(index.wrapping_mul(0x1000_0001)));
        let mut series = Vec::new();
        for family in &FAMILIES {
            for name in family.names {
                for labels in combinations(family.dimensions) {
                    series.push(Series {
                        name,
                        labels,
                        motion: family.motion,
                        pace: random.skewed(16),
                        steps: random.skewed(30),
                        value: 0.0,
                    });
                }
            }
        }
        let instance = format!("10.0.{index}.12:9100");
        let due_unix_nano =
            START_UNIX_NANO + random.below(SCRAPE_INTERVAL_NANO / 1_000_000) * 1_000_000;
        Self {
            random,
            instance,
            series,
            due_unix_nano,
            now_unix_nano: due_unix_nano,
        }
    }

    /// How many series a scrape has.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// How each series of a scrape moves, in their order.
    pub fn motions(&self) -> impl Iterator<Item = Motion> {
        self.series.iter().map(|series| series.motion)
    }

    /// When the last scrape was made.
    pub fn now_unix_nano(&self) -> u64 {
        self.now_unix_nano
    }

    /// The next scrape as an export request.
    pub fn request(&mut self) -> Vec<u8> {
        self.step();
        let mut out = Vec::with_capacity(self.series.len() * 160);
        let scope = Scope {
            name: PROMETHEUS_SCOPE.into(),
            ..Scope::default()
        };
        let resource = Resource {
            attributes: vec![KeyValue::new("service.name", "node")],
        };
        write_resource_metrics(&mut out, &resource, &scope, |writer| {
            for family in self.series.chunk_by(|one, next| one.name == next.name) {
                writer.push(&self.metric(family));
            }
        });
        out
    }

    /// The next scrape as pairs of labels, metric name included, and value.
    pub fn scrape(&mut self) -> impl Iterator<Item = (Vec<(&'static str, &str)>, f64)> {
        self.step();
        let instance = self.instance.as_str();
        self.series.iter().map(move |series| {
            let own = [
                (METRIC_NAME, series.name),
                ("instance", instance),
                ("job", "node"),
            ];
            (
                own.into_iter()
                    .chain(series.labels.iter().copied())
                    .collect(),
                series.value,
            )
        })
    }

    fn step(&mut self) {
        self.due_unix_nano += SCRAPE_INTERVAL_NANO;
        self.now_unix_nano =
            self.due_unix_nano + self.random.below(JITTER_MILLIS_MAX + 1) * 1_000_000;
        for series in &mut self.series {
            series.step(&mut self.random);
        }
    }

    fn metric<'s>(&'s self, family: &'s [Series]) -> Metric<'s> {
        let point = |series: &'s Series| {
            let own = [("instance", self.instance.as_str()), ("job", "node")];
            let labels = own.into_iter().chain(series.labels.iter().copied());
            NumberPoint {
                attributes: labels
                    .map(|(name, value)| KeyValue::new(name, value))
                    .collect(),
                time_unix_nano: self.now_unix_nano,
                value: Number::Double(series.value),
                ..NumberPoint::default()
            }
        };
        let points = family.iter().map(point).collect();
        let name = family.first().map_or("", |series| series.name);
        let data = match name.ends_with("_total") {
            true => MetricData::Sum {
                points,
                temporality: Temporality::Cumulative,
                monotonic: true,
            },
            false => MetricData::Gauge(points),
        };
        Metric {
            name: name.into(),
            data,
            ..Metric::default()
        }
    }
}

impl Series {
    fn step(&mut self, random: &mut Random) {
        match self.motion {
            Motion::Still => {}
            Motion::Seconds => self.steps += random.below(1_500),
            Motion::Count => self.steps += random.below(self.pace * 2),
            Motion::Pages | Motion::Hundredths => {
                let up = self.steps + random.below(self.pace * 2);
                self.steps = up.saturating_sub(self.pace);
            }
            Motion::Float => {}
        }
        self.value = match self.motion {
            Motion::Still | Motion::Count => self.steps as f64,
            Motion::Seconds | Motion::Hundredths => self.steps as f64 / 100.0,
            Motion::Pages => (self.steps * 4096) as f64,
            Motion::Float => random.unit() * self.pace as f64,
        };
    }
}

/// Every combination of the dimensions' values.
fn combinations(dimensions: &[Dimension]) -> Vec<Vec<(&'static str, &'static str)>> {
    let mut sets = vec![Vec::new()];
    for (label, values) in dimensions {
        let with = |set: Vec<_>| {
            let extended = move |value: &&'static str| {
                let mut set: Vec<(&'static str, &'static str)> = set.clone();
                set.push((*label, *value));
                set
            };
            values.iter().map(extended).collect::<Vec<_>>()
        };
        sets = sets.into_iter().flat_map(with).collect();
    }
    sets
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use vervet_model::Signal;
    use vervet_wire::otlp::count_records;

    use super::*;

    #[test]
    fn a_request_is_one_scrape_of_distinct_series() {
        let mut target = Target::new(1, 0);
        let labels: HashSet<String> = target
            .scrape()
            .map(|(labels, _)| format!("{labels:?}"))
            .collect();
        assert_eq!(labels.len(), target.series_count());
        let points = count_records(Signal::Metrics, &target.request()).expect("valid");
        assert_eq!(points, target.series_count() as u64);
        assert_eq!(points, 387);
    }

    #[test]
    fn counters_never_fall() {
        let mut target = Target::new(2, 1);
        let counters = |target: &mut Target| -> Vec<f64> {
            let all = target.scrape();
            all.filter(|(labels, _)| labels[0].1.ends_with("_total"))
                .map(|(_, value)| value)
                .collect()
        };
        let before = counters(&mut target);
        let after = counters(&mut target);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| after >= before)
        );
        assert_ne!(before, after);
    }
}
