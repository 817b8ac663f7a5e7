use arrow::array::{Float64Array, Int32Array};
use proptest::prelude::*;

use super::*;
use crate::tables::{Layout, Promoted, PromotedKind, Table, column};

/// Whole texts, each written after the ones before it.
fn round_trip(texts: &[&str]) -> (StringArray, BinaryArray) {
    let layout = Layout::fixed(Table::Logs);
    let whole = logs(texts);
    let mut packer = Packer::new(&layout).unwrap();
    let packed = packer.pack(&whole).unwrap();
    assert_eq!(packed.schema(), layout.file_schema());
    let back = unpack(&packed).unwrap();
    assert_eq!(back.schema().fields(), whole.schema().fields());
    assert_eq!(back.columns(), whole.columns());
    let body = packed.column_by_name(column::BODY).unwrap();
    let digits = packed.column_by_name("packed_body").unwrap();
    (body.as_string().clone(), digits.as_binary().clone())
}

/// Rows with these bodies; all else is empty.
fn logs(texts: &[&str]) -> RecordBatch {
    use arrow::array::new_null_array;
    let schema = Table::Logs.schema();
    let rows = texts.len();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        if field.name() == column::BODY {
            return Arc::new(StringArray::from(texts.to_vec()));
        }
        if let Some(mut builder) = Table::Logs.map_builder(field.name()) {
            (0..rows).for_each(|_row| builder.append(true).unwrap());
            return Arc::new(builder.finish());
        }
        if field.is_nullable() {
            return new_null_array(field.data_type(), rows);
        }
        let zeros: ArrayRef = Arc::new(Int32Array::from(vec![0; rows]));
        match field.data_type() {
            arrow::datatypes::DataType::Utf8 => Arc::new(StringArray::from(vec![""; rows])),
            arrow::datatypes::DataType::UInt64 => {
                Arc::new(arrow::array::UInt64Array::from(vec![0; rows]))
            }
            other => arrow::compute::cast(
                &arrow::compute::cast(&zeros, &arrow::datatypes::DataType::Int64).unwrap(),
                other,
            )
            .unwrap(),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

#[test]
fn places_that_vary_are_taken_out_and_others_stay() {
    let texts: Vec<String> = (0..100_u64)
        .map(|n| {
            format!(
                "GET /v2/orders/{:010x} 200 in {n}ms",
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
            )
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (templates, digits) = round_trip(&texts);
    assert_eq!(templates.value(99), "GET /v2/orders/\u{1}: 200 in \u{1}2ms");
    assert_eq!(digits.value(99).len(), 6);
    assert!(digits.is_null(0), "nothing was known of the first");
    assert_eq!(templates.value(0), texts[0]);
}

#[test]
fn ids_of_all_forms_are_places() {
    let check = |text: &str, expect: &[&str]| {
        let mut found = Vec::new();
        let any = scan::places(text, &mut found);
        let found: Vec<&str> = found.into_iter().map(|place| &text[place]).collect();
        assert_eq!(
            (any, found.as_slice()),
            (!expect.is_empty(), expect),
            "{text:?}"
        );
    };
    check("", &[]);
    check("accede to the facade", &[]);
    check("id=9f03a1 took 17.25ms", &["9f03a1", "17", "25"]);
    check(
        "01234567-89ab-cdef-abcd-0123456789ab",
        &["01234567", "89ab", "cdef", "abcd", "0123456789ab"],
    );
    check("web-5d7f8c9b6-x2k4z", &["5d7f8c9b6", "2", "4"]);
    check("7-cafe--beef-12", &["7", "cafe", "12"]);
    check("5-abc-abcd 9a-", &["5", "9"]);
    check("v2 Ab12 DEADBEEF00 größe7", &["2", "12", "00", "7"]);
    check("1\u{1}2", &[]);
    let long = "7".repeat(65);
    check(&long, &[]);
    check(&format!("{long} 8"), &["8"]);
}

#[test]
fn hostile_texts_come_back() {
    let mark_of_its_own = "\u{1}3 not a mark 123";
    let mut texts: Vec<String> = vec![
        String::new(),
        "\u{1}".to_owned(),
        "\u{1}\u{1}99".to_owned(),
        "\0\u{1}:abc".to_owned(),
        "9".repeat(3_000),
        "1 ".repeat(1_000),
        "💥12💥".to_owned(),
    ];
    for n in 0..200_u32 {
        texts.push(format!(
            "a {n} b {} {}",
            n * 7_919,
            "f".repeat(usize::try_from(n % 70).unwrap())
        ));
        texts.push(format!("{n}"));
        texts.push(mark_of_its_own.to_owned());
        texts.push(format!(
            "{}\n{n}x{n}",
            "0".repeat(usize::try_from(n % 66).unwrap())
        ));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_templates, digits) = round_trip(&texts);
    assert!(digits.null_count() < texts.len() * 2 / 3);
}

#[test]
fn texts_that_do_not_fit_their_digits_are_refused() {
    let check = |template: &str, digits: &[u8], expect: Option<&str>| {
        let mut out = Vec::new();
        let found = unpack_text(template.as_bytes(), digits, &mut out).map(|()| out);
        let expect = expect.map(|text| text.as_bytes().to_vec());
        assert_eq!(found, expect, "{template:?} {digits:?}");
    };
    check("a\u{1}3b", &[0x12, 0x30], Some("a123b"));
    check("a\u{1}3b", &[0x12], None);
    check("a\u{1}3b", &[0x12, 0x30, 0x40], None);
    check("a\u{1}", &[], None);
    check("a\u{1}0", &[], None);
    check("a\u{1}é", &[0x12], None);
    check("a\u{1}q", &[0; 33], None);
    check("a\u{1}p", &[0; 32], Some(&format!("a{}", "0".repeat(64))));
    check("a", &[], Some("a"));
}

#[test]
fn promoted_columns_have_companions_of_their_own() {
    let keys = [
        ("url.path", PromotedKind::Text),
        ("n", PromotedKind::Integer),
        ("took", PromotedKind::Double),
    ];
    let keys = keys.map(|(key, kind)| (key.to_owned(), kind));
    let layout = Layout::new(Table::Logs, Promoted::default().with(keys));
    let schema = layout.file_schema();
    let further = schema.fields().iter().skip(layout.schema().fields().len());
    let further: Vec<&str> = further.map(|field| field.name().as_str()).collect();
    assert_eq!(
        further,
        ["packed_body", "packed_attr_url_path", "packed_attr_took"]
    );
    assert_eq!(
        Layout::fixed(Table::Spans).file_schema(),
        Table::Spans.schema()
    );
}

fn doubles_come_back(values: &[Option<f64>]) -> Option<usize> {
    let values = Float64Array::from(values.to_vec());
    let (rest, packed) = doubles::pack(&values)?;
    let count = packed.len() - packed.null_count();
    let rest: ArrayRef = Arc::new(rest);
    let packed: ArrayRef = Arc::new(packed);
    let back = unpack_column(&rest, &packed).unwrap();
    let bits = |values: &Float64Array| -> Vec<Option<u64>> {
        values.iter().map(|value| value.map(f64::to_bits)).collect()
    };
    assert_eq!(bits(back.as_primitive()), bits(&values));
    Some(count)
}

#[test]
fn decimals_are_integers_and_other_doubles_stay() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        -0.0,
        -1.5,
        1.0 / 3.0,
        5e-324,
        1e300,
        1e15,
    ];
    let all = odd
        .into_iter()
        .map(Some)
        .chain([None, Some(0.0), Some(1e-12)]);
    let decimals = (0..100).map(|n| Some(f64::from(n * 7_919) / 1_000.0));
    let values: Vec<Option<f64>> = all.chain(decimals).collect();
    assert_eq!(doubles_come_back(&values), Some(103));
    assert_eq!(doubles_come_back(&[None, None]), None);
    assert_eq!(doubles_come_back(&[Some(f64::NAN), Some(0.1)]), Some(1));
    assert_eq!(
        doubles_come_back(&[Some(f64::NAN), Some(-3.0), Some(0.1)]),
        None
    );
}

proptest! {
    #[test]
    fn every_text_comes_back(
        texts in prop::collection::vec("[a-f0-9 \u{1}é-]{0,12}([0-9]{0,3}[ .][a-f0-9]{0,9}){0,3}", 1..120),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        round_trip(&texts);
    }

    #[test]
    fn every_double_comes_back(
        values in prop::collection::vec(
            prop::option::of(prop_oneof![
                any::<u64>().prop_map(f64::from_bits),
                (any::<u32>(), 0..9).prop_map(|(n, k)| f64::from(n) / 10_f64.powi(k)),
            ]),
            1..50,
        ),
    ) {
        let _packed_or_not = doubles_come_back(&values);
    }
}
