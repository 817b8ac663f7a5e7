//! What the process takes, and how it is printed.

use std::time::Duration;

use procfs::process::Process;

pub(crate) fn tell(line: &str) {
    use std::io::Write as _;
    let _closed = writeln!(std::io::stdout().lock(), "{line}");
}

/// The most memory since the last [`reset_peak`] (MiB); 0 where the system does not tell.
pub(crate) fn peak_mib() -> f64 {
    let status = Process::myself().and_then(|process| process.status());
    let kib = status.ok().and_then(|status| status.vmhwm).unwrap_or(0);
    kib as f64 / 1024.0
}

/// Where the system does not allow it, peaks are those since the start.
pub(crate) fn reset_peak() {
    const PEAK: &str = "5";
    let _not_allowed = std::fs::write("/proc/self/clear_refs", PEAK);
}

/// CPU time of the threads of this process so far, in nanoseconds where `/proc/self/stat` counts hundredths of a second.
pub(crate) fn cpu_time() -> Duration {
    let tasks = Process::myself().and_then(|process| process.tasks());
    let of_task = |task: procfs::process::Task| task.schedstat().ok();
    let tasks = tasks.into_iter().flatten().flatten();
    tasks
        .filter_map(of_task)
        .map(|spent| Duration::from_nanos(spent.sum_exec_runtime))
        .sum()
}

/// Times of one request.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that this part of the requests, in thousandths, did not take longer than.
    pub(crate) fn quantile_ms(&self, thousandths: usize) -> f64 {
        let mut times = self.0.clone();
        times.sort_unstable();
        let rank = (times.len() * thousandths).div_ceil(1_000).max(1);
        times
            .get(rank - 1)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}
