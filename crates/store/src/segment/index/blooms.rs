//! The tokens of all row groups of a segment as bloom filters.
//!
//! How many tokens a row group has is not known before its end, and all have the same number of buckets in the
//! file. So the tokens of the first row group are kept until its end, which gives the size of a bloom; later ones,
//! and a first one with very many, are built larger than that and halved to what they need. Memory: about what the
//! blooms take in the file, one bloom of up to 4 MiB, and up to 8 MiB for the first row group.

use xxhash_rust::xxh3::xxh3_64;

use super::bloom::{BUCKET_BYTES, Bloom};
use super::{BITS_PER_TOKEN, Filters, PAGE_BYTES};

const BUCKET_BITS: u64 = BUCKET_BYTES as u64 * 8;
/// Tokens of the first row group that are kept, until its end or until there are more.
const FIRST_TOKENS_MAX: usize = 1 << 20;
/// Largest bloom while it is built.
const BUCKETS_MAX: u32 = 1 << 17;
/// Blooms take at most this part of the data before them.
const SHARE_MAX: u64 = 10;

/// Gathers the tokens of row groups.
#[derive(Debug, Default)]
pub(super) struct BloomBuilder {
    current: Current,
    /// One for each finished row group, with its number of tokens.
    finished: Vec<(Bloom, u64)>,
}

/// The row group that is being written.
#[derive(Debug)]
enum Current {
    /// The first one: its tokens, some of them more than once.
    First(Vec<u64>),
    Later {
        bloom: Bloom,
        tokens: u64,
    },
}

impl Default for Current {
    fn default() -> Self {
        Self::First(Vec::new())
    }
}

impl Current {
    /// The first row group after it came to [`FIRST_TOKENS_MAX`]: mostly repetitions, or else so many tokens that its
    /// bloom is built like later ones.
    fn of_many(mut tokens: Vec<u64>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.len() <= FIRST_TOKENS_MAX / 2 {
            return Self::First(tokens);
        }
        let mut bloom = Bloom::new(BUCKETS_MAX);
        let tokens = tokens.into_iter().filter(|token| bloom.add(*token)).count() as u64;
        Self::Later { bloom, tokens }
    }
}

impl BloomBuilder {
    pub(super) fn put(&mut self, hash: u64) {
        match &mut self.current {
            Current::First(tokens) => {
                tokens.push(hash);
                if tokens.len() >= FIRST_TOKENS_MAX {
                    self.current = Current::of_many(std::mem::take(tokens));
                }
            }
            Current::Later { bloom, tokens } => *tokens += u64::from(bloom.add(hash)),
        }
    }

    /// Ends the current row group.
    pub(super) fn end_group(&mut self) {
        let base = self.finished.first().map(|(bloom, _)| bloom.buckets());
        let (bloom, tokens) = match &mut self.current {
            Current::First(tokens) => {
                let mut tokens = std::mem::take(tokens);
                tokens.sort_unstable();
                tokens.dedup();
                let count = tokens.len() as u64;
                let mut bloom = Bloom::new(buckets_for(count));
                for token in tokens {
                    bloom.add(token);
                }
                (bloom, count)
            }
            Current::Later { bloom, tokens } => {
                let mut built = std::mem::replace(bloom, Bloom::new(1));
                let wanted = buckets_for(*tokens);
                let least = base.unwrap_or(1);
                while built.buckets() / 2 >= wanted && built.buckets() / 2 >= least {
                    built = built.halved();
                }
                (built, *tokens)
            }
        };
        let base = base.unwrap_or(bloom.buckets());
        let last = bloom.buckets();
        self.finished.push((bloom, tokens));
        // Room for a row group with twice the tokens of this one, which a cache still holds.
        let mut buckets = base;
        while buckets < BUCKETS_MAX && buckets / 2 < last {
            buckets *= 2;
        }
        self.current = Current::Later {
            bloom: Bloom::new(buckets),
            tokens: 0,
        };
    }

