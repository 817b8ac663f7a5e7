//! Tables as people see them in SQL: `attributes` has all attributes of a row, those with columns of their own too,
//! `value` of samples every value, and columns of logs are whole, packed or not.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::dataframe::DataFrame;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

use crate::columns::Columns;
use crate::columns::attributes::Attributes;
use crate::segment::unpack_column;
use crate::tables::packed::{companion, number_companion, packed_columns};
use crate::tables::{Layout, Table, column};

/// The table with whole attributes or values. Without further columns it is that already.
pub(super) fn whole_attributes(frame: DataFrame, layout: &Layout) -> Result<DataFrame> {
    if layout.table() == Table::Samples {
        return whole_values(frame);
    }
    let frame = whole_columns(frame, layout)?;
    if layout.promoted().columns().is_empty() {
        return Ok(frame);
    }
    let schema = layout.schema();
    let by_name = |name: &str| Expr::Column(Column::from_name(name));
    let columns = schema.fields().iter().map(|field| {
        if field.name() == column::ATTRIBUTES {
            return rebuilt(layout, field.data_type()).alias(column::ATTRIBUTES);
        }
        by_name(field.name())
    });
    frame.select(columns.collect::<Vec<_>>())
}

/// The same as the view that DuckDB finds in the catalog.
fn whole_columns(frame: DataFrame, layout: &Layout) -> Result<DataFrame> {
    let packed: Vec<&str> = packed_columns(layout).collect();
    if packed.is_empty() {
        return Ok(frame);
    }
    let by_name = |name: &str| Expr::Column(Column::from_name(name));
    let unpack = ScalarUDF::new_from_impl(Whole {
        signature: Signature::any(3, Volatility::Immutable),
    });
    let schema = layout.schema();
    let columns = schema.fields().iter().map(|field| {
        let name = field.name().as_str();
        if !packed.contains(&name) {
            return by_name(name);
        }
        let parts = [name, &companion(name), &number_companion(name)];
        unpack.call(parts.map(by_name).to_vec()).alias(name)
    });
    frame.select(columns.collect::<Vec<_>>())
}

/// The same as the view that DuckDB finds in the catalog.
fn whole_values(frame: DataFrame) -> Result<DataFrame> {
    let by_name = |name: &str| Expr::Column(Column::from_name(name));
    let decimal = cast(by_name(column::MANTISSA), DataType::Float64) / by_name(column::DIVISOR);
    let value = coalesce(vec![decimal, by_name(column::VALUE)]).alias(column::VALUE);
    let schema = Table::Samples.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let keys = names.filter(|name| *name != column::VALUE).map(by_name);
    frame.select(keys.chain([value]).collect::<Vec<_>>())
}

fn rebuilt(layout: &Layout, data_type: &DataType) -> Expr {
    let promoted = layout.promoted().columns();
    let names = std::iter::once(column::ATTRIBUTES)
        .chain(promoted.iter().map(|column| column.name.as_str()));
    let arguments: Vec<Expr> = names
        .map(|name| Expr::Column(Column::from_name(name)))
        .collect();
    let function = WholeAttributes {
        layout: layout.clone(),
        data_type: data_type.clone(),
        signature: Signature::any(arguments.len(), Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(arguments)
}

/// A column and its companions as one column.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    signature: Signature,
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &'static str {
        "whole"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match ColumnarValue::values_to_arrays(&args.args)?.as_slice() {
            [values, packed, numbers] => {
                let whole = unpack_column(values, packed, Some(numbers))?;
                Ok(ColumnarValue::Array(whole))
            }
            _ => Err(DataFusionError::Internal(
                "a column and its companions are expected".to_owned(),
            )),
        }
    }
}

/// The map `attributes` and the promoted columns, in the order of the layout, as one map.
#[derive(Debug, PartialEq, Eq)]
struct WholeAttributes {
    layout: Layout,
    data_type: DataType,
    signature: Signature,
}

impl Hash for WholeAttributes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.layout.table(), self.layout.promoted().columns().len()).hash(state);
    }
}

impl ScalarUDFImpl for WholeAttributes {
    fn name(&self) -> &'static str {
        "whole_attributes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let promoted = self.layout.promoted().columns().iter();
        let fields: Vec<Field> = std::iter::once(column::ATTRIBUTES)
            .chain(promoted.map(|column| column.name.as_str()))
            .zip(&arrays)
            .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        let external = |error: crate::StoreError| DataFusionError::External(error.into());
        let table = self.layout.table();
        let attributes =
            Attributes::new(Columns::new(table.name(), &batch), &self.layout).map_err(external)?;
        let mut builder = table.map_builder(column::ATTRIBUTES).ok_or_else(|| {
            DataFusionError::Internal(format!("{} has no attributes", table.name()))
        })?;
        for row in 0..batch.num_rows() {
            for (key, value) in attributes.entries(row) {
                builder.keys().append_value(key);
                builder.values().append_value(value);
            }
            builder.append(true)?;
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}
