//! Tokens to a tree, by precedence: `or`, `and`, `not`, comparisons, `+ -`, `* /`, sign.

use super::lexer::{Placed, Token, tokens};
use super::{DEPTH_MAX, ExprError, OPERATORS_MAX, SOURCE_BYTES_MAX};

/// A tree and the byte offset it begins at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::processors) struct Ast {
    pub(in crate::processors) at: usize,
    pub(in crate::processors) kind: AstKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::processors) enum AstKind {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Ast>),
    /// `resource.attributes["a"][0]`: names and what stands in brackets.
    Path {
        names: Vec<String>,
        keys: Vec<Ast>,
    },
    Call {
        name: String,
        arguments: Vec<Ast>,
    },
    Not(Box<Ast>),
    Negate(Box<Ast>),
    Binary {
        operator: &'static str,
        left: Box<Ast>,
        right: Box<Ast>,
    },
}

/// Reads a condition.
///
/// # Errors
/// It is not of the language.
pub(in crate::processors) fn parse_condition(source: &str) -> Result<Ast, ExprError> {
    let mut parser = Parser::new(source)?;
    let condition = parser.expression(0)?;
    parser.end()?;
    Ok(condition)
}

/// Reads a call and, after `where`, a condition.
///
/// # Errors
/// It is not of the language.
pub(in crate::processors) fn parse_statement(
    source: &str,
) -> Result<(Ast, Option<Ast>), ExprError> {
    let mut parser = Parser::new(source)?;
    let call = parser.expression(0)?;
    if !matches!(call.kind, AstKind::Call { .. }) {
        return Err(ExprError::new(
            call.at,
            "a statement calls a function, such as set(attributes[\"a\"], 1)",
        ));
    }
    let condition = if parser.take_name("where") {
        Some(parser.expression(0)?)
    } else {
        None
    };
    parser.end()?;
    Ok((call, condition))
}

struct Parser {
    /// Reversed: the next token is the last.
    rest: Vec<Placed>,
    depth: usize,
    operators: usize,
}

/// Binary operators and how strongly they bind.
const BINARY: [(&str, u8); 12] = [
    ("or", 1),
    ("and", 2),
    ("==", 4),
    ("!=", 4),
    ("<=", 4),
    (">=", 4),
    ("<", 4),
    (">", 4),
    ("+", 5),
    ("-", 5),
    ("*", 6),
    ("/", 6),
];
const NOT_BINDS: u8 = 3;
const COMPARISON_BINDS: u8 = 4;
const SIGN_BINDS: u8 = 7;

impl Parser {
    fn new(source: &str) -> Result<Self, ExprError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(ExprError::new(0, "the expression is longer than 16 KiB"));
        }
        let mut rest = tokens(source)?;
        rest.reverse();
        Ok(Self {
            rest,
            depth: 0,
            operators: 0,
        })
    }

    fn at(&self) -> usize {
        self.rest.last().map_or(0, |placed| placed.at)
    }

    fn peek(&self) -> &Token {
        self.rest.last().map_or(&Token::End, |placed| &placed.token)
    }

    fn take(&mut self) -> Token {
        match self.rest.len() {
            // The end stays.
            0 | 1 => Token::End,
            _ => self.rest.pop().map_or(Token::End, |placed| placed.token),
        }
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(next) if *next == sign);
        if found {
            self.take();
        }
        found
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(next) if next == name);
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), ExprError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(ExprError::new(
            self.at(),
            format!("`{sign}` is missing here"),
        ))
    }

    fn end(&self) -> Result<(), ExprError> {
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(ExprError::new(self.at(), "the expression should end here")),
        }
    }

    /// An expression whose operators bind stronger than `least`.
    fn expression(&mut self, least: u8) -> Result<Ast, ExprError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ExprError::new(
                self.at(),
                "the expression is nested too deeply",
            ));
        }
        let mut left = self.operand()?;
        while let Some((operator, binds)) = self.operator().filter(|(_, binds)| *binds > least) {
            let at = self.at();
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(ExprError::new(
                    at,
                    "the expression has more than 200 operators",
                ));
            }
            self.take();
            let right = self.expression(binds)?;
            let chained =
                binds == COMPARISON_BINDS && self.operator().is_some_and(|(_, next)| next == binds);
            if chained {
                let message = "comparisons do not chain; join them with `and`";
                return Err(ExprError::new(self.at(), message));
            }
            left = Ast {
                at: if binds < NOT_BINDS { left.at } else { at },
                kind: AstKind::Binary {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                },
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let next = match self.peek() {
            Token::Sign(sign) => *sign,
            Token::Name(name) => name,
            _ => return None,
        };
        BINARY.into_iter().find(|(operator, _)| *operator == next)
    }

    fn operand(&mut self) -> Result<Ast, ExprError> {
        let at = self.at();
        let kind = match self.take() {
            Token::Int(number) => AstKind::Int(number),
            Token::Double(number) => AstKind::Double(number),
            Token::Text(text) => AstKind::Text(text),
            Token::Sign("-") => AstKind::Negate(Box::new(self.expression(SIGN_BINDS)?)),
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => AstKind::List(self.list("]")?),
            Token::Name(name) => return self.named(name, at),
            Token::Sign(sign) => {
                return Err(ExprError::new(
                    at,
                    format!("a value is missing before `{sign}`"),
                ));
            }
            Token::End => return Err(ExprError::new(at, "a value is missing at the end")),
        };
        Ok(Ast { at, kind })
    }

    fn named(&mut self, name: String, at: usize) -> Result<Ast, ExprError> {
        let kind = match name.as_str() {
            "nil" => AstKind::Nil,
            "true" => AstKind::Bool(true),
            "false" => AstKind::Bool(false),
            "not" => AstKind::Not(Box::new(self.expression(NOT_BINDS)?)),
            "and" | "or" | "where" => {
                return Err(ExprError::new(
                    at,
                    format!("a value is missing before `{name}`"),
                ));
            }
            _ if self.take_sign("(") => AstKind::Call {
                name,
                arguments: self.list(")")?,
            },
            _ => self.path(name)?,
        };
        Ok(Ast { at, kind })
    }

    fn path(&mut self, first: String) -> Result<AstKind, ExprError> {
        let mut names = vec![first];
        while self.take_sign(".") {
            let at = self.at();
            match self.take() {
                Token::Name(name) => names.push(name),
                _ => return Err(ExprError::new(at, "a name is missing after `.`")),
            }
        }
        let mut keys = Vec::new();
        while self.take_sign("[") {
            keys.push(self.expression(0)?);
            self.expect("]")?;
        }
        Ok(AstKind::Path { names, keys })
    }

    /// Values with commas between them, up to `close`.
    fn list(&mut self, close: &str) -> Result<Vec<Ast>, ExprError> {
        let mut items = Vec::new();
        if self.take_sign(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            if self.take_sign(close) {
                return Ok(items);
            }
            if !self.take_sign(",") {
                let message = format!("`,` or `{close}` is missing here");
                return Err(ExprError::new(self.at(), message));
            }
        }
    }
}
