//! A condition on the structured metadata of a log record, as a function of its two attribute maps.
//!
//! Metadata are named by attribute with dots, dashes and slashes as underscores, so a name stands for
//! several possible keys and the maps are searched, not asked for one key. Of an attribute of the record and
//! one of its resource with the same name, the record's counts; an absent one counts as empty.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, MapArray};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col,
};
use vervet_model::Matcher;

use crate::columns::map_entries;
use crate::tables::column;

/// Characters of attribute keys that metadata names write as underscores.
pub(super) const REPLACED: [char; 3] = ['.', '-', '/'];

/// A condition on the metadata of that name.
pub(super) fn metadata_matches(matcher: &Matcher) -> Expr {
    let function = MetadataMatches {
        matcher: matcher.clone(),
        signature: Signature::any(2, Volatility::Immutable),
    };
    let maps = vec![col(column::ATTRIBUTES), col(column::RESOURCE_ATTRIBUTES)];
    ScalarUDF::new_from_impl(function).call(maps)
}

#[derive(Debug, PartialEq, Eq)]
struct MetadataMatches {
    matcher: Matcher,
    signature: Signature,
}

impl Hash for MetadataMatches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Matcher {
            name, op, value, ..
        } = &self.matcher;
        (name, op, value).hash(state);
    }
}

impl ScalarUDFImpl for MetadataMatches {
    fn name(&self) -> &'static str {
        "metadata_matches"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let maps: Option<Vec<&MapArray>> = arrays.iter().map(|array| array.as_map_opt()).collect();
        let maps =
            maps.ok_or_else(|| DataFusionError::Internal("attributes are no map".to_owned()))?;
        let matches: BooleanArray = (0..rows)
            .map(|row| Some(self.matches(&maps, row)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(matches) as ArrayRef))
    }
}

impl MetadataMatches {
    fn matches(&self, maps: &[&MapArray], row: usize) -> bool {
        let found = maps.iter().filter(|map| map.is_valid(row)).find_map(|map| {
            let mut entries = map_entries(map, row).into_iter();
            entries.find(|(key, _)| key.replace(REPLACED, "_") == self.matcher.name)
        });
        let value = found.map(|(_, value)| value).unwrap_or_default();
        self.matcher.matches(&value)
    }
}
