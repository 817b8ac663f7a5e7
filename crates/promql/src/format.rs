//! Numbers as Prometheus writes them.

pub use vervet_model::number::format_message;
pub(crate) use vervet_model::number::{format_open_metrics, format_plain};
use vervet_model::{DoubleText, number::format_scientific};

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
            true => format_scientific(value),
            false => format_plain(value),
        };
        &self.other
    }
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
    }
}
