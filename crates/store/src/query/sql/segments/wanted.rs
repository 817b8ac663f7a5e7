//! Which traces a condition wants.

use std::sync::Arc;

use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, Literal};
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::scalar::ScalarValue;

use super::IDS_MAX;
use crate::tables::column;

/// For each part of a condition that asks for traces, the ids of which a row must have one. All parts must hold.
pub(super) fn wanted_traces(filter: &Arc<dyn PhysicalExpr>) -> Vec<Vec<Vec<u8>>> {
    let parts = split_conjunction(filter).into_iter();
    let lists = parts.filter_map(|part| {
        let mut ids = Vec::new();
        gather(part, &mut ids)?;
        Some(ids)
    });
    lists.collect()
}

/// Adds the ids that a condition lets through; `None` when it may hold for others.
fn gather(filter: &Arc<dyn PhysicalExpr>, ids: &mut Vec<Vec<u8>>) -> Option<()> {
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        if list.negated() || !is_trace_id(list.expr()) {
            return None;
        }
        return list.list().iter().try_for_each(|item| add(item, ids));
    }
    let condition = filter.downcast_ref::<BinaryExpr>()?;
    let (left, right) = (condition.left(), condition.right());
    match condition.op() {
        Operator::Or => {
            gather(left, ids)?;
            gather(right, ids)
        }
        Operator::Eq if is_trace_id(left) => add(right, ids),
        Operator::Eq if is_trace_id(right) => add(left, ids),
        _ => None,
    }
}

fn is_trace_id(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let column = expr.downcast_ref::<Column>();
    column.is_some_and(|column| column.name() == column::TRACE_ID)
}

fn add(value: &Arc<dyn PhysicalExpr>, ids: &mut Vec<Vec<u8>>) -> Option<()> {
    match value.downcast_ref::<Literal>()?.value() {
        // Nothing is equal to no value.
        value if value.is_null() => Some(()),
        ScalarValue::Binary(Some(id)) if ids.len() < IDS_MAX => {
            ids.push(id.clone());
            Some(())
        }
        _ => None,
    }
}
