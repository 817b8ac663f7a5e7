//! The place of backups: a folder, or a prefix in an object store.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;

use super::BackupError;
use super::folder::{self, io_error};
use super::manifest::{MANIFEST_BYTES_MAX, Manifest};
use super::objects::Objects;
use crate::segment::Checksum;

/// Bytes copied at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
const OWNER: &str = "vervet-backup";
const OWNER_BYTES_MAX: usize = 1024;
const SEGMENTS: &str = "segments";
const BACKUPS: &str = "backups";

/// Backups of one store.
pub struct Repository(Place);

enum Place {
    Folder(PathBuf),
    Objects(Objects),
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    pub checksum: Checksum,
}

/// Something that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// The rest of a copy that was interrupted.
    pub(super) is_partial: bool,
}

impl Repository {
    /// `s3://bucket/prefix`, whose settings are the `AWS_*` variables, or a folder.
    ///
    /// # Errors
    /// [`BackupError::Location`].
    pub fn open(location: &str) -> Result<Self, BackupError> {
        let invalid = |reason: String| BackupError::Location {
            location: location.to_owned(),
            reason,
        };
        if let Some(rest) = location.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(invalid("it names no bucket".to_owned()));
            }
            let objects =
                Objects::s3(bucket, prefix).map_err(|error| invalid(error.to_string()))?;
            return Ok(Self(Place::Objects(objects)));
        }
        if location.contains("://") {
            return Err(invalid("there are no backups by that protocol".to_owned()));
        }
        let folder = std::path::absolute(location.strip_prefix("file:").unwrap_or(location))
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self(Place::Folder(folder)))
    }

    /// Backups in any object store.
    ///
    /// # Errors
    /// Threads cannot be started.
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, BackupError> {
        let objects =
            Objects::new(store, prefix).map_err(|source| io_error(Path::new(prefix), source))?;
        Ok(Self(Place::Objects(objects)))
    }

    /// Makes sure that the backups here are those of `store`, and says so in an empty place.
    ///
    /// # Errors
    /// [`BackupError::ForeignStore`], or the place cannot be read or written.
    pub fn claim(&self, store: &str) -> Result<(), BackupError> {
        match self.read(OWNER, OWNER_BYTES_MAX)? {
            None => self
                .write(OWNER, format!("{store}\n").as_bytes())
                .map(|_| ()),
            Some(found) => {
                let found = String::from_utf8_lossy(&found).trim().to_owned();
                match found == store {
                    true => Ok(()),
                    false => Err(BackupError::ForeignStore {
                        found,
                        expected: store.to_owned(),
                    }),
                }
            }
        }
    }

    /// The segments that are there, with their lengths.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn segments(&self) -> Result<HashMap<String, u64>, BackupError> {
        let listed = self.list(SEGMENTS)?.into_iter();
        Ok(listed
            .filter(|listed| !listed.is_partial)
            .map(|listed| (listed.name, listed.bytes))
            .collect())
    }

    /// The name of a segment, given its path below the folder of segments.
    pub fn segment_name(relative_path: &str) -> String {
        format!("{SEGMENTS}/{relative_path}")
    }

    /// The complete backups, oldest first, and why others could not be read.
    ///
    /// # Errors
    /// They cannot be listed or read.
    pub fn backups(&self) -> Result<(Vec<Manifest>, Vec<BackupError>), BackupError> {
        let (mut manifests, mut damaged) = (Vec::new(), Vec::new());
        for listed in self.list(BACKUPS)? {
            if Manifest::id_of(&listed.name).is_none() {
                continue;
            }
            let Some(bytes) = self.read(&listed.name, MANIFEST_BYTES_MAX)? else {
                continue;
            };
            match Manifest::from_bytes(&listed.name, &bytes) {
                Ok(manifest) => manifests.push(manifest),
                Err(error) => damaged.push(error),
            }
        }
        manifests.sort_by(|a, b| (a.taken_unix_nano, &a.id).cmp(&(b.taken_unix_nano, &b.id)));
        Ok((manifests, damaged))
    }

    /// Makes a backup out of what was uploaded for it: from here on it counts.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn complete(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let bytes = manifest.to_bytes()?;
        self.write(&Manifest::name(&manifest.id), &bytes)
            .map(|_| ())
    }

    /// Deletes the backups that are not `kept`, and all that no kept one needs, remains of interrupted ones
    /// included. Nobody may be taking a backup meanwhile. Returns the bytes that came free.
    ///
    /// # Errors
    /// Something cannot be listed or deleted; calling again goes on.
    pub fn sweep(&self, kept: &[Manifest]) -> Result<u64, BackupError> {
        let needed: std::collections::HashSet<&str> = kept
            .iter()
            .flat_map(|manifest| &manifest.files)
            .map(|file| file.object.as_str())
            .collect();
        let manifests: Vec<String> = kept
            .iter()
            .map(|manifest| Manifest::name(&manifest.id))
            .collect();
        let mut listed = self.list(BACKUPS)?;
        // Manifests first: a backup never lies there complete without its files.
        listed.sort_by_key(|listed| Manifest::id_of(&listed.name).is_none());
        listed.extend(self.list(SEGMENTS)?);
        let mut bytes = 0;
        for listed in listed {
            if !needed.contains(listed.name.as_str()) && !manifests.contains(&listed.name) {
                self.delete(&listed.name)?;
                bytes += listed.bytes;
            }
        }
        Ok(bytes)
    }

    /// Copies a file there. It appears whole or not at all.
    ///
    /// # Errors
    /// The file cannot be read, or the place not be written.
    pub fn upload(
        &self,
        name: &str,
        from: &Path,
        advance: &mut dyn FnMut(u64),
    ) -> Result<Copied, BackupError> {
        let mut file = File::open(from).map_err(|source| io_error(from, source))?;
        match &self.0 {
            Place::Folder(root) => folder::write(&root.join(name), &mut file, advance),
            Place::Objects(objects) => objects.write(name, &mut file, advance),
        }
    }

    /// Gives a file a second name there instead of copying it. `false` where that is not possible.
    ///
    /// # Errors
    /// The file is gone, or the folder cannot be written.
    pub fn link(&self, name: &str, from: &Path) -> Result<bool, BackupError> {
        match &self.0 {
            Place::Folder(root) => folder::link(&root.join(name), from),
            Place::Objects(_) => Ok(false),
        }
    }

    /// Copies an object into a new file, synced.
    ///
    /// # Errors
    /// It is not there, or cannot be read or written.
    pub fn download(
        &self,
        name: &str,
        to: &Path,
        advance: &mut dyn FnMut(u64),
    ) -> Result<Copied, BackupError> {
        match &self.0 {
            Place::Objects(objects) => objects.download(name, to, advance),
            Place::Folder(root) => {
                let path = root.join(name);
                let mut from = File::open(&path).map_err(|source| match source.kind() {
                    std::io::ErrorKind::NotFound => BackupError::Absent {
                        name: name.to_owned(),
                    },
                    _ => io_error(&path, source),
                })?;
                let mut copy = || {
                    use std::io::Write as _;
                    let mut file = File::create(to)?;
                    let copied =
                        folder::pump(&mut from, advance, &mut |chunk| file.write_all(chunk))?;
                    file.sync_all()?;
                    Ok(copied)
                };
                copy().map_err(|source| io_error(to, source))
            }
        }
    }

    /// Deletes a segment that turned out not to be what it should.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn remove_segment(&self, name: &str) -> Result<(), BackupError> {
        self.delete(name)
    }

    fn list(&self, below: &str) -> Result<Vec<Listed>, BackupError> {
        match &self.0 {
            Place::Folder(root) => folder::list(root, below),
            Place::Objects(objects) => objects.list(below),
        }
    }

    fn read(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, BackupError> {
        match &self.0 {
            Place::Folder(root) => folder::read(&root.join(name), bytes_max),
            Place::Objects(objects) => objects.read(name, bytes_max),
        }
    }

    fn write(&self, name: &str, mut bytes: &[u8]) -> Result<Copied, BackupError> {
        match &self.0 {
            Place::Folder(root) => folder::write(&root.join(name), &mut bytes, &mut |_| {}),
            Place::Objects(objects) => objects.write(name, &mut bytes, &mut |_| {}),
        }
    }

    fn delete(&self, name: &str) -> Result<(), BackupError> {
        match &self.0 {
            Place::Folder(root) => folder::delete(&root.join(name)),
            Place::Objects(objects) => objects.delete(name),
        }
    }
}
