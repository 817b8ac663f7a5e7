//! A second reading of the query text that knows positions, and the checks that must come before
//! `promql-parser` sees the text: it panics on a duration that overflows and drops one it cannot hold.

use crate::error::{Position, QueryError};
use crate::syntax::QUERY_TOKENS_MAX;

/// What `promql-parser` says when it cannot say anything.
const UNLOCATED: &str = "invalid promql query";
/// Longest duration in a query, in seconds: the range of a 64-bit count of nanoseconds.
const DURATION_SECONDS_MAX: f64 = 9_223_372_036.0;
/// Seconds of each unit of a duration.
const UNITS: [(&str, f64); 7] = [
    ("ms", 0.001),
    ("y", 31_536_000.0),
    ("w", 604_800.0),
    ("d", 86_400.0),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
];

/// The words and signs of a query with their byte offsets, read from the front.
#[derive(Debug)]
pub(crate) struct Tokens<'q> {
    query: &'q str,
    all: Vec<(usize, &'q str)>,
    next: usize,
}

impl<'q> Tokens<'q> {
    /// # Errors
    /// The query has too many tokens, or a duration out of range.
    pub(crate) fn scan(query: &'q str) -> Result<Self, QueryError> {
        let mut all = Vec::new();
        let mut offset = 0;
        while let Some(rest) = query.get(offset..).filter(|rest| !rest.is_empty()) {
            let length = token_length(rest);
            if let Some(text) = rest.get(..length)
                && !text.starts_with(|first: char| first.is_whitespace() || first == '#')
            {
                all.push((offset, text));
            }
            offset += length;
            if all.len() > QUERY_TOKENS_MAX {
                return Err(QueryError::Parse {
                    message: format!("the query has more than {QUERY_TOKENS_MAX} tokens"),
                    position: None,
                });
            }
        }
        let tokens = Self {
            query,
            all,
            next: 0,
        };
        tokens.check_durations()?;
        Ok(tokens)
    }

    /// The text of the next token; empty at the end.
    pub(crate) fn peek(&self) -> &'q str {
        self.all.get(self.next).map_or("", |(_, text)| text)
    }

    pub(crate) fn position(&self) -> Position {
        let offset = self.all.get(self.next).map(|(offset, _)| *offset);
        Position::of(self.query, offset.unwrap_or(self.query.len()))
    }

    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// Steps over the next token if it is this one.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let found = self.peek().eq_ignore_ascii_case(text);
        if found {
            self.advance();
        }
        found
    }

    /// Steps over a bracketed group that opens here, if one does.
    pub(crate) fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while self.next < self.all.len() {
            match self.peek() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && !matches!(self.peek(), ")" | "]" | "}") {
                return;
            }
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }

    /// Steps over `offset` and `@` modifiers.
    pub(crate) fn skip_time_modifiers(&mut self) {
        loop {
            if self.take("offset") {
                self.skip_signs();
                self.advance();
            } else if self.take("@") {
                self.skip_signs();
                self.advance();
                if self.peek() == "(" {
                    self.skip_group();
                }
            } else {
                return;
            }
        }
    }

    pub(crate) fn skip_signs(&mut self) {
        while matches!(self.peek(), "+" | "-") {
            self.advance();
        }
    }

    /// The error for a text that the parser rejects with a message: where a part of the language is used that
    /// it does not know, the error names it.
    pub(crate) fn explain(&self, message: String) -> QueryError {
        let mut in_brackets = false;
        let mut previous = "";
        for (offset, text) in &self.all {
            match *text {
                "[" => in_brackets = true,
                "]" => in_brackets = false,
                _ => {}
            }
            let what = match *text {
                "anchored" | "smoothed" if is_selector_end(previous) => text.to_string(),
                "+" | "-" | "*" | "/" | "%" | "^" | "(" if in_brackets => {
                    "duration expressions".to_owned()
                }
                "(" if previous == "offset" => "duration expressions".to_owned(),
                "/" if matches!(previous, "<" | ">") => {
                    format!("the histogram operator {previous}/")
                }
                _ => {
                    previous = text;
                    continue;
                }
            };
            return QueryError::Unsupported {
                what,
                position: Some(Position::of(self.query, *offset)),
            };
        }
        let (fault, offset) = self.find_fault().unwrap_or_default();
        let message = if message == UNLOCATED && !fault.is_empty() {
            fault
        } else {
            message
        };
        QueryError::Parse {
            message,
            position: offset.map(|offset| Position::of(self.query, offset)),
        }
    }

    /// What is plainly wrong with a text, and where: brackets without a partner, operands without an operator
    /// between them, an end that comes too early.
    fn find_fault(&self) -> Option<(String, Option<usize>)> {
        let mut open: Vec<(usize, &str)> = Vec::new();
        let mut previous = "";
        for (offset, text) in &self.all {
            let partner = match *text {
                ")" => "(",
                "]" => "[",
                "}" => "{",
                _ => "",
            };
            if matches!(*text, "(" | "[" | "{") {
                open.push((*offset, text));
            } else if !partner.is_empty() && open.pop().map(|(_, text)| text) != Some(partner) {
                return Some((format!("unexpected {text:?}"), Some(*offset)));
            }
            if is_literal(text) && (is_literal(previous) || matches!(previous, ")" | "]" | "}")) {
                return Some((format!("unexpected {text}"), Some(*offset)));
            }
            previous = text;
        }
        if let Some((offset, text)) = open.pop() {
            return Some((format!("unclosed {text:?}"), Some(offset)));
        }
        let unfinished = matches!(
            previous,
            "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | ">" | "<" | ">=" | "<=" | "," | "@"
        );
        unfinished.then(|| ("unexpected end of input".to_owned(), Some(self.query.len())))
    }

    fn check_durations(&self) -> Result<(), QueryError> {
        let mut in_brackets = false;
        let mut previous = "";
        for (offset, text) in &self.all {
            match *text {
                "[" => in_brackets = true,
                "]" => in_brackets = false,
                _ => {}
            }
            let as_duration = in_brackets || previous.eq_ignore_ascii_case("offset");
            if !duration_fits(text, as_duration) {
                return Err(QueryError::Parse {
                    message: format!("duration out of range: {text}"),
                    position: Some(Position::of(self.query, *offset)),
                });
            }
            if !matches!(*text, "+" | "-") {
                previous = text;
            }
        }
        Ok(())
    }
}

