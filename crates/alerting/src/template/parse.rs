//! From text to a tree: actions are cut out, cut into tokens, and parsed.

use super::TemplateError;
use super::eval::Value;
use super::tokens::{Piece, Token, pieces};

const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Output(Pipeline),
    /// `$x := ...` or `$x = ...`.
    Set {
        name: String,
        is_new: bool,
        pipeline: Pipeline,
    },
    /// `if` and `with`: the first arm whose value is neither zero nor empty.
    Choose {
        arms: Vec<Arm>,
        otherwise: Vec<Node>,
    },
    Range(Box<Range>),
    Break,
    Continue,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    /// `with`: the value is the dot inside.
    pub(super) is_with: bool,
    /// The variable that the value is given to.
    pub(super) variable: Option<String>,
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// For the index or key, when there are two.
    pub(super) key: Option<String>,
    pub(super) element: Option<String>,
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
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

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        pieces: pieces(text)?.into_iter(),
        depth: 0,
        loops: 0,
    };
    let (nodes, end) = parser.block()?;
    match end {
        BlockEnd::Text => Ok(nodes),
        BlockEnd::Else(_) => Err(syntax("{{else}} without {{if}}")),
        BlockEnd::Closed => Err(syntax("{{end}} without {{if}}")),
    }
}

pub(super) fn syntax(message: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(message.into())
}

/// What ended a block: the text itself, an `else` with what follows it, or an `end`.
enum BlockEnd {
    Text,
    Else(Vec<Token>),
    Closed,
}

/// A block that is chosen by what its keyword is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    If,
    With,
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
    loops: usize,
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
                "if" => nodes.push(self.choice(Keyword::If, rest())?),
                "with" => nodes.push(self.choice(Keyword::With, rest())?),
                "range" => nodes.push(self.range(rest())?),
                "else" => return Ok((nodes, BlockEnd::Else(rest()))),
                "end" if tokens.len() == 1 => return Ok((nodes, BlockEnd::Closed)),
                "break" | "continue" if self.loops == 0 => {
                    return Err(syntax(format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
                }
                "break" if tokens.len() == 1 => nodes.push(Node::Break),
                "continue" if tokens.len() == 1 => nodes.push(Node::Continue),
                "end" | "break" | "continue" => {
                    return Err(syntax(format!("{keyword} is followed by something")));
                }
                "define" | "template" | "block" => {
                    return Err(TemplateError::Unsupported(keyword.to_owned()));
                }
                _ => nodes.push(action(tokens)?),
            }
        }
        Ok((nodes, BlockEnd::Text))
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => Err(syntax("nested too deeply")),
            false => Ok(()),
        }
    }

    fn choice(&mut self, keyword: Keyword, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        self.deeper()?;
        let mut arms = Vec::new();
        let mut otherwise = None;
        let mut head = Some(arm(keyword, tokens)?);
        loop {
            let (body, end) = self.block()?;
            match head.take() {
                Some(arm) => arms.push(Arm { body, ..arm }),
                None => otherwise = Some(body),
            }
            match end {
                BlockEnd::Closed => break,
                BlockEnd::Text => {
                    return Err(syntax(format!("{} without {{{{end}}}}", name(keyword))));
                }
                BlockEnd::Else(_) if otherwise.is_some() => {
                    return Err(syntax("a second {{else}}"));
                }
                BlockEnd::Else(mut tokens) => match tokens.first() {
                    None => {}
                    Some(Token::Word(word)) if name(keyword) == format!("{{{{{word}}}}}") => {
                        head = Some(arm(keyword, tokens.split_off(1))?);
                    }
                    Some(_) => {
                        return Err(syntax("{{else}} is followed by something other than if"));
                    }
                },
            }
        }
        self.depth -= 1;
        Ok(Node::Choose {
            arms,
            otherwise: otherwise.unwrap_or_default(),
        })
    }

    fn range(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        self.deeper()?;
        let (mut variables, tokens) = declared(tokens);
        let pipeline = whole_pipeline(tokens)?;
        let element = variables.pop();
        self.loops += 1;
        let (body, mut end) = self.block()?;
        self.loops -= 1;
        let mut otherwise = Vec::new();
        if let BlockEnd::Else(tokens) = &end {
            if !tokens.is_empty() {
                return Err(syntax("{{else}} of {{range}} is followed by something"));
            }
            (otherwise, end) = self.block()?;
        }
        if !matches!(end, BlockEnd::Closed) {
            return Err(syntax("{{range}} without {{end}}"));
        }
        self.depth -= 1;
        Ok(Node::Range(Box::new(Range {
            key: variables.pop(),
            element,
            pipeline,
            body,
            otherwise,
        })))
    }
}

