//! What the operating system says of memory: control groups version 2 and 1, `/proc/meminfo`, `/proc/self`.
//!
//! Only what cannot be taken back counts as used: the page cache of a control group goes before anyone is killed.

use std::fs;
use std::path::{Path, PathBuf};

/// Budget when nothing is configured: this, or half of what the process may take if that is less.
const AUTO_BYTES_MAX: u64 = 128 << 20;
const AUTO_BYTES_MIN: u64 = 4 << 20;
/// Control groups write a number near 2^63 for "no limit".
const NO_LIMIT: u64 = 1 << 60;

/// Where the figures are read; a test puts its own files there.
#[derive(Debug, Clone)]
pub(crate) struct System {
    root: PathBuf,
}

/// Memory at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sample {
    /// What the process may take: the limit of its control group, else the host's memory.
    pub(crate) allowed_bytes: u64,
    /// What is taken of that by everyone, and cannot be taken back.
    pub(crate) taken_bytes: u64,
    /// What this process takes.
    pub(crate) resident_bytes: u64,
}

impl Default for System {
    fn default() -> Self {
        Self { root: "/".into() }
    }
}

impl System {
    #[cfg(test)]
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The budget when none is configured.
    pub(crate) fn budget_bytes(&self) -> u64 {
        let allowed = self
            .sample()
            .map_or(u64::MAX, |sample| sample.allowed_bytes);
        (allowed / 2).clamp(AUTO_BYTES_MIN, AUTO_BYTES_MAX)
    }

    /// `None` when the system tells nothing.
    pub(crate) fn sample(&self) -> Option<Sample> {
        let resident_bytes = self.resident_bytes()?;
        let (host, available) = self.host()?;
        let host = Sample {
            allowed_bytes: host,
            taken_bytes: host.saturating_sub(available),
            resident_bytes,
        };
        let group = self.group_v2().or_else(|| self.group_v1());
        let limited = group.filter(|(limit, _)| *limit < host.allowed_bytes);
        Some(limited.map_or(host, |(allowed_bytes, taken_bytes)| Sample {
            allowed_bytes,
            taken_bytes,
            resident_bytes,
        }))
    }

    /// Limit and use of the control group, version 2: the smallest limit on the way up counts.
    fn group_v2(&self) -> Option<(u64, u64)> {
        let path = self.group_path("")?;
        let mount = self.root.join("sys/fs/cgroup");
        let limited = path.ancestors().filter_map(|group| {
            let folder = mount.join(group);
            let limit = number(&folder.join("memory.max"))?;
            Some((limit, folder))
        });
        let (limit, folder) = limited.min_by_key(|(limit, _)| *limit)?;
        let current = number(&folder.join("memory.current"))?;
        let cache = stat(
            &folder.join("memory.stat"),
            &["active_file", "inactive_file", "slab_reclaimable"],
        );
        Some((limit, current.saturating_sub(cache)))
    }

    fn group_v1(&self) -> Option<(u64, u64)> {
        let path = self.group_path("memory")?;
        let mount = self.root.join("sys/fs/cgroup/memory");
        // Inside a container the group's own folder is the mount.
        let folder = [mount.join(path), mount]
            .into_iter()
            .find(|folder| folder.join("memory.limit_in_bytes").exists())?;
        let limit =
            number(&folder.join("memory.limit_in_bytes")).filter(|limit| *limit < NO_LIMIT)?;
        let current = number(&folder.join("memory.usage_in_bytes"))?;
        let cache = stat(
            &folder.join("memory.stat"),
            &["total_active_file", "total_inactive_file"],
        );
        Some((limit, current.saturating_sub(cache)))
    }

    /// The process's group below the mount, without the leading slash: of `controller`, or of version 2 when that is "".
    fn group_path(&self, controller: &str) -> Option<PathBuf> {
        let groups = fs::read_to_string(self.root.join("proc/self/cgroup")).ok()?;
        groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_own = controllers.split(',').any(|name| name == controller);
            is_own.then(|| PathBuf::from(path.trim_start_matches('/')))
        })
    }

    /// Total and available memory of the host.
    fn host(&self) -> Option<(u64, u64)> {
        let text = fs::read_to_string(self.root.join("proc/meminfo")).ok()?;
        let kibibytes = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        let total = kibibytes("MemTotal:")?;
        let available = kibibytes("MemAvailable:").unwrap_or(total);
        Some((total << 10, available << 10))
    }

    fn resident_bytes(&self) -> Option<u64> {
        let text = fs::read_to_string(self.root.join("proc/self/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes << 10)
    }
}

/// A file that holds one number; `None` for "max".
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The sum of some lines of a `memory.stat`.
fn stat(path: &Path, names: &[&str]) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let figures = text.lines().filter_map(|line| line.split_once(' '));
    figures
        .filter(|(name, _)| names.contains(name))
        .filter_map(|(_, figure)| figure.trim().parse::<u64>().ok())
        .sum()
}
