mod frameworks;
mod messages;
mod producers;
mod values;

use proptest::prelude::*;

use super::*;

use super::super::FilelogSpec;
use crate::config::read_document;
use crate::config::substitute::SystemSources;

const RECORD_BYTES_MAX: usize = 256 << 10;
const TRACE_WAIT: Duration = Duration::from_secs(1);

/// The framing of a receiver with these settings (YAML).
fn framing_of(settings: &str) -> Framing {
    let text = format!("include: [a]\n{settings}");
    let spec: FilelogSpec = read_document("f", &text, &SystemSources).expect("a spec");
    Framing::new(&spec).expect("valid")
}

fn framing(multiline: &str) -> Framing {
    framing_of(&format!("multiline: {multiline}"))
}

/// All records of `text`, and where they end.
fn records_of(lines: &mut Lines, text: &str) -> Vec<String> {
    let (count, _) = lines.ready();
    let records: Vec<_> = (0..count).map_while(|_| lines.pop()).collect();
    records
        .iter()
        .map(|record| lines.text(record, text.as_bytes()).text.into_owned())
        .collect()
}

fn split(text: &str, multiline: &str) -> Vec<String> {
    let mut lines = Lines::new(framing(multiline));
    lines.scan(text.as_bytes(), true, Instant::now());
    lines.close_all();
    records_of(&mut lines, text)
}

/// Each of `records` comes out as it is, although they stand below each other.
fn check(records: &[&str]) {
    let text: String = records.iter().map(|record| format!("{record}\n")).collect();
    assert_eq!(split(&text, "auto"), records);
    let with_returns = text.replace('\n', "\r\n");
    assert_eq!(
        split(&with_returns, "auto"),
        records,
        "with carriage returns"
    );
    let stamped: String = text
        .lines()
        .map(|line| format!("2024-01-02T03:04:05Z stderr F {line}\n"))
        .collect();
    assert_eq!(split(&stamped, "auto"), records, "from a container");
}

#[test]
fn javascript_traces() {
    check(&[
        "listening on :3000",
        "TypeError: Cannot read properties of undefined (reading 'id')\n    at handler (/app/.next/server/page.js:1:2)\n    at async run (node:internal/x:3:4) {\n  code: 'E1',\n  [cause]: Error: inner\n      at deep (/app/a.js:5:6)\n}",
        "GET /health 200",
        "/app/server.js:10\n        throw new Error('boom');\n        ^\n\nError: boom\n    at Object.<anonymous> (/app/server.js:10:15)\n\nNode.js v22.1.0",
        "{\"level\":30,\"msg\":\"a\"}",
        "{\"level\":30,\"msg\":\"b\"}",
    ]);
}

#[test]
fn java_and_dotnet_traces() {
    check(&[
        "2024-01-02 03:04:05.678 ERROR 1 --- [main] c.e.App : failed\njava.lang.IllegalStateException: no\n\tat c.e.App.run(App.java:10)\n\t... 12 more\nCaused by: java.io.IOException: gone\n\tat c.e.Io.read(Io.java:5)\n\t... 3 more",
        "Exception in thread \"main\" java.lang.Error: x\n\tat c.e.App.main(App.java:3)",
        "2024-01-02 03:04:05.678 INFO fine",
        "System.NullReferenceException: Object reference not set\n ---> System.Exception: inner\n   at Shop.Cart.Find() in /src/Cart.cs:line 7\n   --- End of inner exception stack trace ---\n   at Shop.Cart.Add(Item i) in /src/Cart.cs:line 42",
        "next",
        "fail: Shop.Cart[0]\n      Adding failed\n      System.Exception: gone\n         at Shop.Cart.Add(Item i)",
        "info: Shop.Cart[0]\n      Added",
        "last (of all)",
    ]);
}

