//! All series the store knows, by id and by label.
//!
//! Each has a slot, a small number that never changes while the store is open: what is kept of series elsewhere is
//! found by it without hashing.

mod hashing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use vervet_model::{Labels, LabelsBuilder, MatchOp, Matcher};

pub(crate) use hashing::IdHashing;

/// Days a series remembers to have been written for; earlier days are written once more when needed.
const REMEMBERED_DAYS: u32 = u64::BITS;

/// One series.
#[derive(Debug, Clone)]
pub(crate) struct SeriesEntry {
    id: u64,
    pub(crate) labels: Labels,
    pub(crate) kind: Arc<str>,
    pub(crate) unit: Arc<str>,
    /// First and last day with a sample.
    days: (i32, i32),
    /// Days for which the `series` table has a row: bit n stands for `newest_stored_day - n`.
    newest_stored_day: i32,
    stored_days: u64,
}

/// Why a series is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeriesRefusal {
    /// The index is full.
    Limit,
    /// Another label set has the same fingerprint.
    Collision,
}

#[derive(Debug, Default)]
pub(crate) struct SeriesIndex {
    /// By slot.
    entries: Vec<SeriesEntry>,
    slots: HashMap<u64, u32, IdHashing>,
    /// Slots by label name and value.
    postings: HashMap<Arc<str>, BTreeMap<Arc<str>, Vec<u32>>>,
}

/// A series that fulfils matchers.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub(crate) id: u64,
    pub(crate) slot: u32,
    pub(crate) labels: Labels,
}

impl SeriesIndex {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Series that the `series` table has no row of yet.
    pub(crate) fn unstored(&self) -> usize {
        let unstored = |entry: &&SeriesEntry| entry.stored_days == 0;
        self.entries.iter().filter(unstored).count()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&SeriesEntry> {
        self.entry(*self.slots.get(&id)?)
    }

    fn entry(&self, slot: u32) -> Option<&SeriesEntry> {
        self.entries.get(usize::try_from(slot).ok()?)
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut SeriesEntry> {
        let slot = *self.slots.get(&id)?;
        self.entries.get_mut(usize::try_from(slot).ok()?)
    }

    /// The slot of a series that is known with these labels and was seen on both days or around them, so that
    /// [`observe`](Self::observe) would change nothing.
    pub(crate) fn settled<'l>(
        &self,
        id: u64,
        labels: impl ExactSizeIterator<Item = (&'l str, &'l str)>,
        days: (i32, i32),
    ) -> Option<u32> {
        let slot = *self.slots.get(&id)?;
        let entry = self.entry(slot)?;
        let was_seen = entry.days.0 <= days.0 && entry.days.1 >= days.1;
        let same = entry.labels.len() == labels.len()
            && entry
                .labels
                .iter()
                .zip(labels)
                .all(|(label, (name, value))| *label.name == *name && *label.value == *value);
        (was_seen && same).then_some(slot)
    }

    /// The id of the series in a slot, and whether it was seen on `day` or around it.
    pub(crate) fn seen(&self, slot: u32, day: i32) -> Option<(u64, bool)> {
        let entry = self.entry(slot)?;
        let was_seen = entry.days.0 <= day && entry.days.1 >= day;
        Some((entry.id, was_seen))
    }

    /// Notes that the series in a slot was seen on `day`.
    pub(crate) fn see(&mut self, slot: u32, day: i32) {
        let entry = usize::try_from(slot).ok();
        if let Some(entry) = entry.and_then(|slot| self.entries.get_mut(slot)) {
            entry.days = (entry.days.0.min(day), entry.days.1.max(day));
        }
    }

    /// Makes sure that a series is known and was seen on `day`. Returns its slot.
    pub(crate) fn observe(
        &mut self,
        id: u64,
        labels: &Labels,
        kind: &str,
        unit: &str,
        day: i32,
        series_max: usize,
    ) -> Result<u32, SeriesRefusal> {
        if let Some(slot) = self.slots.get(&id).copied()
            && let Some(entry) = self.get_mut(id)
        {
            if entry.labels != *labels {
                return Err(SeriesRefusal::Collision);
            }
            entry.days = (entry.days.0.min(day), entry.days.1.max(day));
            return Ok(slot);
        }
        let slot = u32::try_from(self.entries.len())
            .ok()
            .filter(|_slot| self.entries.len() < series_max)
            .ok_or(SeriesRefusal::Limit)?;
        let labels = self.add_postings(slot, labels);
        self.entries.push(SeriesEntry {
            id,
            labels,
            kind: Arc::from(kind),
            unit: Arc::from(unit),
            days: (day, day),
            newest_stored_day: day,
            stored_days: 0,
        });
        self.slots.insert(id, slot);
        Ok(slot)
    }

    pub(crate) fn is_stored(&self, id: u64, day: i32) -> bool {
        self.get(id).is_some_and(|entry| entry.is_stored(day))
    }

    pub(crate) fn mark_stored(&mut self, id: u64, day: i32) {
        if let Some(entry) = self.get_mut(id) {
            entry.mark_stored(day);
        }
    }

    /// The series that fulfil all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<Selected> {
        self.matching(matchers)
            .map(|(slot, entry)| Selected {
                id: entry.id,
                slot,
                labels: entry.labels.clone(),
            })
            .collect()
    }

