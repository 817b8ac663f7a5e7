//! What is looked at in a plan before it is optimized: how large its expressions are once every column is replaced by
//! what it stands for, as the optimizer does, and what could make much of little and is no function that can be charged.
//!
//! Limits: [`EXPRESSION_MAX`], [`EXPRESSIONS_MAX`], [`CONSTANT_BYTES_MAX`], [`CENTROIDS_MAX`].

use std::cell::{Cell, RefCell};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Cast, TryCast, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion::scalar::ScalarValue;

/// Parts of one expression.
const EXPRESSION_MAX: u64 = 10_000;
/// Parts of all of them.
const EXPRESSIONS_MAX: u64 = 100_000;
/// Constant texts in an optimized plan.
const CONSTANT_BYTES_MAX: usize = 1 << 20;
/// So many bytes of a constant are one part.
const CONSTANT_PART_BYTES: usize = 64;
/// What `approx_percentile_cont` may be told to keep.
const CENTROIDS_MAX: f64 = 10_000.0;
/// Largest value of a type with a size of its own (bytes or items).
const FIXED_SIZE_MAX: i32 = 64;
/// Constants are repeated for every row of a batch: together they stay below this (bytes).
const REPEATED_BYTES_MAX: usize = 4 << 20;
/// Rows of a batch where a join may copy a long text for each.
const JOINED_ROWS: usize = 256;

/// # Errors
/// [`DataFusionError::Plan`] that says what is too large or not answered.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let walk = Walk {
        all: Cell::new(0),
        outer: RefCell::new(Vec::new()),
    };
    walk.plan(plan).map(|_columns| ())
}

fn refused<T>(reason: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Plan(reason.into()))
}

struct Walk {
    /// Parts of all expressions.
    all: Cell<u64>,
    /// The largest columns of the queries around this one.
    outer: RefCell<Vec<u64>>,
}

/// What an expression can name: its plan's inputs, and the size of each of their columns.
struct Inputs<'p> {
    plans: Vec<&'p LogicalPlan>,
    columns: Vec<Vec<u64>>,
}

impl Inputs<'_> {
    fn size_of(&self, column: &Column) -> u64 {
        let found = self
            .plans
            .iter()
            .zip(&self.columns)
            .find_map(|(plan, sizes)| {
                let index = plan.schema().maybe_index_of_column(column)?;
                sizes.get(index).copied()
            });
        found.unwrap_or(1)
    }

    fn largest(&self) -> u64 {
        self.columns.iter().flatten().copied().max().unwrap_or(1)
    }
}

impl Walk {
    /// The sizes of the columns of `plan`.
    fn plan(&self, plan: &LogicalPlan) -> Result<Vec<u64>> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                if let Some(view) = scan.source.get_logical_plan() {
                    let columns = self.plan(&view)?;
                    let all = 0..columns.len();
                    let wanted = scan.projection.clone().unwrap_or_else(|| all.collect());
                    let size = |index: &usize| columns.get(*index).copied().unwrap_or(1);
                    return Ok(wanted.iter().map(size).collect());
                }
            }
            LogicalPlan::Unnest(_) => return refused("unnest is not answered"),
            LogicalPlan::RecursiveQuery(_) => return refused("WITH RECURSIVE is not answered"),
            _ => {}
        }
        let plans = plan.inputs();
        let columns = plans
            .iter()
            .map(|it| self.plan(it))
            .collect::<Result<_>>()?;
        let inputs = Inputs { plans, columns };
        let mut sizes = Vec::new();
        plan.apply_expressions(|expr| {
            sizes.push(self.expression(expr, &inputs)?);
            Ok(TreeNodeRecursion::Continue)
        })?;
        let width = plan.schema().fields().len();
        let largest = sizes.iter().copied().max().unwrap_or(1);
        let passed = || inputs.columns.iter().flatten().copied();
        let mut sizes: Vec<u64> = match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => sizes,
            LogicalPlan::Window(_) => passed().chain(sizes).collect(),
            LogicalPlan::Union(_) => vec![inputs.largest(); width],
            LogicalPlan::Values(_) => vec![largest; width],
            _ => passed().collect(),
        };
        sizes.resize(width, largest.max(inputs.largest()));
        Ok(sizes)
    }

    /// The parts of `expr`, and of what its columns stand for.
    fn expression(&self, expr: &Expr, inputs: &Inputs<'_>) -> Result<u64> {
        let mut size = 0_u64;
        expr.apply(|part| {
            self.allowed(part, inputs)?;
            let own = match part {
                Expr::Column(column) => inputs.size_of(column),
                Expr::OuterReferenceColumn(..) => {
                    self.outer.borrow().iter().copied().max().unwrap_or(1)
                }
                Expr::Literal(value, _) => 1 + (constant_bytes(value) / CONSTANT_PART_BYTES) as u64,
                Expr::ScalarSubquery(query) => self.subquery(&query.subquery, inputs)?,
                Expr::Exists(exists) => self.subquery(&exists.subquery.subquery, inputs)?,
                Expr::InSubquery(it) => self.subquery(&it.subquery.subquery, inputs)?,
                Expr::SetComparison(it) => self.subquery(&it.subquery.subquery, inputs)?,
                _ => 1,
            };
            size = size.saturating_add(own);
            Ok(TreeNodeRecursion::Continue)
        })?;
        let all = self.all.get().saturating_add(size);
        self.all.set(all);
        if size > EXPRESSION_MAX || all > EXPRESSIONS_MAX {
            return refused(format!(
                "an expression has more than {EXPRESSION_MAX} parts, or all have more than {EXPRESSIONS_MAX}, \
                 once columns are replaced by what they stand for"
            ));
        }
        Ok(size)
    }

    fn subquery(&self, plan: &LogicalPlan, inputs: &Inputs<'_>) -> Result<u64> {
        self.outer.borrow_mut().push(inputs.largest());
        let columns = self.plan(plan);
        self.outer.borrow_mut().pop();
        Ok(columns?.into_iter().max().unwrap_or(1))
    }

    fn allowed(&self, part: &Expr, inputs: &Inputs<'_>) -> Result<()> {
        match part {
            Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) => {
                is_small(field.data_type())
            }
            Expr::BinaryExpr(it) if is_regex(it.op) => is_constant(&it.right),
            Expr::SimilarTo(it) => is_constant(&it.pattern),
            Expr::ScalarFunction(it) => {
                let second = it.args.get(1);
                match it.name() {
                    name if name.starts_with("regexp_") => second.map_or(Ok(()), is_constant),
                    "arrow_cast" | "arrow_try_cast" => match second {
                        Some(Expr::Literal(value, _))
                            if !value.to_string().contains("FixedSize") =>
                        {
                            Ok(())
                        }
                        _ => refused("types of a fixed size are not answered"),
                    },
                    _ => Ok(()),
                }
            }
            Expr::AggregateFunction(it) => percentile(it),
            Expr::WindowFunction(it) => window(it, part, inputs),
            _ => Ok(()),
        }
    }
}

