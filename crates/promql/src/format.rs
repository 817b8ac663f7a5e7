//! Numbers as Prometheus writes them.

use vervet_model::DoubleText;

/// Sample values as the Prometheus HTTP API writes them: `NaN`, `+Inf`, `-Inf`, otherwise the shortest text
/// that reads back as the same number, with an exponent below 1e-6 and from 1e21 on.
#[derive(Default)]
pub struct ValueText {
    plain: DoubleText,
    other: String,
}

impl ValueText {
    /// The text of a value, until the next one is asked for.
    pub fn of(&mut self, value: f64) -> &str {
        let size = value.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            return self.plain.of(value);
        }
        self.other = match value.is_finite() {
            true => scientific(value),
            false => format_plain(value),
        };
        &self.other
    }
}

/// The shortest text without an exponent, as `count_values` writes it into a label.
pub(crate) fn format_plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// The shortest text as messages and the text exposition format have it: an exponent below 1e-4 and from 1e6 on.
pub fn format_message(value: f64) -> String {
    let size = value.abs();
    if size.is_finite() && size != 0.0 && !(1e-4..1e6).contains(&size) {
        return scientific(value);
    }
    format_plain(value)
}

/// As OpenMetrics writes bounds and quantiles: `1.0` rather than `1`.
pub(crate) fn format_open_metrics(value: f64) -> String {
    let text = format_message(value);
    let whole = value.is_finite() && !text.contains(['.', 'e']);
    if whole { format!("{text}.0") } else { text }
}

/// `1.5e-07`: the exponent has a sign and at least two digits.
fn scientific(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Whether a name needs no quotes: it is of ASCII letters, `_` and digits (not the first); names of metrics may have
/// colons, too.
pub fn is_identifier(name: &str, with_colons: bool) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (with_colons && c == ':');
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_like_prometheus() {
        for (value, text) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-2.5e300, "-2.5e+300"),
        ] {
            assert_eq!(ValueText::default().of(value), text);
        }
        assert_eq!(format_plain(1e21), "1000000000000000000000");
        for (value, text) in [
            (999_999.5, "999999.5"),
            (1_250_000.0, "1.25e+06"),
            (0.00012, "0.00012"),
            (0.000012, "1.2e-05"),
        ] {
            assert_eq!(format_message(value), text);
        }
        assert_eq!(format_open_metrics(1e6), "1e+06");
        assert_eq!(format_open_metrics(2.0), "2.0");
    }
}