#[test]
fn ruby_and_php_traces() {
    check(&[
        "app.rb:3:in `run': boom (RuntimeError)\n\tfrom app.rb:7:in `each'\n\tfrom app.rb:9:in `<main>'",
        "app.rb:3:in `/': divided by 0 (ZeroDivisionError)\n\n    1/0\n     ^\n\tfrom app.rb:9:in `<main>'",
        "E, [2024-01-02T03:04:05.678901 #12] ERROR -- : boom (RuntimeError)\n/app/a.rb:3:in 'Shop#run'\n/app/b.rb:7:in '<main>'",
        "I, [2024-01-02T03:04:05.678901 #12]  INFO -- : fine",
        "PHP Fatal error:  Uncaught Exception: boom in /app/index.php:5\nStack trace:\n#0 /app/index.php(9): foo()\n#1 {main}\n\nNext RuntimeException: outer in /app/index.php:7\nStack trace:\n#0 {main}\n  thrown in /app/index.php on line 7",
        "[2024-01-02T03:04:05.678+00:00] app.ERROR: boom {\"exception\":\"[object] (RuntimeException(code: 0): boom at /app/x.php:3)\n[stacktrace]\n#0 /app/y.php(4): run()\n#1 {main}\n\"} []",
        "[2024-01-02T03:04:05.678+00:00] app.INFO: fine [] []",
    ]);
}

#[test]
fn statements_of_several_lines_are_one_record() {
    check(&[
        "2024-01-02 03:04:05.678 UTC [12] ERROR:  relation \"x\" does not exist at character 8",
        "2024-01-02 03:04:05.678 UTC [12] STATEMENT:  SELECT *\n\tFROM x\n\t\tWHERE y",
        "2024-01-02 03:04:05.678 UTC [12] LOG:  fine",
    ]);
}

#[test]
fn what_is_indented_by_one_column_or_stands_behind_an_error_is_a_record_of_its_own() {
    let error = " \u{2a2f} Error: no card\n    at pay (/app/r.js:1:2) {\n  digest: '1'\n}";
    let requests = [" GET /item/1 200 in 3ms", " GET /item/2 200 in 4ms"];
    let text = format!("{error}\n{}\n{}\n{error}\n", requests[0], requests[1]);
    assert_eq!(
        split(&text, "auto"),
        [error, requests[0], requests[1], error]
    );
    let java = "ERROR x\njava.lang.Exception: gone\n\tat a.B.c(B.java:1)";
    for next in ["   {\"level\":50}", "  2026-11-28 10:00:00 next", " next"] {
        assert_eq!(split(&format!("{java}\n{next}\n"), "auto"), [java, next]);
    }
}

#[test]
fn what_is_no_trace_is_not_swallowed() {
    check(&["ERROR: x", "a.b.c", "Stack of plates", "#0 is a channel"]);
    check(&["fine", "java.io.IOException: told without a reason"]);
    check(&[
        "goroutine dump follows",
        "goroutine 1 [running]:\nmain.main()\n\t/a.go:1",
        "stopped (by hand)",
    ]);
    check(&["Error: x\n    at a (b.js:1:1)", "after"]);
    check(&[
        "Traceback (most recent call last):\n  File \"a.py\", line 1",
        "a line of something else",
    ]);
    check(&["Error: no file", "ok"]);
    check(&["app.js:10 is where", "it began"]);
    // Below a trace, set off by a blank line.
    assert_eq!(
        split("Error: x\n    at a (b.js:1:1)\n\n    indented\n", "auto"),
        ["Error: x\n    at a (b.js:1:1)", "    indented"]
    );
}

#[test]
fn python_traces() {
    check(&[
        "INFO:root:fine",
        "Traceback (most recent call last):\n  File \"/a.py\", line 1, in <module>\n    1/0\nZeroDivisionError: division by zero\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/a.py\", line 3, in <module>\n    raise ValueError\nValueError",
        "INFO:root:next",
        "ERROR:root:request failed\nTraceback (most recent call last):\n  File \"/b.py\", line 9, in f\n    g()\nKeyError: 'x'",
        "INFO:root:last",
    ]);
}

