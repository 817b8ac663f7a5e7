//! The tree as Prometheus's `/api/v1/parse_query` gives it to its own web app: nodes with a `type`, durations in
//! milliseconds, numbers as text.

use std::collections::HashMap;
use std::convert::Infallible;

use promql_parser::parser::{Expr, Function, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::{Value, json};

use super::text::millis;
use super::{At, Binary, Matching, Number, Selector, Shift, Span, Tree};
use crate::error::QueryError;
use crate::features::Features;
use crate::format::format_plain;
use crate::syntax::{Bounds, Cardinality, Edges, Tokens, plain};

/// The functions of a query by their names.
pub(super) struct Signatures(HashMap<&'static str, Function>);

impl Signatures {
    /// # Errors
    /// The query is invalid.
    pub(super) fn of(query: &str, bounds: Bounds, features: Features) -> Result<Self, QueryError> {
        let tokens = Tokens::scan(query)?;
        let plain = plain(&tokens, bounds, features)?;
        let tree = parse(&plain.text).map_err(|message| tokens.explain(message))?;
        let mut signatures = Self(HashMap::new());
        match walk_expr(&mut signatures, &tree) {
            Ok(_) => Ok(signatures),
            Err(never) => match never {},
        }
    }

    pub(super) fn json(&self, tree: &Tree) -> Value {
        match tree {
            Tree::Number(Number { value, .. }) => {
                json!({"type": "numberLiteral", "val": format_plain(*value)})
            }
            Tree::Text(text) => json!({"type": "stringLiteral", "val": text}),
            Tree::Selector(selector) => selector_json(selector),
            Tree::Subquery {
                inner,
                range,
                step,
                shift,
            } => {
                let step = step.as_ref().map_or(0, span_millis);
                let mut node = json!({
                    "type": "subquery", "expr": self.json(inner), "range": span_millis(range), "step": step,
                });
                add_shift(&mut node, shift);
                node
            }
            Tree::Call { name, args } => {
                let args: Vec<Value> = args.iter().map(|arg| self.json(arg)).collect();
                json!({"type": "call", "func": self.function(name), "args": args})
            }
            Tree::Aggregate(aggregate) => json!({
                "type": "aggregation", "op": aggregate.op.as_str(), "expr": self.json(&aggregate.inner),
                "param": aggregate.param.as_ref().map(|param| self.json(param)),
                "grouping": aggregate.labels, "without": aggregate.without,
            }),
            Tree::Binary(binary) => json!({
                "type": "binaryExpr", "op": binary.op.as_str(), "lhs": self.json(&binary.left), "rhs": self.json(&binary.right),
                "matching": binary.matching.as_ref().map(|matching| matching_json(binary, matching)),
                "bool": binary.return_bool,
            }),
            Tree::Unary { sign, inner } => {
                json!({"type": "unaryExpr", "op": sign, "expr": self.json(inner)})
            }
            Tree::Paren(inner) => json!({"type": "parenExpr", "expr": self.json(inner)}),
        }
    }

    fn function(&self, name: &str) -> Value {
        let Some(function) = self.0.get(name) else {
            return json!({"name": name, "argTypes": [], "variadic": 0, "returnType": "none"});
        };
        let args: Vec<String> = function.arg_types.iter().map(ToString::to_string).collect();
        json!({
            "name": name, "argTypes": args, "variadic": function.variadic,
            "returnType": function.return_type.to_string(),
        })
    }
}

impl ExprVisitor for Signatures {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        if let Expr::Call(call) = expr {
            self.0.insert(call.func.name, call.func.clone());
        }
        Ok(true)
    }
}

fn selector_json(selector: &Selector) -> Value {
    let matchers = selector.matchers.iter().map(|matcher| {
        json!({"name": matcher.name, "value": matcher.value, "type": matcher.op.as_str()})
    });
    let mut matchers: Vec<Value> = matchers.collect();
    if !selector.name.is_empty() {
        matchers.push(json!({"name": "__name__", "value": selector.name, "type": "="}));
    }
    let mut node = json!({
        "type": "vectorSelector", "name": selector.name, "matchers": matchers,
        "anchored": selector.edges == Edges::Anchored, "smoothed": selector.edges == Edges::Smoothed,
    });
    if let Some(range) = &selector.range {
        node["type"] = json!("matrixSelector");
        node["range"] = json!(span_millis(range));
    }
    add_shift(&mut node, &selector.shift);
    node
}

fn add_shift(node: &mut Value, shift: &Shift) {
    let (timestamp, word) = match shift.at {
        None => (None, None),
        Some(At::Time(millis)) => (Some(millis), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    };
    node["offset"] = json!(shift.offset.as_ref().map_or(0, span_millis));
    node["timestamp"] = json!(timestamp);
    node["startOrEnd"] = json!(word);
}

fn matching_json(binary: &Binary, matching: &Matching) -> Value {
    let cardinality = match matching.cardinality {
        _ if binary.op.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    let mut node = json!({
        "card": cardinality, "labels": matching.labels, "on": matching.on, "include": matching.include,
    });
    if matching.fill.left.is_some() || matching.fill.right.is_some() {
        node["fillValues"] = json!({"lhs": matching.fill.left, "rhs": matching.fill.right});
    }
    node
}

/// What arithmetic comes to is known when the query runs; until then it is nothing.
fn span_millis(span: &Span) -> i64 {
    match span {
        Span::Number(number) => millis(number.value),
        _ => 0,
    }
}
