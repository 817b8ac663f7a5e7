use vervet_wire::protobuf::Writer;

use super::render::{
    delimited, write_exemplar, write_family, write_labels, write_spans, write_time, zigzag,
};
use super::{Seen, parse, parse_pieces};
use crate::Format::Protobuf;
use crate::{Limits, ParseError, Parser, Span};

const SUMMARY: u64 = 2;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

/// A body of one family with one metric that has the label `l="v"`.
fn body(name: &str, kind: u64, field: u32, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut body = Vec::new();
    delimited(&mut body, |w| {
        write_family(w, name, "", kind);
        w.message(4, |w| {
            write_labels(w, &[("l".to_owned(), "v".to_owned())]);
            w.message(field, fill);
        });
    });
    body
}

fn samples(parser: Parser, body: &[u8]) -> Vec<String> {
    let seen = parse_pieces(parser, body, 3).expect("valid");
    seen.into_iter().skip(3).collect()
}

fn new() -> Parser {
    Parser::new(Protobuf, Limits::default())
}

#[test]
fn summaries_become_their_series() {
    let body = body("s", SUMMARY, 4, |w| {
        w.varint(1, 7);
        w.fixed64(2, 1.5_f64.to_bits());
        for (quantile, value) in [(0.5_f64, 1.0_f64), (1.0, f64::NAN)] {
            w.message(3, |w| {
                w.fixed64(1, quantile.to_bits());
                w.fixed64(2, value.to_bits());
            });
        }
        w.message(4, |w| write_time(w, 1_500));
    });
    assert_eq!(
        parse(Protobuf, &body).expect("valid"),
        [
            "type s summary",
            "help s \"\"",
            "unit s \"\"",
            "s_count{l=\"v\"} 7 since 1500",
            "s_sum{l=\"v\"} 1.5 since 1500",
            "s{l=\"v\",quantile=\"0.5\"} 1 since 1500",
            "s{l=\"v\",quantile=\"1.0\"} NaN since 1500",
        ]
    );
}

fn write_bucket(w: &mut Writer<'_>, bound: f64, count: u64, exemplar: Option<f64>) {
    w.message(3, |w| {
        w.varint(1, count);
        w.fixed64(2, bound.to_bits());
        if let Some(value) = exemplar {
            let labels = vec![("t".to_owned(), "x".to_owned())];
            w.message(3, |w| write_exemplar(w, &(labels, value, Some(2_000))));
        }
    });
}

#[test]
fn classic_histograms_get_the_last_bucket() {
    let histogram = |with_last: bool| {
        body("h", HISTOGRAM, 7, |w| {
            w.varint(1, 9);
            w.fixed64(2, 4.5_f64.to_bits());
            write_bucket(w, 1.0, 3, None);
            write_bucket(w, 1e6, 8, Some(0.5));
            if with_last {
                write_bucket(w, f64::INFINITY, 9, Some(1e7));
            }
        })
    };
    let mut expected = vec![
        "h_count{l=\"v\"} 9".to_owned(),
        "h_sum{l=\"v\"} 4.5".to_owned(),
        "h_bucket{l=\"v\",le=\"1.0\"} 3".to_owned(),
        "h_bucket{l=\"v\",le=\"1e+06\"} 8 # {t=\"x\"} 0.5 @2000".to_owned(),
        "h_bucket{l=\"v\",le=\"+Inf\"} 9".to_owned(),
    ];
    assert_eq!(samples(new(), &histogram(false)), expected);
    expected[4].push_str(" # {t=\"x\"} 10000000 @2000");
    assert_eq!(samples(new(), &histogram(true)), expected);
}

/// Two spans on the positive side with 3, 5 and 1 observations, 2 on the negative one, 1 at zero.
fn write_native(w: &mut Writer<'_>, count: u64) {
    w.varint(1, count);
    w.fixed64(2, 18.5_f64.to_bits());
    w.sint32(5, 3);
    w.fixed64(6, 0.001_f64.to_bits());
    w.varint(7, 1);
    write_spans(
        w,
        9,
        &[Span {
            offset: 0,
            length: 1,
        }],
    );
    w.packed_varint(10, &[zigzag(2)]);
    write_spans(
        w,
        12,
        &[
            Span {
                offset: -2,
                length: 2,
            },
            Span {
                offset: 4,
                length: 1,
            },
        ],
    );
    w.packed_varint(13, &[zigzag(3), zigzag(2), zigzag(-4)]);
}

const NATIVE: &str = "h{l=\"v\"} schema 3 count 12 sum 18.5 zero 0.001 1 \
                      positive -2+2 4+1[3, 5, 1] negative 0+1[2]";

#[test]
fn native_histograms_come_as_they_are() {
    let native = body("h", HISTOGRAM, 7, |w| write_native(w, 12));
    assert_eq!(samples(new(), &native), [NATIVE]);
    let gauge = body("h", GAUGE_HISTOGRAM, 7, |w| write_native(w, 12));
    assert_eq!(samples(new(), &gauge), [format!("{NATIVE} gauge")]);
}

#[test]
fn native_and_classic_buckets_are_a_choice() {
    let both = body("h", HISTOGRAM, 7, |w| {
        write_native(w, 12);
        write_bucket(w, 1.0, 12, Some(0.5));
    });
    let classic = [
        "h_count{l=\"v\"} 12",
        "h_sum{l=\"v\"} 18.5",
        "h_bucket{l=\"v\",le=\"1.0\"} 12 # {t=\"x\"} 0.5 @2000",
        "h_bucket{l=\"v\",le=\"+Inf\"} 12",
    ];
    // Without exemplars of its own the native histogram takes those of the buckets.
    let native = format!("{NATIVE} # {{t=\"x\"}} 0.5 @2000");
    assert_eq!(samples(new(), &both), [native.as_str()]);
    let all: Vec<&str> = [native.as_str()].into_iter().chain(classic).collect();
    assert_eq!(samples(new().with_classic_of_native(true), &both), all);
    assert_eq!(samples(new().with_native(false), &both), classic);
}

