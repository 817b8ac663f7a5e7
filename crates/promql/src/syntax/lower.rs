//! From `promql-parser`'s tree to ours.

use promql_parser::parser as parsed;
use promql_parser::parser::Expr as Parsed;
use promql_parser::parser::token::TokenType;

use crate::error::{Position, QueryError};
use crate::features::Features;
use crate::functions::Function;
use crate::syntax::modifiers::{aggregate_op, binary_op, grouping, matching, millis, time_shift};
use crate::syntax::plain::{INFO_MARK, plain};
use crate::syntax::selector::matchers_of;
use crate::syntax::tokens::Tokens;
use crate::syntax::{
    Aggregate, AggregateOp, Binary, BinaryOp, Edges, Expr, Node, QUERY_DEPTH_MAX, Selector,
    Subquery, TimeShift, ValueType, parse_error,
};

/// First and last step of the whole query and the time between steps, for `@ start()`, `end()` and the like
/// (milliseconds). An instant query has a step of zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

impl Bounds {
    /// What a function without arguments tells of the bounds, in seconds.
    fn of_function(self, name: &str) -> Option<f64> {
        let millis = match name {
            "start" => self.start,
            "end" => self.end,
            "step" => self.step,
            "range" => self.end.saturating_sub(self.start),
            _ => return None,
        };
        Some(millis as f64 / 1000.0)
    }
}

/// Reads a query.
///
/// # Errors
/// The text is invalid, or uses a part of the language that is not supported or not switched on.
pub(crate) fn parse_query(
    query: &str,
    bounds: Bounds,
    features: Features,
) -> Result<Node, QueryError> {
    let tokens = Tokens::scan(query)?;
    let plain = plain(&tokens, bounds, features)?;
    let tree = parsed::parse(&plain.text).map_err(|message| tokens.explain(message))?;
    let mut lowering = Lowering {
        tokens,
        bounds,
        features,
        depth: 0,
    };
    let (node, invariant) = lowering.lower(&tree)?;
    if let Some(index) = lowering.tokens.unmet(&plain.edges) {
        let word = lowering.tokens.text_at(index);
        let message = format!("{word} modifier must follow a selector");
        return Err(parse_error(&message, lowering.tokens.position_at(index)));
    }
    Ok(wrap_if(node, invariant))
}

struct Lowering<'q> {
    tokens: Tokens<'q>,
    bounds: Bounds,
    features: Features,
    depth: usize,
}

/// A node, and whether it has the same value at every step.
type Lowered = Result<(Node, bool), QueryError>;

