//! The keys of one record, each to be stored once.

/// Finds out whether a key was there before, without comparing it to all others in the usual case. One for all
/// records of a request.
#[derive(Debug, Default)]
pub(super) struct SeenKeys {
    /// One bit for each mark that a key has.
    marks: [u64; 4],
    /// Where the keys stand among the attributes.
    places: Vec<usize>,
}

impl SeenKeys {
    pub(super) fn clear(&mut self) {
        self.marks = [0; 4];
        self.places.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the key is among those added; `is_at` tells whether it stands at a place.
    pub(super) fn has(&self, key: &str, is_at: impl Fn(usize) -> bool) -> bool {
        let (word, bit) = mark(key);
        let marked = self.marks.get(word).is_some_and(|marks| marks & bit != 0);
        marked && self.places.iter().any(|place| is_at(*place))
    }

    pub(super) fn add(&mut self, key: &str, place: usize) {
        let (word, bit) = mark(key);
        if let Some(marks) = self.marks.get_mut(word) {
            *marks |= bit;
        }
        self.places.push(place);
    }
}

/// A word and a bit in it. Different keys of one record mostly differ in length, beginning or end.
fn mark(key: &str) -> (usize, u64) {
    let bytes = key.as_bytes();
    let at = |index: usize| usize::from(bytes.get(index).copied().unwrap_or(0));
    let last = bytes.len().saturating_sub(1);
    let hash = bytes.len() + 7 * at(0) + 31 * at(last) + 13 * at(bytes.len() / 2);
    (hash >> 6 & 3, 1 << (hash & 63))
}