    /// The number of row groups, what the header says of the blooms, and these.
    pub(super) fn finish(self, data_bytes: u64) -> (u32, Filters, Vec<u8>) {
        let groups = u32::try_from(self.finished.len()).unwrap_or(u32::MAX);
        let buckets = common_size(&self.finished, data_bytes);
        let mut blooms = Vec::with_capacity(self.finished.len());
        for (mut bloom, _tokens) in self.finished {
            while bloom.buckets() > buckets.max(1) {
                bloom = bloom.halved();
            }
            blooms.push(bloom);
        }
        let page_buckets = PAGE_BYTES / (blooms.len().max(1) * BUCKET_BYTES);
        let page_buckets = u32::try_from(page_buckets).unwrap_or(1).max(1);
        let pages = pages(&blooms, buckets, page_buckets);
        let filters = Filters::Blooms {
            buckets,
            page_buckets,
        };
        (groups, filters, pages)
    }
}

fn pages(blooms: &[Bloom], buckets: u32, page_buckets: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut first = 0;
    while first < buckets {
        let last = first.saturating_add(page_buckets).min(buckets);
        let start = bytes.len();
        for bucket in first..last {
            for bloom in blooms {
                for word in bloom.bucket_at(bucket, buckets) {
                    bytes.extend_from_slice(&word.to_le_bytes());
                }
            }
        }
        let checksum = xxh3_64(bytes.get(start..).unwrap_or_default());
        bytes.extend_from_slice(&checksum.to_le_bytes());
        first = last;
    }
    bytes
}

/// Buckets for so many tokens, a number that can be halved three times.
fn buckets_for(tokens: u64) -> u32 {
    let buckets = (tokens * BITS_PER_TOKEN).div_ceil(BUCKET_BITS);
    let buckets = u32::try_from(buckets)
        .unwrap_or(BUCKETS_MAX)
        .min(BUCKETS_MAX);
    buckets.next_multiple_of(8).max(8)
}

/// Buckets that each row group gets: enough for the mean, and within the share of the file. 0 for no blooms.
fn common_size(finished: &[(Bloom, u64)], data_bytes: u64) -> u32 {
    let Some((first, _tokens)) = finished.first() else {
        return 0;
    };
    let groups = finished.len() as u64;
    let tokens: u64 = finished.iter().map(|(_bloom, tokens)| tokens).sum();
    let wanted = u64::from(buckets_for(tokens / groups));
    // A little too small costs less than twice the size.
    let enough = wanted - wanted / 5;
    let largest = data_bytes / SHARE_MAX / groups / BUCKET_BYTES as u64;
    let mut buckets = first.buckets();
    while u64::from(buckets) < enough && u64::from(buckets) * 2 <= largest {
        buckets *= 2;
    }
    while buckets % 2 == 0 && u64::from(buckets) / 2 >= enough {
        buckets /= 2;
    }
    while u64::from(buckets) > largest {
        if buckets % 2 != 0 {
            return 0;
        }
        buckets /= 2;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of so many tokens is put in the first row group, and then all once more.
    fn check_first_group(tokens: u64) {
        let hash = |token: u64| xxh3_64(&token.to_le_bytes());
        let mut index = BloomBuilder::default();
        for token in (0..tokens).chain(0..tokens) {
            index.put(hash(token));
        }
        index.end_group();
        let [(bloom, counted)] = &mut index.finished[..] else {
            panic!("one row group");
        };
        assert!(
            *counted <= tokens && *counted * 20 > tokens * 19,
            "{counted}"
        );
        let missing = (0..tokens).filter(|token| bloom.add(hash(*token))).count();
        assert_eq!(missing, 0, "of {tokens}");
        let wanted = buckets_for(*counted);
        assert!((wanted..wanted * 2).contains(&bloom.buckets()), "{tokens}");
    }

    #[test]
    fn no_token_of_the_first_row_group_is_missing_however_many_there_are() {
        for tokens in [10, 300_000, 700_000, 1_300_000] {
            check_first_group(tokens);
        }
    }
}
