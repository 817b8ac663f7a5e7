//! Backups in an object store, where an object appears when its upload is complete.

use std::io::{self, Read, Write as _};
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::runtime::{Builder, Runtime};

use super::BackupError;
use super::folder::io_error;
use super::repository::{CHUNK_BYTES, Copied, Listed};
use crate::segment::Hasher;

/// Bytes of a part of an upload; smaller objects are sent in one piece. S3 wants 5 MiB at least and 10,000 parts at
/// most: 80 GiB.
const PART_BYTES: usize = 8 << 20;
/// Threads that talk to the object store.
const NETWORK_THREADS: usize = 2;

pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    runtime: Runtime,
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(NETWORK_THREADS)
            .thread_name("vervet-backup")
            .enable_all()
            .build()?;
        Ok(Self {
            store,
            prefix: Path::from(prefix),
            runtime,
        })
    }

    /// Region, endpoint and credentials come from the `AWS_*` variables, as for other programs.
    pub(super) fn s3(bucket: &str, prefix: &str) -> Result<Self, object_store::Error> {
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .build()?;
        Self::new(Arc::new(store), prefix).map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: error.into(),
        })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<Listed>, BackupError> {
        let failed = |source| objects_error(below, source);
        let prefix = self.path(below);
        let listing = self.store.list(Some(&prefix)).try_collect::<Vec<_>>();
        let found = self.runtime.block_on(listing).map_err(failed)?;
        let own = self.prefix.parts_count();
        let listed = found.into_iter().map(|meta| {
            let parts: Vec<String> = meta
                .location
                .parts()
                .skip(own)
                .map(|part| part.as_ref().to_owned())
                .collect();
            Listed {
                name: parts.join("/"),
                bytes: meta.size,
                is_partial: false,
            }
        });
        Ok(listed.collect())
    }

    pub(super) fn read(
        &self,
        name: &str,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, BackupError> {
        let path = self.path(name);
        let read = async {
            let found = match self.store.get(&path).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                found => found?,
            };
            if found.meta.size > bytes_max as u64 {
                return Ok(Some(Err(found.meta.size)));
            }
            Ok(Some(Ok(found.bytes().await?)))
        };
        match self
            .runtime
            .block_on(read)
            .map_err(|source| objects_error(name, source))?
        {
            None => Ok(None),
            Some(Ok(bytes)) => Ok(Some(bytes.to_vec())),
            Some(Err(size)) => Err(BackupError::Damaged {
                name: name.to_owned(),
                reason: format!("it has {size} bytes"),
            }),
        }
    }

    pub(super) fn write(
        &self,
        name: &str,
        from: &mut dyn Read,
        advance: &mut dyn FnMut(u64),
    ) -> Result<Copied, BackupError> {
        let path = self.path(name);
        let (mut hasher, mut bytes) = (Hasher::default(), 0);
        let mut upload: Option<Box<dyn MultipartUpload>> = None;
        loop {
            let part = read_part(from).map_err(|source| io_error(FilePath::new(name), source));
            let sent = part.and_then(|part| {
                let is_last = part.len() < PART_BYTES;
                hasher.add(&part);
                bytes += part.len() as u64;
                let length = part.len() as u64;
                self.send(&path, part, is_last, &mut upload)
                    .map_err(|source| objects_error(name, source))?;
                advance(length);
                Ok(is_last)
            });
            match sent {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => {
                    if let Some(mut upload) = upload {
                        // The store forgets what was never completed, by its own rules.
                        let _given_up = self.runtime.block_on(upload.abort());
                    }
                    return Err(error);
                }
            }
        }
        let checksum = hasher.finish();
        Ok(Copied { bytes, checksum })
    }

    /// Sends one part; the object appears with the last.
    fn send(
        &self,
        path: &Path,
        part: Vec<u8>,
        is_last: bool,
        upload: &mut Option<Box<dyn MultipartUpload>>,
    ) -> Result<(), object_store::Error> {
        let payload = PutPayload::from(Bytes::from(part));
        self.runtime.block_on(async {
            if upload.is_none() {
                if is_last {
                    self.store.put(path, payload).await?;
                    return Ok(());
                }
                *upload = Some(self.store.put_multipart(path).await?);
            }
            if let Some(upload) = upload {
                if payload.content_length() > 0 {
                    upload.put_part(payload).await?;
                }
                if is_last {
                    upload.complete().await?;
                }
            }
            Ok(())
        })
    }

    pub(super) fn download(
        &self,
        name: &str,
        to: &FilePath,
        advance: &mut dyn FnMut(u64),
    ) -> Result<Copied, BackupError> {
        let path = self.path(name);
        let failed = |source| match source {
            object_store::Error::NotFound { .. } => BackupError::Absent {
                name: name.to_owned(),
            },
            source => objects_error(name, source),
        };
        let io = |source| io_error(to, source);
        let mut file = std::fs::File::create(to).map_err(io)?;
        let found = self
            .runtime
            .block_on(self.store.get(&path))
            .map_err(failed)?;
        let mut stream = found.into_stream();
        let (mut hasher, mut bytes) = (Hasher::default(), 0);
        while let Some(chunk) = self.runtime.block_on(stream.try_next()).map_err(failed)? {
            hasher.add(&chunk);
            file.write_all(&chunk).map_err(io)?;
            bytes += chunk.len() as u64;
            advance(chunk.len() as u64);
        }
        file.sync_all().map_err(io)?;
        let checksum = hasher.finish();
        Ok(Copied { bytes, checksum })
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), BackupError> {
        let path = self.path(name);
        match self.runtime.block_on(self.store.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(objects_error(name, source)),
        }
    }
}

/// Fills a part, unless the end comes first.
fn read_part(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut part = Vec::with_capacity(CHUNK_BYTES);
    from.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part)
}

fn objects_error(name: &str, source: object_store::Error) -> BackupError {
    BackupError::Objects {
        name: name.to_owned(),
        source,
    }
}
