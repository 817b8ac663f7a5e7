//! The file of a segment, which is read at offsets.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::stop::Stop;
use crate::StoreError;

/// A file that is read at offsets, until its request is stopped.
#[derive(Clone)]
pub(crate) struct Input {
    path: Arc<PathBuf>,
    file: Arc<File>,
    bytes: u64,
    stop: Arc<Stop>,
}

impl Input {
    pub(crate) fn open(path: &Path, stop: &Arc<Stop>) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        Ok(Self {
            path: Arc::new(path.to_owned()),
            file: Arc::new(file),
            bytes,
            stop: Arc::clone(stop),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong in reading: the request was stopped, or the file is damaged.
    pub(crate) fn error(&self, source: ParquetError) -> StoreError {
        match self.stop.check() {
            Err(stopped) => stopped,
            Ok(()) => StoreError::Read {
                path: self.path.as_ref().clone(),
                source,
            },
        }
    }

    fn check(&self) -> Result<(), ParquetError> {
        self.stop
            .check()
            .map_err(|stopped| ParquetError::External(stopped.into()))
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Input {
    type T = BufReader<InputReader>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.check()?;
        Ok(BufReader::new(InputReader {
            input: self.clone(),
            position: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.check()?;
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} of a file of {}",
                self.bytes
            )));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

pub(crate) struct InputReader {
    input: Input,
    position: u64,
}

impl Read for InputReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.file.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}
