use arrow::array::{Int32Array, Int64Array};
use arrow::datatypes::Float64Type;
use proptest::prelude::*;

use super::*;
use crate::tables::packed::to_number;
use crate::tables::{Layout, Promoted, PromotedKind, Table, column};

/// Whole texts, each written after the ones before it.
fn round_trip(texts: &[&str]) -> (StringArray, BinaryArray, Float64Array) {
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
    let numbers = packed.column_by_name("packed_number_body").unwrap();
    (
        body.as_string().clone(),
        digits.as_binary().clone(),
        numbers.as_primitive().clone(),
    )
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
    let (templates, digits, numbers) = round_trip(&texts);
    assert_eq!(templates.value(99), "GET /v2/orders/\u{1}: 200 in \u{1}0ms");
    assert_eq!(digits.value(99).len(), 5);
    assert_eq!(number_of(Some(&numbers), 99), Some(99));
    assert!(numbers.is_null(0));
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
    let (_templates, digits, numbers) = round_trip(&texts);
    assert!(digits.null_count() < texts.len() * 2 / 3);
    assert!(numbers.null_count() < texts.len() * 4 / 5);
}

#[test]
fn the_first_number_that_differs_in_length_is_one() {
    let check = |text: fn(u64) -> String, expect: &str, digits: usize, number: Option<i64>| {
        let texts: Vec<String> = (0..200).map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (templates, packed, numbers) = round_trip(&texts);
        assert_eq!(templates.value(199), expect);
        assert_eq!(packed.value(199).len(), digits, "{expect}");
        assert_eq!(number_of(Some(&numbers), 199), number, "{expect}");
    };
    let is = |digits: char| format!("\u{1}{digits}");
    check(
        |n| format!("{} of {n}", n + 1_000),
        &format!("{} of {}", is('4'), is('0')),
        2,
        Some(199),
    );
    check(
        |n| format!("{n} of {n}"),
        &format!("{} of {}", is('0'), is('3')),
        2,
        Some(199),
    );
    check(|n| format!("x{n:03}"), &format!("x{}", is('3')), 2, None);
    let large = |n: u64| format!("{}", 10_u64.pow(u32::try_from(n % 15).unwrap()) + n);
    check(large, &is('0'), 0, Some(10_000 + 199));
    // One of them is no number as it would be written.
    let zeros = |n: u64| {
        if n % 5 == 1 {
            format!("0{n}")
        } else {
            n.to_string()
        }
    };
    check(zeros, &is('3'), 2, None);
    let hex = |n: u64| format!("{:x}a0", n * 7_919);
    check(hex, &is('8'), 4, None);
}

#[test]
fn what_is_no_number_after_others_that_were_stays_among_digits() {
    let mut texts: Vec<String> = (0..100).map(|n| format!("took {n} ms")).collect();
    let odd = ["007", "0", "00", "999999999999999", "1000000000000000"];
    texts.extend(odd.map(|number| format!("took {number} ms")));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (templates, digits, numbers) = round_trip(&texts);
    let found: Vec<_> = (100..105)
        .map(|row| number_of(Some(&numbers), row))
        .collect();
    assert_eq!(
        found,
        [None, Some(0), None, Some(999_999_999_999_999), None]
    );
    assert_eq!(templates.value(100), "took \u{1}3 ms");
    assert_eq!(digits.value(104).len(), 8);
}

#[test]
fn texts_that_do_not_fit_their_digits_are_refused() {
    let unpacked = |template: &str, digits: &[u8], number: Option<i64>| {
        let mut out = Vec::new();
        unpack_text(template.as_bytes(), (digits, number), &mut out).map(|()| out)
    };
    let check = |template: &str, digits: &[u8], expect: Option<&str>| {
        let found = unpacked(template, digits, None);
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
    let check = |number: Option<i64>, expect: Option<&str>| {
        let found = unpacked("a\u{1}0b\u{1}1", &[0xc0], number);
        let expect = expect.map(|text| text.as_bytes().to_vec());
        assert_eq!(found, expect, "{number:?}");
    };
    check(Some(0), Some("a0bc"));
    check(Some(1_234), Some("a1234bc"));
    check(Some(10_i64.pow(15) - 1), Some("a999999999999999bc"));
    check(None, None);
    check(Some(-1), None);
    check(Some(10_i64.pow(15)), None);
    check(Some(i64::MAX), None);
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
        [
            "packed_body",
            "packed_attr_url_path",
            "packed_attr_took",
            "packed_number_body",
            "packed_number_attr_url_path",
            "packed_number_attr_took"
        ]
    );
    assert_eq!(
        Layout::fixed(Table::Spans).file_schema(),
        Table::Spans.schema()
    );
}

