//! Numbers as Go reads them, in the forms that Prometheus allows.

/// Digits that surely fit 53 bits.
const PLAIN_DIGITS_MAX: usize = 15;
/// The NaN that Prometheus makes of every NaN it reads.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("unsupported character in float")]
    Unsupported,
    #[error("invalid syntax of a number")]
    Syntax,
    #[error("value out of range")]
    Range,
}

/// Reads a value. Every NaN becomes the same.
///
/// # Errors
/// The text is no number, a hexadecimal one, one with `_`, or one beyond the range of a double.
pub(crate) fn parse_float(text: &[u8]) -> Result<f64, NumberError> {
    if let Some(whole) = plain_digits(text) {
        return Ok(whole);
    }
    if text.iter().any(|byte| matches!(byte, b'p' | b'P' | b'_')) {
        return Err(NumberError::Unsupported);
    }
    let text = std::str::from_utf8(text).map_err(|_no_text| NumberError::Syntax)?;
    let number: f64 = text.parse().map_err(|_no_number| NumberError::Syntax)?;
    if number.is_finite() {
        return Ok(number);
    }
    let signed = text.starts_with(['+', '-']);
    match number.is_nan() {
        true if signed => Err(NumberError::Syntax),
        true => Ok(NAN),
        // Only an infinity that is written out is one.
        false if text.contains(['i', 'I']) => Ok(number),
        false => Err(NumberError::Range),
    }
}

/// Most values are small whole numbers.
#[expect(clippy::cast_precision_loss, reason = "they have 15 digits at most")]
fn plain_digits(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > PLAIN_DIGITS_MAX {
        return None;
    }
    let mut whole = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        whole = whole * 10 + u64::from(digit);
    }
    Some(whole as f64)
}

/// Reads a time of the text format: digits alone, milliseconds.
pub(crate) fn parse_millis(text: &[u8]) -> Result<i64, NumberError> {
    let text = std::str::from_utf8(text).map_err(|_no_text| NumberError::Syntax)?;
    text.parse().map_err(|_too_large| NumberError::Range)
}

/// Reads a time of OpenMetrics: seconds, of which whole milliseconds are kept.
pub(crate) fn parse_seconds(text: &[u8]) -> Result<Option<i64>, NumberError> {
    let seconds = parse_float(text)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below a millisecond nothing is kept; the rest saturates"
    )]
    let millis = (seconds * 1e3) as i64;
    Ok(seconds.is_finite().then_some(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for (text, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("999999999999999", 999_999_999_999_999.0),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("1e-400", 0.0),
            ("Inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            let read = parse_float(text.as_bytes()).map(f64::to_bits);
            assert_eq!(read, Ok(value.to_bits()), "{text}");
        }
        for text in ["NaN", "nan"] {
            let read = parse_float(text.as_bytes()).map(f64::to_bits);
            assert_eq!(read, Ok(0x7ff8_0000_0000_0001), "{text}");
        }
        for (text, error) in [
            ("", NumberError::Syntax),
            ("-", NumberError::Syntax),
            ("+NaN", NumberError::Syntax),
            ("infin", NumberError::Syntax),
            ("1,5", NumberError::Syntax),
            ("1\r", NumberError::Syntax),
            ("0x1", NumberError::Syntax),
            ("0x1p4", NumberError::Unsupported),
            ("1_000", NumberError::Unsupported),
            ("1e400", NumberError::Range),
            ("é", NumberError::Syntax),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn times_are_whole_milliseconds() {
        assert_eq!(
            parse_seconds(b"1520879607.789"),
            Ok(Some(1_520_879_607_789))
        );
        assert_eq!(parse_seconds(b"-1.5"), Ok(Some(-1_500)));
        assert_eq!(parse_seconds(b"Inf"), Ok(None));
        assert_eq!(parse_millis(b"12"), Ok(12));
        assert_eq!(
            parse_millis(b"9223372036854775808"),
            Err(NumberError::Range)
        );
    }
}
