//! The ways of rotation.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::Rng as _;

use super::{Stage, Writer, append};
use crate::scenario::Scenario;
use crate::site::wait_until;

/// Lines written between the copy and the cut, at most.
const LINES_AT_RISK_MAX: u32 = 20;
/// Longest pause before a rotated file is compressed, and between two pieces of it (milliseconds).
const COMPRESS_DELAY_MILLIS_MAX: u64 = 400;
const COMPRESS_PAUSE_MILLIS_MAX: u64 = 30;
/// Rotations in a row, and lines between them.
const SHIFTS_AT_ONCE: u32 = 8;
const LINES_AT_ONCE: u32 = 2;
const COMPRESS_PIECE_BYTES: usize = 32 << 10;
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);

/// What is done to a file, and which globs find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    None,
    /// To a name of its own that the globs find.
    Rename,
    /// To a name that no glob finds.
    RenameAway,
    /// `.1` becomes `.2` and so on, up to `.<kept>`; the oldest is deleted once it has arrived.
    Shift {
        kept: u32,
    },
    /// The same, several times in a row with few lines in between, and for the oldest it is enough that the agent has it open.
    ShiftAtOnce {
        kept: u32,
    },
    /// As logrotate does it with `delaycompress`: `.1` is compressed to `.1.gz`, which becomes `.2.gz` and so on.
    Logrotate {
        kept: u32,
    },
    /// Copied, to a name that the globs find or do not, then cut to nothing. Lines written between the two are at risk.
    CopyTruncate {
        found: bool,
    },
    /// Renamed, and a little later compressed to a name that the globs find.
    Compress {
        codec: Codec,
        /// The compressed file grows under its final name, as `gzip` does it; otherwise it is renamed to it.
        in_place: bool,
    },
    /// Deleted; another file of the same name follows.
    DeleteCreate,
    /// The name is a link, and is switched to the next file.
    Symlink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Zstd,
}

impl Rotation {
    /// The globs of the agent, below the folder of logs.
    pub(crate) fn include(self) -> &'static [&'static str] {
        match self {
            Self::None
            | Self::RenameAway
            | Self::CopyTruncate { found: false }
            | Self::DeleteCreate
            | Self::Symlink => &["app-*.log"],
            Self::Rename
            | Self::Shift { .. }
            | Self::ShiftAtOnce { .. }
            | Self::Logrotate { .. }
            | Self::CopyTruncate { found: true }
            | Self::Compress { .. } => &["app-*.log*"],
        }
    }

    pub(super) fn create_first(self, path: &Path) -> File {
        match self {
            Self::Symlink => {
                let target = target(path, 0);
                let file = append(&target);
                symlink(target, path).unwrap();
                file
            }
            _ => append(path),
        }
    }
}

/// Where a link of that path leads to.
fn target(path: &Path, generation: u32) -> PathBuf {
    let dir = path.parent().unwrap().join("targets");
    fs::create_dir_all(&dir).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    dir.join(format!("{name}-{generation}"))
}

impl Writer {
    pub(super) fn rotate(&mut self) {
        if self.scenario.unterminated {
            let mut last = self.next_lines(1, self.generation);
            last.truncate(last.len() - self.scenario.shape.feed_bytes());
            self.handle.write_all(&last).unwrap();
        }
        if self.scenario.mixes_pieces {
            self.begin_pieces();
        }
        match self.scenario.rotation {
            Rotation::None => {}
            Rotation::Rename | Rotation::RenameAway => {
                let rotated = self.rotated(self.generation);
                self.rename_and_create(&rotated);
            }
            Rotation::Shift { kept } => self.shift(kept),
            Rotation::ShiftAtOnce { kept } => {
                for _time in 1..SHIFTS_AT_ONCE {
                    self.shift(kept);
                    let lines = self.next_lines(LINES_AT_ONCE, self.generation);
                    self.handle.write_all(&lines).unwrap();
                }
                self.shift(kept);
            }
            Rotation::Logrotate { kept } => self.logrotate(kept),
            Rotation::CopyTruncate { .. } => self.copy_and_truncate(),
            Rotation::Compress { codec, in_place } => {
                let rotated = self.rotated(self.generation);
                self.rename_and_create(&rotated);
                let job = Compression {
                    codec,
                    in_place,
                    rotated,
                    scenario: self.scenario,
                    stage: self.stage.clone(),
                };
                self.jobs.push(std::thread::spawn(move || job.run()));
            }
            Rotation::DeleteCreate => self.delete_and_create(),
            Rotation::Symlink => self.switch_link(),
        }
    }

    /// `app-0.log.7`
    fn rotated(&self, number: u32) -> PathBuf {
        let name = format!("app-{}.log.{number}", self.file);
        self.stage.dir.join(name)
    }

    fn rename_and_create(&mut self, rotated: &Path) {
        self.moment();
        fs::rename(&self.path, rotated).unwrap();
        self.moment();
        self.switch(append(&self.path));
        self.moment();
    }

