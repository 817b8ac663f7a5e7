//! A second reading of the query text that knows positions, and the checks that must come before
//! `promql-parser` sees the text: it panics on a duration that overflows and drops one it cannot hold.

use crate::error::{Position, QueryError};
use crate::syntax::{Edges, QUERY_TOKENS_MAX, parse_error};

/// What `promql-parser` says when it cannot say anything.
const UNLOCATED: &str = "invalid promql query";
/// Longest duration in a query, in seconds: the range of a 64-bit count of nanoseconds.
pub(crate) const DURATION_SECONDS_MAX: f64 = 9_223_372_036.0;
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
    /// The modifiers of edges that were met, by index.
    edges: Vec<usize>,
}

impl<'q> Tokens<'q> {
    /// # Errors
    /// The query has too many tokens, or a duration out of range.
    pub(crate) fn scan(query: &'q str) -> Result<Self, QueryError> {
        let mut all = Vec::new();
        let (mut offset, mut in_brackets) = (0, false);
        while let Some(rest) = query.get(offset..).filter(|rest| !rest.is_empty()) {
            let length = match rest.as_bytes().first() {
                Some(b':') if in_brackets => 1,
                _ => token_length(rest),
            };
            in_brackets = (in_brackets || rest.starts_with('[')) && !rest.starts_with(']');
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
            edges: Vec::new(),
        };
        tokens.check_durations()?;
        Ok(tokens)
    }

    /// The text of the next token; empty at the end.
    pub(crate) fn peek(&self) -> &'q str {
        self.text_at(self.next)
    }

    /// The text of the token after the next.
    pub(crate) fn peek_second(&self) -> &'q str {
        self.text_at(self.next + 1)
    }

    pub(crate) fn position(&self) -> Position {
        self.position_at(self.next)
    }

    pub(crate) fn query(&self) -> &'q str {
        self.query
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The text of the token at an index; empty after the last.
    pub(crate) fn text_at(&self, index: usize) -> &'q str {
        self.all.get(index).map_or("", |(_, text)| text)
    }

    pub(crate) fn position_at(&self, index: usize) -> Position {
        Position::of(self.query, self.start_of(index))
    }

    /// The byte offset of the token at an index, or the length of the query.
    pub(crate) fn start_of(&self, index: usize) -> usize {
        let offset = self.all.get(index).map(|(offset, _)| *offset);
        offset.unwrap_or(self.query.len())
    }

    /// The byte offset after the token at an index.
    pub(crate) fn end_of(&self, index: usize) -> usize {
        self.start_of(index) + self.text_at(index).len()
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

    /// Steps over the modifiers of a selector; the answer is what they say of the edges of ranges.
    ///
    /// # Errors
    /// Modifiers of edges exclude one another.
    pub(crate) fn skip_modifiers(&mut self) -> Result<Edges, QueryError> {
        let mut edges = Edges::Sampled;
        loop {
            if self.take("offset") || self.take("@") {
                self.skip_signs();
                if self.peek() != "(" {
                    self.advance();
                }
                if self.peek() == "(" {
                    self.skip_group();
                }
            } else if let Some(found) = Edges::of_word(self.peek()) {
                if edges != Edges::Sampled && edges != found {
                    return Err(parse_error(
                        "anchored and smoothed modifiers cannot be used together",
                        self.position(),
                    ));
                }
                edges = found;
                self.edges.push(self.next);
                self.advance();
            } else {
                return Ok(edges);
            }
        }
    }

    /// The first of some modifiers of edges that [`Tokens::skip_modifiers`] has not met.
    pub(crate) fn unmet(&self, edges: &[usize]) -> Option<usize> {
        let met = |index: &&usize| self.edges.contains(index);
        edges.iter().find(|index| !met(index)).copied()
    }

    pub(crate) fn skip_signs(&mut self) {
        while matches!(self.peek(), "+" | "-") {
            self.advance();
        }
    }

    /// The error for a text that the parser rejects with a message: where a part of the language is used that
    /// it does not know, the error names it.
    pub(crate) fn explain(&self, message: String) -> QueryError {
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
            "+" | "-"
                | "*"
                | "/"
                | "%"
                | "^"
                | "=="
                | "!="
                | ">"
                | "<"
                | ">="
                | "<="
                | "</"
                | ">/"
                | ","
                | "@"
        );
        unfinished.then(|| ("unexpected end of input".to_owned(), Some(self.query.len())))
    }

    fn check_durations(&self) -> Result<(), QueryError> {
        let mut previous = "";
        for (index, (offset, text)) in self.all.iter().enumerate() {
            let next = self.text_at(index + 1);
            let alone = matches!(previous, "[" | ":") && matches!(next, "]" | ":" | "");
            let as_duration = alone || previous.eq_ignore_ascii_case("offset");
            if !duration_fits(text, as_duration) {
                return Err(parse_error(
                    &format!("duration out of range: {text}"),
                    Position::of(self.query, *offset),
                ));
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

/// Whether a token is no duration, or one that the parser can hold.
fn duration_fits(text: &str, as_duration: bool) -> bool {
    if let Ok(number) = text.parse::<f64>() {
        return !as_duration || (0.0..DURATION_SECONDS_MAX).contains(&number);
    }
    match duration_parts(text) {
        Some(parts) => parts.is_some_and(|seconds| seconds < DURATION_SECONDS_MAX),
        None => true,
    }
}

/// The seconds of a duration with units such as `1h30m`; `None` where a text is something else, or too long.
pub(crate) fn duration_seconds(text: &str) -> Option<f64> {
    duration_parts(text).flatten()
}

/// As [`duration_seconds`], but a duration with a part that the parser cannot hold is `Some(None)`.
fn duration_parts(text: &str) -> Option<Option<f64>> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest
            .find(|next: char| !next.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let (unit, scale) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        let Ok(number) = number.parse::<u32>() else {
            return Some(None);
        };
        seconds += f64::from(number) * scale;
        rest = tail.strip_prefix(unit).unwrap_or_default();
    }
    Some(Some(seconds))
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
            if matches!(pair, "==" | "!=" | "<=" | ">=" | "=~" | "!~" | "</" | ">/") {
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
