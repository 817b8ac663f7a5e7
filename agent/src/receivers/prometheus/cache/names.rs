//! Names of metrics, and what targets say of their families.

use vervet_exposition::{Kind, Metadata};

use super::index::Index;
use super::slab::{NONE, Slab};
use super::{Seed, cut};

/// As much of a help text as is kept (bytes).
const HELP_BYTES_MAX: usize = 1_024;
/// A family that was in none of so many scrapes is forgotten.
const SCRAPES_KEPT: u32 = 10;
/// What may stand behind the name of a family.
const SUFFIXES: [&str; 8] = [
    "_total", "_bucket", "_count", "_sum", "_created", "_info", "_gcount", "_gsum",
];

/// What is said of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct About<'a> {
    pub(in super::super) name: &'a str,
    pub(in super::super) kind: Kind,
    pub(in super::super) help: &'a str,
    pub(in super::super) unit: &'a str,
    /// It is the counter of its family.
    pub(in super::super) counts: bool,
}

/// The names that series have, and the families that targets tell of.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    names: Slab<Name>,
    by_text: Index,
    families: Slab<Family>,
    families_by_name: Index,
    /// Changes whenever a family comes or goes.
    version: u32,
    /// The family that was told of last.
    last: u32,
    seen: usize,
    seed: Seed,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// Series that have it.
    series: u32,
    family: u32,
    /// What [`Names::version`] was when the family was looked up.
    looked_up: u32,
}

#[derive(Debug)]
struct Family {
    name: Box<str>,
    kind: Kind,
    help: Box<str>,
    unit: Box<str>,
    /// The scrape it was last in.
    seen: u32,
    /// The one that came after it there.
    follower: u32,
}

impl Names {
    /// The number of a name that one more series has.
    pub(super) fn take(&mut self, text: &str) -> u32 {
        let hash = self.seed.hash(text.as_bytes());
        let names = &self.names;
        let is_it = |id| names.get(id).is_some_and(|name| *name.text == *text);
        if let Some(id) = self.by_text.find(hash, is_it) {
            if let Some(name) = self.names.get_mut(id) {
                name.series += 1;
            }
            return id;
        }
        let id = self.names.insert(Name {
            text: text.into(),
            series: 1,
            family: NONE,
            looked_up: self.version.wrapping_sub(1),
        });
        self.by_text.insert(hash, id);
        id
    }

    /// One series less has this name.
    pub(super) fn give_back(&mut self, id: u32) {
        let Some(name) = self.names.get_mut(id) else {
            return;
        };
        name.series -= 1;
        if name.series == 0
            && let Some(name) = self.names.remove(id)
        {
            self.by_text
                .remove(self.seed.hash(name.text.as_bytes()), id);
        }
    }

    /// Takes in what a target says of a family, unless it would be one more than `families_max`.
    pub(super) fn tell(
        &mut self,
        family: &str,
        metadata: Metadata<'_>,
        scrape: u32,
        families_max: usize,
    ) {
        let Some(id) = self.family(family, families_max) else {
            return;
        };
        let (last, version) = (self.last, &mut self.version);
        if last != id
            && let Some(before) = self.families.get_mut(last)
        {
            before.follower = id;
        }
        self.last = id;
        let Some(family) = self.families.get_mut(id) else {
            return;
        };
        if family.seen != scrape {
            self.seen += 1;
            family.seen = scrape;
        }
        match metadata {
            Metadata::Kind(kind) if kind != family.kind => {
                family.kind = kind;
                // Whether a name is that of the counter may have changed.
                *version = version.wrapping_add(1);
            }
            Metadata::Kind(_) => {}
            Metadata::Help(help) => replace(&mut family.help, cut(help, HELP_BYTES_MAX)),
            Metadata::Unit(unit) => replace(&mut family.unit, cut(unit, HELP_BYTES_MAX)),
        }
    }

    fn family(&mut self, name: &str, families_max: usize) -> Option<u32> {
        let is_it = |id: u32| {
            self.families
                .get(id)
                .is_some_and(|family| *family.name == *name)
        };
        if is_it(self.last) {
            return Some(self.last);
        }
        let follower = self
            .families
            .get(self.last)
            .map_or(NONE, |last| last.follower);
        if is_it(follower) {
            return Some(follower);
        }
        let hash = self.seed.hash(name.as_bytes());
        if let Some(id) = self.families_by_name.find(hash, is_it) {
            return Some(id);
        }
        if self.families.len() >= families_max {
            return None;
        }
        let id = self.families.insert(Family {
            name: name.into(),
            kind: Kind::Unknown,
            help: Box::default(),
            unit: Box::default(),
            seen: u32::MAX,
            follower: NONE,
        });
        self.families_by_name.insert(hash, id);
        self.version = self.version.wrapping_add(1);
        Some(id)
    }

    /// What is said of a name.
    pub(in super::super) fn about(&mut self, id: u32) -> About<'_> {
        let version = self.version;
        let old = self.names.get(id).filter(|name| name.looked_up != version);
        if let Some(name) = old {
            let family = self.family_of(&name.text);
            if let Some(name) = self.names.get_mut(id) {
                name.family = family;
                name.looked_up = version;
            }
        }
        let name = self.names.get(id);
        let text = name.map_or("", |name| &*name.text);
        let family = name.and_then(|name| self.families.get(name.family));
        match family {
            Some(family) => About {
                name: text,
                kind: family.kind,
                help: &family.help,
                unit: &family.unit,
                counts: family.kind == Kind::Counter
                    && (*family.name == *text || text.ends_with("_total")),
            },
            None => About {
                name: text,
                kind: Kind::Unknown,
                help: "",
                unit: "",
                counts: false,
            },
        }
    }

    fn family_of(&self, name: &str) -> u32 {
        let known = |name: &str| {
            let hash = self.seed.hash(name.as_bytes());
            let is_it = |id| {
                self.families
                    .get(id)
                    .is_some_and(|family| *family.name == *name)
            };
            self.families_by_name.find(hash, is_it)
        };
        let stem = || SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        known(name).or_else(|| known(stem()?)).unwrap_or(NONE)
    }

    /// Forgets families that were not told of for long.
    pub(super) fn scraped(&mut self, scrape: u32) {
        let all_seen = std::mem::take(&mut self.seen) == self.families.len();
        self.last = NONE;
        if all_seen {
            return;
        }
        let mut next = self.families.next_from(0);
        while let Some(id) = next {
            let family = self.families.get(id);
            let is_old =
                family.is_some_and(|family| scrape.wrapping_sub(family.seen) > SCRAPES_KEPT);
            if is_old && let Some(family) = self.families.remove(id) {
                let hash = self.seed.hash(family.name.as_bytes());
                self.families_by_name.remove(hash, id);
                self.version = self.version.wrapping_add(1);
            }
            next = self.families.next_from(id + 1);
        }
    }
}

fn replace(text: &mut Box<str>, other: &str) {
    if **text != *other {
        *text = other.into();
    }
}
