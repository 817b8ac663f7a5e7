//! Doubles as text, in the forms of `Display` and of Prometheus.

/// The shortest text that reads back as the number, in `Display`'s form, in a part of its time and mostly without memory
/// of its own. Where two shortest texts are equally near, this takes the one with an even last digit.
#[derive(Default)]
pub struct DoubleText {
    short: zmij::Buffer,
    long: String,
}

impl DoubleText {
    /// The text of a double, until the next one is asked for.
    pub fn of(&mut self, number: f64) -> &str {
        if number.is_finite() {
            let text = self.short.format_finite(number);
            // `Display` writes all digits, however many, and no fraction of whole numbers.
            if !text.contains('e') {
                return text.strip_suffix(".0").unwrap_or(text);
            }
        }
        self.long = number.to_string();
        &self.long
    }
}

/// The shortest text without an exponent, as `count_values` writes it into a label.
pub fn format_plain(value: f64) -> String {
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
        return format_scientific(value);
    }
    format_plain(value)
}

/// As OpenMetrics writes bounds and quantiles: `1.0` rather than `1`.
pub fn format_open_metrics(value: f64) -> String {
    // Zero has no sign there.
    let value = if value == 0.0 { 0.0 } else { value };
    let text = format_message(value);
    let whole = value.is_finite() && !text.contains(['.', 'e']);
    if whole { format!("{text}.0") } else { text }
}

/// `1.5e-07`: the exponent has a sign and at least two digits.
pub fn format_scientific(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(number: f64) -> String {
        DoubleText::default().of(number).to_owned()
    }

    #[test]
    fn edges_are_written_as_display_does() {
        let edges = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e-5,
            1e-6,
            123_456.789,
            1e15,
            1e16,
            1e17,
            1e22,
            9_007_199_254_740_993.0,
            5e-324,
            f64::MIN,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::EPSILON,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        for number in edges {
            assert_eq!(text(number), number.to_string());
        }
    }

    #[test]
    fn of_two_texts_equally_near_the_even_one_is_written() {
        for (quarters, expected) in [(1_u64, "1125899906842625.2"), (3, "1125899906842625.8")] {
            // In quarters, 2^50 + 1 and some take 53 bits.
            let number = (((1_u64 << 50) + 1) * 4 + quarters) as f64 / 4.0;
            assert_eq!(text(number), expected);
        }
    }

    #[test]
    fn numbers_read_as_prometheus_writes_them() {
        assert_eq!(format_plain(1e21), "1000000000000000000000");
        for (value, text) in [
            (999_999.5, "999999.5"),
            (1_250_000.0, "1.25e+06"),
            (0.00012, "0.00012"),
            (0.000012, "1.2e-05"),
            (-0.0, "-0"),
        ] {
            assert_eq!(format_message(value), text);
        }
        for (value, text) in [
            (1e6, "1e+06"),
            (2.0, "2.0"),
            (-0.0, "0.0"),
            (0.25, "0.25"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_open_metrics(value), text);
        }
    }

    proptest! {
        #[test]
        fn doubles_are_written_in_the_form_and_length_of_display(bits in any::<u64>(), cents in any::<i32>()) {
            for number in [f64::from_bits(bits), f64::from(cents) / 100.0] {
                let (text, display) = (text(number), number.to_string());
                prop_assert_eq!(text.len(), display.len(), "{} {}", text, display);
                prop_assert_eq!(text.find('.'), display.find('.'), "{} {}", text, display);
                let read: f64 = text.parse().expect("a number");
                prop_assert!(read == number || (read.is_nan() && number.is_nan()), "{} {}", text, display);
            }
        }
    }
}
