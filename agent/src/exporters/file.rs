//! Writes to a file: a line a request in OTLP's JSON encoding, or a line a record as text.
//!
//! A request is settled after its lines are synced, so what is settled survives a power cut. When the next lines would
//! take the file past its size, it becomes `path.1` by a rename, `path.1` becomes `path.2` and so on, and what is
//! beyond the number of files goes. After a failed write the file is cut back; after a crash a line without its end is
//! cut off, and its request is written again. A crash between the sync and the exporter's commit, a second at most,
//! writes a request twice. The file is locked against a second writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use prost::Message;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use vervet_model::Signal;
use vervet_wire::{Accepted, BODY_BYTES_MAX, compress::Packed};

use super::debug::refused;
use super::describe::for_each_text;
use super::retry::{Failure, Reach};
use super::settings::{FileExporterConfig, FileFormat};
use crate::buffer::blocking;

/// Telemetry is nobody else's business.
const MODE: u32 = 0o600;
/// Read at once while looking for the last line's end.
const CHUNK_BYTES: u64 = 64 << 10;

pub(super) struct FileSender {
    config: FileExporterConfig,
    current: Arc<Mutex<Option<Current>>>,
}

/// The file that is written to, whole lines up to `len`.
struct Current {
    file: File,
    inode: u64,
    len: u64,
}

impl FileSender {
    pub(super) fn new(config: FileExporterConfig) -> Self {
        Self {
            config,
            current: Arc::default(),
        }
    }

    pub(super) async fn send(&self, signal: Signal, body: &Packed) -> Result<Accepted, Failure> {
        let (config, current, body) =
            (self.config.clone(), Arc::clone(&self.current), body.clone());
        blocking(move || {
            let body = body
                .unpack(BODY_BYTES_MAX)
                .map_err(|error| refused(&error))?;
            let lines = lines(config.format, signal, &body)?;
            let mut current = current.lock();
            write(&config, &mut current, &lines).map_err(|error| {
                // Opened anew with the next attempt, as after a crash.
                *current = None;
                Failure::passing(
                    Reach::Answered,
                    "file",
                    format!("{}: {error}", config.path.display()),
                )
            })?;
            Ok(Accepted::default())
        })
        .await
    }
}

fn lines(format: FileFormat, signal: Signal, body: &[u8]) -> Result<Vec<u8>, Failure> {
    match format {
        FileFormat::Text => {
            let mut lines = Vec::new();
            for_each_text(signal, body, |text| {
                lines.extend_from_slice(text.as_bytes());
                lines.push(b'\n');
            })
            .map_err(|error| refused(&error))?;
            Ok(lines)
        }
        FileFormat::OtlpJson => match signal {
            Signal::Logs => json::<ExportLogsServiceRequest>(body),
            Signal::Metrics => json::<ExportMetricsServiceRequest>(body),
            Signal::Traces => json::<ExportTraceServiceRequest>(body),
        },
    }
}

fn json<M: Message + Default + Serialize>(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let message = M::decode(body).map_err(|error| refused(&error))?;
    let mut line = serde_json::to_vec(&message).map_err(|error| refused(&error))?;
    line.push(b'\n');
    Ok(line)
}

/// Appends whole lines, durably.
fn write(config: &FileExporterConfig, slot: &mut Option<Current>, lines: &[u8]) -> io::Result<()> {
    let mut current = match slot.take().filter(|current| current.is_at(&config.path)) {
        Some(current) => current,
        None => Current::open(&config.path)?,
    };
    if current.len > 0 && current.len + lines.len() as u64 > config.rotate_bytes {
        drop(current);
        rotate(config)?;
        current = Current::open(&config.path)?;
    }
    let written = current.append(lines);
    if written.is_err() {
        // If the cut fails, too, opening it the next time does it.
        let _cut = current.file.set_len(current.len);
    }
    written?;
    *slot = Some(current);
    Ok(())
}

/// Moves every file one number on; the last one goes.
fn rotate(config: &FileExporterConfig) -> io::Result<()> {
    let last = config.files_max - 1;
    if last == 0 {
        std::fs::remove_file(&config.path)?;
    }
    for number in (0..last).rev() {
        match std::fs::rename(
            numbered(&config.path, number),
            numbered(&config.path, number + 1),
        ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
    }
    sync_folder(&config.path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(MODE)
            .open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let len = end_of_last_line(&mut file, metadata.len())?;
        if len < metadata.len() {
            file.set_len(len)?;
        }
        if metadata.len() == 0 {
            sync_folder(path)?;
        }
        Ok(Self {
            file,
            inode: metadata.ino(),
            len,
        })
    }

    /// Whether the path still names this file, and nobody has cut it.
    fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path)
            .is_ok_and(|metadata| metadata.ino() == self.inode && metadata.len() == self.len)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.len += lines.len() as u64;
        Ok(())
    }
}

fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::new();
        file.take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
