use arrow::array::{ArrayRef, BinaryArray, StringArray};
use proptest::prelude::*;

use super::*;
use crate::query::filter::Test;
use crate::segment::unpack_column;

fn asked(test: Test, template: &str) -> Verdict {
    let test = TextTest::new(&test).unwrap().unwrap();
    ask(&test, template, true).verdict
}

fn word(text: &str) -> Test {
    Test::HasToken(text.to_owned())
}

#[test]
fn templates_decide_what_does_not_depend_on_digits() {
    let template = "order \u{1}6 shipped after \u{1}2 days";
    let contains = |text: &str| Test::Contains(text.to_owned());
    assert_eq!(asked(word("shipped"), template), Verdict::All(true));
    assert_eq!(asked(word("ship"), template), Verdict::All(false));
    assert_eq!(asked(contains("ship"), template), Verdict::All(true));
    assert_eq!(asked(word("9f03a"), template), Verdict::All(false));
    let at = |first: usize, text: &str| -> Digits {
        let nibbles = text.bytes().map(|byte| nibble(byte).unwrap());
        (first..).zip(nibbles).collect()
    };
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

/// Texts of few letters, so that they often are templates of each other and often match.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a1 -]{1,3}",
        "[0-9a]{1,4}",
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
        rows in prop::collection::vec((prop::collection::vec(piece(), 0..5), prop::option::of(any::<[u8; 8]>())), 1..8),
        test in test(),
    ) {
        let test = TextTest::new(&test).unwrap().unwrap();
        let mut templates: Vec<String> = Vec::new();
        let mut digits: Vec<Option<Vec<u8>>> = Vec::new();
        for (pieces, bytes) in rows {
            let template = pieces.concat();
            let count = cells(template.as_bytes()).map(|cells| {
                cells.iter().filter(|cell| matches!(cell, Cell::Digit(_))).count()
            });
            // A template that is none has no digits; those of others are decimal or not.
            let packed = bytes.zip(count).map(|(bytes, count)| {
                bytes.iter().cycle().take(count.div_ceil(2)).copied().collect()
            });
            templates.push(template);
            digits.push(packed);
        }
        let values = StringArray::from_iter_values(&templates);
        let digits = BinaryArray::from_iter(digits);
        let texts: ArrayRef = std::sync::Arc::new(values.clone());
        let packed: ArrayRef = std::sync::Arc::new(digits.clone());
        let whole = unpack_column(&texts, &packed).unwrap();
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
        asked.decide(&open, &digits, &mut mask).unwrap();
        for row in 0..values.len() {
            let holds = mask[row / 8] & (1 << (row % 8)) != 0;
            prop_assert_eq!(holds, test.holds(whole.value(row)), "{:?} {:?}", templates[row], whole.value(row));
        }
    }
}

#[test]
fn digits_that_do_not_fit_are_damage() {
    let test = TextTest::new(&word("123")).unwrap().unwrap();
    let values = StringArray::from_iter_values(["a \u{1}3"]);
    let mut asked = Templates {
        test: &test,
        values: &values,
        is_packed: true,
        asked: vec![None],
    };
    asked.ask(0).unwrap();
    let decide = |digits: &[u8]| {
        let digits = BinaryArray::from_iter_values([digits]);
        asked.decide(&[(0, 0)], &digits, &mut [0])
    };
    assert!(decide(&[0x12, 0x30]).is_some());
    assert!(decide(&[0x12]).is_none());
    assert!(decide(&[0x12, 0x30, 0]).is_none());
}

#[test]
fn pages_are_searched_for_the_bytes_that_digits_fill() {
    let check = |first: usize, text: &str, expect: &[u8]| {
        let nibbles = text.bytes().map(|byte| nibble(byte).unwrap());
        let digits: Digits = (first..).zip(nibbles).collect();
        assert_eq!(packed_run(&digits), expect, "{first} {text}");
    };
    check(0, "9f03a1", &[0x9f, 0x03, 0xa1]);
    check(1, "9f03a1", &[0xf0, 0x3a]);
    check(4, "9f03a", &[0x9f, 0x03]);
    check(3, "9", &[]);
    let apart: Digits = vec![(2, 1), (3, 2), (6, 3), (7, 4)];
    assert_eq!(packed_run(&apart), [0x12]);
}