    /// The label sets that fulfil the matchers and were seen between the days, both inclusive.
    pub(crate) fn select_seen(&self, matchers: &[Matcher], days: (i32, i32)) -> Vec<Labels> {
        self.matching(matchers)
            .filter(|(_slot, entry)| entry.days.0 <= days.1 && entry.days.1 >= days.0)
            .map(|(_slot, entry)| entry.labels.clone())
            .collect()
    }

    fn matching<'s>(
        &'s self,
        matchers: &'s [Matcher],
    ) -> impl Iterator<Item = (u32, &'s SeriesEntry)> {
        let candidates = self.candidates(matchers);
        let all = match &candidates {
            Some(_some) => 0..0,
            None => 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
        };
        let slots = candidates.into_iter().flatten().chain(all);
        slots
            .filter_map(|slot| Some((slot, self.entry(slot)?)))
            .filter(|(_slot, entry)| {
                let fulfilled = |matcher: &Matcher| matcher.matches_labels(&entry.labels);
                matchers.iter().all(fulfilled)
            })
    }

    /// A superset of the series that can match; `None` for all series.
    fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<u32>> {
        let equal = matchers
            .iter()
            .filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty())
            .map(|matcher| self.slots(matcher))
            .min_by_key(|slots| slots.len());
        if let Some(slots) = equal {
            return Some(slots.to_vec());
        }
        let matcher = matchers.iter().find(|matcher| !matcher.matches_empty())?;
        let slots: BTreeSet<u32> = self
            .postings
            .get(matcher.name.as_str())?
            .iter()
            .filter(|(value, _slots)| matcher.matches(value))
            .flat_map(|(_value, slots)| slots.iter().copied())
            .collect();
        Some(slots.into_iter().collect())
    }

    fn slots(&self, matcher: &Matcher) -> &[u32] {
        self.postings
            .get(matcher.name.as_str())
            .and_then(|values| values.get(matcher.value.as_str()))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Enters the series under each of its labels. The labels returned share their texts with all others
    /// in the index.
    fn add_postings(&mut self, slot: u32, labels: &Labels) -> Labels {
        let mut shared = LabelsBuilder::default();
        for label in labels {
            let name = match self.postings.get_key_value(&label.name) {
                Some((name, _values)) => Arc::clone(name),
                None => Arc::clone(&label.name),
            };
            let values = self.postings.entry(Arc::clone(&name)).or_default();
            let value = match values.get_key_value(&label.value) {
                Some((value, _slots)) => Arc::clone(value),
                None => Arc::clone(&label.value),
            };
            values.entry(Arc::clone(&value)).or_default().push(slot);
            shared.set(name, value);
        }
        shared.build()
    }
}

