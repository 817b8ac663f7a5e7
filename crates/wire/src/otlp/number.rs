//! Numbers as text.

use super::Value;

/// The text of a number as `Display` writes it, in a part of the time and without memory of its own.
#[derive(Default)]
pub struct NumberText {
    integer: itoa::Buffer,
    double: zmij::Buffer,
    long: String,
}

impl NumberText {
    /// The text of an integer or a double; `None` for other values.
    pub fn of(&mut self, value: &Value<'_>) -> Option<&str> {
        match value {
            Value::Int(number) => Some(self.integer.format(*number)),
            Value::Double(number) => Some(self.of_double(*number)),
            _ => None,
        }
    }

    fn of_double(&mut self, number: f64) -> &str {
        if number.is_finite() {
            let text = self.double.format_finite(number);
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

    fn text(value: Value<'_>) -> String {
        let mut text = NumberText::default();
        text.of(&value).expect("a number").to_owned()
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
            assert_eq!(text(Value::Double(number)), number.to_string());
        }
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(text(Value::Int(number)), number.to_string());
        }
        assert_eq!(NumberText::default().of(&Value::Bool(true)), None);
    }

    proptest! {
        #[test]
        fn doubles_are_written_as_display_does(bits in any::<u64>(), cents in any::<i32>()) {
            for number in [f64::from_bits(bits), f64::from(cents) / 100.0] {
                prop_assert_eq!(text(Value::Double(number)), number.to_string());
            }
        }
    }
}
