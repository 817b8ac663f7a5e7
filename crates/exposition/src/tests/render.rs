//! Writes bodies in the three formats.

use std::fmt::Write as _;

use vervet_wire::protobuf::Writer;

use crate::{Format, Kind, Span};

pub(super) type Pairs = Vec<(String, String)>;

/// A family whose series have one value each.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) points: Vec<Point>,
}

#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) labels: Pairs,
    pub(super) value: f64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) exemplar: Option<(Pairs, f64, Option<i64>)>,
}

pub(super) fn text_body(format: Format, families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let name = quoted_if_needed(&family.name);
        let kind = match (format, family.kind) {
            (Format::Text, Kind::Unknown) => "untyped",
            (_, kind) => kind.as_str(),
        };
        let help = match format {
            Format::Text => family.help.replace('\\', "\\\\").replace('\n', "\\n"),
            _ => escaped(&family.help),
        };
        let _infallible = write!(out, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
        for point in &family.points {
            write_point(&mut out, format, family, point);
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn write_point(out: &mut String, format: Format, family: &Family, point: &Point) {
    let mut inside = labels_text(&point.labels);
    match is_plain(&family.name) {
        true => out.push_str(&family.name),
        false => inside.insert(0, format!("\"{}\"", escaped(&family.name))),
    }
    if !inside.is_empty() {
        let _infallible = write!(out, "{{{}}}", inside.join(","));
    }
    let _infallible = write!(out, " {}", number(point.value));
    if let Some(time) = point.timestamp_ms {
        let _infallible = match format {
            Format::OpenMetrics => write!(out, " {}", seconds(time)),
            _ => write!(out, " {time}"),
        };
    }
    let exemplar = point.exemplar.as_ref();
    if let Some((labels, value, time)) = exemplar.filter(|_| format == Format::OpenMetrics) {
        let labels = labels_text(labels).join(",");
        let _infallible = write!(out, " # {{{labels}}} {}", number(*value));
        if let Some(time) = time {
            let _infallible = write!(out, " {}", seconds(*time));
        }
    }
    out.push('\n');
}

fn labels_text(labels: &Pairs) -> Vec<String> {
    let labels = labels.iter();
    let labels =
        labels.map(|(name, value)| format!("{}=\"{}\"", quoted_if_label(name), escaped(value)));
    labels.collect()
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

fn is_plain(name: &str) -> bool {
    let letters = name.replace([':', '_'], "a");
    letters.starts_with(|c: char| c.is_ascii_alphabetic())
        && letters.chars().all(|c| c.is_ascii_alphanumeric())
}

fn quoted_if_needed(name: &str) -> String {
    match is_plain(name) {
        true => name.to_owned(),
        false => format!("\"{}\"", escaped(name)),
    }
}

fn quoted_if_label(name: &str) -> String {
    match is_plain(name) && !name.contains(':') {
        true => name.to_owned(),
        false => format!("\"{}\"", escaped(name)),
    }
}

pub(super) fn protobuf_body(families: &[Family]) -> Vec<u8> {
    let mut body = Vec::new();
    for family in families {
        let (kind, value_field) = match family.kind {
            Kind::Counter => (0, 3),
            Kind::Gauge => (1, 2),
            _ => (3, 5),
        };
        delimited(&mut body, |w| {
            write_family(w, &family.name, &family.help, kind);
            for point in &family.points {
                w.message(4, |w| {
                    write_labels(w, &point.labels);
                    w.message(value_field, |w| {
                        w.fixed64_always(1, point.value.to_bits());
                        let exemplar = point.exemplar.as_ref();
                        if let Some(exemplar) = exemplar.filter(|_| kind == 0) {
                            w.message(2, |w| write_exemplar(w, exemplar));
                        }
                    });
                    if let Some(time) = point.timestamp_ms {
                        w.varint(6, time.cast_unsigned());
                    }
                });
            }
        });
    }
    body
}

/// Appends one message with its length before it.
pub(super) fn delimited(body: &mut Vec<u8>, fill: impl FnOnce(&mut Writer<'_>)) {
    let mut message = Vec::new();
    fill(&mut Writer::new(&mut message));
    let mut length = message.len();
    while length >= 0x80 {
        body.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    body.push(u8::try_from(length).expect("seven bits"));
    body.extend_from_slice(&message);
}

pub(super) fn write_family(w: &mut Writer<'_>, name: &str, help: &str, kind: u64) {
    w.string(1, name);
    w.string(2, help);
    w.varint(3, kind);
}

pub(super) fn write_labels(w: &mut Writer<'_>, labels: &[(String, String)]) {
    for (name, value) in labels {
        w.message(1, |w| {
            w.string(1, name);
            w.string(2, value);
        });
    }
}

pub(super) fn write_exemplar(w: &mut Writer<'_>, exemplar: &(Pairs, f64, Option<i64>)) {
    let (labels, value, time) = exemplar;
    write_labels(w, labels);
    w.fixed64(2, value.to_bits());
    if let Some(time) = time {
        w.message(3, |w| write_time(w, *time));
    }
}

pub(super) fn write_time(w: &mut Writer<'_>, millis: i64) {
    w.varint(1, (millis / 1_000).cast_unsigned());
    w.varint(2, (millis % 1_000 * 1_000_000).cast_unsigned());
}

pub(super) fn write_spans(w: &mut Writer<'_>, field: u32, spans: &[Span]) {
    for span in spans {
        w.message(field, |w| {
            w.sint32(1, span.offset);
            w.varint(2, u64::from(span.length));
        });
    }
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
