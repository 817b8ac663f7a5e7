//! From the figures of `/proc` to OpenTelemetry metrics.

use std::collections::HashMap;
use std::path::PathBuf;

use vervet_wire::otlp::{KeyValue, Metric, MetricData, Number, NumberPoint, Temporality};

use super::proc::{self, CPU_STATES, Disk, Interface, Memory, Stat};

/// Ticks a second in the figures Linux shows to programs, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads, and remembers what differences need.
pub(super) struct Reader {
    proc_path: PathBuf,
    /// Ticks by state over all processors, at the last reading.
    last_ticks: Option<[u64; 8]>,
    /// Files that could not be read, with the error that was logged.
    failed: HashMap<&'static str, String>,
}

/// The metrics of one reading.
struct Metrics {
    all: Vec<Metric<'static>>,
    now_unix_nano: u64,
    boot_unix_nano: u64,
}

type Attributes = Vec<KeyValue<'static>>;

impl Reader {
    pub(super) fn new(proc_path: PathBuf) -> Self {
        Self {
            proc_path,
            last_ticks: None,
            failed: HashMap::new(),
        }
    }

    pub(super) fn read(&mut self, now_unix_nano: u64) -> Vec<Metric<'static>> {
        const NANOS_PER_SECOND: u64 = 1_000_000_000;
        let stat = self
            .file("stat")
            .map(|text| proc::stat(&text))
            .unwrap_or_default();
        let boot_unix_nano = stat.boot_time.saturating_mul(NANOS_PER_SECOND);
        let mut metrics = Metrics {
            all: Vec::new(),
            now_unix_nano,
            boot_unix_nano,
        };
        if !stat.cpus.is_empty() {
            metrics.cpu_time(&stat);
            let ticks = total_ticks(&stat);
            if let Some(last) = self.last_ticks.replace(ticks) {
                metrics.cpu_utilization(&last, &ticks);
            }
        }
        if let Some(text) = self.file("meminfo") {
            metrics.memory(&proc::memory(&text));
        }
        if let Some(text) = self.file("diskstats") {
            metrics.disks(&proc::disks(&text));
        }
        // The mounts of the first process are the host's; its own are what a restricted agent may see.
        if let Some(text) = self.file("1/mounts").or_else(|| self.file("self/mounts")) {
            metrics.file_systems(&text);
        }
        if let Some(text) = self.file("1/net/dev").or_else(|| self.file("net/dev")) {
            metrics.interfaces(&proc::interfaces(&text));
        }
        if let Some(text) = self.file("loadavg") {
            metrics.load(&proc::floats(&text));
        }
        if let Some(uptime) = self
            .file("uptime")
            .and_then(|text| proc::floats(&text).first().copied())
        {
            metrics.gauge(
                "system.uptime",
                "s",
                "Time since the host was started",
                vec![(Vec::new(), uptime)],
            );
        }
        metrics.all
    }

    fn file(&mut self, name: &'static str) -> Option<String> {
        match std::fs::read_to_string(self.proc_path.join(name)) {
            Ok(text) => {
                self.failed.remove(name);
                Some(text)
            }
            Err(error) => {
                let error = error.to_string();
                if self.failed.get(name) != Some(&error) {
                    tracing::debug!(file = name, error, "host figures cannot be read");
                    self.failed.insert(name, error);
                }
                None
            }
        }
    }
}

fn total_ticks(stat: &Stat) -> [u64; 8] {
    let mut total = [0_u64; 8];
    for cpu in &stat.cpus {
        for (sum, ticks) in total.iter_mut().zip(cpu.ticks) {
            *sum = sum.saturating_add(ticks);
        }
    }
    total
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a host are far below 2^53"
)]
fn float(value: u64) -> f64 {
    value as f64
}

