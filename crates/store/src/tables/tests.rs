use arrow::array::Array;

use super::*;

#[test]
fn column_ids_count_maps_as_three() {
    let schema = Table::Logs.schema();
    let ids: Vec<_> = schema
        .fields()
        .iter()
        .filter_map(|f| column_id(f))
        .collect();
    let mut expected: Vec<i64> = (1..=18).collect();
    expected.push(21);
    assert_eq!(ids, expected);
    let (entries, key, value) =
        map_fields(schema.field_with_name(column::ATTRIBUTES).unwrap()).unwrap();
    assert_eq!(
        (column_id(entries), column_id(key), column_id(value)),
        (None, Some(19), Some(20))
    );
}

#[test]
fn sort_and_stats_columns_exist_in_their_table() {
    for table in Table::ALL {
        let schema = table.schema();
        for name in table.sort_columns().iter().chain(table.stats_columns()) {
            assert!(
                schema.field_with_name(name).is_ok(),
                "{} {name}",
                table.name()
            );
        }
        assert_eq!(Table::from_name(table.name()), Some(table));
    }
    assert_eq!(Table::from_name("ducklake_metadata"), None);
}

#[test]
fn map_builder_builds_the_type_of_its_column() {
    let mut builder = Table::Logs
        .map_builder(column::RESOURCE_ATTRIBUTES)
        .unwrap();
    builder.keys().append_value("k");
    builder.values().append_value("v");
    builder.append(true).unwrap();
    let schema = Table::Logs.schema();
    let field = schema.field_with_name(column::RESOURCE_ATTRIBUTES).unwrap();
    assert_eq!(builder.finish().data_type(), field.data_type());
    assert!(Table::Logs.map_builder(column::BODY).is_none());
    assert!(Table::Samples.map_builder(column::LABELS).is_none());
}