impl SeriesEntry {
    fn is_stored(&self, day: i32) -> bool {
        u32::try_from(self.newest_stored_day.saturating_sub(day))
            .ok()
            .filter(|age| *age < REMEMBERED_DAYS)
            .is_some_and(|age| self.stored_days & (1 << age) != 0)
    }

    fn mark_stored(&mut self, day: i32) {
        if day > self.newest_stored_day {
            let shift = day.abs_diff(self.newest_stored_day);
            self.stored_days = self.stored_days.checked_shl(shift).unwrap_or(0);
            self.newest_stored_day = day;
        }
        let age = self.newest_stored_day.abs_diff(day);
        if age < REMEMBERED_DAYS {
            self.stored_days |= 1 << age;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(sets: &[&[(&str, &str)]]) -> SeriesIndex {
        let mut index = SeriesIndex::default();
        for set in sets {
            let labels = Labels::from_pairs(set.iter().copied());
            index
                .observe(labels.fingerprint(), &labels, "gauge", "", 10, 100)
                .unwrap();
        }
        index
    }

    fn selected(index: &SeriesIndex, matchers: &[Matcher]) -> Vec<String> {
        let mut labels: Vec<_> = index
            .select(matchers)
            .into_iter()
            .map(|selected| selected.labels.to_string())
            .collect();
        labels.sort();
        labels
    }

    #[test]
    fn matchers_select_with_and_without_the_label() {
        let index = index(&[&[("a", "1")], &[("a", "2"), ("b", "x")], &[("b", "y")]]);
        let check = |op, name: &str, value: &str, expect: &[&str]| {
            let matcher = Matcher::new(name, op, value).unwrap();
            assert_eq!(selected(&index, &[matcher]), expect);
        };
        check(MatchOp::Equal, "a", "1", &[r#"{a="1"}"#]);
        check(MatchOp::Equal, "a", "", &[r#"{b="y"}"#]);
        check(
            MatchOp::NotEqual,
            "a",
            "1",
            &[r#"{a="2", b="x"}"#, r#"{b="y"}"#],
        );
        check(
            MatchOp::Regex,
            "a",
            ".+",
            &[r#"{a="1"}"#, r#"{a="2", b="x"}"#],
        );
        check(MatchOp::NotRegex, "b", ".+", &[r#"{a="1"}"#]);
        check(MatchOp::Equal, "none", "x", &[]);
        check(MatchOp::Regex, "none", "x.*", &[]);
    }

    #[test]
    fn stored_days_move_with_the_newest() {
        let mut index = index(&[&[("a", "1")]]);
        let id = Labels::from_pairs([("a", "1")]).fingerprint();
        for day in [10, 12, 9] {
            index.mark_stored(id, day);
        }
        let stored: Vec<i32> = (0..20).filter(|day| index.is_stored(id, *day)).collect();
        assert_eq!(stored, [9, 10, 12]);
        index.mark_stored(id, 300);
        assert!(index.is_stored(id, 300) && !index.is_stored(id, 12));
    }

    #[test]
    fn a_full_index_takes_known_series_only() {
        let mut index = index(&[&[("a", "1")]]);
        let (old, new) = (
            Labels::from_pairs([("a", "1")]),
            Labels::from_pairs([("a", "2")]),
        );
        let id = old.fingerprint();
        let settled = |index: &SeriesIndex, labels: &Labels, days| {
            let pairs = labels.iter().map(|label| (&*label.name, &*label.value));
            index.settled(id, pairs, days)
        };
        assert_eq!(settled(&index, &old, (10, 10)), Some(0));
        assert_eq!(settled(&index, &old, (1, 10)), None);
        assert_eq!(index.observe(id, &old, "", "", 1, 1), Ok(0));
        assert_eq!(settled(&index, &old, (1, 10)), Some(0));
        assert_eq!(settled(&index, &new, (10, 10)), None);
        assert_eq!(
            index.observe(new.fingerprint(), &new, "", "", 1, 1),
            Err(SeriesRefusal::Limit)
        );
        assert_eq!(
            index.observe(id, &new, "", "", 1, 9),
            Err(SeriesRefusal::Collision)
        );
        assert_eq!(index.select_seen(&[], (2, 9)), [old]);
    }
}
