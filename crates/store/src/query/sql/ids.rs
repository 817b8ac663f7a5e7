//! Conditions on ids. Trace and span ids are stored as bytes, and everybody writes them as hexadecimal text, which the engine
//! would compare with the bytes of its letters and so never find.
//!
//! In: a plan as it was written. Out: the same where a constant text that is compared with an id is the bytes it stands for,
//! so that what can be skipped by an id is; and where any other text is compared with the text of the id (`hex`), which a cast
//! to text gives too.
//!
//! What counts as an id is whatever is bytes and made of columns: all columns of bytes are ids. A constant that no id
//! can equal is an error instead of a condition that never holds.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, DataFusionError, ExprSchema as _, Result};
use datafusion::logical_expr::expr::{Alias, Between, Case, Cast, InList, InSubquery, Like};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, ScalarUDF,
};
use datafusion::scalar::ScalarValue;

use super::hex::is_bytes;
use super::shape::is_regex;
use crate::tables::column;

/// Bytes of a trace id and of a span id.
const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;
/// Letters of a wrong id that are shown.
const SHOWN_CHARS: usize = 64;

/// The functions that stand in a condition on the text of an id.
pub(super) struct Functions {
    pub(super) hex: Arc<ScalarUDF>,
    pub(super) lower: Arc<ScalarUDF>,
}

/// # Errors
/// [`DataFusionError::Plan`] for a text that is no id.
pub(super) fn as_bytes(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| in_plan(plan, functions))?;
    Ok(plan.data)
}

fn in_plan(plan: LogicalPlan, functions: &Functions) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&scan.projected_schema);
    }
    if let LogicalPlan::Join(join) = &plan {
        for (left, right) in &join.on {
            refuse_text(left, right, &schema)?;
        }
    }
    let rewriter = Rewriter {
        schema: &schema,
        functions,
    };
    // What a condition is called stays: other parts of the statement may name it.
    let names = NamePreserver::new(&plan);
    let changed = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let changed = expr.transform_up(|part| rewriter.part(part))?;
        Ok(changed.update_data(|expr| name.restore(expr)))
    })?;
    match changed.transformed {
        true => changed.map_data(LogicalPlan::recompute_schema),
        false => Ok(changed),
    }
}

/// `USING` compares columns as they are.
fn refuse_text(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    let is = |expr: &Expr, kind: fn(&DataType) -> bool| {
        expr.get_type(schema)
            .is_ok_and(|data_type| kind(&data_type))
    };
    let differ = |a, b| is(a, is_bytes) && is(b, is_text);
    if differ(left, right) || differ(right, left) {
        return Err(DataFusionError::Plan(format!(
            "{left} and {right} cannot be joined: one is bytes, the other text; hex(...) makes bytes text"
        )));
    }
    Ok(())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// A constant text, whatever it is called or cast to.
fn constant_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Alias(Alias { expr, .. }) => constant_text(expr),
        Expr::Cast(Cast { expr, field }) if is_text(field.data_type()) => constant_text(expr),
        _ => None,
    }
}

struct Rewriter<'a> {
    schema: &'a DFSchema,
    functions: &'a Functions,
}