/// How many tokens a query has.
///
/// # Errors
/// As [`Tokens::scan`].
pub(crate) fn token_count(query: &str) -> Result<usize, QueryError> {
    Ok(Tokens::scan(query)?.all.len())
}

/// Whether a token is a number, a duration or a text.
fn is_literal(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '"' | '\'' | '`'))
}

/// Whether a selector may end with a token.
fn is_selector_end(token: &str) -> bool {
    matches!(token, "]" | "}" | ")")
        || token.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_')
}

/// Whether a token is no duration, or one that the parser can hold.
fn duration_fits(text: &str, as_duration: bool) -> bool {
    if let Ok(number) = text.parse::<f64>() {
        return !as_duration || (0.0..DURATION_SECONDS_MAX).contains(&number);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return true;
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest
            .find(|next: char| !next.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let Some((unit, scale)) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit)) else {
            return true;
        };
        let Ok(number) = number.parse::<u32>() else {
            return false;
        };
        seconds += f64::from(number) * scale;
        rest = tail.strip_prefix(unit).unwrap_or_default();
    }
    seconds < DURATION_SECONDS_MAX
}

/// The byte length of the token at the front of a non-empty text.
fn token_length(text: &str) -> usize {
    let first = text.chars().next().unwrap_or(' ');
    let while_true =
        |accept: fn(char) -> bool| text.find(|next: char| !accept(next)).unwrap_or(text.len());
    match first {
        _ if first.is_whitespace() => while_true(char::is_whitespace),
        '#' => text.find('\n').unwrap_or(text.len()),
        '"' | '\'' | '`' => string_length(text, first),
        _ if first.is_ascii_alphabetic() || first == '_' || first == ':' => {
            while_true(|next| next.is_ascii_alphanumeric() || next == '_' || next == ':')
        }
        _ if first.is_ascii_digit() || first == '.' => number_length(text),
        _ => {
            let pair = text.get(..2).unwrap_or_default();
            if matches!(pair, "==" | "!=" | "<=" | ">=" | "=~" | "!~") {
                2
            } else {
                first.len_utf8()
            }
        }
    }
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, next) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if next == '\\' && quote != '`' {
            escaped = true;
        } else if next == quote {
            return index + next.len_utf8();
        }
    }
    text.len()
}

/// Digits, letters and dots, with a sign after an exponent's `e` of a decimal number.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let hex = bytes
        .get(1)
        .is_some_and(|second| matches!(second, b'x' | b'X'));
    let mut length = 0;
    while let Some(next) = bytes.get(length) {
        let exponent = length > 0 && !hex && matches!(bytes.get(length - 1), Some(b'e' | b'E'));
        let sign = exponent && matches!(next, b'+' | b'-');
        if !(next.is_ascii_alphanumeric() || matches!(next, b'.' | b'_') || sign) {
            break;
        }
        length += 1;
    }
    length.max(1)
}
