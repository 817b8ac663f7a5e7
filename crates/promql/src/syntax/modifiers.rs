//! The small parts of an expression: durations, time shifts, operators, grouping and matching clauses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::parser::token::{self, TokenId};
use promql_parser::parser::{
    AtModifier, BinModifier, LabelModifier, Offset, VectorMatchCardinality,
};

use crate::error::QueryError;
use crate::syntax::lower::Bounds;
use crate::syntax::{AggregateOp, BinaryOp, Cardinality, Matching, TimeShift};

pub(crate) fn millis(duration: Duration) -> Result<i64, QueryError> {
    i64::try_from(duration.as_millis()).map_err(|_too_long| QueryError::Parse {
        message: format!("duration out of range: {duration:?}"),
        position: None,
    })
}

pub(crate) fn time_shift(
    offset: Option<&Offset>,
    at: Option<&AtModifier>,
    bounds: Bounds,
) -> Result<TimeShift, QueryError> {
    let offset = match offset {
        None => 0,
        Some(Offset::Pos(duration)) => millis(*duration)?,
        Some(Offset::Neg(duration)) => -millis(*duration)?,
    };
    let at = match at {
        None => None,
        Some(AtModifier::Start) => Some(bounds.start),
        Some(AtModifier::End) => Some(bounds.end),
        Some(AtModifier::At(time)) => Some(unix_millis(*time)?),
    };
    Ok(TimeShift { offset, at })
}

fn unix_millis(time: SystemTime) -> Result<i64, QueryError> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => Ok(-millis(before.duration())?),
    }
}

pub(crate) fn binary_op(id: TokenId) -> Option<BinaryOp> {
    Some(match id {
        token::T_ADD => BinaryOp::Add,
        token::T_SUB => BinaryOp::Sub,
        token::T_MUL => BinaryOp::Mul,
        token::T_DIV => BinaryOp::Div,
        token::T_MOD => BinaryOp::Mod,
        token::T_POW => BinaryOp::Pow,
        token::T_ATAN2 => BinaryOp::Atan2,
        token::T_EQLC => BinaryOp::Equal,
        token::T_NEQ => BinaryOp::NotEqual,
        token::T_GTR => BinaryOp::Greater,
        token::T_LSS => BinaryOp::Less,
        token::T_GTE => BinaryOp::GreaterEqual,
        token::T_LTE => BinaryOp::LessEqual,
        token::T_LAND => BinaryOp::And,
        token::T_LOR => BinaryOp::Or,
        token::T_LUNLESS => BinaryOp::Unless,
        _ => return None,
    })
}

pub(crate) fn aggregate_op(id: TokenId) -> Option<AggregateOp> {
    Some(match id {
        token::T_SUM => AggregateOp::Sum,
        token::T_AVG => AggregateOp::Avg,
        token::T_COUNT => AggregateOp::Count,
        token::T_MIN => AggregateOp::Min,
        token::T_MAX => AggregateOp::Max,
        token::T_GROUP => AggregateOp::Group,
        token::T_STDDEV => AggregateOp::Stddev,
        token::T_STDVAR => AggregateOp::Stdvar,
        token::T_TOPK => AggregateOp::Topk,
        token::T_BOTTOMK => AggregateOp::Bottomk,
        token::T_LIMITK => AggregateOp::Limitk,
        token::T_LIMIT_RATIO => AggregateOp::LimitRatio,
        token::T_QUANTILE => AggregateOp::Quantile,
        token::T_COUNT_VALUES => AggregateOp::CountValues,
        _ => return None,
    })
}

/// The grouping clause: whether it is `without`, and its labels.
pub(crate) fn grouping(modifier: Option<&LabelModifier>) -> (bool, Vec<String>) {
    match modifier {
        None => (false, Vec::new()),
        Some(LabelModifier::Include(labels)) => (false, labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => (true, labels.labels.clone()),
    }
}

pub(crate) fn matching(modifier: Option<&BinModifier>) -> Matching {
    let mut matching = Matching {
        cardinality: Cardinality::OneToOne,
        on: false,
        labels: Vec::new(),
        include: Vec::new(),
        fill_left: None,
        fill_right: None,
    };
    let Some(modifier) = modifier else {
        return matching;
    };
    match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
        VectorMatchCardinality::ManyToOne(include) => {
            matching.cardinality = Cardinality::ManyToOne;
            matching.include.clone_from(&include.labels);
        }
        VectorMatchCardinality::OneToMany(include) => {
            matching.cardinality = Cardinality::OneToMany;
            matching.include.clone_from(&include.labels);
        }
    }
    if let Some(labels) = &modifier.matching {
        matching.on = labels.is_include();
        matching.labels.clone_from(&labels.labels().labels);
    }
    matching.fill_left = modifier.fill_values.lhs;
    matching.fill_right = modifier.fill_values.rhs;
    matching
}
