//! What targets expose to Prometheus, read as Prometheus 3 reads it.
//!
//! In: the body of a scrape in pieces of any size, as the text format 0.0.4, as OpenMetrics 1.0, or as protobuf
//! (`io.prometheus.client.MetricFamily`, each with its length before it). Out: metadata, samples and native histograms,
//! one at a time, handed to a [`Sink`] as views that borrow from the piece. No body is held as a whole and no object is
//! made of a sample: what a line leaves behind is the room it was lexed in, which the next line takes.
//!
//! The rules are those of Prometheus, its peculiarities included: no carriage returns, no hexadecimal numbers and none
//! with `_`, labels of the text format with or without commas between them, line breaks in its quotes, and one blank
//! exactly where OpenMetrics wants one. `le` and `quantile` of histograms and summaries are written as OpenMetrics does.
//!
//! An error ends the parse, but what stood before it has been handed out. Prometheus drops such a scrape as a whole
//! (`up` is 0, and series end); that is for the caller to do.
//!
//! A sink that knows a series from an earlier scrape says so by its bytes ([`Sink::known_line`]); then its labels are not
//! lexed again.
//!
//! Limits: [`Limits::line_bytes`] of a line and [`Limits::message_bytes`] of a protobuf message, checked before room is
//! made for them. The labels of one line or message are held at a time.

mod error;
mod labels;
mod lines;
mod negotiate;
mod number;
mod openmetrics;
mod parser;
mod point;
mod protobuf;
mod text;

pub use error::ParseError;
pub use negotiate::{ContentTypeError, Escaping, Format, Protocol, accept_header, format_of};
pub use parser::{Limits, Parser};
pub use point::{
    Buckets, Count, Counts, Exemplar, Labels, Metadata, NativeHistogram, Sample, SeriesLabels,
    Sink, Span,
};
pub use vervet_wire::remote_write::Kind;

#[cfg(test)]
mod tests;
