//! Ids as people write them.

use vervet_model::Signal;
use vervet_wire::otlp::{LogRecord, Scope, SpanKind, write_resource_logs};

use super::*;
use crate::fixtures::{TestSpan, at, decoded, resource, spans};

const SPAN: TestSpan = TestSpan {
    trace: 0,
    id: 0,
    parent: None,
    name: "GET /",
    kind: SpanKind::Server,
    seconds: 1,
    millis: 5,
    failed: false,
};

/// Three segments of spans and logs, each of one trace (0xa1, 0xa2, 0xa3), and a trace in memory (0xa4). Each trace has a
/// root span (its number's last digit) and a child of it (twice that). Logs have an attribute with the trace as text.
fn id_store(dir: &tempfile::TempDir) -> Store {
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    for n in 1_u8..=4 {
        let trace = 0xa0 + n;
        let root = TestSpan {
            trace,
            id: n,
            ..SPAN
        };
        let child = TestSpan {
            trace,
            id: n * 0x10,
            parent: Some(n),
            ..SPAN
        };
        let sequence = u64::from(n) * 2;
        store.apply(sequence, spans("api", &[root, child]), None);
        store.apply(sequence + 1, log_of(trace), None);
        if n < 4 {
            store.flush().unwrap();
        }
    }
    store
}

fn log_of(trace: u8) -> crate::Decoded {
    let id = [trace; 16];
    let text = hex_of(trace, 16).to_uppercase();
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource("api"), &Scope::default(), |writer| {
        writer.push(&LogRecord {
            time_unix_nano: at(1).0.unsigned_abs(),
            trace_id: &id,
            attributes: vec![vervet_wire::otlp::KeyValue::new("trace", text.as_str())],
            ..LogRecord::default()
        });
    });
    decoded(Signal::Logs, &body)
}

fn hex_of(byte: u8, bytes: usize) -> String {
    format!("{byte:02x}").repeat(bytes)
}

async fn rows(store: &Store, sql: &str) -> Vec<String> {
    let text = answer(store, sql).await;
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_id_in_text_finds_what_the_same_in_bytes_finds() {
    let dir = tempfile::tempdir().unwrap();
    let store = id_store(&dir);
    for (condition, count) in [
        ("trace_id = {a2}", 2),
        ("{A2} = trace_id", 2),
        ("trace_id <> {a2}", 6),
        ("trace_id IS DISTINCT FROM {a2}", 6),
        ("trace_id IN ({a1}, {a4})", 4),
        ("trace_id NOT IN ({a1}, {a4}, {a3})", 2),
        ("trace_id BETWEEN {a2} AND {a3}", 4),
        ("trace_id > {a2}", 4),
        ("span_id = {#30}", 1),
        ("parent_span_id = {#03}", 1),
        ("parent_span_id <> {#03}", 3),
        ("coalesce(parent_span_id, span_id) = {#03}", 2),
        ("CASE trace_id WHEN {a2} THEN true ELSE false END", 2),
        (
            "trace_id = {a2} AND (span_id = {#20} OR span_id = {#30})",
            1,
        ),
        (
            "trace_id IN (SELECT trace_id FROM logs WHERE trace_id = {a2})",
            2,
        ),
        (
            "EXISTS (SELECT 1 FROM logs WHERE logs.trace_id = s.trace_id AND s.trace_id = {a1})",
            2,
        ),
    ] {
        let written = |open: &str, close: &str| {
            let mut text = condition.to_owned();
            for byte in ["a1", "a2", "A2", "a3", "a4"] {
                let id = byte.repeat(16);
                text = text.replace(&format!("{{{byte}}}"), &format!("{open}{id}{close}"));
            }
            for byte in ["03", "20", "30"] {
                let id = byte.repeat(8);
                text = text.replace(&format!("{{#{byte}}}"), &format!("{open}{id}{close}"));
            }
            format!("SELECT trace_id, span_id FROM spans s WHERE {text} ORDER BY 1, 2")
        };
        let found = rows(&store, &written("'", "'")).await;
        assert_eq!(found.len(), count, "{condition}: {found:?}");
        assert_eq!(
            found,
            rows(&store, &written("X'", "'")).await,
            "{condition}"
        );
    }
}

#[tokio::test]
async fn ids_are_shown_as_text_and_compared_with_texts_of_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = id_store(&dir);
    let id = hex_of(0xa2, 16);
    let one = format!(
        "SELECT trace_id, hex(span_id) AS span FROM spans WHERE trace_id = '{id}' ORDER BY 2"
    );
    let shown = rows(&store, &one).await;
    let line = |byte| format!("{{\"trace_id\":\"{id}\",\"span\":\"{}\"}}", hex_of(byte, 8));
    assert_eq!(shown, [line(2), line(0x20)]);
    for (sql, count) in [
        (
            "SELECT 1 FROM spans s JOIN logs l ON s.name = lower(l.attributes['trace'])",
            0,
        ),
        (
            "SELECT 1 FROM spans s JOIN logs l ON s.trace_id = l.attributes['trace']",
            8,
        ),
        (
            "SELECT 1 FROM spans s, logs l WHERE l.attributes['trace'] = s.trace_id",
            8,
        ),
        ("SELECT 1 FROM logs WHERE trace_id = attributes['trace']", 4),
        (
            "SELECT 1 FROM logs WHERE trace_id IN (attributes['trace'], 'nothing')",
            4,
        ),
        (
            "SELECT 1 FROM spans WHERE trace_id IN (SELECT lower(attributes['trace']) FROM logs)",
            8,
        ),
        ("SELECT 1 FROM spans WHERE trace_id LIKE 'A2A2%'", 2),
        ("SELECT 1 FROM spans WHERE trace_id NOT LIKE 'a2%'", 6),
        ("SELECT 1 FROM spans WHERE trace_id ~ '^a[12]a'", 4),
        (
            "SELECT trace_id = 'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2' FROM spans",
            8,
        ),
        (
            "SELECT min(trace_id) FROM spans GROUP BY span_id HAVING min(trace_id) = 'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2'",
            2,
        ),
        (
            "WITH t AS (SELECT trace_id AS id FROM logs) SELECT 1 FROM t WHERE id = 'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2'",
            1,
        ),
        (
            "EXPLAIN SELECT 1 FROM spans WHERE trace_id = 'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2'",
            2,
        ),
        (
            "SELECT 1 FROM spans WHERE trace_id::text = 'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2'",
            2,
        ),
        (
            "SELECT 1 FROM spans WHERE CAST(span_id AS VARCHAR) LIKE '30%'",
            1,
        ),
        // Bytes of a text are no id.
        (
            "SELECT 1 FROM logs WHERE arrow_cast(service_name, 'Binary') = 'api'",
            4,
        ),
    ] {
        assert_eq!(rows(&store, sql).await.len(), count, "{sql}");
    }
}

