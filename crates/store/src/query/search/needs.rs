//! What a row group must have for a condition to hold there, as tokens of the segment's blooms.

use super::maps::Key;
use super::predicate::{LeafTest, Predicate, Source};
use super::segment::Segment;
use super::text::TextTest;
use super::values::Attribute;
use crate::segment::index::IndexError;
use crate::segment::index::token::{self, KeyHash};
use crate::tables::{PromotedKind, column};

/// Words of one text that are looked up; more would hardly exclude more.
const WORDS_MAX: usize = 16;

/// A condition on the tokens of a row group.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Needs {
    /// It may hold whatever the tokens are.
    Nothing,
    Token(u64),
    All(Vec<Needs>),
    Any(Vec<Needs>),
}

/// For each row group of a segment, whether it may hold a row that fulfils the condition; `None` when the tokens do
/// not tell.
pub(crate) fn possible_groups(
    predicate: &Predicate,
    segment: &Segment,
) -> Result<Option<Vec<bool>>, IndexError> {
    look_up(&needs(predicate, segment), segment)
}

/// Whether a map may hold a key in a row group, by the tokens.
pub(crate) fn map_may_hold(segment: &Segment, group: usize, map: &str, key: &Key) -> bool {
    let name = match key {
        Key::Exact(name) | Key::Metadata(name) => name,
    };
    let hash = KeyHash::new(name);
    let token = match map {
        column::RESOURCE_ATTRIBUTES => hash.in_resource_map(),
        _ => hash.in_own_map(),
    };
    // A damaged index tells nothing; whoever opened the segment has counted it.
    let groups = segment.groups_with(token).ok().flatten();
    groups.is_none_or(|groups| groups.get(group).copied().unwrap_or(true))
}

/// Whether a row group may hold a trace id, by the tokens.
pub(crate) fn group_may_hold_id(segment: &Segment, group: usize, id: &[u8]) -> bool {
    let groups = segment.groups_with(token::id(id)).ok().flatten();
    groups.is_none_or(|groups| groups.get(group).copied().unwrap_or(true))
}

fn needs(predicate: &Predicate, segment: &Segment) -> Needs {
    match predicate {
        Predicate::All(parts) => {
            Needs::All(parts.iter().map(|part| needs(part, segment)).collect())
        }
        Predicate::Any(parts) => {
            Needs::Any(parts.iter().map(|part| needs(part, segment)).collect())
        }
        Predicate::Not(_) => Needs::Nothing,
        Predicate::Leaf(Source::Column(name), test) => match (name.as_str(), test) {
            (column::BODY, LeafTest::Text(test)) if segment.has(column::BODY) => of_body(test),
            (column::TRACE_ID, LeafTest::OneOf(ids)) => {
                Needs::Any(ids.iter().map(|id| Needs::Token(token::id(id))).collect())
            }
            _ => Needs::Nothing,
        },
        Predicate::Leaf(Source::Attribute(attribute), test) => {
            of_attribute(attribute, test, segment)
        }
        Predicate::Leaf(Source::Presence(_), _test) => Needs::Nothing,
    }
}

fn of_body(test: &TextTest) -> Needs {
    let all = |words: &mut dyn Iterator<Item = &str>| {
        let tokens = words
            .take(WORDS_MAX)
            .map(|word| Needs::Token(token::body_word(word)));
        Needs::All(tokens.collect())
    };
    match test {
        TextTest::Equals(text) => all(&mut token::words(text)),
        TextTest::Word(word, _finder) => all(&mut token::words(word)),
        TextTest::Contains(finder) => {
            let text = std::str::from_utf8(finder.needle()).unwrap_or_default();
            all(&mut token::whole_words(text))
        }
        TextTest::Regex { literals, .. } => all(&mut literals
            .iter()
            .flat_map(|literal| token::whole_words(literal))),
    }
}

/// Values in typed columns that are no text are not among the tokens.
fn of_attribute(attribute: &Attribute, test: &LeafTest, segment: &Segment) -> Needs {
    let name = match &attribute.key {
        Key::Exact(name) | Key::Metadata(name) => name,
    };
    let Some(text) = test.equal_text().filter(|text| !text.is_empty()) else {
        return Needs::Nothing;
    };
    let untold = attribute.promoted.iter().any(|column| {
        column.kind != PromotedKind::Text
            && column.kind.exact(text).is_some()
            && segment.has(&column.name)
    });
    match untold {
        true => Needs::Nothing,
        false => Needs::Token(KeyHash::new(name).with_value(text)),
    }
}

fn look_up(needs: &Needs, segment: &Segment) -> Result<Option<Vec<bool>>, IndexError> {
    match needs {
        Needs::Nothing => Ok(None),
        Needs::Token(hash) => segment.groups_with(*hash),
        Needs::All(parts) => {
            let mut all: Option<Vec<bool>> = None;
            for part in parts {
                let Some(groups) = look_up(part, segment)? else {
                    continue;
                };
                let joined = match all {
                    None => groups,
                    Some(all) => both(&all, &groups, |a, b| a && b),
                };
                let none_left = !joined.contains(&true);
                all = Some(joined);
                if none_left {
                    break;
                }
            }
            Ok(all)
        }
        Needs::Any(parts) => {
            let mut any: Option<Vec<bool>> = None;
            for part in parts {
                let Some(groups) = look_up(part, segment)? else {
                    return Ok(None);
                };
                any = Some(match any {
                    None => groups,
                    Some(any) => both(&any, &groups, |a, b| a || b),
                });
            }
            Ok(any)
        }
    }
}

fn both(a: &[bool], b: &[bool], join: impl Fn(bool, bool) -> bool) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| join(*a, *b)).collect()
}
