//! Times with the names of zones, in halves of a day, and in the shapes of single loggers.

use super::settings::read;
use super::*;

const SECOND: u64 = 1_704_164_645_000_000_000;
const HOUR: u64 = 3_600_000_000_000;

/// The time of a line, and whether its zone is marked as unknown, read with the setting `format` (YAML).
fn time_with(format: &str, line: &str) -> (u64, bool) {
    let parser = read(format).expect("valid");
    let content = parser.split(line);
    let parsed = parser.parse_line(&content, &mut Detector::default(), OBSERVED);
    let mark = (PARSE_ERROR, TIME_ZONE.to_owned());
    let is_marked = texts(&parsed).contains(&mark);
    assert_eq!(is_marked, parsed.parse_error() == Some(TIME_ZONE), "{line}");
    (parsed.time_unix_nano, is_marked)
}

/// A time reads so in front of text, and as a field.
fn check_time(text: &str, expected: (u64, bool)) {
    let (plain, object) = (
        format!("{text} ERROR it broke"),
        format!(r#"{{"time":"{text}","msg":"m"}}"#),
    );
    for line in [plain, format!("[{text}] it broke"), object] {
        assert_eq!(time_with("auto", &line), expected, "{line}");
    }
}

#[test]
fn names_of_zones_tell_the_offset() {
    for (text, time) in [
        ("2024-01-02 03:04:05 UTC", SECOND),
        ("2024-01-02 03:04:05 GMT", SECOND),
        ("2024-01-02 04:04:05 CET", SECOND),
        ("2024-01-02 04:04:05 GMT+0100", SECOND),
        ("2024-01-02 05:04:05 UTC+2", SECOND),
        ("2024-07-02 05:04:05.250 CEST", 1_719_889_445_250_000_000),
        ("2024-01-01 22:04:05 EST", SECOND),
        ("2024-01-01 19:04:05 PST", SECOND),
        ("2024-01-02 12:04:05,000 JST", SECOND),
        ("2024-01-02 13:34:05 ACDT", SECOND),
        ("2024-01-02 04:04:05 Europe/Berlin", SECOND),
        (
            "2024-07-01 23:04:05 America/New_York",
            1_719_889_445_000_000_000,
        ),
        ("2024-01-02 00:04:05 America/Argentina/Buenos_Aires", SECOND),
        ("2024-01-02 04:04:05+01", SECOND),
        ("2024/01/02 04:04:05 CET", SECOND),
        ("Tue Jan  2 04:04:05 CET 2024", SECOND),
        ("02-Jan-2024 04:04:05 Europe/Paris", SECOND),
    ] {
        check_time(text, (time, false));
    }
}

#[test]
fn a_zone_that_is_not_known_is_marked() {
    for text in [
        "2024-01-02 03:04:05 BST",
        "2024-01-02 03:04:05 IST",
        "2024-01-02 03:04:05 Europe/Atlantis",
    ] {
        check_time(text, (SECOND, true));
        // The runtime's own time is taken.
        let line = format!("2024-01-02T09:09:09Z stdout F {text} it broke");
        let expected = SECOND + 6 * HOUR + 304_000_000_000;
        assert_eq!(time_with("auto", &line), (expected, false), "{line}");
    }
    let field = r#"{"time":"2024-01-02 03:04:05 XYZ","msg":"m"}"#;
    assert_eq!(time_with("auto", field), (SECOND, true));
    let row = "2024-01-02 03:04:05.678 XYZ [71] LOG:  x";
    assert_eq!(time_with("auto", row), (TIME, true));
    // Words behind a time are words.
    for word in [
        "INFO",
        "OK",
        "GET",
        "ESTIMATE",
        "CET-1",
        "Europe/ is far",
        "A b",
        "Asia is far",
    ] {
        let line = format!("2024-01-02 03:04:05 {word} text");
        assert_eq!(time_with("auto", &line), (SECOND, false), "{line}");
    }
}

#[test]
fn the_configured_zone_tells_what_its_abbreviation_means() {
    for (zone, line, time) in [
        (
            "Europe/London",
            "2024-07-02 04:04:05 BST x",
            1_719_889_445_000_000_000,
        ),
        ("Asia/Kolkata", "2024-01-02 08:34:05 IST x", SECOND),
        ("Asia/Shanghai", "2024-01-02 11:04:05 CST x", SECOND),
        // Not this zone's.
        ("Asia/Shanghai", "2024-01-02 04:04:05 CET x", SECOND),
        ("Asia/Shanghai", "2024-01-02 03:04:05 UTC x", SECOND),
        ("Europe/Berlin", "2024-01-02 04:04:05 BST x", SECOND),
    ] {
        let format = format!("{{type: auto, time: {{zone: {zone}}}}}");
        assert_eq!(time_with(&format, line), (time, false), "{line} in {zone}");
    }
}

#[test]
fn halves_of_a_day() {
    for (text, time) in [
        ("2024-01-02 03:04:05 AM", SECOND),
        ("2024-01-02 3:04:05 AM", SECOND),
        ("2024-01-02 03:04:05.678 am", TIME),
        ("2024-01-02 03:04:05 PM", SECOND + 12 * HOUR),
        ("2024-01-02 03:04:05PM", SECOND + 12 * HOUR),
        ("2024-01-02 12:04:05 AM", SECOND - 3 * HOUR),
        ("2024-01-02 12:04:05 PM", SECOND + 9 * HOUR),
        ("2024-01-02 04:04:05 AM CET", SECOND),
        ("1/2/2024, 3:04:05 AM", SECOND),
        ("01/02/2024 03:04:05\u{202f}PM", SECOND + 12 * HOUR),
        ("1/2/2024, 3:04:05\u{a0}AM", SECOND),
        ("Jan 2, 2024 3:04:05 AM", SECOND),
        ("Jan 02, 2024, 3:04:05\u{202f}PM", SECOND + 12 * HOUR),
    ] {
        check_time(text, (time, false));
    }
    // No half of a day, and words that begin like one.
    for rest in ["AMPLE", "PMs", "A", "at", "P M", "a.m."] {
        let line = format!("2024-01-02 03:04:05 {rest} x");
        assert_eq!(time_with("auto", &line), (SECOND, false), "{line}");
    }
    for line in [
        "1/2/2024, 3:04:05 it is",
        "1/2 is half",
        "13/2/2024, 3:04:05 AM",
    ] {
        assert_eq!(time_with("auto", line), (0, false), "{line}");
    }
}

#[test]
fn dates_with_the_names_of_days_and_months() {
    for (line, time) in [
        (
            "[Tue Jan 02 03:04:05.678000 2024] [core:notice] ready",
            TIME,
        ),
        ("Tue Jan  2 03:04:05 2024 ready", SECOND),
        ("02-Jan-2024 03:04:05.678 INFO [main] a.B.c ready", TIME),
        ("Jan  2 03:04:05 ready", SECOND),
        ("Tue is not Jan  2", 0),
        ("Mon Dec", 0),
    ] {
        assert_eq!(time_with("auto", line), (time, false), "{line}");
    }
}

#[test]
fn the_last_times_that_fit_and_those_behind_them() {
    for (text, time) in [
        ("2262-04-11 23:47:16", 9_223_372_036_000_000_000),
        ("2262-04-11 23:47:16-12:00", 0),
        ("2262-04-11 23:47:16 HST", 9_223_408_036_000_000_000),
        ("2262-04-12 00:00:00", 0),
        ("1970-01-01 00:00:00+01:00", 0),
        ("1970-01-01 00:00:00 CET", 0),
    ] {
        let (found, _) = time_with("auto", &format!("{text} ERROR it broke"));
        assert_eq!(found, time, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_behind_a_date_panics(rest in "[ -~\u{a0}\u{202f}]{0,24}", kind in 0_usize..6) {
        let date = ["2024-01-02 03:04:05", "1/2/2024", "Jan 2, 2024 ", "Tue Jan  2 03:04:05", "02-Jan-2024 3:04:05", "Jan  2 03"];
        let line = format!("{}{rest}", date.get(kind).copied().unwrap_or_default());
        timestamp::parse(&line);
        time_with("auto", &line);
    }
}
