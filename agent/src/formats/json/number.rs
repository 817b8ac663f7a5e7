//! JSON's numbers as typed values.

use vervet_wire::otlp::Value;

use super::Scanner;

/// Digits that fit 64 bits with sign whatever they are.
const SAFE_DIGITS: usize = 18;

impl<'a> Scanner<'a> {
    pub(super) fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        let negative = self.eat(b'-').is_some();
        let (magnitude, digits) = self.digits();
        let leading_zero = digits > 1 && self.bytes.get(self.at - digits) == Some(&b'0');
        if digits == 0 || leading_zero {
            return None;
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return self.float(start);
        }
        let text = self.text.get(start..self.at)?;
        if digits <= SAFE_DIGITS {
            let value = if negative { -magnitude } else { magnitude };
            // -0 is a double.
            if negative && magnitude == 0 {
                return Some(Value::Double(-0.0));
            }
            return Some(Value::Int(value));
        }
        let value = text.parse().map(Value::Int);
        Some(value.unwrap_or_else(|_too_large| Value::from(text)))
    }

    /// The digits that follow: their value, right up to [`SAFE_DIGITS`], and how many there are.
    fn digits(&mut self) -> (i64, usize) {
        let (start, mut value) = (self.at, 0_i64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        (value, self.at - start)
    }

    fn float(&mut self, start: usize) -> Option<Value<'a>> {
        if self.eat(b'.').is_some() && self.digits().1 == 0 {
            return None;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits().1 == 0 {
                return None;
            }
        }
        let text = self.text.get(start..self.at)?;
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
        Some(value.map_or_else(|| Value::from(text), Value::Double))
    }
}
