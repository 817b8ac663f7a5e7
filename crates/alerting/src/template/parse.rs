//! From text to a tree: actions are cut out, cut into tokens, and parsed.

use super::TemplateError;
use super::eval::Value;

const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Output(Pipeline),
    If {
        arms: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
}

/// Commands; each gets the result of the one before as its last argument.
pub(super) type Pipeline = Vec<Command>;

/// A function with arguments, or one value.
pub(super) type Command = Vec<Operand>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    Function(String),
    /// A value and the fields below it.
    Path {
        base: Base,
        fields: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Nested(Pipeline),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Variable(String),
    Field(String),
    Literal(Value),
    Dot,
    Pipe,
    Open,
    Close,
}

enum Piece {
    Text(String),
    Action(Vec<Token>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        pieces: pieces(text)?.into_iter(),
        depth: 0,
    };
    let (nodes, end) = parser.block()?;
    match end {
        BlockEnd::Text => Ok(nodes),
        BlockEnd::Else(_) => Err(syntax("{{else}} without {{if}}")),
        BlockEnd::Closed => Err(syntax("{{end}} without {{if}}")),
    }
}

fn syntax(message: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(message.into())
}

fn unsupported(what: &str) -> TemplateError {
    TemplateError::Unsupported(what.to_owned())
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
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
        trim_next = action.ends_with('-') && action.len() > 1;
        let action = if trim_next {
            action.trim_end_matches('-')
        } else {
            action
        };
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

/// The inside of an action and what follows its `}}`; braces in strings do not count.
fn split_action(text: &str) -> Result<(&str, &str), TemplateError> {
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
    Err(syntax("an action is not closed with }}"))
}

fn tokens(action: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = token(first, rest)?;
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn token(first: char, rest: &str) -> Result<(Token, usize), TemplateError> {
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
            (
                if name.is_empty() {
                    Token::Dot
                } else {
                    Token::Field(name)
                },
                length,
            )
        }
        c if c.is_ascii_digit() || c == '-' || c == '+' => number(rest)?,
        c if c.is_alphabetic() || c == '_' => {
            let (word, length) = word_after(0);
            (Token::Word(word), length)
        }
        ':' | '=' | ',' => return Err(unsupported("an own variable")),
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

/// What ended a block: the text itself, an `else` with what follows it, or an `end`.
enum BlockEnd {
    Text,
    Else(Vec<Token>),
    Closed,
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

impl Parser {
    fn block(&mut self) -> Result<(Vec<Node>, BlockEnd), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            let keyword = match tokens.first() {
                Some(Token::Word(word)) => word.as_str(),
                _ => "",
            };
            let rest = || tokens.get(1..).unwrap_or_default().to_vec();
            match keyword {
                "if" => nodes.push(self.condition(rest())?),
                "else" => return Ok((nodes, BlockEnd::Else(rest()))),
                "end" => return Ok((nodes, BlockEnd::Closed)),
                "range" | "with" | "define" | "template" | "block" | "break" | "continue" => {
                    return Err(unsupported(keyword));
                }
                _ => nodes.push(Node::Output(whole_pipeline(tokens)?)),
            }
        }
        Ok((nodes, BlockEnd::Text))
    }

    fn condition(&mut self, first: Vec<Token>) -> Result<Node, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(syntax("nested too deeply"));
        }
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        let mut condition = Some(whole_pipeline(first)?);
        loop {
            let (nodes, end) = self.block()?;
            let closed = match condition.take() {
                Some(pipeline) => {
                    arms.push((pipeline, nodes));
                    false
                }
                None => {
                    otherwise = nodes;
                    true
                }
            };
            match end {
                BlockEnd::Closed => break,
                BlockEnd::Text => return Err(syntax("{{if}} without {{end}}")),
                BlockEnd::Else(_) if closed => return Err(syntax("a second {{else}}")),
                BlockEnd::Else(tokens) => condition = else_condition(tokens)?,
            }
        }
        self.depth -= 1;
        Ok(Node::If { arms, otherwise })
    }
}

/// The condition of an `else if`; `None` for a plain `else`.
fn else_condition(mut tokens: Vec<Token>) -> Result<Option<Pipeline>, TemplateError> {
    match tokens.first() {
        None => Ok(None),
        Some(Token::Word(word)) if word == "if" => whole_pipeline(tokens.split_off(1)).map(Some),
        Some(_) => Err(syntax("{{else}} is followed by something other than if")),
    }
}

fn whole_pipeline(tokens: Vec<Token>) -> Result<Pipeline, TemplateError> {
    let mut tokens = tokens.into_iter().peekable();
    let pipeline = pipeline(&mut tokens, 0)?;
    match tokens.next() {
        None => Ok(pipeline),
        Some(_) => Err(syntax("unexpected )")),
    }
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

/// Commands up to the end or to a closing parenthesis, which stays.
fn pipeline(tokens: &mut Tokens, depth: usize) -> Result<Pipeline, TemplateError> {
    if depth > DEPTH_MAX {
        return Err(syntax("nested too deeply"));
    }
    let mut commands = vec![Command::new()];
    while tokens.peek().is_some_and(|token| *token != Token::Close) {
        let Some(token) = tokens.next() else { break };
        if token == Token::Pipe {
            commands.push(Command::new());
            continue;
        }
        let operand = operand(token, tokens, depth)?;
        if let Some(command) = commands.last_mut() {
            command.push(operand);
        }
    }
    if commands.iter().any(Vec::is_empty) {
        Err(syntax("a command is missing"))
    } else {
        Ok(commands)
    }
}

fn operand(token: Token, tokens: &mut Tokens, depth: usize) -> Result<Operand, TemplateError> {
    let (base, mut fields) = match token {
        Token::Literal(value) => return Ok(Operand::Literal(value)),
        Token::Word(word) => {
            return Ok(match word.as_str() {
                "true" => Operand::Literal(Value::Bool(true)),
                "false" => Operand::Literal(Value::Bool(false)),
                _ => Operand::Function(word),
            });
        }
        Token::Dot => (Base::Dot, Vec::new()),
        Token::Field(name) => (Base::Dot, vec![name]),
        Token::Variable(name) => (Base::Variable(name), field_chain(tokens)),
        Token::Open => {
            let nested = pipeline(tokens, depth + 1)?;
            if tokens.next() != Some(Token::Close) {
                return Err(syntax("a parenthesis is not closed"));
            }
            (Base::Nested(nested), Vec::new())
        }
        Token::Pipe | Token::Close => return Err(syntax("a value is missing")),
    };
    if base == Base::Dot && !fields.is_empty() {
        fields.extend(field_chain(tokens));
    }
    Ok(Operand::Path { base, fields })
}

fn field_chain(tokens: &mut Tokens) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some(Token::Field(_)) = tokens.peek() {
        if let Some(Token::Field(name)) = tokens.next() {
            fields.push(name);
        }
    }
    fields
}
