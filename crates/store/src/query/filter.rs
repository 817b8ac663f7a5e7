//! What a typed request asks of a row: a tree of conditions over columns, attributes and body.
//!
//! A value that a row does not have counts as the empty text, as an absent label does in Prometheus; only
//! [`Test::Exists`] tells the two apart. A number that is absent, or a text that is no number, fulfils no
//! comparison. Texts are compared as bytes, case-sensitive.

/// A condition on one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All hold; an empty list always holds.
    All(Vec<Filter>),
    /// One holds at least; an empty list never holds.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(Field, Test),
}

/// What a condition looks at, or a count is grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// A column of the table, by its name. Maps are asked by the variants below.
    Column(String),
    /// `true` or `false`: whether the column of this name has a value.
    Presence(String),
    /// An attribute of the record or span itself.
    Attribute(String),
    ResourceAttribute(String),
    /// An attribute of the resource, else of the record or span itself, whose key with `.`, `-` and `/` as `_` is
    /// this name.
    Metadata(String),
    /// The same, of the record or span itself only.
    OwnMetadata(String),
    /// The same, of the resource only.
    ResourceMetadata(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Equals(String),
    /// The text holds this one; an empty text is held by all.
    Contains(String),
    /// The text holds this word: no letter, digit or underscore stands before or after it.
    HasToken(String),
    /// The regular expression matches somewhere in the text.
    Regex(String),
    /// The number compares so with this one.
    Compare(Comparison, f64),
    /// The identifier (`trace_id`, `span_id`, `parent_span_id`) is one of these.
    OneOf(Vec<Vec<u8>>),
    /// There is a value, be it an empty one.
    Exists,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    pub(crate) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Equal => left == right,
            Self::GreaterOrEqual => left >= right,
            Self::Greater => left > right,
        }
    }
}

impl Filter {
    /// The condition that every row fulfils.
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    pub fn is(field: Field, test: Test) -> Self {
        Self::Is(field, test)
    }

    pub fn is_not(field: Field, test: Test) -> Self {
        Self::Not(Box::new(Self::Is(field, test)))
    }
}

impl Field {
    pub fn column(name: impl Into<String>) -> Self {
        Self::Column(name.into())
    }
}