pub(super) fn is_regex(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
    )
}

/// A pattern for each row would be a program for each row.
fn is_constant(pattern: &Expr) -> Result<()> {
    match pattern {
        Expr::Literal(..) => Ok(()),
        Expr::Cast(Cast { expr, .. }) => is_constant(expr),
        _ => refused("a pattern must be a constant"),
    }
}

fn is_small(data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size)
            if *size > FIXED_SIZE_MAX =>
        {
            refused(format!("a type of {size} items is not answered"))
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_small(field.data_type())
        }
        _ => Ok(()),
    }
}

fn percentile(function: &AggregateFunction) -> Result<()> {
    let name = function.func.name();
    if !name.starts_with("approx_percentile_cont") {
        return Ok(());
    }
    for argument in function.params.args.iter().skip(2) {
        let value = match argument {
            Expr::Literal(value, _) => value.cast_to(&DataType::Float64)?,
            _ => continue,
        };
        if matches!(value, ScalarValue::Float64(Some(value)) if value > CENTROIDS_MAX) {
            return refused(format!("{name} keeps at most {CENTROIDS_MAX} centroids"));
        }
    }
    Ok(())
}

/// A window gives every row a value of its own: one text that all rows share would be copied for each.
fn window(function: &WindowFunction, expr: &Expr, inputs: &Inputs<'_>) -> Result<()> {
    let name = function.fun.name();
    let Some(input) = inputs.plans.first() else {
        return Ok(());
    };
    let data_type = expr.get_type(input.schema().as_ref())?;
    let is_fixed = data_type.primitive_width().is_some()
        || matches!(data_type, DataType::Boolean | DataType::Null);
    if is_fixed || matches!(name, "lag" | "lead") {
        return Ok(());
    }
    refused(format!("{name} of {data_type} is not answered with OVER"))
}

fn constant_bytes(value: &ScalarValue) -> usize {
    value.size().saturating_sub(size_of::<ScalarValue>())
}

/// Rows of a batch with which the constants of an optimized plan stay small, and what its joins copy.
///
/// # Errors
/// [`DataFusionError::Plan`] when there are more constants than [`CONSTANT_BYTES_MAX`].
pub(super) fn batch_rows(plan: &LogicalPlan, rows_max: usize) -> Result<usize> {
    let (mut constants, mut joins) = (0_usize, false);
    plan.apply_with_subqueries(|node| {
        let schema = node.schema();
        let is_wide = |data_type: &DataType| data_type.primitive_width().is_none();
        let wide = schema.fields().iter().any(|it| is_wide(it.data_type()));
        joins |= matches!(node, LogicalPlan::Join(_)) && wide;
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(value, _) = part {
                    constants = constants.saturating_add(constant_bytes(value));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if constants > CONSTANT_BYTES_MAX {
        return refused(format!(
            "the plan has more than {CONSTANT_BYTES_MAX} bytes of constants"
        ));
    }
    let rows = (REPEATED_BYTES_MAX / constants.max(1)).clamp(1, rows_max);
    Ok(match joins {
        true => rows.min(JOINED_ROWS),
        false => rows,
    })
}
