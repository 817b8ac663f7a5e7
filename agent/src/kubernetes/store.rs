//! The pods that are known, by uid, container and address, and those that are gone.
//!
//! A plain structure: time is passed in, nothing is locked or awaited.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PODS_MAX, Pod, TOMBSTONES_MAX};

#[derive(Debug, Default)]
pub(super) struct Pods {
    entries: HashMap<Arc<str>, Entry>,
    /// The other uid of static pods.
    static_uids: HashMap<String, Arc<str>>,
    containers: HashMap<String, Arc<str>>,
    ips: HashMap<IpAddr, Arc<str>>,
    generation: u64,
    gone: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) pod: Arc<Pod>,
    /// The generation that brought its present state.
    pub(super) generation: u64,
    /// Since when the source does not name it any more.
    pub(super) gone: Option<Instant>,
}

impl Pods {
    /// Counts the changes of pods' metadata.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn live(&self) -> usize {
        self.entries.len() - self.gone
    }

    pub(super) fn gone(&self) -> usize {
        self.gone
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<&Entry> {
        let entry = self.entries.get(uid);
        entry.or_else(|| self.entries.get(self.static_uids.get(uid)?))
    }

    pub(super) fn by_container(&self, id: &str) -> Option<&Entry> {
        self.entries.get(self.containers.get(id)?)
    }

    /// The living pod that has the address: another may have had it before.
    pub(super) fn by_ip(&self, ip: IpAddr) -> Option<&Entry> {
        self.entries.get(self.ips.get(&ip)?)
    }

    /// Learns of a pod or its new state. False when there is no room for it.
    pub(super) fn put(&mut self, pod: Pod) -> bool {
        let before = (self.generation, self.gone);
        let has_room = self.put_entry(pod);
        if before != (self.generation, self.gone) {
            self.index();
        }
        has_room
    }

    /// Learns all pods there are; those it knew and that are not among them are gone. How many had no room.
    pub(super) fn replace(&mut self, pods: Vec<Pod>, now: Instant) -> usize {
        let named: HashSet<String> = pods.iter().map(|pod| pod.uid.clone()).collect();
        for (uid, entry) in &mut self.entries {
            if entry.gone.is_none() && !named.contains(&**uid) {
                entry.gone = Some(now);
                self.gone += 1;
            }
        }
        let mut refused = 0;
        for pod in pods {
            refused += usize::from(!self.put_entry(pod));
        }
        self.bury();
        self.index();
        refused
    }

    /// A pod is gone.
    pub(super) fn remove(&mut self, uid: &str, now: Instant) {
        if let Some(entry) = self.entries.get_mut(uid)
            && entry.gone.is_none()
        {
            entry.gone = Some(now);
            self.gone += 1;
            self.bury();
            self.index();
        }
    }

    /// Forgets pods that have been gone for `kept` or longer.
    pub(super) fn expire(&mut self, now: Instant, kept: Duration) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| {
            entry
                .gone
                .is_none_or(|gone| now.saturating_duration_since(gone) < kept)
        });
        let forgotten = before - self.entries.len();
        if forgotten > 0 {
            self.gone -= forgotten;
            self.index();
        }
    }

    fn put_entry(&mut self, pod: Pod) -> bool {
        let has_room = self.live() < PODS_MAX;
        match self.entries.get_mut(pod.uid.as_str()) {
            Some(entry) => {
                if entry.gone.take().is_some() {
                    self.gone -= 1;
                }
                if *entry.pod != pod {
                    self.generation += 1;
                    entry.generation = self.generation;
                    entry.pod = Arc::new(pod);
                }
            }
            None if has_room => {
                self.generation += 1;
                let entry = Entry {
                    generation: self.generation,
                    gone: None,
                    pod: Arc::new(pod),
                };
                self.entries.insert(entry.pod.uid.as_str().into(), entry);
            }
            None => return false,
        }
        true
    }

    /// Keeps the number of tombstones in bounds: the oldest go first.
    fn bury(&mut self) {
        if self.gone <= TOMBSTONES_MAX {
            return;
        }
        let mut gone: Vec<(Instant, Arc<str>)> = self
            .entries
            .iter()
            .filter_map(|(uid, entry)| Some((entry.gone?, Arc::clone(uid))))
            .collect();
        gone.sort();
        let surplus = self.gone - TOMBSTONES_MAX;
        for (_, uid) in gone.into_iter().take(surplus) {
            self.entries.remove(&uid);
        }
        self.gone = TOMBSTONES_MAX;
    }

    /// Builds the other indexes anew. A node's pods are some hundred and change some times a minute.
    fn index(&mut self) {
        self.static_uids.clear();
        self.containers.clear();
        self.ips.clear();
        for (uid, entry) in &self.entries {
            let pod = &entry.pod;
            // A mirror that was made anew has the same one: the living pod counts.
            if let Some(other) = &pod.static_uid
                && (entry.gone.is_none() || !self.static_uids.contains_key(other))
            {
                self.static_uids.insert(other.clone(), Arc::clone(uid));
            }
            for id in pod.container_ids() {
                self.containers.insert(id.to_owned(), Arc::clone(uid));
            }
            if entry.gone.is_some() || !pod.owns_ips {
                continue;
            }
            for ip in &pod.ips {
                // Two pods with one address: the source has not caught up, and the younger has it.
                let age = |uid: &str| {
                    let pod = self.entries.get(uid).map(|entry| &entry.pod);
                    pod.map(|pod| (pod.start_time.clone(), pod.uid.clone()))
                };
                let other = self.ips.get(ip).map(|uid| age(uid));
                if other.is_none_or(|other| other < age(uid)) {
                    self.ips.insert(*ip, Arc::clone(uid));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