#[test]
fn go_and_rust_traces() {
    check(&[
        "starting",
        "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:8 +0x1d\ncreated by main.start in goroutine 1\n\t/app/main.go:4 +0x20\nexit status 2",
        "2024/01/02 03:04:05 http: panic serving 127.0.0.1:1: boom\ngoroutine 34 [running]:\nnet/http.(*conn).serve.func1()\n\t/go/server.go:1 +0xb0",
        "2024/01/02 03:04:06 next",
        "thread 'main' panicked at src/main.rs:2:5:\nboom\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        "after",
        "Error: cannot start\n\nCaused by:\n    0: cannot open\n    1: no such file",
        "2024-01-02T03:04:05.678Z\tERROR\tapp/main.go:10\tboom\nmain.run\n\t/app/main.go:10\nmain.main\n\t/app/main.go:5",
        "2024-01-02T03:04:05.678Z\tINFO\tapp/main.go:10\tfine",
    ]);
}

#[test]
fn ordinary_lines_stay_apart() {
    check(&[
        "a",
        "  indented",
        "b:",
        "- list",
        "}",
        "Caused by: nothing above",
    ]);
    assert_eq!(
        split("a\n\n  \nb", "auto"),
        ["a", "b"],
        "blank lines are no records"
    );
    let trace = "E: x\n    at a (b.js:1:1)\n";
    assert_eq!(split(trace, "none").len(), 2, "switched off");
}

#[test]
fn traces_end_at_the_limits() {
    let frames = "    at f (a.js:1:1)\n".repeat(1_200);
    let records = split(&format!("Error: x\n{frames}"), "auto");
    let lines: Vec<_> = records
        .iter()
        .map(|record| record.lines().count())
        .collect();
    assert_eq!(lines, [500, 500, 201]);
    let wide = format!("    at {}\n", "x".repeat(100_000)).repeat(5);
    let records = split(&format!("Error: x\n{wide}"), "auto");
    assert!(
        records
            .iter()
            .all(|record| record.len() <= RECORD_BYTES_MAX),
        "too large"
    );
    assert_eq!(
        records.iter().map(String::len).sum::<usize>() + records.len(),
        wide.len() + 9
    );
}

#[test]
fn records_wait_for_their_rest_but_not_for_ever() {
    let text = "Error: x\n    at a (b.js:1:1)\n";
    let (mut lines, start) = (Lines::new(framing("auto")), Instant::now());
    lines.scan(text.as_bytes(), false, start);
    assert_eq!(lines.ready(), (0, 0));
    lines.expire(start + TRACE_WAIT);
    assert_eq!(lines.ready(), (0, 0));
    lines.expire(start + TRACE_WAIT + Duration::from_millis(1));
    assert_eq!(lines.ready(), (1, text.len()));
}

#[test]
fn the_rest_of_a_line_in_pieces_is_waited_for() {
    let piece = |tag: &str, text: &str| format!("2024-01-02T03:04:05Z stdout {tag} {text}\n");
    let first = piece("P", "card 41111111");
    let (mut lines, start) = (Lines::new(framing("none")), Instant::now());
    lines.scan(first.as_bytes(), false, start);
    lines.expire(start + Duration::from_secs(9));
    assert_eq!(lines.ready(), (0, 0));
    let text = first.clone() + &piece("F", "11111111");
    lines.scan(text.as_bytes(), false, start + Duration::from_secs(9));
    assert_eq!(records_of(&mut lines, &text), ["card 4111111111111111"]);
    let mut lines = Lines::new(framing("none"));
    lines.scan(first.as_bytes(), false, start);
    lines.expire(start + PIECE_WAIT + Duration::from_millis(1));
    assert_eq!(lines.ready(), (1, first.len()));
}

#[test]
fn private_keys_are_one_record() {
    let (dashes, line) = ("-----", "MIIEpAIBAAKCAQEA7v+/x".repeat(3));
    let key = |before: &str, label: &str| {
        format!(
            "{before}{dashes}BEGIN {label}PRIVATE KEY{dashes}\n{line}\n{line}\nAQ==\n{dashes}END {label}PRIVATE KEY{dashes}"
        )
    };
    let encrypted = key("", "RSA ").replacen(
        &line,
        &format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{line}"),
        1,
    );
    let unfinished = format!("{dashes}BEGIN PRIVATE KEY{dashes}\n{line}");
    check(&[
        "before",
        &key("", "RSA "),
        &key("", ""),
        "after",
        &key("loaded ", "EC "),
        &encrypted,
        &unfinished,
        "not a key's line",
    ]);
    let certificate = format!("{dashes}BEGIN CERTIFICATE{dashes}");
    check(&[&certificate, &line]);
}

