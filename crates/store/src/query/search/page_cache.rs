//! Pages that were read lately, decompressed.
//!
//! What is asked once is often asked again: by a dashboard, for the next rows, of the same hour with another word. Then a
//! page costs neither a call of the operating system nor zstd. A page that was of use stays for another round before it
//! makes room (second chance), so that one large scan does not leave the cache empty of what is used.
//!
//! Limits: [`PageCache::new`]'s bytes in all, one in [`PARTS_MIN`] of them for a page.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use parquet::column::page::Page;

use crate::catalog::FileId;

/// A larger part of the cache is not worth one page.
const PARTS_MIN: usize = 64;
/// What a page takes besides its bytes.
const ENTRY_BYTES: usize = 256;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    /// Never given twice, so an entry is never wrong.
    pub(crate) file: FileId,
    pub(crate) offset: u64,
}

/// How the cache does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCacheStats {
    pub bytes: u64,
    /// Pages that were found, and that had to be read, since the start.
    pub hits: u64,
    pub misses: u64,
}

pub(crate) struct PageCache {
    bytes_max: usize,
    entries: Mutex<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<PageKey, Entry>,
    /// The next to make room comes first.
    order: VecDeque<PageKey>,
    bytes: usize,
}

struct Entry {
    page: Page,
    bytes: usize,
    /// Since it was last passed over.
    is_used: bool,
}

impl PageCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            entries: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, key: PageKey) -> Option<Page> {
        let found = self.entries.lock().get(key);
        let counter = match found {
            Some(_) => &self.hits,
            None => &self.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn insert(&self, key: PageKey, page: &Page) {
        let bytes = page.buffer().len() + ENTRY_BYTES;
        if bytes > self.bytes_max / PARTS_MIN {
            return;
        }
        let mut entries = self.entries.lock();
        entries.insert(key, page.clone(), bytes);
        while entries.bytes > self.bytes_max && entries.make_room() {}
    }

    pub(crate) fn clear(&self) {
        *self.entries.lock() = Entries::default();
    }

    pub(crate) fn stats(&self) -> PageCacheStats {
        PageCacheStats {
            bytes: self.entries.lock().bytes as u64,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

impl Entries {
    fn get(&mut self, key: PageKey) -> Option<Page> {
        let entry = self.by_key.get_mut(&key)?;
        entry.is_used = true;
        Some(entry.page.clone())
    }

    fn insert(&mut self, key: PageKey, page: Page, bytes: usize) {
        let entry = Entry {
            page,
            bytes,
            is_used: false,
        };
        self.bytes += bytes;
        match self.by_key.insert(key, entry) {
            // Another thread read it too.
            Some(replaced) => self.bytes -= replaced.bytes,
            None => self.order.push_back(key),
        }
    }

    /// Whether there was a page to pass over or to remove.
    fn make_room(&mut self) -> bool {
        let Some(key) = self.order.pop_front() else {
            return false;
        };
        match self.by_key.get_mut(&key) {
            Some(entry) if entry.is_used => {
                entry.is_used = false;
                self.order.push_back(key);
            }
            _ => {
                let removed = self.by_key.remove(&key);
                self.bytes -= removed.map_or(0, |removed| removed.bytes);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::basic::Encoding;

    use super::*;

    fn page(bytes: usize) -> Page {
        Page::DictionaryPage {
            buf: Bytes::from(vec![7; bytes]),
            num_values: 1,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        }
    }

    fn key(offset: u64) -> PageKey {
        PageKey {
            file: FileId(1),
            offset,
        }
    }

    #[test]
    fn pages_that_are_used_stay_and_the_bytes_are_kept() {
        const BYTES: usize = 100 * (1_000 + ENTRY_BYTES);
        let cache = PageCache::new(BYTES);
        cache.insert(key(0), &page(1_000));
        for offset in 1..1_000 {
            cache.insert(key(offset), &page(1_000));
            assert!(cache.get(key(0)).is_some(), "{offset}");
            assert!(cache.stats().bytes <= BYTES as u64);
        }
        assert!(cache.get(key(999)).is_some());
        assert!(cache.get(key(500)).is_none());
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses), (1_000, 1));
    }

    #[test]
    fn a_page_is_counted_once_and_a_large_one_not_kept() {
        let cache = PageCache::new(64 * 2_000);
        cache.insert(key(1), &page(1_000));
        cache.insert(key(1), &page(1_000));
        assert_eq!(cache.stats().bytes, (1_000 + ENTRY_BYTES) as u64);
        cache.insert(key(2), &page(2_000));
        assert!(cache.get(key(2)).is_none());
        cache.clear();
        assert_eq!(cache.stats().bytes, 0);
    }
}
