//! From what a watch tells to groups of targets.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::OBJECTS_MAX;
use super::documents::Kind;
use crate::kubernetes::{Metadata, ObjectFeed};
use crate::receivers::prometheus::discovery::{Group, GroupSender};

/// Who makes something of the objects.
pub(super) trait Sink<D>: Send + Sync {
    /// Objects that are new or have changed, by `namespace/name`.
    fn put(&self, objects: Vec<(String, D)>);
    /// Objects that are gone.
    fn remove(&self, keys: &[String]);
    /// A watch has told all there is for the first time.
    fn listed(&self) {}
}

/// What becomes targets by itself.
pub(super) trait Targets {
    fn group(&self) -> Group;
}

/// Makes a group of each object.
pub(super) struct Direct {
    groups: Arc<GroupSender>,
}

impl Direct {
    pub(super) fn new(groups: Arc<GroupSender>) -> Self {
        Self { groups }
    }
}

impl<D: Targets> Sink<D> for Direct {
    fn put(&self, objects: Vec<(String, D)>) {
        for (key, object) in objects {
            self.groups.put(key, vec![object.group()]);
        }
    }

    fn remove(&self, keys: &[String]) {
        keys.iter().for_each(|key| self.groups.remove(key));
    }
}

/// What one watch is to tell.
pub(super) struct Feed<D> {
    sink: Arc<dyn Sink<D>>,
    groups: Arc<GroupSender>,
    /// What it has told of.
    known: Mutex<Option<BTreeSet<String>>>,
}

impl<D> Feed<D> {
    pub(super) fn new(sink: Arc<dyn Sink<D>>, groups: Arc<GroupSender>) -> Self {
        Self {
            sink,
            groups,
            known: Mutex::default(),
        }
    }
}

/// `namespace/name`; `None` for what has no name.
pub(super) fn key(metadata: &Metadata) -> Option<String> {
    let name = metadata.name.as_deref()?;
    Some(match metadata.namespace.as_deref() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    })
}

fn keyed<D: Kind>(document: D) -> Option<(String, D)> {
    let key = document.metadata().and_then(key)?;
    Some((key, document))
}

impl<D: Kind> ObjectFeed for Feed<D> {
    type Document = D;
    const OBJECTS_MAX: usize = OBJECTS_MAX;

    fn replace(&self, documents: Vec<D>) {
        let objects: Vec<(String, D)> = documents.into_iter().filter_map(keyed).collect();
        let keys: BTreeSet<String> = objects.iter().map(|(key, _)| key.clone()).collect();
        let before = self.known.lock().replace(keys.clone());
        let is_first = before.is_none();
        let gone: Vec<String> = before
            .unwrap_or_default()
            .difference(&keys)
            .cloned()
            .collect();
        self.sink.remove(&gone);
        self.sink.put(objects);
        if is_first {
            self.sink.listed();
        }
    }

    fn put(&self, document: D) {
        if let Some((key, document)) = keyed(document) {
            if let Some(known) = self.known.lock().as_mut() {
                known.insert(key.clone());
            }
            self.sink.put(vec![(key, document)]);
        }
    }

    fn remove(&self, document: D) {
        if let Some((key, _)) = keyed(document) {
            if let Some(known) = self.known.lock().as_mut() {
                known.remove(&key);
            }
            self.sink.remove(&[key]);
        }
    }

    fn succeeded(&self) {
        self.groups.succeeded();
    }

    fn heard(&self) {}

    fn expired(&self) {}

    fn failed(&self, _reason: &'static str, error: String) {
        self.groups.failed("kubernetes", D::ROLE.as_str(), &error);
    }
}