#[test]
fn overlapping_records_are_handed_out_together() {
    let line = |stream: &str, text: &str| format!("2024-01-02T03:04:05Z {stream} F {text}\n");
    let mut text = line("stdout", "alone") + &line("stdout", "{}") + &line("stderr", "Error: x");
    let alone = text.len() - line("stderr", "Error: x").len();
    let mut lines = Lines::new(framing("auto"));
    text += &(line("stdout", "between")
        + &line("stderr", "    at a (b.js:1:1)")
        + &line("stdout", "{}"));
    lines.scan(text.as_bytes(), false, Instant::now());
    // The trace may go on, and a record inside of it has ended: nothing after its first line is ready.
    assert_eq!(lines.ready(), (2, alone));
    lines.close_all();
    assert_eq!(lines.ready(), (5, text.len()));
    assert_eq!(
        records_of(&mut lines, &text),
        [
            "alone",
            "{}",
            "Error: x\n    at a (b.js:1:1)",
            "between",
            "{}"
        ]
    );
}

/// The records of a text that is read up to each of the cuts in turn, and how many of its bytes they took.
fn split_apart(text: &str, cuts: Vec<usize>) -> (Vec<String>, usize) {
    let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
    cuts.push(text.len());
    cuts.sort_unstable();
    let mut apart = Lines::new(framing("auto"));
    let (mut records, mut base) = (Vec::new(), 0);
    for (index, cut) in cuts.iter().enumerate() {
        let at_end = index + 1 == cuts.len();
        let buffer = &text.as_bytes()[base..*cut];
        apart.scan(buffer, at_end, Instant::now());
        if at_end {
            apart.close_all();
        }
        let (count, end) = apart.ready();
        let ready: Vec<_> = (0..count).map_while(|_| apart.pop()).collect();
        for record in ready {
            records.push(apart.text(&record, buffer).text.into_owned());
        }
        apart.shift(end);
        base += end;
    }
    (records, base)
}

proptest! {
    #[test]
    fn pieces_read_apart_give_the_same_records(
        lines in prop::collection::vec("(2024-01-02T03:04:05Z (stdout|stderr) [PF] )?(    at x|Traceback \\(most recent call last\\):|E: é|\\{\\}|[a-z]{0,3}| +[a-z])", 0..12),
        cuts in prop::collection::vec(0_usize..400, 0..6),
    ) {
        let text = lines.join("\n");
        let whole = split(&text, "auto");
        let (records, base) = split_apart(&text, cuts);
        prop_assert_eq!(base, text.len());
        prop_assert_eq!(records, whole);
    }

    #[test]
    fn no_line_is_lost(lines in prop::collection::vec("[ -~]{0,20}", 0..30)) {
        let text = lines.join("\n");
        let joined = split(&text, "auto").join("\n");
        let expected: Vec<_> = lines.iter().map(|l| l.trim()).filter(|l| !l.is_empty()).collect();
        let got: Vec<_> = joined.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        prop_assert_eq!(got, expected);
    }
}

/// Reads `text` as a file of one piece: the format of each stream afterwards.
fn detected(text: &str) -> Vec<(&'static str, LogFormat)> {
    let mut lines = Lines::new(framing("auto"));
    lines.scan(text.as_bytes(), true, Instant::now());
    lines.close_all();
    while let Some(record) = lines.pop() {
        let text = lines.text(&record, text.as_bytes());
        lines.parse(&record, &text.text, 0);
    }
    let told: Vec<_> = lines.news().collect();
    assert_eq!(told, lines.detected().collect::<Vec<_>>(), "told once");
    assert_eq!(lines.news().count(), 0, "told once");
    told
}

