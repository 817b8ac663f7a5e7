//! The words the whole of Vervet shares: signals, identifiers, labels, severity and time.
//!
//! Nothing here does I/O or knows a wire format. What flows between the parts as bytes is described by
//! `vervet-wire`; what is stored, by `vervet-store`.

pub mod ids;
pub mod labels;
pub mod matcher;
pub mod number;
pub mod severity;
pub mod signal;
pub mod time;

pub use ids::{SpanId, TraceId};
pub use labels::{Label, Labels, LabelsBuilder, METRIC_NAME, fingerprint};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use number::DoubleText;
pub use severity::Severity;
pub use signal::Signal;
pub use time::{Clock, ManualClock, SystemClock, UnixMillis, UnixNanos};
