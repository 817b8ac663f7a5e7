//! The query as the evaluator wants it: types checked, durations in milliseconds, matchers compiled,
//! `@ start()` resolved, and every node with its position in the text.
//!
//! In: query text, read by `promql-parser`. That parser knows a part of the language only: `plain` rewrites the rest,
//! with `durations`. It keeps no positions either, so `tokens` scans the text a second time and `lower` walks both
//! side by side. Limits: [`QUERY_TOKENS_MAX`] tokens and [`QUERY_DEPTH_MAX`] nested expressions, which bounds the
//! stack of everything that recurses later.

mod durations;
mod lower;
mod modifiers;
mod plain;
mod selector;
mod tokens;

use vervet_model::Matcher;

use crate::error::{Position, QueryError};
use crate::functions::Function;

pub(crate) use lower::{Bounds, parse_query};
pub(crate) use plain::plain;
pub use selector::parse_selector;
pub(crate) use tokens::{Tokens, duration_seconds, token_count};

/// Words, numbers and signs in one query, at most.
pub const QUERY_TOKENS_MAX: usize = 4096;
/// Expressions nested in one another, at most.
pub const QUERY_DEPTH_MAX: usize = 512;

fn parse_error(message: &str, position: Position) -> QueryError {
    QueryError::Parse {
        message: message.to_owned(),
        position: Some(position),
    }
}

/// An expression and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) expr: Expr,
    pub(crate) position: Position,
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Number(f64),
    Text(String),
    Vector(Selector),
    Matrix {
        selector: Selector,
        range: i64,
    },
    Subquery(Box<Subquery>),
    Call {
        function: Function,
        args: Vec<Node>,
    },
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Node>),
    /// Has the same value at every step, because `@` fixes the time of all it reads.
    StepInvariant(Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueType {
    Scalar,
    Text,
    Vector,
    Matrix,
}

impl ValueType {
    /// The word that messages use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Text => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

impl Node {
    pub(crate) fn value_type(&self) -> ValueType {
        match &self.expr {
            Expr::Number(_) => ValueType::Scalar,
            Expr::Text(_) => ValueType::Text,
            Expr::Vector(_) | Expr::Aggregate(_) => ValueType::Vector,
            Expr::Matrix { .. } | Expr::Subquery(_) => ValueType::Matrix,
            Expr::Call { function, .. } => function.result_type(),
            Expr::Binary(binary) => binary.value_type,
            Expr::Negate(inner) | Expr::StepInvariant(inner) => inner.value_type(),
        }
    }

    /// Whether a value at a step depends on nothing that is later than the step, or the same for all steps.
    pub(crate) fn looks_back_only(&self) -> bool {
        let selects = |selector: &Selector| {
            selector.edges == Edges::Sampled && selector.shift.looks_back_only()
        };
        match &self.expr {
            Expr::Number(_) | Expr::Text(_) => true,
            Expr::Vector(selector) | Expr::Matrix { selector, .. } => selects(selector),
            Expr::Subquery(subquery) => {
                subquery.shift.looks_back_only() && subquery.expr.looks_back_only()
            }
            Expr::Call { args, .. } => args.iter().all(Self::looks_back_only),
            Expr::Aggregate(aggregate) => {
                let mut parts = aggregate.param.iter().chain([&aggregate.expr]);
                parts.all(Self::looks_back_only)
            }
            Expr::Binary(binary) => binary.lhs.looks_back_only() && binary.rhs.looks_back_only(),
            Expr::Negate(inner) | Expr::StepInvariant(inner) => inner.looks_back_only(),
        }
    }

    /// The expression without the step-invariant wrapper.
    pub(crate) fn bare(&self) -> &Expr {
        match &self.expr {
            Expr::StepInvariant(inner) => inner.bare(),
            other => other,
        }
    }
}

/// When a selector or subquery reads, relative to the step (milliseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeShift {
    pub(crate) offset: i64,
    /// Set by `@`: the fixed time to read at, before the offset.
    pub(crate) at: Option<i64>,
}

impl TimeShift {
    fn looks_back_only(self) -> bool {
        self.at.is_none() && self.offset >= 0
    }

    /// The time that is read at a step.
    pub(crate) fn reference(self, step: i64) -> i64 {
        self.at.unwrap_or(step).saturating_sub(self.offset)
    }
}

/// Where a range takes the values at its edges from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// Nowhere: only the samples inside count, and functions may extrapolate.
    Sampled,
    /// The value at the start is that of the last sample before it.
    Anchored,
    /// The values at both ends are interpolated between the samples before and after.
    Smoothed,
}

impl Edges {
    /// What a modifier says.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Anchored, Self::Smoothed]
            .into_iter()
            .find(|edges| word.eq_ignore_ascii_case(edges.as_str()))
    }

    /// As in a query.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sampled => "",
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: TimeShift,
    pub(crate) edges: Edges,
}

#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) expr: Node,
    pub(crate) range: i64,
    /// Milliseconds; `None` means the engine's default.
    pub(crate) step: Option<i64>,
    pub(crate) shift: TimeShift,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Limitk,
    LimitRatio,
    Quantile,
    CountValues,
}

impl AggregateOp {
    const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::Limitk,
        Self::LimitRatio,
        Self::Quantile,
        Self::CountValues,
    ];

    /// The aggregation that a word of a query names.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|op| word.eq_ignore_ascii_case(op.as_str()))
    }

    /// As in a query.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Node>,
    pub(crate) expr: Node,
    pub(crate) without: bool,
    pub(crate) labels: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
    /// The observations of a histogram below a value.
    TrimUpper,
    /// Those above it.
    TrimLower,
}

impl BinaryOp {
    const ALL: [Self; 18] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Mod,
        Self::Pow,
        Self::Atan2,
        Self::Equal,
        Self::NotEqual,
        Self::Greater,
        Self::Less,
        Self::GreaterEqual,
        Self::LessEqual,
        Self::And,
        Self::Or,
        Self::Unless,
        Self::TrimUpper,
        Self::TrimLower,
    ];

    /// The operator that a sign or word of a query is.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|op| word.eq_ignore_ascii_case(op.as_str()))
    }

    /// The operators that the parser does not know, and what it reads instead.
    pub(crate) fn trim(text: &str) -> Option<(Self, &'static str)> {
        match text {
            "</" => Some((Self::TrimUpper, "<")),
            ">/" => Some((Self::TrimLower, ">")),
            _ => None,
        }
    }

    pub(crate) fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// As in a query.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterEqual
                | Self::LessEqual
        )
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    pub(crate) fn is_arithmetic(self) -> bool {
        !self.is_comparison() && !self.is_set() && !self.is_trim()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cardinality {
    OneToOne,
    ManyToOne,
    OneToMany,
}

/// How the elements of two vectors find each other.
#[derive(Debug, Clone)]
pub(crate) struct Matching {
    pub(crate) cardinality: Cardinality,
    /// `on` rather than `ignoring`.
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    /// Labels that `group_left` or `group_right` copies from the "one" side.
    pub(crate) include: Vec<String>,
    /// Value for a left (right) element that is missing.
    pub(crate) fill_left: Option<f64>,
    pub(crate) fill_right: Option<f64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    /// A comparison gives 0 or 1 instead of filtering.
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
    pub(crate) value_type: ValueType,
}
