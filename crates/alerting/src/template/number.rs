//! Numbers as Go's `fmt` and `strconv` write them.

/// A number in Go's shortest exponent form: `1e+00`, `2.5e-03`.
pub(crate) fn exponent_text(value: f64) -> String {
    special(value).unwrap_or_else(|| exponent_form(&format!("{value:e}")))
}

/// `%e` with a number of decimals.
pub(super) fn exponent_text_with(value: f64, decimals: usize) -> String {
    special(value).unwrap_or_else(|| exponent_form(&format!("{value:.decimals$e}")))
}

/// `%f` with a number of decimals.
pub(super) fn fixed_text(value: f64, decimals: usize) -> String {
    special(value).unwrap_or_else(|| format!("{value:.decimals$}"))
}

/// `%g`: with `digits` significant digits, or with as few as identify the number. The exponent form
/// is used below 1e-4 and from 10^digits (shortest: 1e6) on.
pub(super) fn general_text(value: f64, digits: Option<usize>) -> String {
    /// The threshold of Go's `strconv` for the shortest form.
    const SHORTEST_DIGITS: i32 = 6;
    if let Some(text) = special(value) {
        return text;
    }
    let scientific = match digits {
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = without_trailing_zeros(mantissa);
    let threshold = digits.map_or(SHORTEST_DIGITS, |digits| {
        i32::try_from(digits.max(1)).unwrap_or(i32::MAX)
    });
    if exponent < -4 || exponent >= threshold {
        return exponent_form(&format!("{mantissa}e{exponent}"));
    }
    let significant = i32::try_from(mantissa.chars().filter(char::is_ascii_digit).count());
    let decimals = usize::try_from(significant.unwrap_or(0) - 1 - exponent).unwrap_or(0);
    // The mantissa is rounded already, so this writes the same digits in another place.
    let rounded: f64 = format!("{mantissa}e{exponent}").parse().unwrap_or(value);
    format!("{rounded:.decimals$}")
}

fn special(value: f64) -> Option<String> {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return None,
    };
    Some(text.to_owned())
}

fn without_trailing_zeros(mantissa: &str) -> &str {
    if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    }
}

/// Rust's `1e-3` as Go's `1e-03`.
fn exponent_form(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}
