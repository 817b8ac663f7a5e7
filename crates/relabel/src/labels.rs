//! A set of labels that rules change.

use std::borrow::Cow;

/// Labels by name, each once, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Labels in any order; of those with the same name the first counts.
    pub fn from_vec(mut labels: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        labels.sort_by(|(one, _), (other, _)| one.cmp(other));
        labels.dedup_by(|later, earlier| later.0 == earlier.0);
        labels.retain(|(_, value)| !value.is_empty());
        Self(labels)
    }

    /// The value of a label; empty when it is absent.
    pub fn get(&self, name: &str) -> &str {
        match self.place(name) {
            Ok(at) => self.0.get(at).map_or("", |(_, value)| value),
            Err(_absent) => "",
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        match (self.place(&name), value.is_empty()) {
            (Ok(at), true) => {
                self.0.remove(at);
            }
            (Ok(at), false) => {
                if let Some(label) = self.0.get_mut(at) {
                    label.1 = value;
                }
            }
            (Err(_absent), true) => {}
            (Err(at), false) => self.0.insert(at, (name, value)),
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.place(name) {
            self.0.remove(at);
        }
    }

    /// Keeps the labels whose name `wanted` holds for.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| wanted(name));
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, by name, as they are held.
    pub fn into_vec(self) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        self.0
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Labels<'a> {
    /// Of labels with the same name the last one counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut set = Self::new();
        for (name, value) in labels {
            set.set(name, value);
        }
        set
    }
}
