//! Cuts a template into text and actions, and these into tokens.

use super::TemplateError;
use super::eval::Value;
use super::parse::syntax;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Variable(String),
    /// `is_attached`: without a space before it, so that it belongs to what is before.
    Field {
        name: String,
        is_attached: bool,
    },
    Literal(Value),
    Dot,
    Pipe,
    Open,
    Close,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
}

pub(super) enum Piece {
    Text(String),
    Action(Vec<Token>),
}

pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    while let Some((before, action)) = rest.split_once("{{") {
        let (action, trim_before) = match action.strip_prefix('-') {
            Some(trimmed) if trimmed.starts_with(char::is_whitespace) => (trimmed, true),
            _ => (action, false),
        };
        pieces.push(Piece::Text(trimmed(before, trim_next, trim_before)));
        let (action, after) = split_action(action)?;
        let inside = action.strip_suffix('-');
        let inside = inside.filter(|inside| inside.ends_with(char::is_whitespace));
        trim_next = inside.is_some();
        let action = inside.unwrap_or(action);
        if !action.trim_start().starts_with("/*") {
            pieces.push(Piece::Action(tokens(action)?));
        }
        rest = after;
    }
    pieces.push(Piece::Text(trimmed(rest, trim_next, false)));
    Ok(pieces)
}

fn trimmed(text: &str, start: bool, end: bool) -> String {
    let text = if start { text.trim_start() } else { text };
    let text = if end { text.trim_end() } else { text };
    text.to_owned()
}

/// The inside of an action and what follows its `}}`; braces in strings and comments do not count.
fn split_action(text: &str) -> Result<(&str, &str), TemplateError> {
    const NOT_CLOSED: &str = "an action is not closed with }}";
    if text.trim_start().starts_with("/*") {
        let end = text
            .find("*/")
            .ok_or_else(|| syntax("a comment is not closed"))?;
        let (comment, rest) = text.split_at(end);
        let (gap, after) = rest.split_once("}}").ok_or_else(|| syntax(NOT_CLOSED))?;
        let gap = gap.strip_prefix("*/").unwrap_or(gap);
        if !gap.trim_start().trim_start_matches('-').is_empty() {
            return Err(syntax("a comment is followed by something"));
        }
        let (inside, _) = text.split_at(comment.len() + "*/".len() + gap.len());
        return Ok((inside, after));
    }
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`') => quote = Some(c),
            None => {
                let (inside, tail) = text.split_at(index);
                if let Some(after) = tail.strip_prefix("}}") {
                    return Ok((inside, after));
                }
            }
        }
    }
    Err(syntax(NOT_CLOSED))
}

fn tokens(action: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut rest = action.trim_start();
    let mut is_attached = false;
    while let Some(first) = rest.chars().next() {
        let (token, length) = token(first, rest, is_attached)?;
        tokens.push(token);
        let after = rest.get(length..).unwrap_or_default();
        rest = after.trim_start();
        is_attached = rest.len() == after.len();
    }
    Ok(tokens)
}

fn token(first: char, rest: &str, is_attached: bool) -> Result<(Token, usize), TemplateError> {
    let word_after = |skip: usize| {
        let tail = rest.get(skip..).unwrap_or_default();
        let end = tail
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(tail.len());
        let word = tail.get(..end).unwrap_or_default().to_owned();
        (word, skip + end)
    };
    Ok(match first {
        '|' => (Token::Pipe, 1),
        '(' => (Token::Open, 1),
        ')' => (Token::Close, 1),
        ',' => (Token::Comma, 1),
        '=' => (Token::Assign, 1),
        ':' if rest.starts_with(":=") => (Token::Declare, 2),
        '"' => quoted(rest)?,
        '`' => {
            let inside = rest.get(1..).and_then(|tail| tail.split_once('`'));
            let (text, _) = inside.ok_or_else(|| syntax("a string is not closed"))?;
            (Token::Literal(Value::Text(text.to_owned())), text.len() + 2)
        }
        '$' => {
            let (name, length) = word_after(1);
            (Token::Variable(name), length)
        }
        '.' => {
            let (name, length) = word_after(1);
            match name.chars().next() {
                None => (Token::Dot, length),
                Some(c) if c.is_ascii_digit() => number(rest)?,
                Some(_) => (Token::Field { name, is_attached }, length),
            }
        }
        c if c.is_ascii_digit() || c == '-' || c == '+' => number(rest)?,
        c if c.is_alphabetic() || c == '_' => {
            let (word, length) = word_after(0);
            (Token::Word(word), length)
        }
        other => return Err(syntax(format!("unexpected {other:?}"))),
    })
}

fn quoted(rest: &str) -> Result<(Token, usize), TemplateError> {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let literal = rest.get(..=index).unwrap_or_default();
                let text: String = serde_json::from_str(literal)
                    .map_err(|_| syntax(format!("cannot read the string {literal}")))?;
                return Ok((Token::Literal(Value::Text(text)), index + 1));
            }
            _ => {}
        }
    }
    Err(syntax("a string is not closed"))
}

fn number(rest: &str) -> Result<(Token, usize), TemplateError> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-'));
    let text = rest
        .get(..rest.find(ends).unwrap_or(rest.len()))
        .unwrap_or_default();
    let value = match text.parse::<i64>() {
        Ok(integer) => Value::Integer(integer),
        Err(_) => Value::Float(
            text.parse()
                .map_err(|_| syntax(format!("{text:?} is not a number")))?,
        ),
    };
    Ok((Token::Literal(value), text.len()))
}
