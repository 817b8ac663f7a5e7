use super::*;
use crate::Format::Text;

#[test]
fn metadata_is_of_the_name_behind_the_word() {
    check(
        Text,
        "# HELP a One \\\\ two\\nthree \\\" four\n#\tTYPE\ta counter\n# HELP b\n# HELP \"c.d\" e\n\
         # TYPE u untyped\n# HELP a-b c\n",
        &[
            "help a \"One \\\\ two\\nthree \\\\\\\" four\"",
            "type a counter",
            "help b \"\"",
            "help c.d \"e\"",
            "type u unknown",
            "help a \"b c\"",
        ],
    );
}

#[test]
fn other_comments_and_empty_lines_mean_nothing() {
    check(
        Text,
        "#\n# \n#HELP a b\n# HELPa b\n# TYPES\n# UNIT a b\n# a {\"\n \t \n\n# HELP\n# EOF\n",
        &[],
    );
    check(Text, "", &[]);
}

#[test]
fn samples_have_blanks_anywhere() {
    check(
        Text,
        "a 1\n \ta{} 2 1395066363000 \na { x = \"1\" ,\ty=\"2\",}\t+Inf\nb{x=\"1\"}5\n:c_9 -Inf\nn NaN\ne 1e3",
        &[
            "a{} 1",
            "a{} 2 @1395066363000",
            "a{x=\"1\",y=\"2\"} inf",
            "b{x=\"1\"} 5",
            ":c_9{} -inf",
            "n{} NaN",
            "e{} 1000",
        ],
    );
}

#[test]
fn commas_between_labels_may_be_left_out() {
    check(
        Text,
        "a{x=\"1\" y=\"2\"z=\"3\"} 1\n",
        &["a{x=\"1\",y=\"2\",z=\"3\"} 1"],
    );
}

#[test]
fn values_are_unescaped_and_go_over_lines() {
    check(
        Text,
        "a{x=\"q\\\"b\\\\n\\nt\\t\"} 1\na{x=\"one\n# two\n\\\"three\n\"} 2\na{x=\"\"} 3\n",
        &[
            "a{x=\"q\\\"b\\\\n\\nt\\\\t\"} 1",
            "a{x=\"one\\n# two\\n\\\"three\\n\"} 2",
            "a{x=\"\"} 3",
        ],
    );
}

#[test]
fn names_in_quotes_are_of_any_characters() {
    check(
        Text,
        "{\"my.metric\"} 1\n{\"é\",\"a b\"=\"1\",c=\"ü\"} 2 3\n{c=\"1\",\"last\"} 4\n",
        &[
            "my.metric{} 1",
            "é{a b=\"1\",c=\"ü\"} 2 @3",
            "last{c=\"1\"} 4",
        ],
    );
}

#[test]
fn bounds_and_quantiles_are_written_as_openmetrics_does() {
    check(
        Text,
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e6\",quantile=\"1\"} 1\nh_bucket{le=\"x\"} 1\n\
         # TYPE s summary\ns{quantile=\"0\",le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n",
        &[
            "type h histogram",
            "h_bucket{le=\"1.0\"} 1",
            "h_bucket{le=\"1e+06\",quantile=\"1\"} 1",
            "h_bucket{le=\"x\"} 1",
            "type s summary",
            "s{quantile=\"0.0\",le=\"1\"} 1",
            "type g gauge",
            "g{le=\"1\"} 1",
        ],
    );
}

/// Lines, and what is wrong with them.
const REFUSED: &[(&str, &str)] = &[
    (
        "a",
        "expected value after metric, got \"\\n\" while parsing: \"a\"",
    ),
    ("a b", "invalid syntax of a number while parsing: \"a b\""),
    (
        "a{",
        "expected label name, got \"\\n\" while parsing: \"a{\"",
    ),
    (
        "a{x} 1",
        "expected equal, got \"}\" while parsing: \"a{x} 1\"",
    ),
    (
        "a{x=} 1",
        "expected label value, got \"}\" while parsing: \"a{x=} 1\"",
    ),
    (
        "a{x=1} 1",
        "expected label value, got \"1\" while parsing: \"a{x=1} 1\"",
    ),
    (
        "a{,} 1",
        "expected label name, got \",\" while parsing: \"a{,} 1\"",
    ),
    (
        "a{\"b\"} 1",
        "metric name already set while parsing: \"a{\\\"b\\\"} 1\"",
    ),
    ("{} 1", "metric name not set while parsing: \"{} 1\""),
    (
        "1a 1",
        "expected a valid start token, got \"1a\" while parsing: \"1a 1\"",
    ),
    (
        "a 1 x",
        "expected timestamp or new record, got \"x\" while parsing: \"a 1 x\"",
    ),
    (
        "a 1 -1",
        "expected timestamp or new record, got \"-1\" while parsing: \"a 1 -1\"",
    ),
    (
        "a 1 2 3",
        "expected next entry after timestamp, got \"3\" while parsing: \"a 1 2 3\"",
    ),
    (
        "a 1 # b",
        "expected timestamp or new record, got \"#\" while parsing: \"a 1 # b\"",
    ),
    (
        "a 1_0",
        "unsupported character in float while parsing: \"a 1_0\"",
    ),
    (
        "a 0x1p1",
        "unsupported character in float while parsing: \"a 0x1p1\"",
    ),
    (
        "a 1\r",
        "invalid syntax of a number while parsing: \"a 1\\r\"",
    ),
    (
        "a 1 9223372036854775808",
        "value out of range while parsing: \"a 1 9223372036854775808\"",
    ),
    ("# TYPE a count", "invalid metric type \"count\""),
    ("# TYPE a  gauge", "invalid metric type \" gauge\""),
    ("# TYPE a gauge\r", "invalid metric type \"gauge\\r\""),
    ("# TYPE a unknown", "invalid metric type \"unknown\""),
    (
        "# TYPE 1 gauge",
        "expected metric name after TYPE, got \"1\" while parsing: \"# TYPE 1 gauge\"",
    ),
    (
        "<html>",
        "expected a valid start token, got \"<html>\" while parsing: \"<html>\"",
    ),
    (
        "é 1",
        "expected a valid start token, got \"é\" while parsing: \"é 1\"",
    ),
];

