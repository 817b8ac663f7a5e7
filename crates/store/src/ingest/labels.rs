//! Label sets of a request as text in one piece: a series of a request is mostly known, and is looked up without a
//! set of its own being made.

use vervet_model::Labels;

/// Label sets one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelSets {
    text: String,
    labels: Vec<Place>,
}

/// Where a label is in the text: its name, and right after it its value.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: usize,
    value_from: usize,
    to: usize,
}

/// Where a set is among the labels of [`LabelSets`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetPlace {
    from: usize,
    to: usize,
}

impl LabelSets {
    /// The labels of a set, by name.
    pub(crate) fn get(&self, set: SetPlace) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let labels = self.labels.get(set.from..set.to).unwrap_or_default();
        labels.iter().map(|place| place.read(&self.text))
    }

    /// Allocated memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.labels.capacity() * size_of::<Place>()
    }

    pub(crate) fn to_labels(&self, set: SetPlace) -> Labels {
        Labels::from_pairs(self.get(set))
    }

    /// Adds the labels of a buffer.
    pub(super) fn push(&mut self, buffer: &LabelBuffer) -> SetPlace {
        let from = self.labels.len();
        for (name, value) in buffer.iter() {
            let place = Place::append(&mut self.text, name, value);
            self.labels.push(place);
        }
        let to = self.labels.len();
        SetPlace { from, to }
    }
}

impl Place {
    fn append(text: &mut String, name: &str, value: &str) -> Self {
        let from = text.len();
        text.push_str(name);
        let value_from = text.len();
        text.push_str(value);
        Self {
            from,
            value_from,
            to: text.len(),
        }
    }

    fn read(self, text: &str) -> (&str, &str) {
        let part = |from, to| text.get(from..to).unwrap_or_default();
        (
            part(self.from, self.value_from),
            part(self.value_from, self.to),
        )
    }
}

/// One label set that is being put together, in room that is used again.
#[derive(Debug, Clone, Default)]
pub(super) struct LabelBuffer {
    text: String,
    labels: Vec<Place>,
}

impl LabelBuffer {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.labels.clear();
    }

    /// Makes this the same as `other`.
    pub(super) fn copy(&mut self, other: &Self) {
        self.text.clone_from(&other.text);
        self.labels.clone_from(&other.labels);
    }

    /// Sets a label, replacing an earlier value; an empty value removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let text = &self.text;
        let known = self
            .labels
            .iter()
            .position(|place| place.read(text).0 == name);
        if let Some(known) = known {
            self.labels.swap_remove(known);
        }
        if !value.is_empty() {
            let place = Place::append(&mut self.text, name, value);
            self.labels.push(place);
        }
    }

    /// Puts the labels into the order of their names.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        let name = |place: &Place| place.read(text).0;
        if !self.labels.is_sorted_by_key(name) {
            self.labels.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.labels.iter().map(|place| place.read(&self.text))
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vervet_model::{LabelsBuilder, fingerprint};

    use super::*;

    proptest! {
        #[test]
        fn a_buffer_holds_what_a_builder_does(pairs in prop::collection::vec(("[a-c_A]{0,2}", "[x-z]{0,2}"), 0..12)) {
            let (mut buffer, mut builder) = (LabelBuffer::default(), LabelsBuilder::default());
            buffer.set("left", "over");
            buffer.clear();
            for (name, value) in &pairs {
                buffer.set(name, value);
                builder.set(name.as_str(), value.as_str());
            }
            buffer.sort();
            let expect = builder.build();
            prop_assert_eq!(Labels::from_pairs(buffer.iter()), expect.clone());
            prop_assert_eq!(buffer.len(), expect.len());
            prop_assert_eq!(fingerprint(buffer.iter(), &mut Vec::new()), expect.fingerprint());
            let mut sets = LabelSets::default();
            sets.push(&buffer);
            let second = sets.push(&buffer);
            prop_assert_eq!(sets.to_labels(second), expect);
        }
    }
}
