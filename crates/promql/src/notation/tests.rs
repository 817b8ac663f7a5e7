use super::*;
use crate::queryable::is_stale;

fn floats(text: &str) -> Vec<Option<f64>> {
    let points = parse_points(text).expect("valid");
    let float = |point: &Point| match point {
        Point::Float(value) => Some(*value),
        _ => None,
    };
    points.iter().map(float).collect()
}

#[test]
fn numbers_gaps_and_steps() {
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    assert_eq!(floats("1 -2 3e1"), some(&[1.0, -2.0, 30.0]));
    assert_eq!(
        floats("1+2x2 5-1x1 7x1"),
        some(&[1.0, 3.0, 5.0, 5.0, 4.0, 7.0, 7.0])
    );
    assert_eq!(floats("1e-1+1e+1x1"), some(&[0.1, 10.1]));
    assert_eq!(floats("0x2"), some(&[0.0, 0.0, 0.0]));
    assert_eq!(floats("_ 1 _x2"), [None, Some(1.0), None, None]);
    assert_eq!(
        floats("Inf -Inf"),
        some(&[f64::INFINITY, f64::NEG_INFINITY])
    );
}

#[test]
fn the_end_of_a_series_stays_one_when_it_is_repeated() {
    let points = parse_points("1 stalex2").expect("valid");
    let stale = |point: &Point| matches!(point, Point::Float(value) if is_stale(*value));
    assert_eq!(points.iter().filter(|point| stale(point)).count(), 3);
}

#[test]
fn what_is_no_series_is_refused() {
    for (text, expected) in [
        ("1+2", "\"1+2\" is not a number"),
        ("1xa", "no count in \"1xa\""),
        ("1x-2", "no count in \"1x-2\""),
        ("1x", "no count in \"1x\""),
        ("ax2", "\"a\" is not a number"),
        ("0x2000000", "\"0x2000000\" makes more than 1000000 points"),
        ("{{sum:1}", "not a histogram: \"{{sum:1}\""),
        ("{{some:1}}", "unknown histogram field \"some\""),
    ] {
        assert_eq!(parse_points(text).expect_err(text), expected);
    }
    for text in [
        "a{b=\"c\"",
        "a{b}",
        "a{b=c}",
        "a{b=\"c\" d=\"e\"}",
        "1a",
        "a{1b=\"c\"}",
    ] {
        assert!(parse_series(text).is_err(), "{text}");
    }
}

#[test]
fn labels_are_read_and_the_rest_is_left() {
    let (labels, rest) = parse_series(r#" a:b{c="d\"e", "f g"='h' , } 1 2"#).expect("valid");
    assert_eq!(labels.to_string(), r#"{__name__="a:b", c="d\"e", f g="h"}"#);
    assert_eq!(rest, " 1 2");
    let (labels, _) = parse_series(r#"{"a.b", c="d"}"#).expect("valid");
    assert_eq!((labels.metric_name(), labels.get("c")), ("a.b", Some("d")));
    assert_eq!(parse_series("{}").expect("valid").0, Labels::empty());
    assert_eq!(parse_series("{{sum:1}}").expect("valid").1, "{{sum:1}}");
}

#[test]
fn histograms_are_written_as_they_are_read() {
    for text in [
        "{{schema:1 count:4 sum:5.5 z_bucket:1 z_bucket_w:0.001 offset:2 buckets:[1 0 2]}}",
        "{{schema:-53 count:3 sum:7 custom_values:[5 10] buckets:[1 2]}}",
        "{{count:2 sum:-3 counter_reset_hint:gauge n_offset:-1 n_buckets:[2]}}",
        "{{}}",
    ] {
        let points = parse_points(text).expect("valid");
        let [Point::Histogram(histogram)] = points.as_slice() else {
            panic!("{points:?}")
        };
        assert_eq!(histogram_text(histogram), text);
    }
    let points = parse_points("{{count:1 buckets:[1]}}+{{count:1 buckets:[1]}}x2").expect("valid");
    let Some(Point::Histogram(last)) = points.last() else {
        panic!("{points:?}")
    };
    assert_eq!((points.len(), last.count), (3, 3.0));
}
