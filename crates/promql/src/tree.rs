//! A query as it is written, for showing it: laid out for reading ([`format_query`]) or as data ([`parse_query`]).
//!
//! In: a query that the engine would evaluate; others are refused with the engine's own errors. Out: text. Unlike the
//! evaluator's tree this one has parentheses, the arithmetic of durations and `@ start()` as they stand in the query.
//! `read` makes it of tokens, `text` writes it in one line, `layout` in many, `json` as Prometheus's API does.

mod json;
mod layout;
mod read;
mod text;

use vervet_model::MatchOp;

use crate::error::QueryError;
use crate::features::Features;
use crate::functions::Function;
use crate::stack::with_room;
use crate::syntax::{
    AggregateOp, BinaryOp, Bounds, Cardinality, Edges, Tokens, ValueType, parse_query as check,
};

/// Some range of time, in which no arithmetic of durations that makes sense comes out at nothing.
const SOME_BOUNDS: Bounds = Bounds {
    start: 0,
    end: 86_399_000,
    step: 61_000,
};

/// The query laid out as Prometheus 3 does it: what has more than 100 bytes is broken into lines, indented by two
/// spaces for each level. Comments are lost.
///
/// # Errors
/// The query is invalid, or uses what is not switched on.
pub fn format_query(query: &str, features: Features) -> Result<String, QueryError> {
    with_room(query, || Ok(layout::layout(&checked(query, features)?)))
}

/// The syntax tree of the query in JSON, in the shape of Prometheus's `/api/v1/parse_query`. It is text because a
/// deep value needs more stack than its user may have.
///
/// # Errors
/// The query is invalid, or uses what is not switched on.
pub fn parse_query(query: &str, features: Features) -> Result<String, QueryError> {
    with_room(query, || {
        let tree = checked(query, features)?;
        let signatures = json::Signatures::of(query, SOME_BOUNDS, features)?;
        Ok(signatures.json(&tree).to_string())
    })
}

fn checked(query: &str, features: Features) -> Result<Tree, QueryError> {
    check(query, SOME_BOUNDS, features)?;
    read::Reader::new(&Tokens::scan(query)?).query()
}

/// An expression.
#[derive(Debug)]
enum Tree {
    Number(Number),
    Text(String),
    Selector(Selector),
    Subquery {
        inner: Box<Tree>,
        range: Span,
        step: Option<Span>,
        shift: Shift,
    },
    Call {
        name: String,
        args: Vec<Tree>,
    },
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Unary {
        sign: &'static str,
        inner: Box<Tree>,
    },
    Paren(Box<Tree>),
}

/// A number, or seconds that are written as a duration.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: f64,
    duration: bool,
}

/// An instant selector, or a range selector if there is a range.
#[derive(Debug)]
struct Selector {
    /// As it stands before the braces; empty where it does not.
    name: String,
    matchers: Vec<Matcher>,
    range: Option<Span>,
    edges: Edges,
    shift: Shift,
}

#[derive(Debug)]
struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
}

/// `offset` and `@`.
#[derive(Debug, Default)]
struct Shift {
    offset: Option<Span>,
    at: Option<At>,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Milliseconds.
    Time(i64),
    Start,
    End,
}

/// A duration, or arithmetic on durations.
#[derive(Debug)]
enum Span {
    Number(Number),
    Call { name: String, args: Vec<Span> },
    Negative(Box<Span>),
    Wrapped(Box<Span>),
    Binary(Box<(Span, &'static str, Span)>),
}

#[derive(Debug)]
struct Aggregate {
    op: AggregateOp,
    param: Option<Tree>,
    inner: Tree,
    without: bool,
    labels: Vec<String>,
}

#[derive(Debug)]
struct Binary {
    op: BinaryOp,
    left: Tree,
    right: Tree,
    return_bool: bool,
    /// Between two instant vectors only.
    matching: Option<Matching>,
}

#[derive(Debug)]
struct Matching {
    /// For set operators, where many match many, this is one-to-one.
    cardinality: Cardinality,
    on: bool,
    labels: Vec<String>,
    include: Vec<String>,
    fill: Fill,
}

/// What stands in for missing elements.
#[derive(Debug, Clone, Copy, Default)]
struct Fill {
    left: Option<f64>,
    right: Option<f64>,
    /// One `fill` was said for both.
    both: bool,
}

impl Tree {
    fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::Text(_) => ValueType::Text,
            Self::Selector(selector) if selector.range.is_some() => ValueType::Matrix,
            Self::Selector(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Subquery { .. } => ValueType::Matrix,
            // `start()` and the like are no functions of the evaluator.
            Self::Call { name, .. } => {
                Function::by_name(name).map_or(ValueType::Scalar, Function::result_type)
            }
            Self::Binary(binary) => {
                let sides = [binary.left.value_type(), binary.right.value_type()];
                let scalar = sides == [ValueType::Scalar; 2];
                if scalar {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            Self::Unary { inner, .. } | Self::Paren(inner) => inner.value_type(),
        }
    }
}

#[cfg(test)]
mod tests;
