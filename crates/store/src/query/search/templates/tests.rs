use arrow::array::{ArrayRef, BinaryArray, StringArray};
use proptest::prelude::*;

use super::form::{NumberPlace, Place};
use super::*;
use crate::query::filter::Test;
use crate::segment::unpack_column;
use crate::tables::packed::to_number;

fn asked(test: Test, template: &str) -> Verdict {
    let test = TextTest::new(&test).unwrap().unwrap();
    ask(&test, template, true).verdict
}

fn word(text: &str) -> Test {
    Test::HasToken(text.to_owned())
}

fn digits_from(first: usize, text: &str) -> Vec<(usize, u8)> {
    let digit = |digit: char| u8::try_from(digit.to_digit(16).unwrap()).unwrap();
    (first..).zip(text.chars().map(digit)).collect()
}

fn at(first: usize, text: &str) -> Place {
    Place {
        digits: digits_from(first, text),
        number: None,
    }
}

fn in_number(length: usize, first: usize, text: &str) -> Place {
    let digits = digits_from(first, text);
    Place {
        digits: Vec::new(),
        number: Some(NumberPlace { length, digits }),
    }
}

#[test]
fn templates_decide_what_does_not_depend_on_digits() {
    let template = "order \u{1}6 shipped after \u{1}2 days";
    let contains = |text: &str| Test::Contains(text.to_owned());
    assert_eq!(asked(word("shipped"), template), Verdict::All(true));
    assert_eq!(asked(word("ship"), template), Verdict::All(false));
    assert_eq!(asked(contains("ship"), template), Verdict::All(true));
    assert_eq!(asked(word("9f03a"), template), Verdict::All(false));
    assert_eq!(
        asked(word("9f03a1"), template),
        Verdict::AnyOf(vec![at(0, "9f03a1")])
    );
    assert_eq!(
        asked(contains("03 s"), template),
        Verdict::AnyOf(vec![at(4, "03")])
    );
    assert_eq!(asked(contains("x3 s"), template), Verdict::All(false));
    let regex = |text: &str| Test::Regex(text.to_owned());
    assert_eq!(asked(regex("ship.* hours"), template), Verdict::All(false));
    assert_eq!(asked(regex("ship.* days"), template), Verdict::Each);
}

#[test]
fn numbers_are_looked_at_in_every_length() {
    let template = "took \u{1}0 of \u{1}4";
    let contains = |text: &str| Test::Contains(text.to_owned());
    assert_eq!(asked(word("of"), template), Verdict::All(true));
    assert_eq!(asked(word("ab"), template), Verdict::All(false));
    assert_eq!(
        asked(word("123"), template),
        Verdict::AnyOf(vec![in_number(3, 0, "123")])
    );
    assert_eq!(
        asked(word("1234"), template),
        Verdict::AnyOf(vec![at(0, "1234"), in_number(4, 0, "1234")])
    );
    assert_eq!(
        asked(word("12ab"), template),
        Verdict::AnyOf(vec![at(0, "12ab")])
    );
    assert_eq!(
        asked(contains("k 7 o"), template),
        Verdict::AnyOf(vec![in_number(1, 0, "7")])
    );
    let Verdict::AnyOf(places) = asked(contains("17 o"), template) else {
        panic!("it depends on the number");
    };
    let expect: Vec<Place> = (2..=15)
        .map(|length| in_number(length, length - 2, "17"))
        .collect();
    assert_eq!(places, expect);
}

