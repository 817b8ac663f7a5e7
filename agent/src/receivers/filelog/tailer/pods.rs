//! Files of containers: they wait for what is known of their pod, and its annotations say how they are read.

use std::io;

use super::Tailer;
use crate::kubernetes::Presence;
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::resource;

impl Tailer {
    /// Files that waited for their pod are tried again.
    pub(super) fn release_held(&mut self) {
        for id in std::mem::take(&mut self.held) {
            if let Some(file) = self.files.get(&id) {
                self.unread.push(file);
            }
        }
    }

    /// Brings an open file up to date with what is known of its pod: whether it is to be read now. Its descriptor is
    /// kept while it waits.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn meet_pod(&mut self, file: &mut TailedFile) -> io::Result<bool> {
        let pods = &self.context.pods;
        let generation = Some(pods.generation());
        let Some(open) = file
            .open
            .as_ref()
            .filter(|open| open.generation != generation)
        else {
            return Ok(file.open.is_some());
        };
        let is_first = open.generation.is_none();
        let mut framing = None;
        if let Some((uid, container)) = self.config.container_of(&file.first_name) {
            if is_first && pods.known(uid) == Presence::Pending {
                self.held.push(file.id);
                return Ok(false);
            }
            let policy = pods.log_policy(uid, container);
            if policy.exclude {
                self.leave(file);
                return Ok(false);
            }
            framing = policy.format.filter(|_| is_first);
        }
        let resource = self.resource_of(file);
        match framing.map(|word| self.framing.with_format(&word)) {
            Some(Ok(framing)) => {
                let attached = file.attach_again(&framing, resource);
                self.count_kept(file, attached)?;
            }
            // A word that is no format was reported when the annotation was read.
            Some(Err(_)) | None => {
                if let Some(open) = &mut file.open {
                    open.resource = resource;
                }
            }
        }
        if let Some(open) = &mut file.open {
            open.generation = generation;
        }
        Ok(true)
    }

    /// The pod does not want its logs to be read.
    fn leave(&mut self, file: &mut TailedFile) {
        self.open.retain(|open| *open != file.id);
        file.close();
        file.set_aside();
    }

    pub(super) fn resource_of(&self, file: &TailedFile) -> vervet_wire::otlp::Resource<'static> {
        let service = self.config.spec.service_name.as_deref();
        let path = &file.first_name;
        let pod = self.config.spec.pod_roots.pod_of(path);
        let mut resource = resource::of_file(path, pod, &self.context.resource, service);
        let origin = resource::origin(&self.context.resource, service);
        self.context.chains.logs.resource_of(&mut resource, origin);
        resource
    }
}
