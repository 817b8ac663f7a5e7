//! From tokens to the tree. The query is known to be valid, so what is not as expected here is a construct that
//! nobody thought of, and refused.

mod spans;

use promql_parser::util::{parse_str_radix, unquote_string};
use vervet_model::{METRIC_NAME, MatchOp};

use super::{Aggregate, At, Binary, Fill, Matcher, Matching, Number, Selector, Shift, Tree};
use crate::error::QueryError;
use crate::syntax::{
    AggregateOp, BinaryOp, Cardinality, Edges, Tokens, ValueType, duration_seconds,
};

/// How tightly `^` binds; signs bind less than that and more than any other operator.
const POWER: u8 = 6;

pub(super) struct Reader<'t, 'q> {
    tokens: &'t Tokens<'q>,
    next: usize,
}

impl<'t, 'q> Reader<'t, 'q> {
    pub(super) fn new(tokens: &'t Tokens<'q>) -> Self {
        Self { tokens, next: 0 }
    }

    /// All of the tokens.
    pub(super) fn query(mut self) -> Result<Tree, QueryError> {
        let tree = self.expression(0)?;
        if self.next < self.tokens.len() {
            return Err(self.unexpected());
        }
        Ok(tree)
    }

    /// An expression of operators that bind at least so tightly.
    fn expression(&mut self, tightness_min: u8) -> Result<Tree, QueryError> {
        let mut left = self.signed()?;
        while let Some(op) = BinaryOp::of_word(self.peek()) {
            let tightness = tightness(op);
            if tightness < tightness_min {
                break;
            }
            self.next += 1;
            let return_bool = self.take("bool");
            let matching = self.matching()?;
            let from_the_right = op == BinaryOp::Pow;
            let right = self.expression(tightness + u8::from(!from_the_right))?;
            let vectors = [left.value_type(), right.value_type()] == [ValueType::Vector; 2];
            left = Tree::Binary(Box::new(Binary {
                op,
                left,
                right,
                return_bool,
                matching: vectors.then_some(matching),
            }));
        }
        Ok(left)
    }

    /// A sign before a number is part of it.
    fn signed(&mut self) -> Result<Tree, QueryError> {
        let sign = match self.peek() {
            "+" => "+",
            "-" => "-",
            _ => return self.operand(),
        };
        self.next += 1;
        Ok(match self.expression(POWER)? {
            Tree::Number(number) => Tree::Number(number.signed(sign == "-")),
            inner => Tree::Unary {
                sign,
                inner: Box::new(inner),
            },
        })
    }

    fn operand(&mut self) -> Result<Tree, QueryError> {
        let tree = self.bare_operand()?;
        self.with_brackets(tree)
    }

    fn bare_operand(&mut self) -> Result<Tree, QueryError> {
        let token = self.peek();
        if self.take("(") {
            let inner = Box::new(self.expression(0)?);
            self.expect(")")?;
            return Ok(Tree::Paren(inner));
        }
        if is_text(token) {
            return Ok(Tree::Text(self.text()?));
        }
        if let Some(number) = number(token) {
            self.next += 1;
            return Ok(Tree::Number(number));
        }
        let follows = self.tokens.text_at(self.next + 1);
        if let Some(op) = AggregateOp::of_word(token)
            && (follows == "(" || is_grouping(follows))
        {
            self.next += 1;
            return self.aggregate(op);
        }
        if follows == "(" {
            self.next += 1;
            let name = token.to_owned();
            let args = self.arguments(|reader| reader.expression(0))?;
            return Ok(Tree::Call { name, args });
        }
        self.selector()
    }

    /// A selector with its modifiers, up to the brackets if there are any.
    fn selector(&mut self) -> Result<Tree, QueryError> {
        let mut name = String::new();
        if self.peek() != "{" {
            if !is_word(self.peek()) {
                return Err(self.unexpected());
            }
            self.peek().clone_into(&mut name);
            self.next += 1;
        }
        let matchers = if self.peek() == "{" {
            self.list("{", "}", Self::matcher)?
        } else {
            Vec::new()
        };
        let (shift, edges) = self.modifiers()?;
        Ok(Tree::Selector(Selector {
            name,
            matchers,
            range: None,
            edges,
            shift,
        }))
    }