/// Texts of few letters, so that they often are templates of each other and often match.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a1 -]{1,3}",
        "[0-9a]{1,4}",
        Just("\u{1}0".to_owned()),
        Just("\u{1}1".to_owned()),
        Just("\u{1}3".to_owned()),
        Just("\u{1}5".to_owned()),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let text = "[01a -]{0,4}|\u{1}?[0-9a]{1,5}";
    prop_oneof![
        text.prop_map(Test::Contains),
        text.prop_map(Test::HasToken),
        text.prop_map(Test::Equals),
        prop::sample::select(vec!["a1+", "1 ?a", "^a", "1$", "[0-9]{3}", "a.1"])
            .prop_map(|pattern| Test::Regex(pattern.to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn templates_are_asked_as_their_texts_would_be(
        rows in prop::collection::vec(
            (prop::collection::vec(piece(), 0..5), prop::option::of(any::<[u8; 8]>()), 0..40_u64),
            1..8,
        ),
        test in test(),
    ) {
        let test = TextTest::new(&test).unwrap().unwrap();
        let mut templates: Vec<String> = Vec::new();
        let mut digits: Vec<Option<Vec<u8>>> = Vec::new();
        let mut numbers: Vec<f64> = Vec::new();
        for (pieces, bytes, number) in rows {
            let template = pieces.concat();
            let count = Form::new(template.as_bytes()).map(|form| form.digits());
            numbers.push(to_number(i64::try_from(number * number * number).unwrap()));
            // A template that is none has no digits; those of others are decimal or not.
            let packed = bytes.zip(count).map(|(bytes, count)| {
                bytes.iter().cycle().take(count.div_ceil(2)).copied().collect()
            });
            templates.push(template);
            digits.push(packed);
        }
        let values = StringArray::from_iter_values(&templates);
        let texts: ArrayRef = std::sync::Arc::new(values.clone());
        let packed: ArrayRef = std::sync::Arc::new(BinaryArray::from_iter(digits));
        let numbers: ArrayRef = std::sync::Arc::new(Float64Array::from(numbers));
        let whole = unpack_column(&texts, &packed, Some(&numbers)).unwrap();
        let whole = whole.as_string::<i32>();
        let mut asked = Templates {
            test: &test,
            values: &values,
            is_packed: true,
            asked: (0..values.len()).map(|_| None).collect(),
        };
        let open: Vec<(usize, usize)> = (0..values.len()).map(|row| (row, row)).collect();
        let mut mask = vec![0; values.len().div_ceil(8)];
        for (row, _key) in &open {
            asked.ask(*row).unwrap();
        }
        let packed = Packed::new(&packed, Some(&numbers), open.len()).unwrap();
        asked.decide(&open, packed, &mut mask).unwrap();
        for row in 0..values.len() {
            let holds = mask[row / 8] & (1 << (row % 8)) != 0;
            prop_assert_eq!(holds, test.holds(whole.value(row)), "{:?} {:?}", templates[row], whole.value(row));
        }
    }
}

#[test]
fn digits_and_numbers_that_do_not_fit_are_damage() {
    let decide = |template: &str, digits: &[u8], number: Option<i64>| {
        let test = TextTest::new(&word("123")).unwrap().unwrap();
        let values = StringArray::from_iter_values([template]);
        let mut asked = Templates {
            test: &test,
            values: &values,
            is_packed: true,
            asked: vec![None],
        };
        asked.ask(0).unwrap();
        let digits: ArrayRef = std::sync::Arc::new(BinaryArray::from_iter_values([digits]));
        let numbers: ArrayRef =
            std::sync::Arc::new(Float64Array::from(vec![number.map(to_number)]));
        let packed = Packed::new(&digits, Some(&numbers), 1).unwrap();
        let mut mask = [0];
        asked.decide(&[(0, 0)], packed, &mut mask).map(|()| mask[0])
    };
    assert_eq!(decide("a \u{1}3", &[0x12, 0x30], None), Some(1));
    assert_eq!(decide("a \u{1}3", &[0x12], None), None);
    assert_eq!(decide("a \u{1}3", &[0x12, 0x30, 0], None), None);
    assert_eq!(decide("a \u{1}0", &[], Some(123)), Some(1));
    assert_eq!(decide("a \u{1}0", &[], Some(1_234)), Some(0));
    assert_eq!(decide("a \u{1}0", &[], None), None);
    assert_eq!(decide("a \u{1}0", &[], Some(-123)), None);
    assert_eq!(decide("a \u{1}0", &[], Some(i64::MAX)), None);
    assert_eq!(decide("a \u{1}0", &[0x12], Some(123)), None);
}

#[test]
fn pages_are_searched_for_the_bytes_that_digits_fill() {
    let check = |first: usize, text: &str, expect: &[u8]| {
        assert_eq!(at(first, text).packed_run(), expect, "{first} {text}");
    };
    check(0, "9f03a1", &[0x9f, 0x03, 0xa1]);
    check(1, "9f03a1", &[0xf0, 0x3a]);
    check(4, "9f03a", &[0x9f, 0x03]);
    check(3, "9", &[]);
    let mut apart = at(2, "12");
    apart.digits.extend(at(6, "34").digits);
    assert_eq!(apart.packed_run(), [0x12]);
}
