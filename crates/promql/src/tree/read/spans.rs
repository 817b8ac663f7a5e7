//! Durations and the arithmetic on them.

use super::{POWER, Reader, number};
use crate::error::QueryError;
use crate::tree::Span;

impl Reader<'_, '_> {
    /// A duration of operators that bind at least so tightly, as in an expression.
    pub(super) fn span(&mut self, tightness_min: u8) -> Result<Span, QueryError> {
        let mut left = self.span_signed()?;
        loop {
            let (sign, tightness) = match self.peek() {
                "+" => ("+", 4),
                "-" => ("-", 4),
                "*" => ("*", 5),
                "/" => ("/", 5),
                "%" => ("%", 5),
                "^" => ("^", POWER),
                _ => return Ok(left),
            };
            if tightness < tightness_min {
                return Ok(left);
            }
            self.next += 1;
            let right = self.span(tightness + u8::from(tightness != POWER))?;
            left = Span::Binary(Box::new((left, sign, right)));
        }
    }

    fn span_signed(&mut self) -> Result<Span, QueryError> {
        if self.take("+") {
            return self.span(POWER);
        }
        if self.take("-") {
            return Ok(self.span(POWER)?.negative());
        }
        self.span_operand()
    }

    /// Parentheses around a number are nothing.
    pub(super) fn span_operand(&mut self) -> Result<Span, QueryError> {
        if self.take("(") {
            let inner = self.span(0)?;
            self.expect(")")?;
            return Ok(match inner {
                Span::Number(number) => Span::Number(number),
                inner => Span::Wrapped(Box::new(inner)),
            });
        }
        if let Some(number) = number(self.peek()) {
            self.next += 1;
            return Ok(Span::Number(number));
        }
        let name = self.peek().to_ascii_lowercase();
        self.next += 1;
        let args = self.arguments(|reader| reader.span(0))?;
        Ok(Span::Call { name, args })
    }
}

impl Span {
    pub(super) fn negative(self) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.signed(true)),
            inner => Self::Negative(Box::new(inner)),
        }
    }
}
