//! A condition on the structured metadata of a log record, as a function of its two attribute maps and those
//! promoted columns whose attribute has the name asked for.
//!
//! Metadata are named by attribute with dots, dashes and slashes as underscores, so a name stands for
//! several possible keys and the maps are searched, not asked for one key. Of an attribute of the record and
//! one of its resource with the same name, the record's counts; an absent one counts as empty.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, MapArray};
use arrow::datatypes::DataType;
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col,
};
use vervet_model::Matcher;

use crate::columns::attributes::value;
use crate::columns::map_entries;
use crate::tables::{Layout, PromotedColumn, column};

/// Characters of attribute keys that metadata names write as underscores.
const REPLACED: [char; 3] = ['.', '-', '/'];

/// A condition on the metadata of that name.
pub(super) fn metadata_matches(layout: &Layout, matcher: &Matcher) -> Expr {
    let named = |column: &&PromotedColumn| metadata_name(&column.key) == matcher.name;
    let columns = layout.promoted().columns().iter().filter(named);
    let promoted: Vec<PromotedColumn> = columns.cloned().collect();
    let mut arguments = vec![col(column::ATTRIBUTES), col(column::RESOURCE_ATTRIBUTES)];
    let by_name = |column: &PromotedColumn| Expr::Column(Column::from_name(&column.name));
    arguments.extend(promoted.iter().map(by_name));
    let function = MetadataMatches {
        matcher: matcher.clone(),
        signature: Signature::any(arguments.len(), Volatility::Immutable),
        promoted,
    };
    ScalarUDF::new_from_impl(function).call(arguments)
}

/// The name that an attribute has among structured metadata.
pub(super) fn metadata_name(key: &str) -> String {
    key.replace(REPLACED, "_")
}

#[derive(Debug, PartialEq, Eq)]
struct MetadataMatches {
    matcher: Matcher,
    promoted: Vec<PromotedColumn>,
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
        let no_map = || DataFusionError::Internal("attributes are no map".to_owned());
        let [attributes, resource, promoted @ ..] = arrays.as_slice() else {
            return Err(no_map());
        };
        let attributes = attributes.as_map_opt().ok_or_else(no_map)?;
        let resource = resource.as_map_opt().ok_or_else(no_map)?;
        let matches: BooleanArray = (0..rows)
            .map(|row| {
                let value = self
                    .attribute(attributes, promoted, row)
                    .or_else(|| self.in_map(resource, row).map(|(_key, value)| value));
                Some(self.matcher.matches(&value.unwrap_or_default()))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(matches) as ArrayRef))
    }
}

impl MetadataMatches {
    /// Of several attributes with the name, the first by key counts.
    fn attribute(&self, map: &MapArray, promoted: &[ArrayRef], row: usize) -> Option<String> {
        let typed = self
            .promoted
            .iter()
            .zip(promoted)
            .filter_map(|(column, array)| {
                let value = value(array, column.kind, row)?.to_text().into_owned();
                Some((column.key.clone(), value))
            });
        // The earlier of equal keys is the one in a column.
        let first = typed
            .chain(self.in_map(map, row))
            .min_by(|a, b| a.0.cmp(&b.0));
        first.map(|(_key, value)| value)
    }

    fn in_map(&self, map: &MapArray, row: usize) -> Option<(String, String)> {
        if map.is_null(row) {
            return None;
        }
        let entries = map_entries(map, row).into_iter();
        entries
            .filter(|(key, _value)| metadata_name(key) == self.matcher.name)
            .min_by(|a, b| a.0.cmp(&b.0))
    }
}
