//! Settings that are a word, or a map with more.
//!
//! In: what stands in the configuration. Out: the map, which a word is short for. Told apart by what stands there, so
//! that an error tells of the one that was meant.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, MapAccess, Visitor};

/// A map for which a word may stand.
pub(crate) trait WordOrMap {
    type Word;
    /// What an error says is expected.
    const EXPECTED: &'static str;

    /// The map that the word is short for.
    fn of_word(word: Self::Word) -> Self;
}

/// # Errors
/// It is neither; or the word is none of the known ones, or the map is not as it must be.
pub(crate) fn word_or_map<'de, D, M>(deserializer: D) -> Result<M, D::Error>
where
    D: Deserializer<'de>,
    M: WordOrMap<Word: Deserialize<'de>> + Deserialize<'de>,
{
    deserializer.deserialize_any(Either(PhantomData))
}

struct Either<M>(PhantomData<M>);

impl<'de, M> Visitor<'de> for Either<M>
where
    M: WordOrMap<Word: Deserialize<'de>> + Deserialize<'de>,
{
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(M::EXPECTED)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<M, E> {
        let de: StrDeserializer<'_, E> = word.into_deserializer();
        M::Word::deserialize(de).map(M::of_word)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<M, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map))
    }
}
