use super::*;
use crate::Format::OpenMetrics;

#[test]
fn every_type_is_known() {
    check(
        OpenMetrics,
        "# TYPE c_seconds counter\n# UNIT c_seconds seconds\n# HELP c_seconds A \\\"word\\\"\\n\n\
         c_seconds_total{a=\"b\"} 3 1520879607.789\nc_seconds_created{a=\"b\"} 1520872607.5\n\
         # TYPE i info\ni_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\n\
         # TYPE g gaugehistogram\ng_bucket{le=\"1\"} 1\ng_gcount 1\ng_gsum 2\n\
         # TYPE h histogram\nh_bucket{le=\"1\"} 1\n# TYPE u unknown\nu 1\n# UNIT u \n# EOF\n",
        &[
            "type c_seconds counter",
            "unit c_seconds \"seconds\"",
            "help c_seconds \"A \\\"word\\\"\\n\"",
            "c_seconds_total{a=\"b\"} 3 @1520879607789",
            "c_seconds_created{a=\"b\"} 1520872607.5",
            "type i info",
            "i_info{v=\"1\"} 1",
            "type s stateset",
            "s{s=\"on\"} 1",
            "type g gaugehistogram",
            "g_bucket{le=\"1\"} 1",
            "g_gcount{} 1",
            "g_gsum{} 2",
            "type h histogram",
            "h_bucket{le=\"1.0\"} 1",
            "type u unknown",
            "u{} 1",
            "unit u \"\"",
        ],
    );
}

#[test]
fn exemplars_follow_the_value_or_the_time() {
    check(
        OpenMetrics,
        "a_total 1 # {} 0.5\na_total 1 # {trace_id=\"x\",\"b.c\"=\"é\"} 0.67 -1.5\n\
         a_total{l=\"1\"} 1 2 # {t=\"#{\",} NaN 3\n# EOF",
        &[
            "a_total{} 1 # {} 0.5",
            "a_total{} 1 # {trace_id=\"x\",b.c=\"é\"} 0.67 @-1500",
            "a_total{l=\"1\"} 1 @2000 # {t=\"#{\"} NaN @3000",
        ],
    );
}

#[test]
fn names_in_quotes_are_of_any_characters() {
    check(
        OpenMetrics,
        "# TYPE \"a.b\" gauge\n# HELP \"a.b\" x\n{\"a.b\",l=\"v\",\"m.n\"=\"o\"} 1\n{\"a.b\"} 2\n# EOF\n",
        &[
            "type a.b gauge",
            "help a.b \"x\"",
            "a.b{l=\"v\",m.n=\"o\"} 1",
            "a.b{} 2",
        ],
    );
}

#[test]
fn the_end_is_marked() {
    check(OpenMetrics, "# EOF", &[]);
    check(OpenMetrics, "# EOF\n", &[]);
    for body in ["", "a 1\n", "a 1", "a 1\n# EO", "# EOF"] {
        let cut = body.get(..body.len().saturating_sub(1)).unwrap_or_default();
        assert_eq!(
            refused(OpenMetrics, cut),
            "data does not end with # EOF",
            "{cut:?}"
        );
    }
    for (body, line) in [("# EOF\na 1\n", 2), ("a 1\n# EOF\n\n", 3), ("# EOFx\n", 1)] {
        let expected = format!("line {line}: unexpected data after # EOF");
        assert_eq!(refused(OpenMetrics, body), expected);
    }
}

/// Lines, and what is wrong with them.
const REFUSED: &[(&str, &str)] = &[
    (
        "",
        "expected a valid start token, got \"\\n\" while parsing: \"\"",
    ),
    (
        " a 1",
        "expected a valid start token, got \" \" while parsing: \" a 1\"",
    ),
    (
        "# other",
        "expected a valid start token, got \"#\" while parsing: \"# other\"",
    ),
    (
        "#TYPE a gauge",
        "expected a valid start token, got \"#TYPE\" while parsing: \"#TYPE a gauge\"",
    ),
    (
        "a  1",
        "expected value after metric, got \" \" while parsing: \"a  1\"",
    ),
    (
        "a\t1",
        "expected value after metric, got \"\\t\" while parsing: \"a\\t1\"",
    ),
    (
        "a{x=\"1\"}1",
        "expected value after metric, got \"1\" while parsing: \"a{x=\\\"1\\\"}1\"",
    ),
    (
        "a {} 1",
        "invalid syntax of a number while parsing: \"a {} 1\"",
    ),
    (
        "a{x=\"1\", y=\"2\"} 1",
        "expected label name, got \" \" while parsing: \"a{x=\\\"1\\\", y=\\\"2\\\"} 1\"",
    ),
    (
        "a{x=\"1\"y=\"2\"} 1",
        "expected comma or brace close, got \"y\" while parsing: \"a{x=\\\"1\\\"y=\\\"2\\\"} 1\"",
    ),
    (
        "a 1 ",
        "expected timestamp or # symbol, got \" \" while parsing: \"a 1 \"",
    ),
    (
        "a 1 2 3",
        "expected next entry after timestamp, got \" \" while parsing: \"a 1 2 3\"",
    ),
    ("a 1 Inf", "invalid timestamp \"Inf\""),
    (
        "a 1 x",
        "invalid syntax of a number while parsing: \"a 1 x\"",
    ),
    (
        "a 1 # {x=\"1\"}",
        "expected value after exemplar labels, got \"\\n\" while parsing: \"a 1 # {x=\\\"1\\\"}\"",
    ),
    (
        "a 1 # {\"x\"} 1",
        "expected label name, got \"}\" while parsing: \"a 1 # {\\\"x\\\"} 1\"",
    ),
    ("a 1 # {} 1 NaN", "invalid exemplar timestamp \"NaN\""),
    (
        "a 1 # {} 1 2 3",
        "expected next entry after exemplar timestamp, got \" \" while parsing: \"a 1 # {} 1 2 3\"",
    ),
    ("# TYPE a untyped", "invalid metric type \"untyped\""),
    ("# HELP a", "expected text in HELP"),
    (
        "# UNIT a seconds",
        "unit \"seconds\" not a suffix of metric \"a\"",
    ),
    (
        "# UNIT seconds seconds",
        "unit \"seconds\" not a suffix of metric \"seconds\"",
    ),
];

#[test]
fn one_blank_stands_between_words() {
    for (bad, error) in REFUSED {
        let body = format!("fine 1\n{bad}\n# EOF\n");
        let expected = format!("line 2: {error}");
        assert_eq!(refused(OpenMetrics, &body), expected);
    }
}

#[test]
fn a_value_ends_on_its_line() {
    let error = refused(OpenMetrics, "a{x=\"1\n2\"} 1\n# EOF\n");
    assert!(error.starts_with("line 1: expected label value"), "{error}");
}