fn doubles_come_back(values: &[Option<f64>]) -> Option<usize> {
    let values = Float64Array::from(values.to_vec());
    let (rest, numbers) = doubles::pack(&values)?;
    let count = numbers.len() - numbers.null_count();
    let plain = numbers.iter().flatten();
    assert!(
        plain
            .into_iter()
            .all(|number| number.is_normal() && number >= 2_f64.powi(52))
    );
    // As files from before there were numbers have them.
    let older: Int64Array = numbers
        .iter()
        .map(|number| Some(from_number(number?)))
        .collect();
    let rest: ArrayRef = Arc::new(rest);
    let older: ArrayRef = Arc::new(older);
    let none = arrow::array::new_null_array(older.data_type(), older.len());
    let numbers: ArrayRef = Arc::new(numbers);
    let bits = |values: &Float64Array| -> Vec<Option<u64>> {
        values.iter().map(|value| value.map(f64::to_bits)).collect()
    };
    let no_numbers = arrow::array::new_null_array(&DataType::Float64, older.len());
    let forms = [
        (&none, Some(&numbers)),
        (&older, None),
        (&older, Some(&no_numbers)),
    ];
    for (packed, numbers) in forms {
        let back = unpack_column(&rest, packed, numbers).unwrap();
        assert_eq!(bits(back.as_primitive()), bits(&values));
    }
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

#[test]
fn doubles_that_no_number_can_be_are_refused() {
    let check = |number: f64, expect: Option<f64>| {
        let rest = arrow::array::new_null_array(&DataType::Float64, 2);
        let packed = arrow::array::new_null_array(&DataType::Int64, 2);
        for numbers in [vec![Some(number); 2], vec![None, Some(number)]] {
            let numbers: ArrayRef = Arc::new(Float64Array::from(numbers));
            let found = unpack_column(&rest, &packed, Some(&numbers)).ok();
            let found = found.map(|found| found.as_primitive::<Float64Type>().value(1));
            assert_eq!(found, expect, "{number}");
        }
    };
    check(to_number(12_345), Some(12_345.0));
    check(to_number(2 << 52 | 12_345), Some(123.45));
    check(to_number(12 << 52), Some(0.0));
    check(to_number(13 << 52), None);
    check(1.5, None);
    check(0.0, None);
    check(-to_number(5), None);
    check(f64::NAN, None);
    check(f64::INFINITY, None);
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
    fn whatever_stands_in_a_file_is_a_text_or_damage(
        template in "[a0]{0,3}(\u{1}[0-9:o~é]?[a ]?){0,4}",
        digits in prop::collection::vec(any::<u8>(), 0..4),
        number in prop::option::of(prop_oneof![any::<i64>(), 0..1_000_i64]),
    ) {
        let mut out = Vec::new();
        let _text_or_damage = unpack_text(template.as_bytes(), (&digits, number), &mut out);
        prop_assert!(out.len() <= template.len() * NUMBER_DIGITS_MAX + 2 * digits.len());
    }

    #[test]
    fn a_number_is_written_as_others_write_it(number in any::<u64>(), shift in 0..64_u32) {
        let number = (number >> shift).cast_signed();
        let mut out = Vec::new();
        let written = push_number(number, &mut out).map(|()| String::from_utf8(out).unwrap());
        let fits = (0..10_i64.pow(15)).contains(&number);
        prop_assert_eq!(written, fits.then(|| number.to_string()));
    }

    #[test]
    fn texts_of_numbers_come_back(
        numbers in prop::collection::vec((any::<u64>(), 0..64_u32, 0..4_usize, any::<bool>()), 20..120),
    ) {
        let texts = numbers.into_iter().map(|(number, shift, zeros, two)| {
            let number = number >> shift;
            match two {
                true => format!("read {number} of {}{number}", "0".repeat(zeros)),
                false => format!("read {}{number} of 5", "0".repeat(zeros / 2)),
            }
        });
        let texts: Vec<String> = texts.collect();
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
