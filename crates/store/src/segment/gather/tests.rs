use arrow::compute::concat_batches;
use proptest::prelude::*;
use vervet_model::Signal;
use vervet_wire::otlp::{
    KeyValue, LogRecord, Resource, Scope, Span, Value, write_resource_logs, write_resource_spans,
};

use super::*;
use crate::fixtures::{at, decoded};
use crate::segment::{shred, sort_batch};
use crate::tables::{PromotedKind, Table};

/// A record: service, seconds, attributes.
type Row = (u8, i64, Vec<(u8, u8)>);

fn attributes(pairs: &[(u8, u8)]) -> Vec<KeyValue<'static>> {
    let keys = ["status", "path", "flag", "rest"];
    let value = |value: u8| match value {
        0 => Value::Int(-7),
        1 => Value::Bool(true),
        2 => Value::from(String::new()),
        other => Value::from(format!("/{other}")),
    };
    pairs
        .iter()
        .map(|(key, of)| KeyValue::new(keys[usize::from(*key)], value(*of)))
        .collect()
}

fn batch(signal: Signal, rows: &[Row]) -> RecordBatch {
    let mut body = Vec::new();
    for (service, seconds, pairs) in rows {
        let resource = Resource {
            attributes: vec![
                KeyValue::new("service.name", format!("service-{service}")),
                KeyValue::new("team", format!("team-{}", service / 2)),
            ],
        };
        let time = at(*seconds).0.unsigned_abs();
        let scope = Scope::default();
        match signal {
            Signal::Logs => write_resource_logs(&mut body, &resource, &scope, |writer| {
                writer.push(&LogRecord {
                    time_unix_nano: time,
                    body: Value::from(format!("{service} {seconds}")),
                    attributes: attributes(pairs),
                    ..LogRecord::default()
                });
            }),
            _ => write_resource_spans(&mut body, &resource, &scope, |writer| {
                writer.push(&Span {
                    trace_id: &[7; 16],
                    span_id: &[service + 1; 8],
                    name: format!("{}", seconds % 3).into(),
                    start_unix_nano: time,
                    attributes: attributes(pairs),
                    ..Span::default()
                });
            }),
        }
    }
    decoded(signal, &body).batch().unwrap().clone()
}

fn layouts(table: Table) -> [Layout; 2] {
    let fixed = Layout::fixed(table);
    let keys = vec![
        ("status".to_owned(), PromotedKind::Integer),
        ("path".to_owned(), PromotedKind::Text),
        ("flag".to_owned(), PromotedKind::Boolean),
    ];
    let promoted = Layout::new(table, fixed.promoted().with(keys));
    [fixed, promoted]
}

proptest! {
    #[test]
    fn rows_are_those_of_one_step_after_the_other(
        batches in prop::collection::vec(
            prop::collection::vec(
                (0..4_u8, 0..50_i64, prop::collection::vec((0..4_u8, 0..6_u8), 0..6)),
                1..30,
            ),
            1..5,
        ),
    ) {
        for (signal, table) in [(Signal::Logs, Table::Logs), (Signal::Traces, Table::Spans)] {
            let batches: Vec<RecordBatch> = batches.iter().map(|rows| batch(signal, rows)).collect();
            for layout in layouts(table) {
                let all = concat_batches(&table.schema(), &batches).unwrap();
                let expected = shred(&sort_batch(table, &all).unwrap(), &layout).unwrap();
                let gather = Gather::new(&layout, &batches).unwrap();
                let got: Vec<RecordBatch> = gather.batches().map(Result::unwrap).collect();
                let got = concat_batches(&layout.schema(), &got).unwrap();
                prop_assert_eq!(&got, &expected);
            }
        }
    }
}

#[test]
fn many_rows_come_in_several_batches_in_order() {
    let rows: Vec<Row> = (0..ROWS_MAX as i64 + 10)
        .map(|row| (u8::try_from(row % 3).unwrap(), -row, vec![(0, 0)]))
        .collect();
    let [_, layout] = layouts(Table::Logs);
    let batches = [batch(Signal::Logs, &rows), batch(Signal::Logs, &rows[..5])];
    let gather = Gather::new(&layout, &batches).unwrap();
    let got: Vec<RecordBatch> = gather.batches().map(Result::unwrap).collect();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].num_rows() + got[1].num_rows(), rows.len() + 5);
    let got = concat_batches(&layout.schema(), &got).unwrap();
    let sorted = sort_batch(Table::Logs, &got).unwrap();
    assert_eq!(sorted, got);
}

#[test]
fn rows_with_other_columns_are_refused() {
    let [fixed, promoted] = layouts(Table::Logs);
    let rows = shred(&batch(Signal::Logs, &[(0, 1, vec![])]), &promoted).unwrap();
    assert!(Gather::new(&fixed, &[rows]).is_err());
}