#[test]
fn errors_tell_line_and_expectation() {
    for (bad, error) in REFUSED {
        let body = format!("fine 1\n\n{bad}\nfine 2\n");
        assert_eq!(refused(Text, &body), format!("line 3: {error}"));
    }
}

#[test]
fn a_quote_that_stays_open_is_an_error_where_it_began() {
    let error = refused(Text, "a{x=\"one\ntwo\"} 1\nb{x=\"1} 2\nc 3\n");
    assert!(
        error.starts_with("line 3: expected label value, got \"\\\"\""),
        "{error}"
    );
    let error = refused(Text, "a{x=\"1\ny=\"2\nz=\"} 1\n");
    assert!(error.starts_with("line 1: expected "), "{error}");
}

#[test]
fn text_that_is_no_utf8_is_refused() {
    for body in [
        &b"a{x=\"\xff\"} 1\n"[..],
        b"{\"\xff\"} 1\n",
        b"# HELP a \xff\n",
    ] {
        let error = parse(Text, body).expect_err("no text").to_string();
        assert!(error.contains("utf8") || error.contains("UTF-8"), "{error}");
    }
}

#[test]
fn lines_are_limited_before_they_are_kept() {
    let limits = Limits {
        line_bytes: 16,
        ..Limits::default()
    };
    let long = format!("fine 1\n# {}\n", "x".repeat(15));
    let open = format!("fine 1\na{{x=\"1234\n{}", "x\n".repeat(20));
    for body in [long, open] {
        for piece in [1, 5, 1_000] {
            let parser = Parser::new(Text, limits);
            let error = parse_pieces(parser, body.as_bytes(), piece);
            assert_eq!(error, Err(ParseError::LineTooLong { line: 2, max: 16 }));
        }
    }
    let fits = parse_pieces(Parser::new(Text, limits), b"a{x=\"45678901\"} 1\n", 100);
    assert!(fits.is_err(), "17 bytes");
    let fits = parse_pieces(Parser::new(Text, limits), b"a{x=\"4567890\"} 1\n", 3);
    assert!(fits.is_ok(), "16 bytes");
}

/// Knows one series.
#[derive(Default)]
struct Knowing {
    series: &'static [u8],
    labels: Vec<bool>,
}

impl Sink for Knowing {
    fn known_line(&mut self, line: &[u8]) -> usize {
        match line.starts_with(self.series) {
            true => self.series.len(),
            false => 0,
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        self.labels.push(sample.labels.is_some());
        Ok(())
    }

    fn histogram(&mut self, _histogram: &NativeHistogram<'_>) -> Result<(), String> {
        Err("none is expected".to_owned())
    }
}

#[test]
fn labels_of_a_known_series_are_not_read() {
    for (series, body, expected) in [
        (
            &b"a{x=\"1\"}"[..],
            "a{x=\"1\"} 1\na{x=\"1\"}2\na{x=\"2\"} 3\n",
            vec![false, false, true],
        ),
        (
            b"a",
            "a 1\nab 2\na{x=\"1\"} 3\na {x=\"1\"} 4\na\t5\n",
            vec![false, true, true, true, false],
        ),
    ] {
        let mut sink = Knowing {
            series,
            labels: Vec::new(),
        };
        let mut parser = Parser::new(Text, Limits::default());
        parser.feed(body.as_bytes(), &mut sink).expect("valid");
        assert_eq!(sink.labels, expected, "{body}");
    }
    let mut sink = Knowing {
        series: b"a{x=\"1\"}",
        labels: Vec::new(),
    };
    let fed = Parser::new(Text, Limits::default()).feed(b"a{x=\"1\"}{y=\"2\"} 1\n", &mut sink);
    assert!(fed.is_err(), "two sets of labels");
}
