//! Label sets: the identity of a metric series or a log stream.
//!
//! Invariant: labels are sorted by name, names are unique, and no value is empty (Prometheus treats an
//! empty value as an absent label). Cloning a set copies one reference count.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// One name and value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    pub name: Arc<str>,
    pub value: Arc<str>,
}

/// A sorted, immutable label set.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Builds a set from pairs in any order; of equal names the last one wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// The value of a label; `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self
            .0
            .binary_search_by(|label| (*label.name).cmp(name))
            .ok()?;
        self.0.get(index).map(|label| &*label.value)
    }

    /// The metric name, empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels whose name `keep` accepts.
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self(
            self.0
                .iter()
                .filter(|label| keep(&label.name))
                .cloned()
                .collect(),
        )
    }

    /// A 64-bit hash of the set (XXH3 over length-prefixed names and values). It identifies series on
    /// disk, so it must never change.
    pub fn fingerprint(&self) -> u64 {
        let pairs = self.iter().map(|label| (&*label.name, &*label.value));
        fingerprint(pairs, &mut Vec::new())
    }
}

/// The [fingerprint](Labels::fingerprint) of the set with these pairs, which must be sorted by name, unique and without
/// empty values. `scratch` is room that can be used again.
pub fn fingerprint<'a>(
    sorted: impl Iterator<Item = (&'a str, &'a str)>,
    scratch: &mut Vec<u8>,
) -> u64 {
    scratch.clear();
    for text in sorted.flat_map(|(name, value)| [name, value]) {
        scratch.extend_from_slice(&(text.len() as u64).to_le_bytes());
        scratch.extend_from_slice(text.as_bytes());
    }
    xxh3_64(scratch)
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Prometheus notation: `{a="1", b="2"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, label) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}={:?}", label.name, label.value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects labels in any order.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder(Vec<Label>);

impl LabelsBuilder {
    pub fn from_labels(labels: &Labels) -> Self {
        Self(labels.0.to_vec())
    }

    /// Sets a label, replacing an earlier value; an empty value removes it.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.0.iter().position(|label| label.name == name) {
            Some(index) if value.is_empty() => {
                self.0.swap_remove(index);
            }
            Some(index) => self.0[index].value = value,
            None if value.is_empty() => {}
            None => self.0.push(Label { name, value }),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.0.retain(|label| &*label.name != name);
        self
    }

    pub fn build(mut self) -> Labels {
        self.0.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Labels(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn fingerprints_are_those_that_are_on_disk() {
        let short = Labels::from_pairs([("__name__", "up"), ("job", "node")]);
        let long =
            Labels::from_pairs((0..40).map(|n| (format!("label_{n:02}"), "value".repeat(n + 1))));
        // As the streaming form of the hash gives them, which wrote the first stores.
        for labels in [short, long, Labels::empty()] {
            let mut hasher = xxhash_rust::xxh3::Xxh3::new();
            for text in labels.iter().flat_map(|label| [&label.name, &label.value]) {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            assert_eq!(labels.fingerprint(), hasher.digest());
        }
    }

    #[test]
    fn fingerprint_does_not_depend_on_order_or_run_together() {
        let one = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let two = Labels::from_pairs([("b", "2"), ("a", "1")]);
        assert_eq!(one.fingerprint(), two.fingerprint());
        assert_ne!(
            Labels::from_pairs([("ab", "c")]).fingerprint(),
            Labels::from_pairs([("a", "bc")]).fingerprint()
        );
    }
}
