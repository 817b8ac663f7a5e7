//! What the two text formats share: the state between lines, metadata and the beginning of a sample.

use vervet_wire::remote_write::Kind;

use crate::error::{Cited, Fault};
use crate::labels::{self, Dialect, LabelSpan, TextSpan, name_end, quotes, skip_blanks, unescaped};
use crate::number::parse_float;
use crate::point::{Exemplar, Labels, Metadata, Sample, SeriesLabels, Sink};

/// What is kept between lines: the last type, and room.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What the last `TYPE` said, of whatever family.
    pub(crate) kind: Kind,
    pub(crate) spans: Vec<LabelSpan>,
    pub(crate) exemplar_spans: Vec<LabelSpan>,
    /// `# EOF` was read.
    pub(crate) ended: bool,
}

/// A series at the beginning of a statement, and where it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    /// `None` when the sink knows it.
    name: Option<TextSpan>,
    start: usize,
    pub(crate) end: usize,
}

/// The exemplar of a sample before it is a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExemplarValues {
    pub(crate) value: f64,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Lines {
    /// Reads a series from `start` on, unless the sink knows it.
    pub(crate) fn series<S: Sink>(
        &mut self,
        dialect: Dialect,
        statement: &[u8],
        start: usize,
        sink: &mut S,
    ) -> Result<Series, Fault> {
        let line = statement.get(start..).unwrap_or_default();
        let known = sink.known_line(line);
        if known > 0 && ends_series(line, known) {
            return Ok(Series {
                name: None,
                start,
                end: start + known,
            });
        }
        self.spans.clear();
        let mut end = name_end(statement, start, true);
        let mut name = (end > start).then(|| TextSpan::new(start, end));
        let open = match dialect {
            Dialect::Text => skip_blanks(statement, end),
            _ => end,
        };
        if statement.get(open) == Some(&b'{') {
            end = labels::braces(dialect, statement, open + 1, &mut self.spans, &mut name)?;
        } else if name.is_none() {
            return Err(Fault::expected(
                "expected a valid start token",
                statement,
                start,
            ));
        }
        match name {
            Some(_) => Ok(Series { name, start, end }),
            None => Err(Fault::while_parsing(&"metric name not set", statement)),
        }
    }

    /// Hands a sample to the sink.
    pub(crate) fn hand_out<S: Sink>(
        &self,
        statement: &[u8],
        series: Series,
        value: f64,
        timestamp_ms: Option<i64>,
        exemplar: Option<ExemplarValues>,
        sink: &mut S,
    ) -> Result<(), Fault> {
        let checked = |end: usize| {
            let bytes = statement.get(..end).unwrap_or_default();
            std::str::from_utf8(bytes).map_err(|_no_text| {
                Fault::Malformed(format!("invalid UTF-8 label value: {}", Cited(bytes)))
            })
        };
        let labels = match series.name {
            Some(name) => {
                let text = checked(series.end)?;
                Some(SeriesLabels {
                    text,
                    name,
                    labels: Labels {
                        text,
                        spans: &self.spans,
                        escaped: true,
                    },
                    kind: self.kind,
                })
            }
            None => None,
        };
        let exemplar = match exemplar {
            Some(values) => Some(Exemplar {
                labels: Labels {
                    text: checked(statement.len())?,
                    spans: &self.exemplar_spans,
                    escaped: true,
                },
                value: values.value,
                timestamp_ms: values.timestamp_ms,
            }),
            None => None,
        };
        let sample = Sample {
            series: statement.get(series.start..series.end).unwrap_or_default(),
            labels,
            value,
            timestamp_ms,
            start_ms: None,
            exemplar,
        };
        sink.sample(&sample).map_err(Fault::Malformed)
    }
}

/// Whether what the sink knows is all of the series that the line begins with.
fn ends_series(line: &[u8], known: usize) -> bool {
    let Some((series, rest)) = line.split_at_checked(known) else {
        return false;
    };
    if series.ends_with(b"}") {
        return true;
    }
    let next = rest.get(skip_blanks(rest, 0));
    rest.first().is_some_and(|byte| labels::is_blank(*byte)) && next != Some(&b'{')
}

/// The value that stands at `start..end`.
pub(crate) fn value(
    statement: &[u8],
    start: usize,
    end: usize,
    expected: &str,
) -> Result<f64, Fault> {
    let text = statement.get(start..end).unwrap_or_default();
    if text.is_empty() {
        return Err(Fault::expected(expected, statement, start));
    }
    parse_float(text).map_err(|error| Fault::while_parsing(&error, statement))
}

/// The name of a family in metadata, with or without quotes, and where it ends.
pub(crate) fn family_name<'a>(
    word: &str,
    statement: &'a [u8],
    start: usize,
) -> Result<(std::borrow::Cow<'a, str>, usize), Fault> {
    let refused = || {
        let expected = format!("expected metric name after {word}");
        Fault::expected(&expected, statement, start)
    };
    let (span, end) = match statement.get(start) {
        Some(b'"') => {
            let span = quotes(statement, start).map_err(|_open| refused())?;
            (span, span.range().end + 1)
        }
        _ => {
            let end = name_end(statement, start, true);
            (TextSpan::new(start, end), end)
        }
    };
    let name = statement.get(span.range()).unwrap_or_default();
    match std::str::from_utf8(name) {
        Ok(name) if end > start => Ok((unescaped(name), end)),
        _ => Err(refused()),
    }
}

/// The text of a `HELP`.
pub(crate) fn help_text(text: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(text).map_err(|_no_text| {
        let message = format!("help text {} is not a valid utf8 string", Cited(text));
        Fault::Malformed(message)
    })
}

pub(crate) fn invalid_type(text: &[u8]) -> Fault {
    Fault::Malformed(format!("invalid metric type {}", Cited(text)))
}

/// Takes note of a type and tells it.
pub(crate) fn set_kind<S: Sink>(lines: &mut Lines, family: &str, kind: Kind, sink: &mut S) {
    lines.kind = kind;
    sink.metadata(family, Metadata::Kind(kind));
}