fn attributes(pairs: &[(&'static str, &str)]) -> Attributes {
    pairs
        .iter()
        .map(|(key, value)| KeyValue::new(*key, (*value).to_owned()))
        .collect()
}

/// Points for a pair of figures with the attribute `direction`.
fn directed(
    device: &str,
    names: [&'static str; 2],
    values: [u64; 2],
) -> impl Iterator<Item = (Attributes, Number)> + use<> {
    let device = device.to_owned();
    names
        .into_iter()
        .zip(values)
        .map(move |(direction, value)| {
            (
                attributes(&[("device", &device), ("direction", direction)]),
                integer(value),
            )
        })
}

fn integer(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Metrics {
    fn points(
        &self,
        values: Vec<(Attributes, Number)>,
        start_unix_nano: u64,
    ) -> Vec<NumberPoint<'static>> {
        let point = |(attributes, value)| NumberPoint {
            attributes,
            start_unix_nano,
            time_unix_nano: self.now_unix_nano,
            value,
            ..NumberPoint::default()
        };
        values.into_iter().map(point).collect()
    }

    fn push(
        &mut self,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        data: MetricData<'static>,
    ) {
        if data.points() > 0 {
            self.all.push(Metric {
                name: name.into(),
                description: help.into(),
                unit: unit.into(),
                data,
                ..Metric::default()
            });
        }
    }

    fn gauge(
        &mut self,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        values: Vec<(Attributes, f64)>,
    ) {
        let values = values
            .into_iter()
            .map(|(attributes, value)| (attributes, Number::Double(value)));
        let points = self.points(values.collect(), 0);
        self.push(name, unit, help, MetricData::Gauge(points));
    }

    /// A total since the host's start.
    fn total(
        &mut self,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        values: Vec<(Attributes, Number)>,
    ) {
        self.sum(name, unit, help, values, true);
    }

    /// An amount that goes up and down and can be added up.
    fn amount(
        &mut self,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        values: Vec<(Attributes, Number)>,
    ) {
        self.sum(name, unit, help, values, false);
    }

    fn sum(
        &mut self,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        values: Vec<(Attributes, Number)>,
        monotonic: bool,
    ) {
        let points = self.points(values, self.boot_unix_nano);
        let data = MetricData::Sum {
            points,
            temporality: Temporality::Cumulative,
            monotonic,
        };
        self.push(name, unit, help, data);
    }

    fn cpu_time(&mut self, stat: &Stat) {
        let mut values = Vec::with_capacity(stat.cpus.len() * CPU_STATES.len());
        for cpu in &stat.cpus {
            for (state, ticks) in CPU_STATES.into_iter().zip(cpu.ticks) {
                let seconds = float(ticks) / TICKS_PER_SECOND;
                values.push((
                    attributes(&[("cpu", &cpu.name), ("state", state)]),
                    Number::Double(seconds),
                ));
            }
        }
        self.total(
            "system.cpu.time",
            "s",
            "Time each processor spent in each state",
            values,
        );
        let count = vec![(Vec::new(), integer(stat.cpus.len() as u64))];
        self.amount("system.cpu.logical.count", "{cpu}", "Processors", count);
    }

    fn cpu_utilization(&mut self, last: &[u64; 8], now: &[u64; 8]) {
        let spent: Vec<u64> = last
            .iter()
            .zip(now)
            .map(|(last, now)| now.saturating_sub(*last))
            .collect();
        let total: u64 = spent.iter().sum();
        if total == 0 {
            return;
        }
        let share = |(state, ticks): (&'static str, u64)| {
            (attributes(&[("state", state)]), float(ticks) / float(total))
        };
        let values = CPU_STATES.into_iter().zip(spent).map(share).collect();
        self.gauge(
            "system.cpu.utilization",
            "1",
            "Share of time since the last reading spent in each state",
            values,
        );
    }

    fn memory(&mut self, memory: &Memory) {
        let states = memory.states();
        let state = |state| attributes(&[("state", state)]);
        let usage = states
            .iter()
            .map(|(name, bytes)| (state(name), integer(*bytes)))
            .collect();
        self.amount("system.memory.usage", "By", "Memory in each state", usage);
        if memory.total > 0 {
            let total = float(memory.total);
            let shares = states
                .iter()
                .map(|(name, bytes)| (state(name), float(*bytes) / total))
                .collect();
            self.gauge(
                "system.memory.utilization",
                "1",
                "Share of memory in each state",
                shares,
            );
        }
        let swap_used = memory.swap_total.saturating_sub(memory.swap_free);
        let swap = vec![
            (state("used"), integer(swap_used)),
            (state("free"), integer(memory.swap_free)),
        ];
        self.amount(
            "system.paging.usage",
            "By",
            "Swap space in each state",
            swap,
        );
    }

    fn disks(&mut self, disks: &[Disk]) {
        const DIRECTIONS: [&str; 2] = ["read", "write"];
        let each = |value: fn(&Disk) -> [u64; 2]| {
            disks
                .iter()
                .flat_map(|disk| directed(&disk.device, DIRECTIONS, value(disk)))
                .collect()
        };
        let (bytes, operations) = (each(|disk| disk.bytes), each(|disk| disk.operations));
        self.total("system.disk.io", "By", "Bytes read and written", bytes);
        self.total(
            "system.disk.operations",
            "{operation}",
            "Reads and writes",
            operations,
        );
        let busy = |disk: &Disk| {
            let seconds = Number::Double(float(disk.io_millis) / 1e3);
            (attributes(&[("device", &disk.device)]), seconds)
        };
        let busy = disks.iter().map(busy).collect();
        self.total("system.disk.io_time", "s", "Time a disk was busy", busy);
    }

    fn interfaces(&mut self, interfaces: &[Interface]) {
        const DIRECTIONS: [&str; 2] = ["receive", "transmit"];
        let each = |value: fn(&Interface) -> [u64; 2]| {
            let points = |one: &Interface| directed(&one.device, DIRECTIONS, value(one));
            interfaces.iter().flat_map(points).collect()
        };
        let (bytes, packets) = (each(|one| one.bytes), each(|one| one.packets));
        let (errors, dropped) = (each(|one| one.errors), each(|one| one.dropped));
        self.total("system.network.io", "By", "Bytes received and sent", bytes);
        self.total(
            "system.network.packets",
            "{packet}",
            "Packets received and sent",
            packets,
        );
        self.total(
            "system.network.errors",
            "{error}",
            "Errors when receiving and sending",
            errors,
        );
        self.total(
            "system.network.dropped",
            "{packet}",
            "Packets dropped",
            dropped,
        );
    }

    fn file_systems(&mut self, mounts: &str) {
        let (mut usage, mut utilization) = (Vec::new(), Vec::new());
        for mount in proc::mounts(mounts) {
            let Ok(sizes) = rustix::fs::statvfs(mount.mountpoint.as_str()) else {
                continue;
            };
            let bytes = |blocks: u64| blocks.saturating_mul(sizes.f_frsize);
            let used = bytes(sizes.f_blocks.saturating_sub(sizes.f_bfree));
            let free = bytes(sizes.f_bavail);
            let reserved = bytes(sizes.f_bfree.saturating_sub(sizes.f_bavail));
            let mode = if mount.read_only { "ro" } else { "rw" };
            let common = [
                ("device", mount.device.as_str()),
                ("mountpoint", mount.mountpoint.as_str()),
                ("type", mount.kind.as_str()),
                ("mode", mode),
            ];
            for (state, bytes) in [("used", used), ("free", free), ("reserved", reserved)] {
                let mut pairs = common.to_vec();
                pairs.push(("state", state));
                usage.push((attributes(&pairs), integer(bytes)));
            }
            if used + free > 0 {
                utilization.push((attributes(&common), float(used) / float(used + free)));
            }
        }
        self.amount(
            "system.filesystem.usage",
            "By",
            "Space of file systems in each state",
            usage,
        );
        self.gauge(
            "system.filesystem.utilization",
            "1",
            "Share of the usable space that is used",
            utilization,
        );
    }

    fn load(&mut self, averages: &[f64]) {
        const NAMES: [&str; 3] = [
            "system.cpu.load_average.1m",
            "system.cpu.load_average.5m",
            "system.cpu.load_average.15m",
        ];
        for (name, average) in NAMES.into_iter().zip(averages) {
            let values = vec![(Vec::new(), *average)];
            self.gauge(name, "{thread}", "Tasks that run or wait to", values);
        }
    }
}
