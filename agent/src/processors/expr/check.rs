//! From a tree to a compiled expression: names are known, kinds fit, patterns are valid.

use std::fmt;

use regex::Regex;
use vervet_model::Signal;

use super::functions::{FUNCTIONS, Function};
use super::path::{KNOWN, Known, NUMBERS};
use super::{Ast, AstKind, ExprError, Key, Level, Path};
use crate::config::unknown;

/// Largest compiled form of one pattern (bytes).
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What is known of a value before it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::processors) enum Type {
    /// Only the record tells.
    Any,
    Nil,
    Bool,
    Int,
    Double,
    Text,
    List,
    Map,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub(in crate::processors) enum Expr {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Expr>),
    Path(Path),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Equal(Box<Expr>, Box<Expr>),
    NotEqual(Box<Expr>, Box<Expr>),
    /// The operator is one of `<`, `<=`, `>`, `>=`.
    Order(&'static str, Box<Expr>, Box<Expr>),
    /// The operator is one of `+`, `-`, `*`, `/`.
    Arithmetic(&'static str, Box<Expr>, Box<Expr>),
    IsMatch(Box<Expr>, Regex),
    ExtractPatterns(Box<Expr>, Regex),
    Call(Function, Vec<Expr>),
}

/// Compiles expressions over the records of one signal.
#[derive(Debug, Clone, Copy)]
pub(in crate::processors) struct Checker {
    pub(in crate::processors) signal: Signal,
    /// The deepest level a path may name.
    pub(in crate::processors) level: Level,
}

type Checked = Result<(Expr, Type), ExprError>;

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any value",
            Self::Nil => "nil",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "a map",
        })
    }
}

impl Type {
    fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Whether values of both kinds can be equal.
    fn meets(self, other: Self) -> bool {
        let open = |kind| matches!(kind, Self::Any | Self::Nil);
        self == other || open(self) || open(other) || self.is_number() && other.is_number()
    }

    /// Whether a value of this kind may be used where `wanted` is.
    pub(in crate::processors) fn fits(self, wanted: Self) -> bool {
        wanted == Self::Any
            || self == Self::Any
            || self == wanted
            || wanted == Self::Double && self == Self::Int
    }
}

impl Checker {
    /// A condition: true or false.
    pub(in crate::processors) fn condition(self, ast: &Ast) -> Result<Expr, ExprError> {
        if let AstKind::Path { names, keys } = &ast.kind
            && keys.is_empty()
            && names.last().is_some_and(|name| name == "body")
        {
            let message = "a body alone is no condition; compare it, as in `body == \"text\"` or `IsMatch(body, \"text\")`";
            return Err(ExprError::new(ast.at, message.to_owned()));
        }
        self.of_type(ast, Type::Bool)
    }

    /// An expression of a kind.
    pub(in crate::processors) fn of_type(self, ast: &Ast, wanted: Type) -> Result<Expr, ExprError> {
        let (expr, found) = self.check(ast)?;
        if found.fits(wanted) {
            return Ok(expr);
        }
        Err(ExprError::new(
            ast.at,
            format!("this is {found}; {wanted} is needed"),
        ))
    }

