//! Binary operators: between numbers, between a vector and a number, and between vectors.

use crate::error::QueryError;
use crate::eval::{Evaluated, Evaluator, Track};
use crate::queryable::Sample;
use crate::syntax::{Binary, BinaryOp};

impl Evaluator<'_> {
    pub(crate) fn eval_binary(&self, binary: &Binary) -> Result<Evaluated, QueryError> {
        let (lhs, rhs) = (self.eval(&binary.lhs)?, self.eval(&binary.rhs)?);
        match (lhs, rhs) {
            (Evaluated::Scalar(lhs), Evaluated::Scalar(rhs)) => {
                let both = lhs.iter().zip(&rhs);
                let result = both.map(|(lhs, rhs)| match apply(binary.op, *lhs, *rhs) {
                    Outcome::Value(value) => value,
                    Outcome::Holds(holds) => f64::from(holds),
                });
                Ok(Evaluated::Scalar(result.collect()))
            }
            (Evaluated::Vector(tracks), Evaluated::Scalar(scalars)) => Ok(Evaluated::Vector(
                self.with_scalar(binary, tracks, &scalars, false),
            )),
            (Evaluated::Scalar(scalars), Evaluated::Vector(tracks)) => Ok(Evaluated::Vector(
                self.with_scalar(binary, tracks, &scalars, true),
            )),
            (Evaluated::Vector(lhs), Evaluated::Vector(rhs)) => {
                let result = if binary.op.is_set() {
                    self.eval_set(binary, lhs, rhs)
                } else {
                    self.eval_matched(binary, lhs, rhs)
                };
                result.map(Evaluated::Vector)
            }
            _ => Err(QueryError::Parse {
                message: "binary expression must contain only scalar and instant vector types"
                    .to_owned(),
                position: Some(binary.lhs.position),
            }),
        }
    }

    /// Combines each element with the number of its step, which stands left of the operator if `swapped`.
    fn with_scalar(
        &self,
        binary: &Binary,
        mut tracks: Vec<Track>,
        scalars: &[f64],
        swapped: bool,
    ) -> Vec<Track> {
        let combine = |sample: &Sample| {
            let scalar = *scalars.get(self.grid.index(sample.timestamp))?;
            let outcome = if swapped {
                apply(binary.op, scalar, sample.value)
            } else {
                apply(binary.op, sample.value, scalar)
            };
            outcome.element(sample.value, binary.return_bool)
        };
        for track in &mut tracks {
            track.drop_name |= binary.op.is_arithmetic() || binary.return_bool;
            track.samples.retain_mut(|sample| match combine(sample) {
                Some(value) => {
                    sample.value = value;
                    true
                }
                None => false,
            });
        }
        tracks.retain(|track| !track.samples.is_empty());
        tracks
    }
}

/// What an operator makes of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    Value(f64),
    /// Of a comparison.
    Holds(bool),
}

impl Outcome {
    /// The value of the resulting element: a comparison that holds keeps the vector's value, one that does not
    /// drops the element, and with `bool` both are numbers.
    pub(crate) fn element(self, kept: f64, return_bool: bool) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Holds(holds) if return_bool => Some(f64::from(holds)),
            Self::Holds(true) => Some(kept),
            Self::Holds(false) => None,
        }
    }
}

/// Applies an arithmetic or comparison operator.
pub(crate) fn apply(op: BinaryOp, lhs: f64, rhs: f64) -> Outcome {
    match op {
        BinaryOp::Add => Outcome::Value(lhs + rhs),
        BinaryOp::Sub => Outcome::Value(lhs - rhs),
        BinaryOp::Mul => Outcome::Value(lhs * rhs),
        BinaryOp::Div => Outcome::Value(lhs / rhs),
        BinaryOp::Mod => Outcome::Value(lhs % rhs),
        BinaryOp::Pow => Outcome::Value(lhs.powf(rhs)),
        BinaryOp::Atan2 => Outcome::Value(lhs.atan2(rhs)),
        BinaryOp::Equal => Outcome::Holds(lhs == rhs),
        BinaryOp::NotEqual => Outcome::Holds(lhs != rhs),
        BinaryOp::Greater => Outcome::Holds(lhs > rhs),
        BinaryOp::Less => Outcome::Holds(lhs < rhs),
        BinaryOp::GreaterEqual => Outcome::Holds(lhs >= rhs),
        BinaryOp::LessEqual => Outcome::Holds(lhs <= rhs),
        // Set operators never look at values.
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => Outcome::Holds(true),
    }
}