    /// A text alone is the name of the metric.
    fn matcher(&mut self) -> Result<Matcher, QueryError> {
        let alone = is_text(self.peek());
        let name = self.label()?;
        let op = match self.peek() {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            _ if alone => {
                return Ok(Matcher {
                    name: METRIC_NAME.to_owned(),
                    op: MatchOp::Equal,
                    value: name,
                });
            }
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        let value = self.text()?;
        Ok(Matcher { name, op, value })
    }

    /// The ranges and subqueries that follow an operand.
    fn with_brackets(&mut self, mut tree: Tree) -> Result<Tree, QueryError> {
        while self.take("[") {
            let range = self.span(0)?;
            let subquery = self.take(":");
            let step = match self.peek() {
                "]" => None,
                _ => Some(self.span(0)?),
            };
            self.expect("]")?;
            let (shift, edges) = self.modifiers()?;
            tree = match tree {
                Tree::Selector(selector) if !subquery => Tree::Selector(Selector {
                    range: Some(range),
                    edges,
                    shift,
                    ..selector
                }),
                inner => Tree::Subquery {
                    inner: Box::new(inner),
                    range,
                    step,
                    shift,
                },
            };
        }
        Ok(tree)
    }

    fn modifiers(&mut self) -> Result<(Shift, Edges), QueryError> {
        let (mut shift, mut edges) = (Shift::default(), Edges::Sampled);
        loop {
            if self.take("offset") {
                let negative = self.sign();
                let span = self.span_operand()?;
                shift.offset = Some(if negative { span.negative() } else { span });
            } else if self.take("@") {
                shift.at = Some(self.at()?);
            } else if let Some(found) = Edges::of_word(self.peek()) {
                self.next += 1;
                edges = found;
            } else {
                return Ok((shift, edges));
            }
        }
    }

    fn at(&mut self) -> Result<At, QueryError> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.take(word) {
                self.expect("(")?;
                self.expect(")")?;
                return Ok(at);
            }
        }
        let negative = self.sign();
        let number = number(self.peek()).ok_or_else(|| self.unexpected())?;
        self.next += 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time out of range becomes the last there is"
        )]
        let millis = (number.signed(negative).value * 1000.0).round() as i64;
        Ok(At::Time(millis))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<Tree, QueryError> {
        let mut grouping = self.grouping()?;
        let mut args = self.arguments(|reader| reader.expression(0))?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let (without, labels) = grouping.unwrap_or_default();
        let inner = args.pop().ok_or_else(|| self.unexpected())?;
        let param = args.pop();
        Ok(Tree::Aggregate(Box::new(Aggregate {
            op,
            param,
            inner,
            without,
            labels,
        })))
    }

    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, QueryError> {
        if !is_grouping(self.peek()) {
            return Ok(None);
        }
        let without = self.take("without");
        if !without {
            self.expect("by")?;
        }
        Ok(Some((without, self.labels()?)))
    }

    /// What stands between an operator and its right side.
    fn matching(&mut self) -> Result<Matching, QueryError> {
        let mut matching = Matching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill: Fill::default(),
        };
        let followed = |reader: &Self| reader.tokens.text_at(reader.next + 1) == "(";
        if followed(self) && (self.is("on") || self.is("ignoring")) {
            matching.on = self.take("on") || !self.take("ignoring");
            matching.labels = self.labels()?;
            let groups = [
                ("group_left", Cardinality::ManyToOne),
                ("group_right", Cardinality::OneToMany),
            ];
            for (word, cardinality) in groups {
                if self.take(word) {
                    matching.cardinality = cardinality;
                    // A parenthesis here holds labels always, as the grammar has it.
                    if self.peek() == "(" {
                        matching.include = self.labels()?;
                    }
                }
            }
        }
        while followed(self) {
            let word = self.peek().to_ascii_lowercase();
            if !matches!(word.as_str(), "fill" | "fill_left" | "fill_right") {
                break;
            }
            self.next += 1;
            self.expect("(")?;
            let negative = self.sign();
            let number = number(self.peek()).ok_or_else(|| self.unexpected())?;
            self.next += 1;
            self.expect(")")?;
            let value = Some(number.signed(negative).value);
            let fill = &mut matching.fill;
            fill.both |= word == "fill";
            if word != "fill_right" {
                fill.left = value;
            }
            if word != "fill_left" {
                fill.right = value;
            }
        }
        Ok(matching)
    }

    fn labels(&mut self) -> Result<Vec<String>, QueryError> {
        self.list("(", ")", Self::label)
    }

    fn label(&mut self) -> Result<String, QueryError> {
        if is_text(self.peek()) {
            return self.text();
        }
        if !is_word(self.peek()) {
            return Err(self.unexpected());
        }
        let label = self.peek().to_owned();
        self.next += 1;
        Ok(label)
    }

    fn text(&mut self) -> Result<String, QueryError> {
        let text = unquote_string(self.peek()).map_err(|_reason| self.unexpected())?;
        self.next += 1;
        Ok(text)
    }

    fn arguments<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        self.list("(", ")", item)
    }

    /// Items between two brackets, with commas between them and perhaps after the last.
    fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        self.expect(open)?;
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(item(self)?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    /// Steps over signs; the answer is whether they are a minus together.
    fn sign(&mut self) -> bool {
        let mut negative = false;
        loop {
            if self.take("-") {
                negative = !negative;
            } else if !self.take("+") {
                return negative;
            }
        }
    }

    fn peek(&self) -> &'q str {
        self.tokens.text_at(self.next)
    }

    fn is(&self, word: &str) -> bool {
        self.peek().eq_ignore_ascii_case(word)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), QueryError> {
        if self.take(word) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn unexpected(&self) -> QueryError {
        QueryError::Unsupported {
            what: format!("showing a query with {:?} in this place", self.peek()),
            position: Some(self.tokens.position_at(self.next)),
        }
    }
}

impl Number {
    fn signed(self, negative: bool) -> Self {
        let value = if negative { -self.value } else { self.value };
        Self { value, ..self }
    }
}

/// A number in any notation, or a duration.
fn number(token: &str) -> Option<Number> {
    let number = |value| Number {
        value,
        duration: false,
    };
    if token.eq_ignore_ascii_case("inf") {
        return Some(number(f64::INFINITY));
    }
    if token.eq_ignore_ascii_case("nan") {
        return Some(number(f64::NAN));
    }
    if !token.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    match duration_seconds(token) {
        Some(value) => Some(Number {
            value,
            duration: true,
        }),
        None => parse_str_radix(token).ok().map(number),
    }
}

fn tightness(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => POWER,
        // Comparisons and what trims histograms.
        _ => 3,
    }
}

fn is_grouping(token: &str) -> bool {
    token.eq_ignore_ascii_case("by") || token.eq_ignore_ascii_case("without")
}

fn is_text(token: &str) -> bool {
    token.starts_with(['"', '\'', '`'])
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | ':'))
}