#[test]
fn formats_are_detected_per_stream() {
    assert_eq!(detected(&"{\"a\":1}\n".repeat(3)), [], "too few");
    assert_eq!(detected(&"{\"a\":1}\n".repeat(4)), [("", LogFormat::Json)]);
    let both = "2024-01-02T03:04:05Z stdout F a=1 b=2\n2024-01-02T03:04:05Z stderr F it broke\n";
    assert_eq!(
        detected(&both.repeat(4)),
        [("stdout", LogFormat::Logfmt), ("stderr", LogFormat::Plain)]
    );
    let changed = "plain\n".repeat(9) + &"{}\n".repeat(15);
    assert_eq!(detected(&changed), [("", LogFormat::Plain)]);
    assert_eq!(detected(&(changed + "{}\n")), [("", LogFormat::Json)]);
}

/// Every record of `bytes`, read in pieces that end at `cuts`: its text and the body of what was read of it.
fn read_in_pieces(settings: &str, bytes: &[u8], cuts: &[usize]) -> Vec<(String, String)> {
    let mut lines = Lines::new(framing_of(settings));
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let (mut records, mut base) = (Vec::new(), 0);
    for (index, cut) in cuts.iter().enumerate() {
        let at_end = index + 1 == cuts.len();
        let buffer = &bytes[base..*cut];
        lines.scan(buffer, at_end, Instant::now());
        if at_end {
            lines.close_all();
        }
        let (count, end) = lines.ready();
        for record in (0..count).map_while(|_| lines.pop()).collect::<Vec<_>>() {
            let text = lines.text(&record, buffer).text.into_owned();
            let parsed = lines.parse(&record, &text, 0);
            let body = parsed.body.to_text().into_owned();
            records.push((text, body));
        }
        lines.shift(end);
        base += end;
    }
    assert_eq!(base, bytes.len(), "all is read");
    records
}

fn visible(text: &str) -> String {
    let blank = |c: &char| !c.is_ascii_whitespace();
    text.chars().filter(blank).collect()
}

/// Bytes that are often what splits and joins lines.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        prop::sample::select(vec![
            &b"\n"[..],
            b"\r\n",
            b"\n\0",
            b"\0\n",
            b"\xff\xfe",
            b"\xd8\x00",
            b"    at x",
            b"Error: x",
            b"panic: x",
            b"Traceback (most recent call last):",
            b"2024-01-02T03:04:05Z stdout P ",
            b"2024-01-02T03:04:05Z stderr F ",
            b"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"}",
            b"{\"log\":\"\\ud83d",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(
        bytes in bytes(),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
        encoding in prop::sample::select(vec!["auto", "utf-8", "utf-16le", "utf-16be", "latin-1"]),
        format in prop::sample::select(vec![
            "auto", "container", "json", "logfmt", "klog", "access", "nginx_error", "syslog", "postgres", "plain",
            "{type: regex, pattern: '(?<a>.)(?<message>.*)'}",
        ]),
        more in prop::sample::select(vec![
            "", "multiline: none", "multiline: {start: a}", "multiline: {continue: a, max_lines: 3}",
            "max_line: 1KiB\non_long_line: truncate",
        ]),
    ) {
        let settings = format!("encoding: {encoding}\nformat: {format}\n{more}");
        read_in_pieces(&settings, &bytes, &cuts);
    }

    #[test]
    fn every_byte_is_in_a_record(
        bytes in bytes(),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
        multiline in prop::sample::select(vec!["auto", "none", "{start: a}", "{continue: a}"]),
    ) {
        // Every byte is a character in Latin-1, and nothing is taken off a plain line.
        let settings = format!("encoding: latin-1\nformat: plain\nmultiline: {multiline}");
        let records = read_in_pieces(&settings, &bytes, &cuts);
        let all: String = records.iter().map(|(_, body)| body.as_str()).collect();
        let given: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        prop_assert_eq!(visible(&all), visible(&given));
        for (text, body) in records {
            prop_assert_eq!(text, body);
        }
    }

    #[test]
    fn utf_16_is_read_as_the_same_text_in_utf_8(text in "[aÄ😀\u{0a0a}\n\r ]{0,40}", cuts in prop::collection::vec(any::<usize>(), 0..5)) {
        let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
        let narrow = read_in_pieces("", text.as_bytes(), &[]);
        prop_assert_eq!(read_in_pieces("", &wide, &cuts), narrow);
    }

    #[test]
    fn truncated_utf_16_is_the_same_in_pieces(
        lines in prop::collection::vec("[aÄ😀\u{0a0a}]{0,4}|(a😀){150,400}|\u{0a0a}{600,900}", 0..8),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let text = format!("\u{feff}{}", lines.join("\n"));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let settings = "max_line: 1KiB\non_long_line: truncate\nmultiline: none";
        let whole = read_in_pieces(settings, &wide, &[]);
        prop_assert_eq!(read_in_pieces(settings, &wide, &cuts), whole);
    }
}

