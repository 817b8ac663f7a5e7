use proptest::prelude::*;

use super::*;

#[test]
fn only_canonical_texts_have_a_typed_value() {
    use PromotedKind::{Boolean, Double, Integer};
    let check = |kind: PromotedKind, text: &str, exact: bool| {
        assert_eq!(kind.exact(text).is_some(), exact, "{kind:?} {text:?}");
    };
    for text in [
        "0",
        "7",
        "-7",
        "200",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        check(Integer, text, true);
    }
    for text in [
        "",
        "-",
        "-0",
        "+7",
        "007",
        "7.0",
        " 7",
        "7 ",
        "1e3",
        "9223372036854775808",
        "٣",
    ] {
        check(Integer, text, false);
    }
    for text in [
        "0",
        "-0",
        "0.5",
        "-0.001",
        "200",
        "1.5",
        "0.1",
        "NaN",
        "inf",
        "-inf",
        "123456.789",
    ] {
        check(Double, text, true);
    }
    for text in [
        "",
        ".",
        "-",
        ".5",
        "5.",
        "1.50",
        "01.5",
        "+1",
        "1e3",
        "nan",
        "infinity",
        "1_0",
        "0x1",
        "00",
        "0.1000000000000000055511151231257827",
    ] {
        check(Double, text, false);
    }
    check(Boolean, "true", true);
    check(Boolean, "True", false);
}

#[test]
fn names_are_plain_and_unique() {
    let keys = [
        "http.status",
        "http_status",
        "HTTP.Status",
        "é",
        "a b",
        "http.status",
    ];
    let set = Promoted::default().with(keys.map(|key| (key.to_owned(), PromotedKind::Text)));
    let names: Vec<_> = set.columns().iter().map(|column| &*column.name).collect();
    assert_eq!(
        names,
        [
            "attr_http_status",
            "attr_http_status_2",
            "attr_http_status_3",
            "attr__",
            "attr_a_b"
        ]
    );
    let ids: Vec<_> = set
        .columns()
        .iter()
        .map(|column| column.column_id)
        .collect();
    assert_eq!(ids, [1_000, 1_001, 1_002, 1_003, 1_004]);
    assert_eq!(set.find("HTTP.Status").unwrap().name, "attr_http_status_3");
}

#[test]
fn keys_that_cannot_be_named_get_no_column() {
    let keys = ["", "a\0b", "a\nb", &"k".repeat(KEY_BYTES_MAX + 1)];
    let set = Promoted::default().with(keys.map(|key| (key.to_owned(), PromotedKind::Text)));
    assert!(set.columns().is_empty());
}

#[test]
fn promoted_columns_follow_the_fixed_ones_with_ids_of_their_own() {
    use crate::tables::{Layout, Table, column_id};
    let set = Promoted::default().with([("a".to_owned(), PromotedKind::Integer)]);
    let layout = Layout::new(Table::Logs, set);
    let (schema, fixed) = (layout.schema(), Table::Logs.schema());
    assert_eq!(schema.fields().len(), fixed.fields().len() + 1);
    assert_eq!(schema.fields()[..fixed.fields().len()], fixed.fields()[..]);
    let last = schema.fields().last().unwrap();
    assert_eq!(
        (last.name().as_str(), column_id(last)),
        ("attr_a", Some(1_000))
    );
    assert!(
        fixed
            .fields()
            .iter()
            .filter_map(|field| column_id(field))
            .all(|id| id < FIRST_COLUMN_ID)
    );
}

fn number_like() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        (any::<i32>(), 0..9_usize).prop_map(|(value, digits)| format!(
            "{:.*}",
            digits,
            f64::from(value) / 1e4
        )),
        "-?[0-9]{1,18}(\\.[0-9]{0,18})?",
        "[-+0-9.eEinfNa]{0,8}",
    ]
}

proptest! {
    #[test]
    fn a_typed_value_has_exactly_the_text_it_came_from(text in number_like()) {
        for kind in PromotedKind::ALL {
            if let Some(value) = kind.exact(&text) {
                prop_assert_eq!(value.to_text(), text.as_str());
            }
        }
    }

    #[test]
    fn what_the_ingest_writes_of_numbers_fits(integer: i64, double: f64) {
        prop_assert!(PromotedKind::Integer.exact(&integer.to_string()).is_some());
        let text = double.to_string();
        let Some(PromotedValue::Double(found)) = PromotedKind::Double.exact(&text) else {
            panic!("{double}")
        };
        prop_assert!(found.to_bits() == double.to_bits() || found.is_nan());
    }
}
