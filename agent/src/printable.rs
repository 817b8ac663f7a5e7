//! Text from elsewhere, on the terminal of either program: what would be obeyed or would hide something becomes visible.

/// Whether a terminal may obey `c`, or show the text around it in another order or not at all: control characters of both
/// sets (C0, DEL, C1), marks of direction, line separators, and what is not seen: Unicode's `Default_Ignorable_Code_Point`
/// and the empty Braille cell.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` with such characters escaped.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// As [`printable`], line by line.
pub fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// A line of JSON with such characters in its texts escaped as JSON does it: the same document.
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        // Between its texts JSON has no such character but blanks and line feeds.
        match is_obeyed(c) && c != '\n' {
            true => out.extend(
                c.encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            ),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for c in [
            '\u{1b}',
            '\n',
            '\u{7f}',
            '\u{9b}',
            '\u{85}',
            '\u{202e}',
            '\u{2066}',
            '\u{200f}',
            '\u{2028}',
            '\u{feff}',
            '\u{e0041}',
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{180e}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{1d173}',
            '\u{e0100}',
        ] {
            let text = format!("a{c}b");
            assert!(!printable(&text).contains(c), "{c:?}");
            let escaped = c.escape_default().to_string();
            assert_eq!(printable(&text), format!("a{escaped}b"));
        }
        assert_eq!(printable("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(printable("plain \u{e4}\u{4e2d}"), "plain \u{e4}\u{4e2d}");
    }

    #[test]
    fn json_stays_the_same_document() {
        let text = "a\u{9b}\u{202e}\u{7f}\u{e0041}\u{e4}";
        let json = serde_json::to_string(text).expect("JSON");
        let shown = printable_json(&json);
        assert!(!shown.chars().any(is_obeyed), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), text);
    }
}
