//! The function `hex`: bytes as lower-case hexadecimal text, which is how ids are shown everywhere else.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, BinaryArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(super) const NAME: &str = "hex";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Hex {
    signature: Signature,
}

pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Hex {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

pub(super) fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

impl ScalarUDFImpl for Hex {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [bytes] if is_bytes(bytes) || *bytes == DataType::Null => Ok(DataType::Utf8),
            _ => Err(DataFusionError::Plan(format!("{NAME} takes bytes"))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [bytes] = arrays.as_slice() else {
            return Err(DataFusionError::Internal(format!(
                "{NAME} takes one argument"
            )));
        };
        let bytes = cast(bytes, &DataType::Binary)?;
        let texts = arrow::array::as_generic_binary_array::<i32>(&bytes);
        Ok(ColumnarValue::Array(Arc::new(texts_of(texts)) as ArrayRef))
    }
}

fn texts_of(bytes: &BinaryArray) -> StringArray {
    let mut texts = StringBuilder::with_capacity(bytes.len(), bytes.value_data().len() * 2);
    for value in bytes {
        texts.append_option(value.map(hex::encode));
    }
    texts.finish()
}
