//! The function table: names, argument and result types. What each function computes is in `eval`.

mod dates;
mod edges;
mod starts;
mod windows;

use crate::syntax::{Edges, ValueType};

pub(crate) use dates::DatePart;
pub(crate) use edges::{EdgedRange, Source, Timed, around, float_at, fraction};
pub(crate) use starts::{Starts, overlaps};
pub(crate) use windows::{Sampled, Window, WindowFunction, seconds};

/// A function of the language.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    /// One number from one number.
    Math(fn(f64) -> f64),
    /// A part of the date that a value in Unix seconds falls on; without an argument, of the step's time.
    Date(DatePart),
    /// One number from the samples of a range.
    Window(WindowFunction),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMin,
    ClampMax,
    HistogramFraction,
    /// A number of native histograms.
    HistogramStat(HistogramStat),
    HistogramQuantile,
    HistogramQuantiles,
    Info,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    Pi,
    Round,
    Scalar,
    Sort {
        descending: bool,
    },
    SortByLabel {
        descending: bool,
    },
    StartTimestamp,
    Time,
    Timestamp,
    Vector,
}

/// What a histogram function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistogramStat {
    Avg,
    Count,
    Stddev,
    Stdvar,
    Sum,
}

impl Function {
    /// The function of a name; `None` when this engine does not evaluate it.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        if let Some(function) = math(name) {
            return Some(Self::Math(function));
        }
        if let Some(part) = DatePart::by_name(name) {
            return Some(Self::Date(part));
        }
        if let Some(function) = WindowFunction::by_name(name) {
            return Some(Self::Window(function));
        }
        Some(match name {
            "absent" => Self::Absent,
            "absent_over_time" => Self::AbsentOverTime,
            "clamp" => Self::Clamp,
            "clamp_min" => Self::ClampMin,
            "clamp_max" => Self::ClampMax,
            "histogram_avg" => Self::HistogramStat(HistogramStat::Avg),
            "histogram_count" => Self::HistogramStat(HistogramStat::Count),
            "histogram_stddev" => Self::HistogramStat(HistogramStat::Stddev),
            "histogram_stdvar" => Self::HistogramStat(HistogramStat::Stdvar),
            "histogram_sum" => Self::HistogramStat(HistogramStat::Sum),
            "histogram_fraction" => Self::HistogramFraction,
            "histogram_quantile" => Self::HistogramQuantile,
            "histogram_quantiles" => Self::HistogramQuantiles,
            "info" => Self::Info,
            "label_join" => Self::LabelJoin,
            "label_replace" => Self::LabelReplace,
            "max_of" => Self::MaxOf,
            "min_of" => Self::MinOf,
            "pi" => Self::Pi,
            "round" => Self::Round,
            "scalar" => Self::Scalar,
            "sort" => Self::Sort { descending: false },
            "sort_desc" => Self::Sort { descending: true },
            "sort_by_label" => Self::SortByLabel { descending: false },
            "sort_by_label_desc" => Self::SortByLabel { descending: true },
            "start_timestamp" => Self::StartTimestamp,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "vector" => Self::Vector,
            _ => return None,
        })
    }

    pub(crate) fn result_type(self) -> ValueType {
        match self {
            Self::MaxOf | Self::MinOf | Self::Pi | Self::Scalar | Self::Time => ValueType::Scalar,
            _ => ValueType::Vector,
        }
    }

    /// The type that the argument at an index must have.
    pub(crate) fn argument_type(self, index: usize) -> ValueType {
        match self {
            Self::Window(WindowFunction::Quantile) if index == 0 => ValueType::Scalar,
            Self::Window(WindowFunction::Quantile) if index == 1 => ValueType::Matrix,
            Self::AbsentOverTime | Self::Window(_) if index == 0 => ValueType::Matrix,
            Self::Window(_) | Self::Vector | Self::MaxOf | Self::MinOf => ValueType::Scalar,
            Self::HistogramQuantiles => match index {
                0 => ValueType::Vector,
                1 => ValueType::Text,
                _ => ValueType::Scalar,
            },
            Self::HistogramQuantile if index == 0 => ValueType::Scalar,
            Self::HistogramFraction if index <= 1 => ValueType::Scalar,
            Self::HistogramQuantile | Self::HistogramFraction => ValueType::Vector,
            Self::Clamp | Self::ClampMin | Self::ClampMax | Self::Round if index > 0 => {
                ValueType::Scalar
            }
            Self::LabelJoin | Self::LabelReplace | Self::SortByLabel { .. } if index > 0 => {
                ValueType::Text
            }
            _ => ValueType::Vector,
        }
    }

    /// If ranges with such edges are not for this function: the functions that they are for.
    pub(crate) fn refuses(self, edges: Edges) -> Option<&'static str> {
        let window = match self {
            Self::Window(window) => Some(window),
            _ => None,
        };
        let changes = matches!(
            window,
            Some(WindowFunction::Rate | WindowFunction::Increase | WindowFunction::Delta)
        );
        let compares = matches!(
            window,
            Some(WindowFunction::Changes | WindowFunction::Resets)
        );
        match edges {
            Edges::Anchored if !changes && !compares => {
                Some("changes, delta, increase, rate, resets")
            }
            Edges::Smoothed if !changes => Some("delta, increase, rate"),
            _ => None,
        }
    }

    /// Whether the value depends on the arguments only, not on the time of the step.
    pub(crate) fn is_invariant(self) -> bool {
        !matches!(
            self,
            Self::Date(_)
                | Self::Time
                | Self::Timestamp
                | Self::Window(WindowFunction::PredictLinear)
        )
    }
}

fn math(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sgn" => |value| {
            if value > 0.0 {
                1.0
            } else if value < 0.0 {
                -1.0
            } else {
                value
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}