    pub(in crate::processors) fn check(self, ast: &Ast) -> Checked {
        Ok(match &ast.kind {
            AstKind::Nil => (Expr::Nil, Type::Nil),
            AstKind::Bool(value) => (Expr::Bool(*value), Type::Bool),
            AstKind::Int(value) => (Expr::Int(*value), Type::Int),
            AstKind::Double(value) => (Expr::Double(*value), Type::Double),
            AstKind::Text(value) => (Expr::Text(value.clone()), Type::Text),
            AstKind::List(items) => {
                let items = items
                    .iter()
                    .map(|item| self.check(item).map(|(expr, _)| expr));
                (Expr::List(items.collect::<Result<_, _>>()?), Type::List)
            }
            AstKind::Path { names, keys } => {
                if let ([name], []) = (names.as_slice(), keys.as_slice())
                    && let Some((_, number)) = NUMBERS.iter().find(|(known, _)| known == name)
                {
                    return Ok((Expr::Int(*number), Type::Int));
                }
                let (path, kind, _) = self.path(ast)?;
                (Expr::Path(path), kind)
            }
            AstKind::Call { name, arguments } => return self.call(ast.at, name, arguments),
            AstKind::Not(inner) => {
                let inner = self.of_type(inner, Type::Bool)?;
                (Expr::Not(Box::new(inner)), Type::Bool)
            }
            AstKind::Negate(inner) => match self.check(inner)? {
                (Expr::Int(number), _) => (Expr::Int(-number), Type::Int),
                (Expr::Double(number), _) => (Expr::Double(-number), Type::Double),
                _ => {
                    let number = self.of_type(inner, Type::Double)?;
                    (Expr::Negate(Box::new(number)), Type::Any)
                }
            },
            AstKind::Binary {
                operator,
                left,
                right,
            } => return self.binary(ast.at, operator, left, right),
        })
    }

    fn binary(self, at: usize, operator: &'static str, left: &Ast, right: &Ast) -> Checked {
        if matches!(operator, "and" | "or") {
            let left = Box::new(self.of_type(left, Type::Bool)?);
            let right = Box::new(self.of_type(right, Type::Bool)?);
            let expr = if operator == "and" {
                Expr::And(left, right)
            } else {
                Expr::Or(left, right)
            };
            return Ok((expr, Type::Bool));
        }
        let ((l, l_type), (r, r_type)) = (self.check(left)?, self.check(right)?);
        let (l, r) = (Box::new(l), Box::new(r));
        let ordered = |kind: Type| kind.is_number() || matches!(kind, Type::Text | Type::Any);
        Ok(match operator {
            "==" | "!=" if !l_type.meets(r_type) => {
                let message = format!("{l_type} never equals {r_type}");
                return Err(ExprError::new(at, message));
            }
            "==" => (Expr::Equal(l, r), Type::Bool),
            "!=" => (Expr::NotEqual(l, r), Type::Bool),
            "<" | "<=" | ">" | ">=" => {
                if !ordered(l_type) || !ordered(r_type) || !l_type.meets(r_type) {
                    let message = format!("{l_type} and {r_type} have no order");
                    return Err(ExprError::new(at, message));
                }
                (Expr::Order(operator, l, r), Type::Bool)
            }
            _ => {
                if !l_type.fits(Type::Double) || !r_type.fits(Type::Double) {
                    let message =
                        format!("`{operator}` is for numbers; here are {l_type} and {r_type}");
                    return Err(ExprError::new(at, message));
                }
                let both_int = l_type == Type::Int && r_type == Type::Int;
                let kind = if both_int { Type::Int } else { Type::Any };
                (Expr::Arithmetic(operator, l, r), kind)
            }
        })
    }

    fn call(self, at: usize, name: &str, arguments: &[Ast]) -> Checked {
        match (name, arguments) {
            ("IsMatch", [target, pattern]) => {
                let (target, _) = self.check(target)?;
                let regex = self.regex(pattern)?;
                return Ok((Expr::IsMatch(Box::new(target), regex), Type::Bool));
            }
            ("ExtractPatterns", [target, pattern]) => {
                let target = self.of_type(target, Type::Text)?;
                let regex = self.regex(pattern)?;
                if regex.capture_names().flatten().next().is_none() {
                    let message = "the pattern has no named group, such as (?P<name>...)";
                    return Err(ExprError::new(pattern.at, message));
                }
                return Ok((Expr::ExtractPatterns(Box::new(target), regex), Type::Map));
            }
            ("IsMatch" | "ExtractPatterns", _) => {
                let message = format!("{name} takes 2 arguments: a value and a pattern");
                return Err(ExprError::new(at, message));
            }
            _ => {}
        }
        let Some(known) = FUNCTIONS.iter().find(|known| known.name == name) else {
            let names = FUNCTIONS.iter().map(|known| known.name);
            let names: Vec<&str> = names.chain(["IsMatch", "ExtractPatterns"]).collect();
            return Err(ExprError::new(at, unknown("function", name, &names)));
        };
        let (least, most) = (known.least, known.arguments.len());
        if !(least..=most).contains(&arguments.len()) {
            let counts = if least == most {
                format!("{least}")
            } else {
                format!("{least} to {most}")
            };
            let message = format!(
                "{name} takes {counts} arguments, here are {}",
                arguments.len()
            );
            return Err(ExprError::new(at, message));
        }
        let checked = arguments.iter().zip(known.arguments);
        let checked = checked.map(|(argument, wanted)| self.of_type(argument, *wanted));
        let expr = Expr::Call(known.function, checked.collect::<Result<_, _>>()?);
        Ok((expr, known.result))
    }

