use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

use super::*;

fn record(number: u64) -> LogRecord {
    let value = any_value::Value::IntValue(number.cast_signed());
    LogRecord {
        time_unix_nano: number,
        body: Some(AnyValue { value: Some(value) }),
        ..LogRecord::default()
    }
}

/// Records by scope group by resource group, numbered through.
fn request(shape: &[Vec<usize>]) -> ExportLogsServiceRequest {
    let mut number = 0;
    let mut records = |count| {
        let numbers = number..number + count as u64;
        number += count as u64;
        numbers.map(record).collect()
    };
    let resource_logs = shape.iter().enumerate().map(|(group, scopes)| {
        let scope_logs = scopes.iter().enumerate().map(|(scope, count)| ScopeLogs {
            scope: Some(InstrumentationScope {
                name: format!("scope {group}/{scope}"),
                ..InstrumentationScope::default()
            }),
            log_records: records(*count),
            schema_url: "s".to_owned(),
        });
        ResourceLogs {
            resource: Some(Resource {
                dropped_attributes_count: u32::try_from(group).expect("few") + 1,
                ..Resource::default()
            }),
            scope_logs: scope_logs.collect(),
            schema_url: "r".to_owned(),
        }
    });
    ExportLogsServiceRequest {
        resource_logs: resource_logs.collect(),
    }
}

/// Every record with what it belongs to.
fn flat(request: &[u8]) -> Vec<(u32, String, String, LogRecord)> {
    let request = ExportLogsServiceRequest::decode(request).expect("valid");
    let mut records = Vec::new();
    for group in request.resource_logs {
        let resource = group.resource.expect("kept").dropped_attributes_count;
        for scope in group.scope_logs {
            let name = scope.scope.expect("kept").name;
            for record in scope.log_records {
                let urls = format!("{}{}", group.schema_url, scope.schema_url);
                records.push((resource, name.clone(), urls, record));
            }
        }
    }
    records
}

/// Halves until nothing can be halved; the pieces in order.
fn pieces(request: Bytes) -> Vec<Bytes> {
    match halve(&request).expect("valid") {
        None => vec![request],
        Some((first, second)) => {
            let mut all = pieces(first);
            all.extend(pieces(second));
            all
        }
    }
}

proptest! {
    #[test]
    fn the_pieces_hold_every_record_once_in_order_with_its_resource_and_scope(
        shape in prop::collection::vec(prop::collection::vec(0_usize..7, 0..4), 0..4),
    ) {
        let whole: Bytes = request(&shape).encode_to_vec().into();
        let pieces = pieces(whole.clone());
        let put_together: Vec<_> = pieces.iter().flat_map(|piece| flat(piece)).collect();
        prop_assert_eq!(put_together, flat(&whole));
        for piece in pieces {
            prop_assert!(flat(&piece).len() <= 1);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _either = halve(&bytes);
    }
}

#[test]
fn fields_nobody_knows_are_in_both_halves() {
    let mut whole = Vec::new();
    let mut w = Writer::new(&mut whole);
    w.bytes_always(1, b"");
    w.varint_always(77, 5);
    w.bytes_always(1, b"");
    let (first, second) = halve(&whole).expect("valid").expect("two parts");
    assert_eq!(first, second);
    assert_eq!(parts(&first, 1).expect("valid").len(), 1);
    let unknown = Reader::new(&first).next_field().expect("valid");
    assert_eq!(unknown, Some((77, Field::Varint(5))));
}