#[tokio::test]
async fn a_text_that_no_id_can_equal_is_an_error_that_says_what_is_expected() {
    let dir = tempfile::tempdir().unwrap();
    let store = id_store(&dir);
    for (condition, said) in [
        (
            "trace_id = 'a2a2'",
            "'a2a2' is no s.trace_id: 32 hexadecimal digits are expected",
        ),
        (
            "span_id <> 'a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2'",
            "16 hexadecimal digits",
        ),
        ("parent_span_id = ''", "IS NULL"),
        (
            "trace_id IN ('a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2', 'zz')",
            "'zz' is no s.trace_id",
        ),
        (
            "trace_id BETWEEN attributes['a'] AND 'b'",
            "hex(s.trace_id)",
        ),
        ("name IN (SELECT trace_id FROM logs)", "select hex(...)"),
        ("hex(name) = 'a'", "hex takes bytes"),
    ] {
        let sql = format!("SELECT 1 FROM spans s WHERE {condition}");
        let error = store.sql(&sql, 10).await.unwrap_err();
        assert!(error.is_user_error(), "{condition}: {error:?}");
        assert!(error.to_string().contains(said), "{condition}: {error}");
    }
    let a2 = hex_of(0xa2, 16);
    let alias = format!(
        "WITH span_ids AS (SELECT * FROM spans) SELECT 1 FROM span_ids WHERE trace_id = '{a2}'"
    );
    assert!(store.sql(&alias, 10).await.is_ok());
    let using = "SELECT 1 FROM spans JOIN (SELECT body AS trace_id FROM logs) l USING (trace_id)";
    let error = store.sql(using, 10).await.unwrap_err().to_string();
    assert!(error.contains("cannot be joined"), "{error}");
}

#[tokio::test]
async fn segments_without_a_wanted_trace_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = id_store(&dir);
    let skipped = async |condition: &str| {
        let sql = format!("EXPLAIN ANALYZE SELECT * FROM spans WHERE {condition}");
        let plan = answer(&store, &sql).await;
        let counted = plan.split("row_groups_without_wanted_trace=").nth(1);
        let counted = counted.and_then(|rest| rest.split([',', ']']).next());
        counted.map(|count| count.trim().parse::<u64>().unwrap())
    };
    let [a1, a2] = [0xa1, 0xa2].map(|byte| hex_of(byte, 16));
    for (condition, expect) in [
        (format!("trace_id = '{a2}'"), 2),
        (format!("trace_id = X'{a2}'"), 2),
        (format!("trace_id IN ('{a1}', '{a2}')"), 1),
        (format!("trace_id = '{a1}' AND name = 'GET /'"), 2),
        (format!("trace_id <> '{a2}'"), 0),
        (format!("trace_id = '{a2}' OR name = 'GET /'"), 0),
    ] {
        assert_eq!(skipped(&condition).await, Some(expect), "{condition}");
    }
}
