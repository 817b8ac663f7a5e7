use datafusion::sql::parser::DFParser;

use super::*;

/// Whether `sql` is small enough; on a stack like that of a query, since statements are walked recursively.
fn fits(sql: &str) -> bool {
    let sql = sql.to_owned();
    let walk = move || {
        let mut statements = DFParser::parse_sql(&sql).unwrap();
        check(&statements.pop_front().unwrap()).is_ok()
    };
    let thread = std::thread::Builder::new().stack_size(32 << 20);
    thread.spawn(walk).unwrap().join().unwrap()
}

/// `count` queries, each of which names the one before it twice.
fn doubling(count: usize) -> String {
    let queries = (0..count).map(|i| match i {
        0 => "a0 AS (SELECT 1 AS q)".to_owned(),
        _ => format!("a{i} AS (SELECT x.q FROM a{0} x, A{0} y)", i - 1),
    });
    let queries: Vec<String> = queries.collect();
    format!(
        "WITH {} SELECT count(*) FROM a{}",
        queries.join(","),
        count - 1
    )
}

#[test]
fn queries_count_as_often_as_they_are_named() {
    assert!(fits(&doubling(8)));
    for count in [10, 26, 90] {
        assert!(!fits(&doubling(count)), "{count}");
        assert!(!fits(&format!("EXPLAIN {}", doubling(count))), "{count}");
        assert!(
            !fits(&format!("SELECT * FROM ({}) AS inner_one", doubling(count))),
            "{count}"
        );
    }
}

#[test]
fn a_name_that_is_shadowed_is_the_nearest() {
    let many = vec!["logs"; 60].join(",");
    let sql = |body: &str| format!("WITH a AS (SELECT 1 FROM {many}) {body}");
    assert!(fits(&sql("SELECT 1")));
    assert!(!fits(&sql("SELECT 1 FROM a")));
    assert!(fits(&sql(
        "SELECT 1 FROM (WITH a AS (SELECT 1) SELECT * FROM a, a b) c"
    )));
}

#[test]
fn tables_selects_and_groupings_are_counted_everywhere() {
    let tables = |count: usize| format!("SELECT 1 FROM {}", vec!["logs"; count].join(","));
    assert!(fits(&tables(64)));
    assert!(!fits(&tables(65)));
    let inner = |count: usize| format!("SELECT 1 WHERE EXISTS ({})", tables(count));
    assert!(fits(&inner(64)));
    assert!(!fits(&inner(65)));
    assert!(fits(&vec!["SELECT 1"; 1_000].join(" UNION ALL ")));
    assert!(!fits(&vec!["SELECT 1"; 1_001].join(" UNION ALL ")));
    assert!(fits("SELECT 1 FROM logs GROUP BY CUBE (a, b, c, d, e, f)"));
    assert!(!fits(
        "SELECT 1 FROM logs GROUP BY CUBE (a, b, c, d, e, f, g)"
    ));
    assert!(!fits(
        "SELECT 1 FROM logs GROUP BY CUBE (a, b, c, d), ROLLUP (a, b, c, d)"
    ));
}

#[test]
fn what_has_no_end_or_writes_is_refused() {
    assert!(!fits(
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a) SELECT * FROM a"
    ));
    assert!(!fits(
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'"
    ));
}
