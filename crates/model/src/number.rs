//! Doubles as text.

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
