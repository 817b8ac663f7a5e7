//! Split-block bloom filters: 256 bits a bucket, eight words of 32 bits, in each of which a token sets one bit.
//!
//! The bucket of a token is `hash * buckets >> 64`, so that joining two neighbours of a filter gives the filter
//! of half the buckets, and doubling each bucket the one of twice as many.

/// Bytes of a bucket.
pub(crate) const BUCKET_BYTES: usize = 32;
const WORDS: usize = 8;

/// Odd numbers that spread the low bits of a hash over the words: those of the Parquet format.
const SALTS: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

pub(crate) type Bucket = [u32; WORDS];

/// The bits of a token within its bucket.
pub(crate) fn bits(hash: u64) -> Bucket {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let low = hash as u32;
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

/// The bucket of a token among `buckets`.
pub(crate) fn bucket_of(hash: u64, buckets: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the product is below 2^(64 + 32)"
    )]
    let bucket = ((u128::from(hash) * u128::from(buckets)) >> 64) as u32;
    bucket
}

/// Whether a bucket, as it stands in a file, has all bits of a token.
pub(crate) fn holds(bucket: &[u8], bits: &Bucket) -> bool {
    bucket
        .chunks_exact(4)
        .zip(bits)
        .all(|(word, bit)| match word.first_chunk::<4>() {
            Some(word) => u32::from_le_bytes(*word) & bit != 0,
            None => false,
        })
}

/// The filter of one row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bloom(Vec<Bucket>);

impl Bloom {
    pub(super) fn new(buckets: u32) -> Self {
        let buckets = usize::try_from(buckets).unwrap_or(1).max(1);
        Self(vec![[0; WORDS]; buckets])
    }

    pub(super) fn buckets(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Adds a token. `false` when all its bits were set before.
    pub(super) fn add(&mut self, hash: u64) -> bool {
        let index = usize::try_from(bucket_of(hash, self.buckets())).unwrap_or(usize::MAX);
        let Some(bucket) = self.0.get_mut(index) else {
            return false;
        };
        let mut is_new = false;
        for (word, bit) in bucket.iter_mut().zip(bits(hash)) {
            is_new |= *word & bit == 0;
            *word |= bit;
        }
        is_new
    }

    /// The filter with half the buckets, which must be an even number.
    pub(super) fn halved(&self) -> Self {
        let join = |pair: &[Bucket]| match pair {
            [a, b] => std::array::from_fn(|word| {
                a.get(word).copied().unwrap_or(0) | b.get(word).copied().unwrap_or(0)
            }),
            _ => [0; WORDS],
        };
        Self(self.0.chunks_exact(2).map(join).collect())
    }

    /// The bucket that stands for bucket `index` of a filter with `buckets`, a multiple of this one's.
    pub(super) fn bucket_at(&self, index: u32, buckets: u32) -> Bucket {
        let times = (buckets / self.buckets()).max(1);
        let own = usize::try_from(index / times).unwrap_or(usize::MAX);
        self.0.get(own).copied().unwrap_or([u32::MAX; WORDS])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn file_holds(bloom: &Bloom, buckets: u32, hash: u64) -> bool {
        let bucket = bloom.bucket_at(bucket_of(hash, buckets), buckets);
        let bytes: Vec<u8> = bucket.iter().flat_map(|word| word.to_le_bytes()).collect();
        holds(&bytes, &bits(hash))
    }

    proptest! {
        #[test]
        fn every_token_is_found_whatever_the_size(
            tokens in prop::collection::vec(any::<u64>(), 1..500),
            base in 1..20_u32,
        ) {
            let mut bloom = Bloom::new(base * 4);
            for token in &tokens {
                bloom.add(*token);
            }
            let half = bloom.halved();
            for token in tokens {
                prop_assert!(!bloom.add(token));
                prop_assert!(file_holds(&bloom, base * 4, token));
                prop_assert!(file_holds(&bloom, base * 16, token));
                prop_assert!(file_holds(&half, base * 2, token));
                prop_assert!(file_holds(&half.halved(), base * 8, token));
            }
        }
    }

    #[test]
    fn few_other_tokens_are_found() {
        let tokens = 10_000_u64;
        // Ten bits a token.
        let mut bloom = Bloom::new(u32::try_from(tokens * 10 / 256).unwrap());
        for token in 0..tokens {
            bloom.add(xxh3_64(&token.to_le_bytes()));
        }
        let others = tokens..tokens * 11;
        let found = others
            .filter(|token| file_holds(&bloom, bloom.buckets(), xxh3_64(&token.to_le_bytes())))
            .count();
        assert!(found < 2_000, "{found} of 100000");
    }
}
