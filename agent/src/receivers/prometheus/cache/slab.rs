//! Things by number; a number is given again when its thing is gone.

/// No thing.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Slab<T> {
    things: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            things: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.things.len() - self.free.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.things.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.things.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn insert(&mut self, thing: T) -> u32 {
        if let Some(id) = self.free.pop() {
            if let Some(place) = self.things.get_mut(id as usize) {
                *place = Some(thing);
            }
            return id;
        }
        let id = u32::try_from(self.things.len()).unwrap_or(NONE);
        self.things.push(Some(thing));
        id
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        let thing = self.things.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(thing)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let things = (0..).zip(&mut self.things);
        things.filter_map(|(id, thing)| thing.as_mut().map(|thing| (id, thing)))
    }

    /// The first number from `id` on that has a thing.
    pub(super) fn next_from(&self, id: u32) -> Option<u32> {
        let later = self.things.get(id as usize..)?;
        let found = later.iter().position(Option::is_some)?;
        Some(id + u32::try_from(found).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_again() {
        let mut slab = Slab::default();
        assert_eq!(
            (slab.insert('a'), slab.insert('b'), slab.insert('c')),
            (0, 1, 2)
        );
        assert_eq!(
            (slab.remove(1), slab.remove(1), slab.remove(9)),
            (Some('b'), None, None)
        );
        assert_eq!(
            (slab.len(), slab.next_from(1), slab.next_from(3)),
            (2, Some(2), None)
        );
        assert_eq!((slab.insert('d'), slab.get(1)), (1, Some(&'d')));
        assert_eq!(slab.iter_mut().count(), 3);
    }
}
