//! Attributes that are moved into columns and read back are those that came in.

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use proptest::prelude::*;

use super::*;
use crate::segment::shred;
use crate::tables::{Promoted, Table};

type Pairs = Vec<(String, String)>;

/// Rows of `spans` with these attributes, everything else empty.
fn batch(rows: &[Pairs]) -> RecordBatch {
    let schema = Table::Spans.schema();
    let mut map = Table::Spans.map_builder(column::ATTRIBUTES).unwrap();
    for row in rows {
        for (key, value) in row {
            map.keys().append_value(key);
            map.values().append_value(value);
        }
        map.append(true).unwrap();
    }
    let map: ArrayRef = std::sync::Arc::new(map.finish());
    let columns = schema.fields().iter().map(|field| {
        if field.name() == column::ATTRIBUTES {
            return std::sync::Arc::clone(&map);
        }
        default(field, rows.len())
    });
    RecordBatch::try_new(std::sync::Arc::clone(&schema), columns.collect()).unwrap()
}

fn default(field: &arrow::datatypes::Field, rows: usize) -> ArrayRef {
    if let Some(mut builder) = Table::Spans.map_builder(field.name()) {
        (0..rows).for_each(|_| builder.append(true).unwrap());
        return std::sync::Arc::new(builder.finish());
    }
    if field.is_nullable() {
        return new_null_array(field.data_type(), rows);
    }
    let zero = arrow::array::StringArray::from(vec!["0"; rows]);
    let zero = match field.data_type() {
        arrow::datatypes::DataType::Timestamp(..) => {
            arrow::compute::cast(&zero, &arrow::datatypes::DataType::Int64).unwrap()
        }
        _ => std::sync::Arc::new(zero),
    };
    arrow::compute::cast(&zero, field.data_type()).unwrap()
}

fn read(batch: &RecordBatch, layout: &Layout) -> Vec<Pairs> {
    let attributes = Attributes::new(Columns::new("test", batch), layout).unwrap();
    (0..batch.num_rows())
        .map(|row| attributes.owned(row))
        .collect()
}

/// The same texts in the order that readers see them.
fn sorted(rows: &[Pairs]) -> Vec<Pairs> {
    let by_key = |row: &Pairs| {
        let mut row = row.clone();
        row.sort_by(|a, b| a.0.cmp(&b.0));
        row
    };
    rows.iter().map(by_key).collect()
}

fn layout(columns: &[(&str, PromotedKind)]) -> Layout {
    let columns = columns.iter().map(|(key, kind)| ((*key).to_owned(), *kind));
    Layout::new(Table::Spans, Promoted::default().with(columns))
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn what_fits_moves_and_what_does_not_stays() {
    let layout = layout(&[
        ("status", PromotedKind::Integer),
        ("path", PromotedKind::Text),
    ]);
    let rows = [
        pairs(&[("status", "200"), ("path", "/a"), ("other", "x")]),
        pairs(&[("status", "0200"), ("status", "7")]),
        pairs(&[("status", "7"), ("status", "8")]),
        pairs(&[]),
    ];
    let shredded = shred(&batch(&rows), &layout).unwrap();
    assert_eq!(read(&shredded, &layout), sorted(&rows));
    let status = shredded.column_by_name("attr_status").unwrap();
    let status: Vec<_> = status.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(status, [Some(200), None, Some(7), None]);
    let map = Columns::new("test", &shredded)
        .map(column::ATTRIBUTES)
        .unwrap();
    let lengths: Vec<_> = (0..4).map(|row| map.value_length(row)).collect();
    assert_eq!(lengths, [1, 2, 1, 0]);
}

#[test]
fn rows_of_an_earlier_layout_are_brought_to_a_later_one() {
    let rows = [
        pairs(&[("a", "1"), ("b", "true")]),
        pairs(&[("b", "no"), ("a", "2")]),
    ];
    let early = layout(&[("a", PromotedKind::Integer)]);
    let late = Layout::new(
        Table::Spans,
        early
            .promoted()
            .with([("b".to_owned(), PromotedKind::Boolean)]),
    );
    let first = shred(&batch(&rows), &early).unwrap();
    assert_eq!(
        read(&first, &late),
        sorted(&rows),
        "a file from before the column"
    );
    let second = shred(&first, &late).unwrap();
    assert_eq!(second, shred(&batch(&rows), &late).unwrap());
    assert_eq!(second, shred(&second, &late).unwrap());
    assert_eq!(read(&second, &late), sorted(&rows));
}

#[test]
fn a_slice_of_a_batch_is_shredded_as_the_batch_is() {
    let rows: Vec<_> = (0..10)
        .map(|n| pairs(&[("a", &n.to_string()), ("b", "x")]))
        .collect();
    let layout = layout(&[("a", PromotedKind::Integer)]);
    let slice = batch(&rows).slice(3, 4);
    let shredded = shred(&slice, &layout).unwrap();
    assert_eq!(read(&shredded, &layout), sorted(&rows[3..7]));
    assert_eq!(read(&shredded.slice(1, 2), &layout), sorted(&rows[4..6]));
}

fn value_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| value.to_string()),
        any::<bool>().prop_map(|value| value.to_string()),
        "[-+0-9.eE]{0,6}",
        ".{0,12}",
    ]
}

fn rows() -> impl Strategy<Value = Vec<Pairs>> {
    // Few keys, so that rows share them and have some twice.
    let pair = (prop_oneof!["[a-e]", ".{0,3}"], value_text());
    prop::collection::vec(prop::collection::vec(pair, 0..8), 0..20)
}

proptest! {
    #[test]
    fn any_attributes_read_back_the_same(
        rows in rows(),
        kinds in prop::collection::vec(0..4_usize, 5),
        shared in 0..=5_usize,
    ) {
        let columns: Vec<_> = ["a", "b", "c", "d", "e"]
            .into_iter()
            .zip(kinds.iter().map(|kind| PromotedKind::ALL[*kind]))
            .collect();
        let (early, late) = (layout(&columns[..shared]), layout(&columns));
        let plain = batch(&rows);
        prop_assert_eq!(read(&plain, &late), sorted(&rows));
        let first = shred(&plain, &early).unwrap();
        prop_assert_eq!(read(&first, &late), sorted(&rows));
        let second = shred(&first, &late).unwrap();
        prop_assert_eq!(read(&second, &late), sorted(&rows));
    }
}
