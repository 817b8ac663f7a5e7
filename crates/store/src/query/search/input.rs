//! The file of a segment, which is read at offsets.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::stop::Stop;
use crate::StoreError;
use crate::catalog::{DataFile, FileId};

/// A file that is read at offsets, until its request is stopped.
#[derive(Clone)]
pub(crate) struct Input {
    id: FileId,
    path: Arc<PathBuf>,
    file: Arc<File>,
    bytes: u64,
    stop: Arc<Stop>,
}

impl Input {
    pub(crate) fn open(file: &DataFile, stop: &Arc<Stop>) -> Result<Self, StoreError> {
        let (id, path) = (file.id, &*file.path);
        let io = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        Ok(Self {
            id,
            path: Arc::new(path.to_owned()),
            file: Arc::new(file),
            bytes,
            stop: Arc::clone(stop),
        })
    }

    /// The file, as the catalog names it.
    pub(crate) fn file(&self) -> FileId {
        self.id
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

    /// Whether the request still waits for what is read.
    pub(crate) fn check(&self) -> Result<(), ParquetError> {
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
        // Not zeroed before: that took a third as long as reading from the page cache.
        let mut buffer = Vec::with_capacity(length);
        while buffer.len() < length {
            let at = start.saturating_add(buffer.len() as u64);
            match rustix::io::pread(&*self.file, spare_capacity(&mut buffer), at) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
                Ok(_read) => {}
            }
        }
        buffer.truncate(length);
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