fn name(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::If => "{{if}}",
        Keyword::With => "{{with}}",
    }
}

fn arm(keyword: Keyword, tokens: Vec<Token>) -> Result<Arm, TemplateError> {
    let (mut variables, tokens) = declared(tokens);
    let variable = variables.pop();
    if !variables.is_empty() {
        return Err(syntax("two variables where there is one value"));
    }
    Ok(Arm {
        is_with: keyword == Keyword::With,
        variable,
        pipeline: whole_pipeline(tokens)?,
        body: Vec::new(),
    })
}

/// Splits `$x :=` or `$i, $x :=` off.
fn declared(mut tokens: Vec<Token>) -> (Vec<String>, Vec<Token>) {
    let (names, length) = match tokens.as_slice() {
        [Token::Variable(name), Token::Declare, ..] => (vec![name.clone()], 2),
        [
            Token::Variable(key),
            Token::Comma,
            Token::Variable(element),
            Token::Declare,
            ..,
        ] => (vec![key.clone(), element.clone()], 4),
        _ => return (Vec::new(), tokens),
    };
    let rest = tokens.split_off(length);
    (names, rest)
}

fn action(mut tokens: Vec<Token>) -> Result<Node, TemplateError> {
    let set = match tokens.as_slice() {
        [Token::Variable(name), Token::Declare, ..] => Some((name.clone(), true)),
        [Token::Variable(name), Token::Assign, ..] => Some((name.clone(), false)),
        _ => None,
    };
    Ok(match set {
        Some((name, is_new)) => Node::Set {
            name,
            is_new,
            pipeline: whole_pipeline(tokens.split_off(2))?,
        },
        None => Node::Output(whole_pipeline(tokens)?),
    })
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
        return Err(syntax("a command is missing"));
    }
    let is_value = |operand: &Operand| match operand {
        Operand::Literal(_) => true,
        Operand::Function(_) => false,
        Operand::Path { base, fields } => *base == Base::Dot && fields.is_empty(),
    };
    match commands
        .iter()
        .skip(1)
        .any(|command| command.first().is_some_and(is_value))
    {
        true => Err(syntax("something is piped into a value")),
        false => Ok(commands),
    }
}

fn operand(token: Token, tokens: &mut Tokens, depth: usize) -> Result<Operand, TemplateError> {
    let (base, first) = match token {
        Token::Literal(value) => return Ok(Operand::Literal(value)),
        Token::Word(word) => {
            return Ok(match word.as_str() {
                "true" => Operand::Literal(Value::Bool(true)),
                "false" => Operand::Literal(Value::Bool(false)),
                "nil" => return Err(syntax("nil is not a command")),
                _ => Operand::Function(word),
            });
        }
        Token::Dot => return Ok(path(Base::Dot, Vec::new())),
        Token::Field { name, .. } => (Base::Dot, Some(name)),
        Token::Variable(name) => (Base::Variable(name), None),
        Token::Open => {
            let nested = pipeline(tokens, depth + 1)?;
            if tokens.next() != Some(Token::Close) {
                return Err(syntax("a parenthesis is not closed"));
            }
            (Base::Nested(nested), None)
        }
        Token::Pipe | Token::Close => return Err(syntax("a value is missing")),
        Token::Declare | Token::Assign | Token::Comma => {
            return Err(syntax("a variable is set where none can be"));
        }
    };
    let mut fields: Vec<String> = first.into_iter().collect();
    // What is set apart by a space is the next argument.
    while let Some(Token::Field {
        is_attached: true, ..
    }) = tokens.peek()
    {
        if let Some(Token::Field { name, .. }) = tokens.next() {
            fields.push(name);
        }
    }
    Ok(path(base, fields))
}

fn path(base: Base, fields: Vec<String>) -> Operand {
    Operand::Path { base, fields }
}
