//! Numbers as text.

use vervet_model::DoubleText;

use super::Value;

/// The text of integers and doubles in `Display`'s form, without memory of its own for most.
#[derive(Default)]
pub struct NumberText {
    integer: itoa::Buffer,
    double: DoubleText,
}

impl NumberText {
    /// The text of an integer or a double; `None` for other values.
    pub fn of(&mut self, value: &Value<'_>) -> Option<&str> {
        match value {
            Value::Int(number) => Some(self.integer.format(*number)),
            Value::Double(number) => Some(self.double.of(*number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_are_written_as_display_does() {
        let mut text = NumberText::default();
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(
                text.of(&Value::Int(number)),
                Some(number.to_string().as_str())
            );
        }
        for number in [0.0, -1.5, 1e300, f64::NAN] {
            assert_eq!(
                text.of(&Value::Double(number)),
                Some(number.to_string().as_str())
            );
        }
        assert_eq!(text.of(&Value::Bool(true)), None);
    }
}