impl Rewriter<'_> {
    fn part(&self, part: Expr) -> Result<Transformed<Expr>> {
        match part {
            Expr::BinaryExpr(it) if is_comparison(it.op) => self.comparison(it),
            Expr::BinaryExpr(it) if is_pattern(it.op) && self.is_id(&it.left) => {
                let left = Box::new(self.text_of(*it.left));
                Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr {
                    left,
                    ..it
                })))
            }
            Expr::Cast(Cast { expr, field }) if is_text(field.data_type()) && self.is_id(&expr) => {
                Ok(Transformed::yes(self.text_of(*expr)))
            }
            Expr::Like(it) if self.is_id(&it.expr) => {
                Ok(Transformed::yes(Expr::Like(self.like(it))))
            }
            Expr::SimilarTo(it) if self.is_id(&it.expr) => {
                Ok(Transformed::yes(Expr::SimilarTo(self.like(it))))
            }
            Expr::Between(it) if self.is_id(&it.expr) => {
                let (low, high) = (
                    self.bytes_of(*it.low, &it.expr)?,
                    self.bytes_of(*it.high, &it.expr)?,
                );
                Ok(Transformed::yes(Expr::Between(Between {
                    low: Box::new(low),
                    high: Box::new(high),
                    ..it
                })))
            }
            Expr::InList(it) if self.is_id(&it.expr) => self.in_list(it),
            Expr::InSubquery(it) => self.in_subquery(it),
            Expr::Case(Case {
                expr: Some(id),
                when_then_expr,
                else_expr,
            }) if self.is_id(&id) => {
                let cases = when_then_expr.into_iter().map(|(when, then)| {
                    let when = self.bytes_of(*when, &id)?;
                    Ok((Box::new(when), then))
                });
                let when_then_expr = cases.collect::<Result<_>>()?;
                Ok(Transformed::yes(Expr::Case(Case {
                    expr: Some(id),
                    when_then_expr,
                    else_expr,
                })))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    fn comparison(&self, it: BinaryExpr) -> Result<Transformed<Expr>> {
        let (left, right) = match (self.is_id(&it.left), self.is_id(&it.right)) {
            (true, false) if self.is_text(&it.right) => self.pair(*it.left, *it.right)?,
            (false, true) if self.is_text(&it.left) => {
                let (id, text) = self.pair(*it.right, *it.left)?;
                (text, id)
            }
            _ => return Ok(Transformed::no(Expr::BinaryExpr(it))),
        };
        Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr {
            left: Box::new(left),
            op: it.op,
            right: Box::new(right),
        })))
    }

    /// An id and a text in such forms that they can be compared.
    fn pair(&self, id: Expr, text: Expr) -> Result<(Expr, Expr)> {
        match constant_text(&text) {
            Some(_) => {
                let bytes = self.bytes_of(text, &id)?;
                Ok((id, bytes))
            }
            None => Ok((self.text_of(id), self.lower(text))),
        }
    }

    fn in_list(&self, it: InList) -> Result<Transformed<Expr>> {
        let is_mixed = it
            .list
            .iter()
            .any(|item| constant_text(item).is_none() && self.is_text(item));
        if !is_mixed {
            let items = it.list.into_iter();
            let list = items
                .map(|item| self.bytes_of(item, &it.expr))
                .collect::<Result<_>>()?;
            return Ok(Transformed::yes(Expr::InList(InList { list, ..it })));
        }
        let items = it.list.into_iter().map(|item| match self.is_text(&item) {
            true => self.lower(item),
            false => self.text_of(item),
        });
        Ok(Transformed::yes(Expr::InList(InList {
            list: items.collect(),
            expr: Box::new(self.text_of(*it.expr)),
            negated: it.negated,
        })))
    }

    fn in_subquery(&self, it: InSubquery) -> Result<Transformed<Expr>> {
        let inner = it.subquery.subquery.schema();
        let of = |kind: fn(&DataType) -> bool| match inner.fields().first() {
            Some(field) => kind(field.data_type()),
            None => false,
        };
        if of(is_text) && self.is_id(&it.expr) {
            let expr = Box::new(self.text_of(*it.expr));
            return Ok(Transformed::yes(Expr::InSubquery(InSubquery {
                expr,
                ..it
            })));
        }
        if of(is_bytes) && self.is_text(&it.expr) {
            return Err(DataFusionError::Plan(format!(
                "{} is text and cannot be among bytes: select hex(...) in the subquery",
                it.expr
            )));
        }
        Ok(Transformed::no(Expr::InSubquery(it)))
    }

    fn like(&self, it: Like) -> Like {
        Like {
            expr: Box::new(self.text_of(*it.expr)),
            // The digits of an id have no case.
            case_insensitive: true,
            ..it
        }
    }

    fn text_of(&self, id: Expr) -> Expr {
        self.functions.hex.call(vec![id])
    }

    fn lower(&self, text: Expr) -> Expr {
        self.functions.lower.call(vec![text])
    }

    fn is_text(&self, expr: &Expr) -> bool {
        expr.get_type(self.schema)
            .is_ok_and(|data_type| is_text(&data_type))
    }

    /// Whether it is bytes of a column: bytes that were made of a text may be compared with a text as they are.
    fn is_id(&self, expr: &Expr) -> bool {
        let has_bytes = expr
            .get_type(self.schema)
            .is_ok_and(|data_type| is_bytes(&data_type));
        has_bytes
            && expr
                .exists(|part| {
                    Ok(match part {
                        Expr::Column(column) => self
                            .schema
                            .field_from_column(column)
                            .is_ok_and(|field| is_bytes(field.data_type())),
                        Expr::OuterReferenceColumn(field, _) => is_bytes(field.data_type()),
                        Expr::ScalarSubquery(_) => true,
                        _ => false,
                    })
                })
                .unwrap_or(false)
    }

    /// `value`, as the bytes it stands for when it is a constant text.
    fn bytes_of(&self, value: Expr, id: &Expr) -> Result<Expr> {
        let Some(text) = constant_text(&value) else {
            if self.is_text(&value) {
                return Err(DataFusionError::Plan(format!(
                    "{id} is bytes and {value} is text: write hex({id})"
                )));
            }
            return Ok(value);
        };
        let bytes = parse(text, id)?;
        Ok(Expr::Literal(ScalarValue::Binary(Some(bytes)), None))
    }
}

fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn is_pattern(operator: Operator) -> bool {
    let is_like = matches!(
        operator,
        Operator::LikeMatch
            | Operator::ILikeMatch
            | Operator::NotLikeMatch
            | Operator::NotILikeMatch
    );
    is_like || is_regex(operator)
}

fn parse(text: &str, id: &Expr) -> Result<Vec<u8>> {
    let name = id.to_string();
    let own = match id {
        // A table may have any name.
        Expr::Column(column) => &column.name,
        _ => &name,
    };
    let lengths: &[usize] = if own.contains(column::SPAN_ID) {
        &[SPAN_ID_BYTES]
    } else if own.contains(column::TRACE_ID) {
        &[TRACE_ID_BYTES]
    } else {
        &[TRACE_ID_BYTES, SPAN_ID_BYTES]
    };
    let bytes = hex::decode(text).ok();
    if let Some(bytes) = bytes.filter(|bytes| lengths.contains(&bytes.len())) {
        return Ok(bytes);
    }
    let digits: Vec<String> = lengths
        .iter()
        .map(|bytes| (bytes * 2).to_string())
        .collect();
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if text.is_empty() {
        "; rows without an id are found by IS NULL"
    } else {
        "; a part of an id is found by LIKE"
    };
    Err(DataFusionError::Plan(format!(
        "'{shown}' is no {name}: {} hexadecimal digits are expected{more}",
        digits.join(" or "),
    )))
}