impl Lowering<'_> {
    fn lower(&mut self, tree: &Parsed) -> Lowered {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return Err(QueryError::Parse {
                message: format!("more than {QUERY_DEPTH_MAX} nested expressions"),
                position: Some(self.tokens.position()),
            });
        }
        let lowered = self.lower_inner(tree);
        self.depth -= 1;
        lowered
    }

    fn lower_inner(&mut self, tree: &Parsed) -> Lowered {
        let position = self.tokens.position();
        while self.tokens.take("+") {}
        let (expr, invariant) = match tree {
            Parsed::NumberLiteral(number) => {
                self.tokens.skip_signs();
                self.tokens.advance();
                (Expr::Number(number.val), true)
            }
            Parsed::StringLiteral(text) => {
                self.tokens.advance();
                (Expr::Text(text.val.clone()), true)
            }
            Parsed::VectorSelector(selector) => {
                self.skip_selector();
                let edges = self.tokens.skip_modifiers()?;
                let selector = self.selector(selector, edges, position)?;
                let invariant = selector.shift.at.is_some();
                (Expr::Vector(selector), invariant)
            }
            Parsed::MatrixSelector(matrix) => self.lower_matrix(matrix, position)?,
            Parsed::Subquery(subquery) => self.lower_subquery(subquery, position)?,
            Parsed::Paren(paren) => {
                self.tokens.take("(");
                let (inner, invariant) = self.lower(&paren.expr)?;
                self.tokens.take(")");
                (inner.expr, invariant)
            }
            Parsed::Unary(unary) => {
                self.tokens.take("-");
                let (inner, invariant) = self.lower(&unary.expr)?;
                (Expr::Negate(Box::new(inner)), invariant)
            }
            Parsed::Call(call) => self.lower_call(call, position)?,
            Parsed::Aggregate(aggregate) => self.lower_aggregate(aggregate, position)?,
            Parsed::Binary(binary) => self.lower_binary(binary, position)?,
            Parsed::Extension(extension) => {
                return Err(unsupported(format!("{extension:?}"), position));
            }
        };
        Ok((Node { expr, position }, invariant))
    }

    fn skip_selector(&mut self) {
        if self.tokens.peek() != "{" {
            self.tokens.advance();
        }
        if self.tokens.peek() == "{" {
            self.tokens.skip_group();
        }
    }

    fn selector(
        &self,
        selector: &parsed::VectorSelector,
        edges: Edges,
        position: Position,
    ) -> Result<Selector, QueryError> {
        Ok(Selector {
            edges,
            matchers: matchers_of(selector).map_err(|error| locate(error, position))?,
            shift: time_shift(selector.offset.as_ref(), selector.at.as_ref(), self.bounds)?,
        })
    }

    fn lower_matrix(
        &mut self,
        matrix: &parsed::MatrixSelector,
        position: Position,
    ) -> Result<(Expr, bool), QueryError> {
        self.skip_selector();
        self.tokens.skip_group();
        let edges = self.tokens.skip_modifiers()?;
        let selector = self.selector(&matrix.vs, edges, position)?;
        let invariant = selector.shift.at.is_some();
        let range = positive(millis(matrix.range)?, position)?;
        Ok((Expr::Matrix { selector, range }, invariant))
    }

    fn lower_subquery(
        &mut self,
        subquery: &parsed::SubqueryExpr,
        position: Position,
    ) -> Result<(Expr, bool), QueryError> {
        let (inner, invariant) = self.lower(&subquery.expr)?;
        expect_type(&inner, ValueType::Vector, "subquery")?;
        self.tokens.skip_group();
        let modifiers = self.tokens.position();
        let edges = self.tokens.skip_modifiers()?;
        if edges != Edges::Sampled {
            let message = format!(
                "{} modifier is not supported for subqueries",
                edges.as_str()
            );
            return Err(parse_error(&message, modifiers));
        }
        let shift = time_shift(subquery.offset.as_ref(), subquery.at.as_ref(), self.bounds)?;
        let step = match subquery.step {
            Some(step) => Some(positive(millis(step)?, position)?),
            None => None,
        };
        let lowered = Subquery {
            expr: wrap_if(inner, invariant),
            range: positive(millis(subquery.range)?, position)?,
            step,
            shift,
        };
        Ok((Expr::Subquery(Box::new(lowered)), shift.at.is_some()))
    }

    fn lower_call(
        &mut self,
        call: &parsed::Call,
        position: Position,
    ) -> Result<(Expr, bool), QueryError> {
        let name = call.func.name;
        let needs_starts = name == "start_timestamp" && !self.features.start_timestamps;
        if needs_starts || (call.func.experimental && !self.features.experimental_functions) {
            let message = format!("function {name:?} is not enabled");
            return Err(parse_error(&message, position));
        }
        if let Some(value) = self.bounds.of_function(name) {
            self.tokens.advance();
            self.tokens.skip_group();
            return Ok((Expr::Number(value), true));
        }
        let Some(function) = Function::by_name(name) else {
            return Err(unsupported(format!("function {name}"), position));
        };
        self.tokens.advance();
        self.tokens.take("(");
        let mut args = Vec::with_capacity(call.args.args.len());
        for (index, arg) in call.args.args.iter().enumerate() {
            let mut lowered = self.lower(arg)?;
            let expected = function.argument_type(index);
            expect_type(&lowered.0, expected, &format!("call to function {name:?}"))?;
            if matches!(function, Function::Info) && index == 1 {
                lowered = label_selector(lowered.0)?;
            }
            args.push(lowered);
            self.tokens.take(",");
        }
        self.tokens.take(")");
        check_edges(function, name, &args)?;
        let invariant = function.is_invariant() && args.iter().all(|(_, invariant)| *invariant);
        let args = wrap_unless(invariant, args);
        Ok((Expr::Call { function, args }, invariant))
    }

    fn lower_aggregate(
        &mut self,
        aggregate: &parsed::AggregateExpr,
        position: Position,
    ) -> Result<(Expr, bool), QueryError> {
        let Some(op) = aggregate_op(aggregate.op.id()) else {
            return Err(unsupported(
                format!("aggregation {}", aggregate.op),
                position,
            ));
        };
        if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio)
            && !self.features.experimental_functions
        {
            let message = format!("aggregation {:?} is not enabled", op.as_str());
            return Err(parse_error(&message, position));
        }
        self.tokens.advance();
        self.skip_grouping();
        self.tokens.take("(");
        let param = match &aggregate.param {
            Some(param) => {
                let lowered = self.lower(param)?;
                expect_type(&lowered.0, param_type(op), "aggregation parameter")?;
                self.tokens.take(",");
                Some(lowered)
            }
            None => None,
        };
        let (expr, expr_invariant) = self.lower(&aggregate.expr)?;
        expect_type(&expr, ValueType::Vector, "aggregation expression")?;
        self.tokens.take(")");
        self.skip_grouping();
        let invariant = expr_invariant && param.as_ref().is_none_or(|(_, invariant)| *invariant);
        let (without, labels) = grouping(aggregate.modifier.as_ref());
        let lowered = Aggregate {
            op,
            param: param.map(|(param, _)| param),
            expr: wrap_if(expr, expr_invariant && !invariant),
            without,
            labels,
        };
        Ok((Expr::Aggregate(Box::new(lowered)), invariant))
    }

    fn skip_grouping(&mut self) {
        if self.tokens.take("by") || self.tokens.take("without") {
            self.tokens.skip_group();
        }
    }

    fn lower_binary(
        &mut self,
        binary: &parsed::BinaryExpr,
        position: Position,
    ) -> Result<(Expr, bool), QueryError> {
        let lhs = self.lower(&binary.lhs)?;
        let op = self.operator(binary.op)?;
        let says_bool = self.skip_matching();
        let rhs = self.lower(&binary.rhs)?;
        let value_type = match (lhs.0.value_type(), rhs.0.value_type()) {
            (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
            _ => ValueType::Vector,
        };
        for (side, _) in [&lhs, &rhs] {
            if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
                expect_type(side, ValueType::Vector, "binary expression")?;
            }
        }
        if says_bool && op.is_trim() {
            let message = "bool modifier can only be used on comparison operators";
            return Err(parse_error(message, position));
        }
        if value_type == ValueType::Scalar && op.is_trim() {
            let message = format!(
                "operator {:?} not allowed for Scalar operations",
                op.as_str()
            );
            return Err(parse_error(&message, position));
        }
        let invariant = lhs.1 && rhs.1;
        let matching = matching(binary.modifier.as_ref());
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if fills && !self.features.fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled";
            return Err(parse_error(message, position));
        }
        if fills && op.is_set() {
            return Err(unsupported("fill with a set operator".to_owned(), position));
        }
        let lowered = Binary {
            op,
            lhs: wrap_if(lhs.0, lhs.1 && !invariant),
            rhs: wrap_if(rhs.0, rhs.1 && !invariant),
            return_bool: says_bool,
            matching,
            value_type,
        };
        Ok((Expr::Binary(Box::new(lowered)), invariant))
    }

    /// The operator at the next token, which must be the one that the parser has read: to it `</` is `<`.
    fn operator(&mut self, parsed: TokenType) -> Result<BinaryOp, QueryError> {
        let (text, position) = (self.tokens.peek(), self.tokens.position());
        let Some(read) = binary_op(parsed.id()) else {
            return Err(unsupported(format!("operator {parsed}"), position));
        };
        let (op, plain) = BinaryOp::trim(text).unwrap_or((read, text));
        if !plain.eq_ignore_ascii_case(read.as_str()) {
            let what = format!("a query with {text:?} where the parser reads {parsed}");
            return Err(unsupported(what, position));
        }
        self.tokens.advance();
        Ok(op)
    }

    /// Steps over what an operator says of results and matching; the answer is whether it says `bool`.
    fn skip_matching(&mut self) -> bool {
        let says_bool = self.tokens.take("bool");
        let clauses = ["on", "ignoring", "group_left", "group_right"];
        let fills = ["fill", "fill_left", "fill_right"];
        loop {
            // Metrics may be called so too.
            let may_fill = self.tokens.peek_second() == "(";
            let fill = may_fill && fills.iter().any(|word| self.tokens.take(word));
            if !fill && !clauses.iter().any(|word| self.tokens.take(word)) {
                return says_bool;
            }
            if self.tokens.peek() == "(" {
                self.tokens.skip_group();
            }
        }
    }
}

