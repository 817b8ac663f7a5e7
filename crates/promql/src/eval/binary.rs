//! Binary operators: between numbers, between a vector and a number, and between vectors.

use std::sync::Arc;

use crate::error::QueryError;
use crate::eval::{Element, Evaluated, Evaluator, Track};
use crate::native::{Keep, NativeHistogram};
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
                    Outcome::Histogram(_) => f64::NAN,
                });
                Ok(Evaluated::Scalar(result.collect()))
            }
            (Evaluated::Vector(tracks), Evaluated::Scalar(scalars)) => Ok(Evaluated::Vector(
                self.with_scalar(binary, tracks, &scalars, false)?,
            )),
            (Evaluated::Scalar(scalars), Evaluated::Vector(tracks)) => Ok(Evaluated::Vector(
                self.with_scalar(binary, tracks, &scalars, true)?,
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
    ) -> Result<Vec<Track>, QueryError> {
        let combine = |time: i64, element: Element| {
            let scalar = Element::Float(*scalars.get(self.grid.index(time))?);
            let outcome = if swapped {
                self.apply_elements(binary, &scalar, &element)
            } else {
                self.apply_elements(binary, &element, &scalar)
            };
            outcome?.element(element, binary.return_bool)
        };
        for track in &mut tracks {
            let drop_name = binary.op.is_arithmetic() || binary.return_bool;
            let work = track.samples.len() * size_of::<Sample>();
            let _work = self.query.memory.hold(work, "an operator's results")?;
            let mut result = Track::floats(
                track.labels.clone(),
                track.drop_name || drop_name,
                Vec::with_capacity(track.samples.len()),
            );
            for sample in &track.samples {
                if let Some(element) = combine(sample.timestamp, Element::Float(sample.value)) {
                    result.push(sample.timestamp, element);
                }
            }
            for sample in &track.histograms {
                let histogram = Element::Histogram(Arc::clone(&sample.histogram));
                if let Some(element) = combine(sample.timestamp, histogram) {
                    result.push(sample.timestamp, element);
                }
            }
            *track = result;
        }
        tracks.retain(|track| !track.is_empty());
        Ok(tracks)
    }

    /// Applies an arithmetic or comparison operator; `None`, with a hint, when the two do not go together.
    pub(crate) fn apply_elements(
        &self,
        binary: &Binary,
        lhs: &Element,
        rhs: &Element,
    ) -> Option<Outcome> {
        if let (Element::Float(lhs), Element::Float(rhs)) = (lhs, rhs)
            && !binary.op.is_trim()
        {
            return Some(apply(binary.op, *lhs, *rhs));
        }
        Some(match (binary.op, lhs, rhs) {
            (BinaryOp::Mul, Element::Histogram(histogram), Element::Float(factor))
            | (BinaryOp::Mul, Element::Float(factor), Element::Histogram(histogram)) => {
                Outcome::of(NativeHistogram::clone(histogram).scaled(*factor))
            }
            (BinaryOp::Div, Element::Histogram(histogram), Element::Float(divisor)) => {
                Outcome::of(NativeHistogram::clone(histogram).divided(*divisor))
            }
            (BinaryOp::TrimUpper, Element::Histogram(histogram), Element::Float(limit)) => {
                Outcome::of(histogram.trimmed(*limit, Keep::Below))
            }
            (BinaryOp::TrimLower, Element::Histogram(histogram), Element::Float(limit)) => {
                Outcome::of(histogram.trimmed(*limit, Keep::Above))
            }
            (BinaryOp::Equal, Element::Histogram(lhs), Element::Histogram(rhs)) => {
                Outcome::Holds(lhs.same_observations(rhs))
            }
            (BinaryOp::NotEqual, Element::Histogram(lhs), Element::Histogram(rhs)) => {
                Outcome::Holds(!lhs.same_observations(rhs))
            }
            (BinaryOp::Add | BinaryOp::Sub, Element::Histogram(lhs), Element::Histogram(rhs)) => {
                Outcome::of(self.combine_histograms(binary, lhs, rhs)?)
            }
            _ => {
                let (op, lhs, rhs) = (binary.op.as_str(), kind(lhs), kind(rhs));
                self.query.info(
                    &format!(
                        "incompatible sample types encountered for binary operator {op:?}: \
                         {lhs} {op} {rhs}"
                    ),
                    binary.lhs.position,
                );
                return None;
            }
        })
    }

    /// The sum or difference of two histograms; `None`, with a warning, when their layouts do not go together.
    fn combine_histograms(
        &self,
        binary: &Binary,
        lhs: &NativeHistogram,
        rhs: &NativeHistogram,
    ) -> Option<NativeHistogram> {
        let position = binary.lhs.position;
        let (result, operation) = match binary.op {
            BinaryOp::Add => (lhs.plus(rhs), "addition"),
            _ => (lhs.minus(rhs), "subtraction"),
        };
        let Ok((histogram, reconciled)) = result else {
            let op = binary.op.as_str();
            self.query.warn(
                &format!("incompatible bucket layout encountered for binary operator {op}"),
                position,
            );
            return None;
        };
        if lhs.reset_hint.contradicts(rhs.reset_hint) {
            self.contradiction(operation, position);
        }
        if reconciled {
            self.reconciled(operation, position);
        }
        Some(histogram)
    }
}

fn kind(element: &Element) -> &'static str {
    match element {
        Element::Float(_) => "float",
        Element::Histogram(_) => "histogram",
    }
}

/// What an operator makes of two values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Value(f64),
    Histogram(Arc<NativeHistogram>),
    /// Of a comparison.
    Holds(bool),
}

impl Outcome {
    fn of(histogram: NativeHistogram) -> Self {
        Self::Histogram(Arc::new(histogram))
    }

    /// The value of the resulting element: a comparison that holds keeps the vector's value, one that does not
    /// drops the element, and with `bool` both are numbers.
    pub(crate) fn element(self, kept: Element, return_bool: bool) -> Option<Element> {
        match self {
            Self::Value(value) => Some(Element::Float(value)),
            Self::Histogram(histogram) => Some(Element::Histogram(histogram)),
            Self::Holds(holds) if return_bool => Some(Element::Float(f64::from(holds))),
            Self::Holds(true) => Some(kept),
            Self::Holds(false) => None,
        }
    }
}

/// Applies an operator to two numbers.
fn apply(op: BinaryOp, lhs: f64, rhs: f64) -> Outcome {
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
        // Numbers cannot be trimmed.
        BinaryOp::TrimUpper | BinaryOp::TrimLower => Outcome::Value(f64::NAN),
    }
}
