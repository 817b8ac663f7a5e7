use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::render::{Family, Pairs, Point, protobuf_body, text_body};
use super::{Format, Limits, Parser, parse_pieces};
use crate::Kind;

fn labels() -> impl Strategy<Value = Pairs> {
    let name = "[a-z_]{2,4}|[é. ]{1,3}|[a-c\"\\\\\n]{1,4}";
    let value = "[ -~é\n]{0,12}|\\PC{0,6}";
    btree_map(name, value, 0..4).prop_map(|labels| labels.into_iter().collect())
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<u32>().prop_map(f64::from),
        Just(f64::INFINITY)
    ]
}

fn family(names: &'static str) -> impl Strategy<Value = Family> {
    let kinds = prop_oneof![Just(Kind::Counter), Just(Kind::Gauge), Just(Kind::Unknown)];
    let time = proptest::option::of(1_i64..4_000_000_000_000);
    let exemplar = proptest::option::of((labels(), value(), time.clone()));
    let point = (labels(), value(), time, exemplar);
    let point = point.prop_map(|(labels, value, timestamp_ms, exemplar)| Point {
        labels,
        value,
        timestamp_ms,
        exemplar,
    });
    let parts = (names, kinds, "[ -~é\n]{0,20}", vec(point, 1..4));
    parts.prop_map(|(name, kind, help, points)| Family {
        name,
        kind,
        help,
        points,
    })
}

/// The entries that a reader should see, as [`super::Seen`] has them.
fn expected(format: Format, families: &[Family]) -> Vec<String> {
    let mut entries = Vec::new();
    for family in families {
        let Family { name, kind, .. } = family;
        entries.push(format!("type {name} {}", kind.as_str()));
        entries.push(format!("help {name} {:?}", family.help));
        if format == Format::Protobuf {
            entries.push(format!("unit {name} \"\""));
        }
        for point in &family.points {
            let has_exemplar = match format {
                Format::Text => false,
                Format::OpenMetrics => true,
                Format::Protobuf => *kind == Kind::Counter,
            };
            let mut entry = format!("{name}{{{}}} {}", pairs(&point.labels), point.value);
            if let Some(time) = point.timestamp_ms {
                entry.push_str(&format!(" @{time}"));
            }
            if let Some((labels, value, time)) = point.exemplar.as_ref().filter(|_| has_exemplar) {
                entry.push_str(&format!(" # {{{}}} {value}", pairs(labels)));
                if let Some(time) = time {
                    entry.push_str(&format!(" @{time}"));
                }
            }
            entries.push(entry);
        }
    }
    entries
}

fn pairs(labels: &Pairs) -> String {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| format!("{name}={value:?}"));
    labels.collect::<Vec<_>>().join(",")
}

/// Times of OpenMetrics go by floating point, which may fall one short.
fn nearly(seen: &[String], expected: &[String]) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    let near = |a: &str, b: &str| match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1,
        _ => a == b,
    };
    let split = |entry: &str| entry.split(" @").map(str::to_owned).collect::<Vec<_>>();
    seen.len() == expected.len()
        && seen.iter().zip(expected).all(|(seen, expected)| {
            let (seen, expected) = (split(seen), split(expected));
            let parts = seen.iter().zip(&expected);
            seen.len() == expected.len()
                && parts.into_iter().all(|(seen, expected)| {
                    let (seen, seen_rest) = seen.split_once(' ').unwrap_or((seen, ""));
                    let (expected, rest) = expected.split_once(' ').unwrap_or((expected, ""));
                    near(seen, expected) && seen_rest == rest
                })
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        families in vec(family("[a-z_:][a-z0-9_:]{0,6}|[a-z. é]{1,5}|[x\"\\\\]{1,3}"), 0..4),
        piece in 1_usize..40,
    ) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let body = match format {
                Format::Protobuf => protobuf_body(&families),
                _ => text_body(format, &families).into_bytes(),
            };
            let parser = Parser::new(format, Limits::default());
            let seen = parse_pieces(parser, &body, piece);
            let seen = seen.map_err(|error| {
                TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&body)))
            })?;
            let expected = expected(format, &families);
            prop_assert!(nearly(&seen, &expected), "{seen:#?} {expected:#?}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused_alike_in_pieces(
        text in "([a-z_]{1,3}|[0-9]|\\{|\\}|\"|=|,|#| |\\\\|\n|TYPE|# EOF\n|é|\\PC){0,60}",
        piece in 1_usize..9,
    ) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let limits = Limits { line_bytes: 64, message_bytes: 64 };
            let read = |piece| parse_pieces(Parser::new(format, limits), text.as_bytes(), piece);
            prop_assert_eq!(read(piece), read(text.len().max(1)));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in vec(any::<u8>(), 0..200), piece in 1_usize..50) {
        let mut framed = vec![u8::try_from(body.len().min(127)).unwrap_or(0)];
        framed.extend_from_slice(&body);
        for body in [body, framed] {
            let parser = Parser::new(Format::Protobuf, Limits::default());
            let _read_or_refused = parse_pieces(parser, &body, piece);
        }
    }
}