    /// A pattern that stands in the source.
    pub(in crate::processors) fn regex(self, ast: &Ast) -> Result<Regex, ExprError> {
        let AstKind::Text(pattern) = &ast.kind else {
            return Err(ExprError::new(ast.at, "a pattern must be a text in quotes"));
        };
        regex::RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map_err(|error| ExprError::new(ast.at, pattern_error(&error)))
    }

    /// A path, the kind of what it leads to, and whether that can be changed.
    pub(in crate::processors) fn path(self, ast: &Ast) -> Result<(Path, Type, bool), ExprError> {
        let AstKind::Path { names, keys } = &ast.kind else {
            return Err(ExprError::new(
                ast.at,
                "a field is needed here, such as attributes[\"a\"]",
            ));
        };
        let known = self.known(ast.at, names)?;
        let level = known.field.level(self.signal);
        if level > self.level {
            let message = format!(
                "`{}` belongs to single records; only the fields of {} can be used here",
                known.name,
                if self.level == Level::Resource {
                    "the resource"
                } else {
                    "the metric"
                },
            );
            return Err(ExprError::new(ast.at, message));
        }
        if !keys.is_empty() && !matches!(known.kind, Type::Any | Type::Map) {
            let message = format!("`{}` is {}, which has no parts", known.name, known.kind);
            return Err(ExprError::new(ast.at, message));
        }
        let is_map = known.kind == Type::Map;
        let mut path = Path {
            field: known.field,
            keys: Vec::new(),
        };
        for key in keys {
            path.keys.push(match &key.kind {
                AstKind::Text(name) => Key::Name(name.clone()),
                AstKind::Int(index) if !(is_map && path.keys.is_empty()) => {
                    let index = usize::try_from(*index);
                    Key::Index(
                        index
                            .map_err(|_negative| ExprError::new(key.at, "an index is 0 or more"))?,
                    )
                }
                _ => {
                    let message = "what stands in [] is a text in quotes, or the index of a list";
                    return Err(ExprError::new(key.at, message));
                }
            });
        }
        let kind = if path.keys.is_empty() {
            known.kind
        } else {
            Type::Any
        };
        Ok((path, kind, known.settable))
    }

    fn known(self, at: usize, names: &[String]) -> Result<&'static Known, ExprError> {
        let own_prefix = |name: &str| match self.signal {
            Signal::Logs => name == "log",
            Signal::Traces => name == "span",
            Signal::Metrics => matches!(name, "metric" | "datapoint"),
        };
        let names = match names {
            [first, rest @ ..] if !rest.is_empty() && own_prefix(first) => rest,
            names => names,
        };
        let name = names.join(".");
        let of_signal = || KNOWN.iter().filter(|known| known.is_of(self.signal));
        let found = of_signal().find(|known| known.name == name);
        found.ok_or_else(|| {
            let of_other = KNOWN.iter().any(|known| known.name == name);
            let names: Vec<&str> = of_signal().map(|known| known.name).collect();
            let message = if of_other {
                format!(
                    "{} have no field `{name}` (known: {})",
                    self.signal,
                    names.join(", ")
                )
            } else {
                unknown("field", &name, &names)
            };
            ExprError::new(at, message)
        })
    }
}

/// What is wrong with a pattern, without the picture of it.
fn pattern_error(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let why = last.strip_prefix("error: ").unwrap_or(last);
    format!("this is no valid pattern: {why}")
}