#[test]
fn float_histograms_are_told_by_their_counts() {
    let float = body("h", HISTOGRAM, 7, |w| {
        w.fixed64(4, 2.5_f64.to_bits());
        w.fixed64(8, 0.5_f64.to_bits());
        write_spans(
            w,
            12,
            &[Span {
                offset: 1,
                length: 2,
            }],
        );
        w.packed_fixed64(14, [1.5_f64, 0.5].into_iter().map(f64::to_bits));
        w.message(16, |w| write_exemplar(w, &(Vec::new(), 3.0, None)));
        w.message(16, |w| write_exemplar(w, &(Vec::new(), 4.0, Some(9_000))));
        w.message(15, |w| write_time(w, 4_000));
    });
    assert_eq!(
        samples(new(), &float),
        [
            "h{l=\"v\"} schema 0 count 2.5 sum 0 zero 0 0.5 positive 1+2[1.5, 0.5] negative [] since 4000 # {} 4 @9000"
        ]
    );
}

#[test]
fn an_empty_span_makes_a_histogram_native() {
    let fresh =
        |spans: &'static [Span]| body("h", HISTOGRAM, 7, move |w| write_spans(w, 12, spans));
    let native = samples(
        new(),
        &fresh(&[Span {
            offset: 0,
            length: 0,
        }]),
    );
    assert!(
        native[0].starts_with("h{l=\"v\"} schema 0 count 0"),
        "{native:?}"
    );
    let classic = samples(new(), &fresh(&[]));
    assert_eq!(classic[2], "h_bucket{l=\"v\",le=\"+Inf\"} 0");
}

fn refused(body: &[u8]) -> String {
    let error = parse(Protobuf, body).expect_err("malformed");
    error.to_string()
}

#[test]
fn histograms_that_contradict_themselves_are_refused() {
    let wrong = body("h", HISTOGRAM, 7, |w| write_native(w, 13));
    assert_eq!(
        refused(&wrong),
        "message 1: 12 observations found in buckets, but the Count field is 13"
    );
    let spans = |spans: &'static [Span], deltas: &'static [i64]| {
        let body = body("h", HISTOGRAM, 7, move |w| {
            write_spans(w, 12, spans);
            let deltas: Vec<u64> = deltas.iter().map(|delta| zigzag(*delta)).collect();
            w.packed_varint(13, &deltas);
        });
        refused(&body)
    };
    let one = Span {
        offset: 0,
        length: 1,
    };
    const TWO: &[Span] = &[
        Span {
            offset: 0,
            length: 1,
        },
        Span {
            offset: -1,
            length: 1,
        },
    ];
    assert_eq!(one, TWO[0]);
    assert_eq!(
        spans(&TWO[..1], &[1, 1]),
        "message 1: spans need 1 buckets, have 2 buckets"
    );
    assert_eq!(
        spans(TWO, &[0, 0]),
        "message 1: span number 2 with offset -1"
    );
    assert_eq!(
        spans(&TWO[..1], &[-1]),
        "message 1: bucket number 1 has a negative count"
    );
}

#[test]
fn families_are_checked() {
    let mut nameless = Vec::new();
    delimited(&mut nameless, |w| {
        write_family(w, "ok", "", 1);
        w.message(4, |_| {});
    });
    delimited(&mut nameless, |w| w.message(4, |_| {}));
    assert_eq!(refused(&nameless), "message 2: invalid metric name: ");
    let unknown = body("a", 9, 2, |_| {});
    assert_eq!(
        refused(&unknown),
        "message 1: unknown metric type for metric \"a\": 9"
    );
    let unit = |name: &str, unit: &str| {
        let mut body = Vec::new();
        delimited(&mut body, |w| {
            w.string(1, name);
            w.message(4, |_| {});
            w.string(5, unit);
        });
        parse(Protobuf, &body).map_err(|error| error.to_string())
    };
    assert_eq!(
        unit("a_seconds_total", "seconds").expect("a unit")[2],
        "unit a_seconds_total \"seconds\""
    );
    assert_eq!(
        unit("a_total", "seconds").expect_err("no unit"),
        "message 1: unit \"seconds\" not a suffix of metric \"a_total\""
    );
}

#[test]
fn families_without_metrics_are_not_there() {
    let mut empty = Vec::new();
    delimited(&mut empty, |w| write_family(w, "", "", 77));
    assert_eq!(parse(Protobuf, &empty), Ok(Vec::new()));
}

#[test]
fn messages_are_limited_and_whole() {
    let body = body("a", 1, 2, |w| w.fixed64(1, 1.0_f64.to_bits()));
    let cut = body.get(..body.len() - 1).unwrap_or_default();
    assert_eq!(refused(cut), "unexpected EOF in message 1");
    assert_eq!(refused(&[0x80]), "unexpected EOF in message 1");
    let limits = Limits {
        message_bytes: body.len() - 2,
        ..Limits::default()
    };
    for piece in [1, 100] {
        let error = parse_pieces(Parser::new(Protobuf, limits), &body, piece);
        let max = limits.message_bytes;
        assert_eq!(error, Err(ParseError::MessageTooLong { message: 1, max }));
    }
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let mut seen = Seen::default();
    let fed = new().feed(&huge, &mut seen);
    assert!(
        matches!(fed, Err(ParseError::MessageTooLong { .. })),
        "{fed:?}"
    );
}
