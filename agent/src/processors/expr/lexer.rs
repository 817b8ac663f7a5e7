//! Text to tokens.

use super::ExprError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, keywords included.
    Name(String),
    Text(String),
    Int(i64),
    Double(f64),
    /// One of the signs of [`SIGNS`].
    Sign(&'static str),
    End,
}

/// Longer signs first.
const SIGNS: [&str; 18] = [
    "==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", ".", "+", "-", "*", "/", "{", "}",
];

/// A token and the byte offset it begins at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// # Errors
/// A character that begins no token, a text that does not end, a number that is too large.
pub(super) fn tokens(source: &str) -> Result<Vec<Placed>, ExprError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let (token, length) = token(rest, at)?;
        tokens.push(Placed { token, at });
        at += length;
    }
    tokens.push(Placed {
        token: Token::End,
        at: source.len(),
    });
    Ok(tokens)
}

fn token(rest: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let first = rest.chars().next().unwrap_or_default();
    if first == '"' {
        return text(rest, at);
    }
    if first.is_ascii_digit() {
        return number(rest, at);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        return Ok((Token::Name(name.to_owned()), length));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None if first == '=' => Err(ExprError::new(at, "`=` compares nothing, `==` does")),
        None if first == '\'' => Err(ExprError::new(at, "texts stand in double quotes")),
        None => Err(ExprError::new(at, format!("`{first}` has no meaning here"))),
    }
}

/// A text in double quotes; `\"`, `\\`, `\n`, `\t` and `\r` are escapes.
fn text(rest: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(out), index + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                // What a regular expression writes: `\d`.
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(ExprError::new(at, "the text does not end"))
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let mut length = digits(rest);
    let fraction = rest
        .get(length..)
        .and_then(|rest| rest.strip_prefix('.'))
        .map_or(0, digits);
    let bad = |_| ExprError::new(at, "the number is too large");
    if fraction == 0 {
        let digits = rest.get(..length).unwrap_or_default();
        let number = digits
            .parse::<i64>()
            .map_err(|error| bad(error.to_string()))?;
        return Ok((Token::Int(number), length));
    }
    length += 1 + fraction;
    let digits = rest.get(..length).unwrap_or_default();
    let number = digits
        .parse::<f64>()
        .map_err(|error| bad(error.to_string()))?;
    Ok((Token::Double(number), length))
}
