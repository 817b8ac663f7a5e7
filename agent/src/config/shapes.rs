//! What each part of a configuration says, as hashes: two configurations are compared part by part, whatever
//! the parts mean. Order of keys, comments, quotes and lines make no difference; substituted values do.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use super::yaml::{Node, Value};

/// The hash of one part.
pub(crate) type Shape = u128;

/// The hashes of all sections and of what stands in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shapes(BTreeMap<String, Section>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    whole: Shape,
    entries: BTreeMap<String, Shape>,
}

impl Shapes {
    pub(crate) fn of(root: &Node) -> Self {
        let Value::Map(sections) = &root.value else {
            return Self::default();
        };
        let shapes = sections.iter().map(|(key, node)| {
            let section = Section {
                whole: shape(node),
                entries: entries(node),
            };
            (key.name.clone(), section)
        });
        Self(shapes.collect())
    }

    /// The sections that are there.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A whole section; `None` when it is absent.
    pub(crate) fn section(&self, name: &str) -> Option<Shape> {
        self.0.get(name).map(|section| section.whole)
    }

    /// One entry of a section.
    pub(crate) fn entry(&self, section: &str, name: &str) -> Option<Shape> {
        self.0.get(section)?.entries.get(name).copied()
    }

    /// The names in a section with their hashes.
    pub(crate) fn entries(&self, section: &str) -> BTreeMap<String, Shape> {
        let section = self.0.get(section);
        section.map_or_else(BTreeMap::new, |section| section.entries.clone())
    }
}

/// One hash of several, in order.
pub(crate) fn combined(parts: impl IntoIterator<Item = Option<Shape>>) -> Shape {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&[u8::from(part.is_some())]);
        hasher.update(&part.unwrap_or(0).to_le_bytes());
    }
    hasher.digest128()
}

fn entries(node: &Node) -> BTreeMap<String, Shape> {
    let Value::Map(entries) = &node.value else {
        return BTreeMap::new();
    };
    let shapes = entries
        .iter()
        .map(|(key, node)| (key.name.clone(), shape(node)));
    shapes.collect()
}

fn shape(node: &Node) -> Shape {
    let mut hasher = Xxh3::new();
    feed(node, &mut hasher);
    hasher.digest128()
}

fn feed(node: &Node, hasher: &mut Xxh3) {
    let mut feed_text = |kind: u8, text: &str| {
        hasher.update(&[kind]);
        hasher.update(&text.len().to_le_bytes());
        hasher.update(text.as_bytes());
    };
    match &node.value {
        Value::Scalar { text, .. } => feed_text(u8::from(!node.is_null()), text),
        Value::List(items) => {
            feed_text(2, "");
            hasher.update(&items.len().to_le_bytes());
            items.iter().for_each(|item| feed(item, hasher));
        }
        Value::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_unstable_by(|(one, _), (other, _)| one.name.cmp(&other.name));
            feed_text(3, "");
            hasher.update(&entries.len().to_le_bytes());
            for (key, node) in sorted {
                hasher.update(&key.name.len().to_le_bytes());
                hasher.update(key.name.as_bytes());
                feed(node, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;

    fn shapes(text: &str) -> Shapes {
        Shapes::of(&parse(text).expect("YAML"))
    }

    #[test]
    fn layout_makes_no_difference_and_content_does() {
        let base = shapes("receivers: {a: {type: x, list: [1, 2]}, b: {type: y}}\n");
        let same = shapes(
            "# a comment\nreceivers:\n  b: {type: 'y'}\n  a:\n    list:\n    - 1\n    - 2\n    type: x\n",
        );
        assert_eq!(base, same);
        for other in [
            "receivers: {a: {type: x, list: [2, 1]}, b: {type: y}}\n",
            "receivers: {a: {type: x, list: [12]}, b: {type: y}}\n",
            "receivers: {a: {type: x, list: ['1', [2]]}, b: {type: y}}\n",
            "receivers: {a: {typex: '', list: [1, 2]}, b: {type: y}}\n",
        ] {
            let other = shapes(other);
            assert_ne!(base.entry("receivers", "a"), other.entry("receivers", "a"));
            assert_eq!(base.entry("receivers", "b"), other.entry("receivers", "b"));
            assert_ne!(base.section("receivers"), other.section("receivers"));
        }
    }
}
