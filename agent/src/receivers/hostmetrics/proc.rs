//! The files of `/proc` as figures. Pure functions of their text: what is not there or not a number is left
//! out, so that an older or newer kernel gives fewer figures, not wrong ones.

/// `/proc/stat`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stat {
    pub(super) cpus: Vec<Cpu>,
    /// Seconds since the epoch.
    pub(super) boot_time: u64,
}

/// Ticks of one processor, in the order of [`CPU_STATES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cpu {
    /// `cpu0`
    pub(super) name: String,
    pub(super) ticks: [u64; 8],
}

/// The columns of a `cpu` line by OpenTelemetry's names.
pub(super) const CPU_STATES: [&str; 8] = [
    "user",
    "nice",
    "system",
    "idle",
    "wait",
    "interrupt",
    "softirq",
    "steal",
];

pub(super) fn stat(text: &str) -> Stat {
    let mut stat = Stat::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("btime") => stat.boot_time = number(words.next()),
            Some(name) if name.starts_with("cpu") && name.len() > "cpu".len() => {
                let mut ticks = [0; 8];
                for slot in &mut ticks {
                    *slot = number(words.next());
                }
                stat.cpus.push(Cpu {
                    name: name.to_owned(),
                    ticks,
                });
            }
            _ => {}
        }
    }
    stat
}

/// `/proc/meminfo`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) buffered: u64,
    pub(super) cached: u64,
    pub(super) slab_reclaimable: u64,
    pub(super) slab_unreclaimable: u64,
    pub(super) swap_total: u64,
    pub(super) swap_free: u64,
}

pub(super) fn memory(text: &str) -> Memory {
    const KIB: u64 = 1024;
    let mut memory = Memory::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        let slot = match name {
            "MemTotal" => &mut memory.total,
            "MemFree" => &mut memory.free,
            "Buffers" => &mut memory.buffered,
            "Cached" => &mut memory.cached,
            "SReclaimable" => &mut memory.slab_reclaimable,
            "SUnreclaim" => &mut memory.slab_unreclaimable,
            "SwapTotal" => &mut memory.swap_total,
            "SwapFree" => &mut memory.swap_free,
            _ => continue,
        };
        *slot = number(rest.split_ascii_whitespace().next()).saturating_mul(KIB);
    }
    memory
}

impl Memory {
    /// Bytes by state; they add up to the total.
    pub(super) fn states(&self) -> [(&'static str, u64); 6] {
        let others = [
            ("free", self.free),
            ("buffered", self.buffered),
            ("cached", self.cached),
            ("slab_reclaimable", self.slab_reclaimable),
            ("slab_unreclaimable", self.slab_unreclaimable),
        ];
        let used = others
            .iter()
            .fold(self.total, |left, (_, bytes)| left.saturating_sub(*bytes));
        let [a, b, c, d, e] = others;
        [("used", used), a, b, c, d, e]
    }
}

/// One line of `/proc/diskstats`, read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) device: String,
    pub(super) operations: [u64; 2],
    pub(super) bytes: [u64; 2],
    pub(super) io_millis: u64,
}

pub(super) fn disks(text: &str) -> Vec<Disk> {
    const SECTOR_BYTES: u64 = 512;
    let disk = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let device = (*words.get(2)?).to_owned();
        if device.starts_with("loop") || device.starts_with("ram") || words.len() < 13 {
            return None;
        }
        let at = |index: usize| number(words.get(index).copied());
        Some(Disk {
            device,
            operations: [at(3), at(7)],
            bytes: [at(5), at(9)].map(|sectors| sectors.saturating_mul(SECTOR_BYTES)),
            io_millis: at(12),
        })
    };
    text.lines().filter_map(disk).collect()
}

/// One line of `/proc/net/dev`, receive and transmit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) device: String,
    pub(super) bytes: [u64; 2],
    pub(super) packets: [u64; 2],
    pub(super) errors: [u64; 2],
    pub(super) dropped: [u64; 2],
}

pub(super) fn interfaces(text: &str) -> Vec<Interface> {
    const CONTAINER_ENDS: [&str; 4] = ["veth", "cali", "lxc", "azv"];
    let interface = |line: &str| {
        let (device, rest) = line.split_once(':')?;
        let device = device.trim().to_owned();
        if CONTAINER_ENDS
            .iter()
            .any(|prefix| device.starts_with(prefix))
        {
            return None;
        }
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let at = |index: usize| number(words.get(index).copied());
        Some(Interface {
            device,
            bytes: [at(0), at(8)],
            packets: [at(1), at(9)],
            errors: [at(2), at(10)],
            dropped: [at(3), at(11)],
        })
    };
    text.lines().filter_map(interface).collect()
}

/// One line of `/proc/self/mounts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    pub(super) mountpoint: String,
    pub(super) kind: String,
    pub(super) read_only: bool,
}

/// The mounted local disks, each device once, at the place it was mounted first.
pub(super) fn mounts(text: &str) -> Vec<Mount> {
    const KINDS: [&str; 14] = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "bcachefs", "reiserfs",
        "vfat", "exfat", "ntfs3", "fuseblk",
    ];
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(mountpoint), Some(kind), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let is_root_overlay = kind == "overlay" && mountpoint == "/";
        let is_known = mounts.iter().any(|mount| mount.device == device);
        if is_known || !(KINDS.contains(&kind) || is_root_overlay) {
            continue;
        }
        mounts.push(Mount {
            device: unescape(device),
            mountpoint: unescape(mountpoint),
            kind: kind.to_owned(),
            read_only: options.split(',').any(|option| option == "ro"),
        });
    }
    mounts
}

/// Blanks and backslashes in mount points are written as octal numbers.
fn unescape(text: &str) -> String {
    [
        (r"\040", " "),
        (r"\011", "\t"),
        (r"\012", "\n"),
        (r"\134", r"\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}

/// The first numbers of `/proc/loadavg` or `/proc/uptime`.
pub(super) fn floats(text: &str) -> Vec<f64> {
    text.split_ascii_whitespace()
        .map_while(|word| word.parse().ok())
        .collect()
}

fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}
