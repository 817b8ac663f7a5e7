//! Packs the columns of one file.
//!
//! Texts that differ in their places only are of one template. A place stays in the text until it has had more than
//! [`VALUES_MAX`] values, so versions, status codes and constant numbers, of which a dictionary makes next to nothing,
//! are never taken out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringArray, StringBuilder,
    new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64;

use super::{doubles, scan};
use crate::head::series::IdHashing;
use crate::tables::Layout;
use crate::tables::packed::{LENGTH_BASE, MARK, packed_columns};

/// Templates of a column that are told apart; texts of others stay as they are.
const TEMPLATES_MAX: usize = 4_096;
/// Values of a place that stay in the text.
const VALUES_MAX: usize = 16;
/// Texts that one template comes to by the values that stay in it, at most.
const VARIANTS_MAX: usize = 256;

/// What was seen of the texts of one file.
pub(in crate::segment) struct Packer {
    schema: SchemaRef,
    columns: Vec<(usize, Kind)>,
}

enum Kind {
    Text(Templates),
    Double,
}

impl Packer {
    /// `None` for a table without packed columns.
    pub(in crate::segment) fn new(layout: &Layout) -> Option<Self> {
        let schema = layout.schema();
        let columns: Vec<_> = packed_columns(layout)
            .filter_map(|name| {
                let (index, field) = schema.column_with_name(name)?;
                let kind = match field.data_type() {
                    DataType::Float64 => Kind::Double,
                    _ => Kind::Text(Templates::default()),
                };
                Some((index, kind))
            })
            .collect();
        (!columns.is_empty()).then(|| Self {
            schema: layout.file_schema(),
            columns,
        })
    }

    /// The rows of a batch as files have them.
    ///
    /// # Errors
    /// The batch is not in the layout.
    pub(in crate::segment) fn pack(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let mut columns = batch.columns().to_vec();
        let companions = self.schema.fields().iter().skip(columns.len());
        for ((index, kind), companion) in self.columns.iter_mut().zip(companions) {
            let values = columns
                .get_mut(*index)
                .ok_or_else(|| ArrowError::SchemaError("a column is missing".to_owned()))?;
            let (rest, packed) = kind.pack(values).unwrap_or_else(|| {
                let none = new_null_array(companion.data_type(), batch.num_rows());
                (Arc::clone(values), none)
            });
            *values = rest;
            columns.push(packed);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl Kind {
    /// What is left of the values, and their companions; `None` when all stay.
    fn pack(&mut self, values: &ArrayRef) -> Option<(ArrayRef, ArrayRef)> {
        match self {
            Self::Text(templates) => templates.pack(values.as_string_opt()?),
            Self::Double => {
                let (rest, packed) = doubles::pack(values.as_primitive_opt()?)?;
                Some((Arc::new(rest), Arc::new(packed)))
            }
        }
    }
}

/// The templates of one column.
#[derive(Default)]
struct Templates {
    /// By the hash of the text without its places.
    known: HashMap<u64, Vec<Place>, IdHashing>,
    // Kept for their memory.
    found: Vec<Range<usize>>,
    skeleton: Vec<u8>,
    text: String,
    digits: Vec<u8>,
}

/// What was seen at a place of a template.
#[derive(Default)]
struct Place {
    varies: bool,
    /// Hashes of its values, until it varies.
    values: Vec<u64>,
}

impl Templates {
    /// Texts and companions; `None` when no text is packed.
    fn pack(&mut self, texts: &StringArray) -> Option<(ArrayRef, ArrayRef)> {
        let mut packed = StringBuilder::with_capacity(texts.len(), texts.value_data().len() / 2);
        let mut digits = BinaryBuilder::with_capacity(texts.len(), texts.len() * 8);
        let mut any = false;
        for text in texts {
            match text {
                None => {
                    packed.append_null();
                    digits.append_null();
                }
                Some(text) if self.pack_text(text) => {
                    any = true;
                    packed.append_value(&self.text);
                    digits.append_value(&self.digits);
                }
                Some(text) => {
                    packed.append_value(text);
                    digits.append_null();
                }
            }
        }
        any.then(|| {
            (
                Arc::new(packed.finish()) as _,
                Arc::new(digits.finish()) as _,
            )
        })
    }

    /// Puts one text into `text` and `digits`. `false` when it stays as it is.
    fn pack_text(&mut self, text: &str) -> bool {
        if !scan::places(text, &mut self.found) {
            return false;
        }
        self.skeleton.clear();
        let mut at = 0;
        for place in &self.found {
            let before = text.as_bytes().get(at..place.start);
            self.skeleton.extend_from_slice(before.unwrap_or_default());
            self.skeleton.push(MARK as u8);
            at = place.end;
        }
        let rest = text.as_bytes().get(at..);
        self.skeleton.extend_from_slice(rest.unwrap_or_default());
        let room = self.known.len() < TEMPLATES_MAX;
        let template = match self.known.entry(xxh3_64(&self.skeleton)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) if room => {
                free.insert(self.found.iter().map(|_place| Place::default()).collect())
            }
            Entry::Vacant(_) => return false,
        };
        if !learn(template, text, &self.found) {
            return false;
        }
        self.text.clear();
        self.digits.clear();
        write(
            text,
            template,
            &self.found,
            &mut self.text,
            &mut self.digits,
        );
        true
    }
}

/// Notes the values of a text. Returns whether a place of it varies.
fn learn(template: &mut [Place], text: &str, found: &[Range<usize>]) -> bool {
    if template.len() != found.len() {
        // Another template with the same hash.
        return false;
    }
    let mut grown = false;
    for (place, range) in template.iter_mut().zip(found) {
        if place.varies {
            continue;
        }
        let value = xxh3_64(text.as_bytes().get(range.clone()).unwrap_or_default());
        if !place.values.contains(&value) {
            place.values.push(value);
            grown = true;
            if place.values.len() > VALUES_MAX {
                place.take_out();
            }
        }
    }
    while grown && variants(template) > VARIANTS_MAX {
        match template.iter_mut().max_by_key(|place| place.values.len()) {
            Some(place) => place.take_out(),
            None => break,
        }
    }
    template.iter().any(|place| place.varies)
}

impl Place {
    fn take_out(&mut self) {
        self.varies = true;
        self.values = Vec::new();
    }
}

fn variants(template: &[Place]) -> usize {
    template.iter().fold(1, |variants: usize, place| {
        variants.saturating_mul(place.values.len().max(1))
    })
}

/// Writes a text without the places that vary, and their digits, two a byte.
fn write(
    text: &str,
    template: &[Place],
    found: &[Range<usize>],
    out: &mut String,
    digits: &mut Vec<u8>,
) {
    let (mut at, mut half) = (0, None);
    for (_place, range) in template
        .iter()
        .zip(found)
        .filter(|(place, _range)| place.varies)
    {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push(MARK);
        let length = u8::try_from(range.len()).unwrap_or_default();
        out.push(char::from(LENGTH_BASE + length));
        for byte in text.as_bytes().get(range.clone()).unwrap_or_default() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                _ => (byte - b'a') + 10,
            };
            half = match half {
                None => Some(digit << 4),
                Some(high) => {
                    digits.push(high | digit);
                    None
                }
            };
        }
        at = range.end;
    }
    digits.extend(half);
    out.push_str(text.get(at..).unwrap_or_default());
}