/// The selector that `info` takes has matchers only, no modifiers, and is no value of its own.
fn label_selector(mut node: Node) -> Lowered {
    let unshifted = TimeShift {
        offset: 0,
        at: None,
    };
    if let Expr::Vector(selector) = &mut node.expr
        && selector.shift == unshifted
        && selector.edges == Edges::Sampled
        && let Some((mark, wanted)) = selector.matchers.split_first()
        && mark.name == INFO_MARK
    {
        selector.matchers = wanted.to_vec();
        return Ok((node, true));
    }
    Err(parse_error("expected label selectors only", node.position))
}

/// Not every function makes sense of a range with values at its edges.
fn check_edges(function: Function, name: &str, args: &[(Node, bool)]) -> Result<(), QueryError> {
    for (arg, _) in args {
        if let Expr::Matrix { selector, .. } = arg.bare()
            && let Some(others) = function.refuses(selector.edges)
        {
            let edges = selector.edges.as_str();
            return Err(QueryError::Execution(format!(
                "{edges} modifier can only be used with: {others} - not with {name}"
            )));
        }
    }
    Ok(())
}

fn param_type(op: AggregateOp) -> ValueType {
    match op {
        AggregateOp::CountValues => ValueType::Text,
        _ => ValueType::Scalar,
    }
}

