//! Arithmetic on durations: `[5m * 2]`, `offset (1h / 2)`.
//!
//! In: tokens, and the bounds of the query for `step()` and `range()`. Out: milliseconds. A number is one of
//! seconds. From loose to tight: `+ -`, `* / %`, signs, `^` (from the right).

use promql_parser::util::parse_str_radix;

use crate::error::QueryError;
use crate::syntax::lower::Bounds;
use crate::syntax::tokens::{DURATION_SECONDS_MAX, Tokens, duration_seconds};
use crate::syntax::{QUERY_DEPTH_MAX, parse_error};

/// The functions of durations.
const FUNCTIONS: [&str; 4] = ["step", "range", "min_of", "max_of"];

/// Whether a token names a function of durations.
pub(crate) fn is_duration_function(token: &str) -> bool {
    FUNCTIONS
        .iter()
        .any(|name| token.eq_ignore_ascii_case(name))
}

/// Reads arithmetic from some of the tokens of a query.
pub(crate) struct Arithmetic<'t, 'q> {
    tokens: &'t Tokens<'q>,
    bounds: Bounds,
    next: usize,
    end: usize,
    depth: usize,
}

impl<'t, 'q> Arithmetic<'t, 'q> {
    /// Reads from token `next` on, and at most to before token `end`.
    pub(crate) fn new(tokens: &'t Tokens<'q>, bounds: Bounds, next: usize, end: usize) -> Self {
        Self {
            tokens,
            bounds,
            next,
            end,
            depth: 0,
        }
    }

    /// A range or a step: all of the tokens, and more than nothing.
    ///
    /// # Errors
    /// The tokens are no duration, or one out of range.
    pub(crate) fn whole(mut self) -> Result<i64, QueryError> {
        let first = self.next;
        let seconds = self.sum()?;
        if self.next < self.end {
            return Err(self.unexpected());
        }
        let millis = self.millis(seconds, first)?;
        if millis <= 0 {
            let position = self.tokens.position_at(first);
            return Err(parse_error("duration must be greater than 0", position));
        }
        Ok(millis)
    }

    /// An offset: as much as belongs to it without parentheses, with a sign; and the token after it.
    ///
    /// # Errors
    /// As [`Arithmetic::whole`].
    pub(crate) fn offset(mut self) -> Result<(i64, usize), QueryError> {
        let first = self.next;
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let seconds = self.operand()?;
        let signed = if negative { -seconds } else { seconds };
        Ok((self.millis(signed, first)?, self.next))
    }

    fn millis(&self, seconds: f64, first: usize) -> Result<i64, QueryError> {
        if seconds.is_nan() || seconds.abs() >= DURATION_SECONDS_MAX {
            let position = self.tokens.position_at(first);
            return Err(parse_error("duration is out of range", position));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "parts of a millisecond are cut, and the rest is far within 64 bits"
        )]
        let millis = (seconds * 1000.0) as i64;
        Ok(millis)
    }

    fn sum(&mut self) -> Result<f64, QueryError> {
        let mut value = self.product()?;
        loop {
            if self.take("+") {
                value += self.product()?;
            } else if self.take("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, QueryError> {
        let mut value = self.signed()?;
        loop {
            if self.take("*") {
                value *= self.signed()?;
            } else if self.take("/") {
                value /= self.divisor("division by zero")?;
            } else if self.take("%") {
                value %= self.divisor("modulo by zero")?;
            } else {
                return Ok(value);
            }
        }
    }

    fn divisor(&mut self, fault: &str) -> Result<f64, QueryError> {
        let position = self.tokens.position_at(self.next);
        match self.signed()? {
            0.0 => Err(parse_error(fault, position)),
            divisor => Ok(divisor),
        }
    }

    fn signed(&mut self) -> Result<f64, QueryError> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            let message = format!("more than {QUERY_DEPTH_MAX} nested expressions");
            return Err(parse_error(&message, self.tokens.position_at(self.next)));
        }
        let value = if self.take("-") {
            -self.signed()?
        } else if self.take("+") {
            self.signed()?
        } else {
            self.power()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Result<f64, QueryError> {
        let base = self.operand()?;
        if self.take("^") {
            return Ok(base.powf(self.signed()?));
        }
        Ok(base)
    }

    fn operand(&mut self) -> Result<f64, QueryError> {
        let token = self.peek();
        if self.take("(") {
            let value = self.sum()?;
            self.expect(")")?;
            return Ok(value);
        }
        if is_duration_function(token) {
            self.next += 1;
            return self.call(&token.to_ascii_lowercase());
        }
        if token.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            let seconds = duration_seconds(token).or_else(|| parse_str_radix(token).ok());
            if let Some(seconds) = seconds {
                self.next += 1;
                return Ok(seconds);
            }
        }
        Err(self.unexpected())
    }

    fn call(&mut self, function: &str) -> Result<f64, QueryError> {
        self.expect("(")?;
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let value = match function {
            "step" => seconds(self.bounds.step),
            "range" => seconds(self.bounds.end.saturating_sub(self.bounds.start)),
            _ => {
                let first = self.sum()?;
                self.expect(",")?;
                let second = self.sum()?;
                if function == "min_of" {
                    first.min(second)
                } else {
                    first.max(second)
                }
            }
        };
        self.expect(")")?;
        Ok(value)
    }

    fn peek(&self) -> &'q str {
        if self.next < self.end {
            self.tokens.text_at(self.next)
        } else {
            ""
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), QueryError> {
        if self.take(text) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn unexpected(&self) -> QueryError {
        let position = self.tokens.position_at(self.next);
        match self.tokens.text_at(self.next) {
            "" => parse_error("unexpected end of input in duration expression", position),
            token => parse_error(
                &format!("unexpected {token:?} in duration expression"),
                position,
            ),
        }
    }
}
