//! What a query returns.

use vervet_model::Labels;

use crate::eval::Charge;
use crate::native::HistogramSeries;
use crate::queryable::{Sample, Series};

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct InstantSample {
    pub labels: Labels,
    pub sample: Sample,
}

/// The value of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number, of an instant query.
    Scalar(Sample),
    /// A text literal and the time of evaluation (milliseconds since the Unix epoch).
    String { timestamp: i64, value: String },
    /// The series of an instant query; the order means something after `sort` and `topk`.
    Vector(Vec<InstantSample>),
    /// The series of a range query, sorted by labels, or of an instant query for a range selector.
    Matrix(Vec<Series>),
}

impl Value {
    /// The `resultType` of the Prometheus HTTP API.
    pub fn result_type(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// An answer with what the user should know about it.
#[derive(Debug)]
pub struct QueryOutput {
    pub value: Value,
    /// The native histograms of a vector or matrix, beside its floats in `value`. A series with both is in both.
    pub histograms: Vec<HistogramSeries>,
    /// Likely mistakes, in Prometheus's words (`PromQL warning: ...`), each once.
    pub warnings: Vec<String>,
    /// Hints, in Prometheus's words (`PromQL info: ...`), each once.
    pub infos: Vec<String>,
    /// Samples that the store returned for this query.
    pub samples_read: usize,
    /// The memory that the answer holds. Keep it as long as what is made of the answer.
    pub memory: Charge,
}