fn wrap_unless(whole_is_invariant: bool, nodes: Vec<(Node, bool)>) -> Vec<Node> {
    nodes
        .into_iter()
        .map(|(node, invariant)| wrap_if(node, invariant && !whole_is_invariant))
        .collect()
}

/// Marks an expression as step-invariant, unless it is a literal, which needs no mark.
fn wrap_if(node: Node, invariant: bool) -> Node {
    if !invariant || matches!(node.expr, Expr::Number(_) | Expr::Text(_)) {
        return node;
    }
    let position = node.position;
    Node {
        expr: Expr::StepInvariant(Box::new(node)),
        position,
    }
}

fn expect_type(node: &Node, expected: ValueType, context: &str) -> Result<(), QueryError> {
    let actual = node.value_type();
    if actual == expected {
        return Ok(());
    }
    Err(QueryError::Parse {
        message: format!(
            "expected type {} in {context}, got {}",
            expected.as_str(),
            actual.as_str()
        ),
        position: Some(node.position),
    })
}

fn positive(duration: i64, position: Position) -> Result<i64, QueryError> {
    if duration > 0 {
        return Ok(duration);
    }
    Err(QueryError::Parse {
        message: "duration must be greater than 0".to_owned(),
        position: Some(position),
    })
}

fn unsupported(what: String, position: Position) -> QueryError {
    QueryError::Unsupported {
        what,
        position: Some(position),
    }
}

fn locate(error: QueryError, position: Position) -> QueryError {
    match error {
        QueryError::Unsupported { what, .. } => unsupported(what, position),
        other => other,
    }
}

#[cfg(test)]
mod tests;