    fn shift(&mut self, kept: u32) {
        let oldest = self.rotated(kept);
        self.delete_oldest(&oldest, kept);
        for number in (1..kept).rev() {
            let (from, to) = (self.rotated(number), self.rotated(number + 1));
            if from.exists() {
                fs::rename(from, to).unwrap();
                self.moment();
            }
        }
        let rotated = self.rotated(1);
        self.rename_and_create(&rotated);
    }

    fn logrotate(&mut self, kept: u32) {
        let compressed = |number: u32| self.rotated(number).with_added_extension("gz");
        let first = self.rotated(1);
        if first.exists() {
            let bytes = Codec::Gzip.compress(&fs::read(&first).unwrap());
            let mut file = File::create(compressed(1)).unwrap();
            let (begin, rest) = bytes.split_at(bytes.len() / 2);
            file.write_all(begin).unwrap();
            self.moment();
            file.write_all(rest).unwrap();
            self.moment();
            fs::remove_file(&first).unwrap();
            self.moment();
        }
        let oldest = compressed(kept);
        self.delete_oldest(&oldest, kept);
        for number in (1..kept).rev() {
            let (from, to) = (compressed(number), compressed(number + 1));
            if from.exists() {
                fs::rename(from, to).unwrap();
                self.moment();
            }
        }
        self.rename_and_create(&first);
    }

    /// What has not been read cannot be read once it is deleted: deletes it once its lines have arrived.
    fn delete_oldest(&self, oldest: &Path, kept: u32) {
        if !oldest.exists() {
            return;
        }
        let generation = usize::try_from(self.generation - kept + 1).unwrap();
        let is_held_enough = matches!(self.scenario.rotation, Rotation::ShiftAtOnce { .. });
        let delivered = wait_until(DELIVERED_WITHIN, || {
            let is_held = is_held_enough && self.stage.agent.has_open(oldest);
            let mut written = self.written.iter();
            is_held
                || written.all(|written| {
                    let next = written.generations[generation];
                    self.stage.ledger.has_all_below(written.writer, next)
                })
        });
        assert!(delivered, "{oldest:?}: not within {DELIVERED_WITHIN:?}");
        fs::remove_file(oldest).unwrap();
    }

    fn copy_and_truncate(&mut self) {
        self.moment();
        fs::copy(&self.path, self.rotated(self.generation)).unwrap();
        self.moment();
        let from: Vec<u64> = self.written.iter().map(|written| written.lines).collect();
        let lines = rand::rng().random_range(0..=LINES_AT_RISK_MAX);
        if lines > 0 {
            self.write_lines(lines);
        }
        for (written, from) in self.written.iter_mut().zip(from) {
            written.at_risk.push(from..written.lines);
        }
        self.handle.set_len(0).unwrap();
        self.generation += 1;
        self.begin_generation();
        self.moment();
    }

    fn delete_and_create(&mut self) {
        let inode = self.inode();
        if self.scenario.kills_at_rotation && rand::rng().random_ratio(1, 2) {
            // Nobody holds the inode then, and the next file gets it.
            self.stage.agent.kill();
        }
        fs::remove_file(&self.path).unwrap();
        self.moment();
        // An open descriptor would keep the inode.
        self.handle = File::open("/dev/null").unwrap();
        self.switch(append(&self.path));
        self.reused_inodes += u32::from(self.inode() == inode);
        self.moment();
    }

    fn switch_link(&mut self) {
        let next = target(&self.path, self.generation + 1);
        let handle = append(&next);
        let link = self.stage.dir.join(format!(".link-{}", self.file));
        symlink(next, &link).unwrap();
        self.moment();
        fs::rename(link, &self.path).unwrap();
        self.switch(handle);
        self.moment();
    }
}

/// Compresses a rotated file, whatever the agent has read of it.
struct Compression {
    codec: Codec,
    in_place: bool,
    rotated: PathBuf,
    scenario: Scenario,
    stage: Stage,
}

impl Compression {
    fn run(self) {
        let pause = |millis_max| {
            std::thread::sleep(Duration::from_millis(
                rand::rng().random_range(0..millis_max),
            ));
        };
        pause(COMPRESS_DELAY_MILLIS_MAX);
        let mut text = Vec::new();
        File::open(&self.rotated)
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        let bytes = self.codec.compress(&text);
        let name = self
            .rotated
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let name = format!("{name}.{}", self.codec.extension());
        let path = self.stage.dir.join(&name);
        let growing = match self.in_place {
            true => path.clone(),
            false => self.stage.dir.join(format!(".{name}.tmp")),
        };
        let mut file = File::create(&growing).unwrap();
        for piece in bytes.chunks(COMPRESS_PIECE_BYTES) {
            file.write_all(piece).unwrap();
            pause(COMPRESS_PAUSE_MILLIS_MAX);
        }
        self.stage.moment(&self.scenario);
        if !self.in_place {
            fs::rename(growing, path).unwrap();
            self.stage.moment(&self.scenario);
        }
        fs::remove_file(&self.rotated).unwrap();
        self.stage.moment(&self.scenario);
    }
}

impl Codec {
    fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }

    fn compress(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(text, 1).unwrap(),
        }
    }
}
