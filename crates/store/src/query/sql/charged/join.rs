//! The operator `||`, which the engine has as an operator of its own, as a function that can be charged.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::array::cast::AsArray as _;
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8_many;
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{Charge, Growth};

/// Puts [`Join`] in the place of `||`.
#[derive(Debug)]
pub(in super::super) struct JoinPlanner {
    join: Arc<ScalarUDF>,
}

impl JoinPlanner {
    pub(in super::super) fn new(charge: &Arc<Charge>) -> Self {
        let join = Join {
            signature: Signature::user_defined(Volatility::Immutable),
            charge: Arc::clone(charge),
        };
        Self {
            join: Arc::new(ScalarUDF::new_from_impl(join)),
        }
    }
}

impl ExprPlanner for JoinPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        // A chain is one call: each more would be a level of the plan.
        let mut texts = match expr.left {
            Expr::ScalarFunction(it) if it.func == self.join => it.args,
            left => vec![left],
        };
        texts.push(expr.right);
        Ok(PlannerResult::Planned(self.join.call(texts)))
    }

    fn plan_overlay(&self, _args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let reason = "OVERLAY is not answered".to_owned();
        Err(DataFusionError::Plan(reason))
    }
}

/// Texts as one; null when one of them is.
#[derive(Debug)]
struct Join {
    signature: Signature,
    charge: Arc<Charge>,
}

impl PartialEq for Join {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Join {}

impl Hash for Join {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Join {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|it| it.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |it: &DataType| it.is_string() || matches!(it, DataType::Dictionary(_, _));
        let fits = |it: &DataType| {
            is_text(it) || it.is_null() || it.is_primitive() || *it == DataType::Boolean
        };
        if !types.iter().all(fits) {
            let reason = format!("|| joins texts, not {types:?}");
            return Err(DataFusionError::Plan(reason));
        }
        Ok(vec![DataType::Utf8; types.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |it: &ColumnarValue| matches!(it, ColumnarValue::Scalar(_));
        let constants = args.args.iter().all(constant);
        // Twice: constants become columns before they are joined.
        let bytes_max = Growth::Times(2).bytes_max(&args);
        self.charge.run(bytes_max, || {
            let arrays = ColumnarValue::values_to_arrays(&args.args)?;
            let texts = arrays.iter().map(|it| cast(it, &DataType::Utf8));
            let texts = texts.collect::<std::result::Result<Vec<_>, _>>()?;
            let texts: Vec<&StringArray> = texts.iter().map(|it| it.as_string::<i32>()).collect();
            let joined = concat_elements_utf8_many(&texts)?;
            Ok(match constants {
                true => ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(
                    &joined, 0,
                )?),
                false => ColumnarValue::Array(Arc::new(joined)),
            })
        })
    }
}
