use promql_parser::parser as parsed;
use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds {
    start: 0,
    end: 60_000,
    step: 15_000,
};

fn read(query: &str) -> Result<Node, QueryError> {
    parse_query(query, BOUNDS, Features::all())
}

#[test]
fn an_operator_that_is_not_the_one_that_was_parsed_is_an_error() {
    let mut lowering = Lowering {
        tokens: Tokens::scan("a * b").expect("tokens"),
        bounds: BOUNDS,
        features: Features::all(),
        depth: 0,
    };
    let other = parsed::parse("a < b").expect("valid");
    let error = lowering.lower(&other).expect_err("another operator");
    assert_eq!(
        error.to_string(),
        r#"1:3: not supported: a query with "*" where the parser reads <"#
    );
}

#[test]
fn texts_in_backticks_have_no_escapes() {
    let wanted = r#"\d+ "x" \\"#;
    let query = format!("x{{a=`{wanted}`}}");
    let node = read(&query).expect("valid");
    let Expr::Vector(selector) = &node.expr else {
        panic!("{node:?}");
    };
    assert_eq!(selector.matchers[1].value, wanted);
    let matchers = crate::parse_selector(&query).expect("valid");
    assert_eq!(matchers[1].value, wanted);
    let node = read(r"label_replace(x, `a`, `$1`, `b`, `(\w+)\.`)").expect("valid");
    let Expr::Call { args, .. } = &node.expr else {
        panic!("{node:?}");
    };
    assert!(matches!(&args[4].expr, Expr::Text(text) if text == r"(\w+)\."));
}

#[test]
fn time_ranges_of_any_length_have_a_length() {
    let bounds = Bounds {
        start: i64::MIN,
        end: i64::MAX,
        step: 1,
    };
    let node = parse_query("range()", bounds, Features::all()).expect("valid");
    assert!(matches!(node.expr, Expr::Number(seconds) if seconds == i64::MAX as f64 / 1000.0));
}

/// How many operators in a query trim histograms.
fn trims(node: &Node) -> usize {
    match &node.expr {
        Expr::Number(_) | Expr::Text(_) | Expr::Vector(_) | Expr::Matrix { .. } => 0,
        Expr::Subquery(subquery) => trims(&subquery.expr),
        Expr::Call { args, .. } => args.iter().map(trims).sum(),
        Expr::Aggregate(aggregate) => {
            trims(&aggregate.expr) + aggregate.param.as_ref().map_or(0, trims)
        }
        Expr::Binary(binary) => {
            usize::from(binary.op.is_trim()) + trims(&binary.lhs) + trims(&binary.rhs)
        }
        Expr::Negate(inner) | Expr::StepInvariant(inner) => trims(inner),
    }
}

/// Metrics with names that mean something elsewhere.
fn vector() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "x",
        "fill",
        "fill_left",
        "Fill_Right",
        "by",
        "without",
        "sum",
        "start",
        "end",
        "info",
        "count",
    ]);
    let around = prop::sample::select(vec![
        ("", ""),
        ("", "{a=\"</\"}"),
        ("", " offset -5m"),
        ("", " @ end() offset (1m * 2)"),
        ("", " @ 5"),
        ("-", ""),
        ("+ -", "{}"),
        ("", " smoothed"),
        ("rate(", "[5m] anchored)"),
        ("max_over_time(", "[5m * 2:1m] offset 2m)"),
    ]);
    (name, around).prop_map(|(name, (before, after))| format!("{before}{name}{after}"))
}

fn number() -> impl Strategy<Value = String> {
    let numbers = vec![
        "2", "-2", "+ -2", "1e-3", "0x1F", "Inf", "5m", "time()", "step()", "(-(1))",
    ];
    prop::sample::select(numbers).prop_map(str::to_owned)
}

fn query() -> impl Strategy<Value = String> {
    let operators = vec![
        "+", "-", "*", "/", "%", "^", "</", ">/", "<", "> bool", "==", "ATAN2",
    ];
    let operator = prop::sample::select(operators);
    let clauses = vec![
        "",
        "on() ",
        "ignoring(fill, on) ",
        "on(a) group_left(by) ",
        "on(a) group_right(fill) ",
        "fill(0) ",
        "on(a) fill_left (-1) fill_right(2) ",
        "ignoring(a) group_left() fill (3) ",
    ];
    let clause = prop::sample::select(clauses);
    let set = prop::sample::select(vec!["and", "or", "Unless on(fill)"]);
    let call = prop::sample::select(vec![
        ("(", ")"),
        ("-(", ")"),
        ("abs(", ")"),
        ("sum by (fill) (", ")"),
        ("topk(time() * 0 + 2, ", ") without (by)"),
        ("count_values(\"v\", ", ")"),
        ("info(", ", {a=\"1\"})"),
        ("max_over_time((", ")[5m:1m])"),
        ("label_replace(", ", \"a\", \"</\", \"b\", \".*\")"),
    ]);
    vector().prop_recursive(5, 24, 2, move |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (call.clone(), inner.clone())
                .prop_map(|((open, close), inner)| format!("{open}{inner}{close}")),
            (inner, operator.clone(), number())
                .prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            (two.clone(), operator.clone(), clause.clone())
                .prop_map(|((lhs, rhs), op, clause)| format!("({lhs}) {op} {clause}{rhs}")),
            (two.clone(), operator.clone())
                .prop_map(|((lhs, rhs), op)| format!("{lhs} {op} {rhs}")),
            (two, set.clone()).prop_map(|((lhs, rhs), set)| format!("{lhs} {set} {rhs}")),
        ]
    })
}

proptest! {
    #[test]
    fn every_operator_is_found_among_the_tokens(query in query()) {
        let expected = query.matches("</").count() + query.matches(">/").count()
            - query.matches("\"</\"").count();
        match read(&query) {
            Ok(node) => prop_assert_eq!(trims(&node), expected),
            Err(error) => prop_assert!(false, "{}: {}", query, error),
        }
    }
}
