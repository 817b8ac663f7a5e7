//! Numbers of cards as stripes, chips, pages and printers write them, and numbers that are none.

use super::*;

#[test]
fn cards_as_machines_and_pages_write_them() {
    for (text, expected) in [
        (
            "%B4111111111111111^DOE/JOHN^2512101",
            "%B<credit_card:*>^DOE/JOHN^2512101",
        ),
        (";4111111111111111=2512101?", ";<credit_card:*>=2512101?"),
        (
            "4111111111111111D25121010000F",
            "<credit_card:*>D25121010000F",
        ),
        (
            "a 4111&nbsp;1111&nbsp;1111&nbsp;1111 b",
            "a <credit_card:*> b",
        ),
        ("a 3782\\u00a0822463\\u00a010005 b", "a <credit_card:*> b"),
        (
            "2200000000000004 or 2204 0000 0000 0000",
            "<credit_card:*> or <credit_card:*>",
        ),
    ] {
        check(text, expected);
    }
    for space in [
        "\u{2007}", "\u{2009}", "\u{2010}", "\u{2011}", "\u{2013}", "\u{202f}", "\u{2212}",
    ] {
        let number = ["4111", "1111", "1111", "1111"].join(space);
        check(&format!("失败 {number}。"), "失败 <credit_card:*>。");
    }
    // Mir's and Troy's, as long as these are.
    for head in ["2200", "2204", "9792"] {
        let number = format!("{head}00000000000");
        let cards = (0..10)
            .filter(|last| text_of(&redaction(ALL), &format!("{number}{last}")).contains('<'));
        assert_eq!(cards.count(), 1, "{head}");
        stays(&format!("{head}0000000000"));
    }
}

#[test]
fn decimals_columns_and_uuids_are_no_cards() {
    for text in [
        "took 66.4111111111111111 ms",
        "lat=52.5200123456008 lon=41.11111111111111",
        "x 41.11111111111111",
        "41111111.11111111",
        "411111.1111111111",
        "d=0.4111111111111111",
        "41111 1111111 1 111",
        "41111111-1111-1111-1111-111111111111",
        "id 0a3b4c5d-4111-1111-1111-1111aabbccdd",
        "4111111111111111d2512101a",
        "b4111111111111111c",
    ] {
        stays(text);
    }
    check("1,4111111111111111,x", "1,<credit_card:*>,x");
    check("41 11 11 11 11 11 11 11", "<credit_card:*>");
    check("4111.1111.1111.1111", "<credit_card:*>");
}

#[test]
fn masks_of_numbers_leave_json_as_json() {
    for (text, expected) in [
        (
            "{\"card\":4111111111111111,\"n\":1}",
            "{\"card\":\"<credit_card:*>\",\"n\":1}",
        ),
        (
            "{\"card\": 4111111111111111 }",
            "{\"card\": \"<credit_card:*>\" }",
        ),
        (
            "{\"cards\":[4111111111111111]}",
            "{\"cards\":[\"<credit_card:*>\"]}",
        ),
        ("{\"password\":12345678}", "{\"password\":\"<key:*>\"}"),
        ("{\"password\":[1, 22]}", "{\"password\":[\"<key:*>\"]}"),
        (
            "\"{\\\"card\\\":4111111111111111}\"",
            "\"{\\\"card\\\":\\\"<credit_card:*>\\\"}\"",
        ),
        (
            "{\"card\":\"4111111111111111\"}",
            "{\"card\":\"<credit_card:*>\"}",
        ),
        (
            "a \"card\":4111111111111111 b",
            "a \"card\":<credit_card:*> b",
        ),
        ("card: 4111111111111111,", "card: <credit_card:*>,"),
    ] {
        check(text, expected);
        check(expected, expected);
    }
}

#[test]
fn phone_numbers_before_other_numbers() {
    for (text, expected) in [
        ("from=+15551234567 1764300000", "from=<phone:*> 1764300000"),
        ("to +4917123456789 2026-11-28", "to <phone:*> 2026-11-28"),
        ("to +1 555 123 4567 1764300000", "to <phone:*> 1764300000"),
        ("?to=%2B15551234567&x=1", "?to=<phone:*>&x=1"),
    ] {
        check(text, expected);
    }
    stays("+12345678901234567");
    stays("1%2B2");
}