#[test]
fn a_long_line_is_cut_between_characters_wherever_a_read_ends() {
    let text = "a😀".repeat(300);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let settings = "encoding: utf-16le\nmax_line: 1KiB\non_long_line: truncate\nmultiline: none";
    let whole = read_in_pieces(settings, &wide, &[]);
    for cut in 1_018..1_034 {
        assert_eq!(read_in_pieces(settings, &wide, &[cut]), whole, "{cut}");
    }
}

#[test]
fn a_long_line_that_ends_within_a_character_hides_nothing_behind_it() {
    let text = format!("{}\nsecond\nthird\n", "x".repeat(900));
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let settings = "encoding: utf-16le\nmax_line: 1KiB\non_long_line: truncate";
    for cut in 1_500..1_804 {
        let records = read_in_pieces(settings, &wide, &[cut]);
        let texts: Vec<&str> = records.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            texts,
            ["x".repeat(512).as_str(), "second", "third"],
            "{cut}"
        );
    }
}

#[test]
fn a_file_that_grows_after_half_a_character_goes_on_at_the_next() {
    let mut lines = Lines::new(framing_of("encoding: utf-16le\nmultiline: none"));
    let wide: Vec<u8> = "ab\ncd\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut texts = Vec::new();
    for (part, at_end) in [(&wide[..3], true), (&wide[3..], false)] {
        lines.scan(part, at_end, Instant::now());
        let (count, end) = lines.ready();
        for record in (0..count).map_while(|_| lines.pop()).collect::<Vec<_>>() {
            texts.push(lines.text(&record, part).text.into_owned());
        }
        assert_eq!(end, part.len());
        lines.shift(end);
    }
    assert_eq!(texts, ["a\u{fffd}", "cd"]);
}

#[test]
fn a_room_for_records_goes_from_one_file_to_the_next() {
    let text = "2024-01-02T03:04:05Z stdout F one of many\n".repeat(5_000);
    let mut room = Records::new();
    let mut files: Vec<_> = (0..20).map(|_| Lines::new(framing("auto"))).collect();
    for lines in &mut files {
        lines.borrow(&mut room);
        lines.scan(text.as_bytes(), false, Instant::now());
        assert_eq!(records_of(lines, &text).len(), 4_999);
        lines.give_back(&mut room, 64);
        assert!(room.capacity() >= 5_000, "{}", room.capacity());
    }
    let kept: usize = files.iter().map(|lines| lines.records.capacity()).sum();
    assert!(kept <= 20 * 64, "{kept}");
    // The last line of each has only moved.
    for lines in &mut files {
        lines.borrow(&mut room);
        lines.close_all();
        assert_eq!(records_of(lines, &text), ["one of many"]);
        lines.give_back(&mut room, 64);
    }
    // More than a rest stays where it is.
    let mut waiting = Lines::new(framing("auto"));
    waiting.borrow(&mut room);
    waiting.scan(text.as_bytes(), false, Instant::now());
    waiting.give_back(&mut room, 64);
    assert_eq!((waiting.records.len(), waiting.ready().0), (5_000, 4_999));
    assert!(room.capacity() < 5_000);
}
