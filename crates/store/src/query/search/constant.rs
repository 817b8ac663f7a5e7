//! Columns of which the statistics of a row group, or of its pages, tell every value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, DictionaryArray, Int32Array, Int64Array, MapArray, StringArray,
    TimestampNanosecondArray, UInt64Array, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Int32Type, TimeUnit};
use parquet::data_type::ByteArray;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::column_index::{
    ByteArrayColumnIndex, ColumnIndexMetaData, PrimitiveColumnIndex,
};
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::page_index::ChosenPage;

/// `rows` values of a column chunk, the keys' of a map, that has the same value, or none, in all rows; else `None`.
pub(super) fn constant(
    chunk: &ColumnChunkMetaData,
    data_type: &DataType,
    rows: usize,
) -> Option<ArrayRef> {
    let statistics = chunk.statistics()?;
    let nulls = statistics.null_count_opt()?;
    if u64::try_from(chunk.num_values()) == Ok(nulls) {
        return match data_type {
            DataType::Map(entries, is_sorted) => no_entries(entries, *is_sorted, rows),
            _ => Some(new_null_array(data_type, rows)),
        };
    }
    if nulls > 0 || statistics.is_min_max_deprecated() {
        return None;
    }
    Some(match (statistics, data_type) {
        (Statistics::ByteArray(bounds), DataType::Utf8) => {
            let text = only_text(bounds)?;
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                text, rows,
            )))
        }
        (Statistics::ByteArray(bounds), DataType::Dictionary(..)) => {
            let values = StringArray::from_iter_values([only_text(bounds)?]);
            let keys = Int32Array::from_value(0, rows);
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).ok()?)
        }
        (Statistics::Int32(bounds), DataType::Int32) => {
            Arc::new(Int32Array::from_value(*only(bounds)?, rows))
        }
        (Statistics::Int64(bounds), DataType::Int64) => {
            Arc::new(Int64Array::from_value(*only(bounds)?, rows))
        }
        (Statistics::Int64(bounds), DataType::UInt64) => {
            Arc::new(UInt64Array::from_value(only(bounds)?.cast_unsigned(), rows))
        }
        (Statistics::Int64(bounds), DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            Arc::new(TimestampNanosecondArray::from_value(*only(bounds)?, rows))
        }
        _ => return None,
    })
}

/// `rows` maps without entries.
fn no_entries(entries: &FieldRef, is_sorted: bool, rows: usize) -> Option<ArrayRef> {
    let none = new_empty_array(entries.data_type());
    let none = none.as_struct_opt()?.clone();
    let offsets = OffsetBuffer::new_zeroed(rows);
    let maps = MapArray::try_new(FieldRef::clone(entries), offsets, none, None, is_sorted).ok()?;
    Some(Arc::new(maps))
}

/// The values of chosen rows of a column chunk whose pages that hold any have the same value, or none, in all rows of
/// each; else `None`.
pub(super) fn constant_pages(
    bounds: &ColumnIndexMetaData,
    data_type: &DataType,
    chosen: &[ChosenPage],
) -> Option<ArrayRef> {
    Some(match (bounds, data_type) {
        (ColumnIndexMetaData::BYTE_ARRAY(index), DataType::Utf8) => {
            let pages = each_page(bounds, chosen, |page| page_text(index, page))?;
            let rows = pages.iter().flat_map(repeated);
            Arc::new(rows.collect::<StringArray>())
        }
        (ColumnIndexMetaData::BYTE_ARRAY(index), DataType::Dictionary(..)) => {
            let pages = each_page(bounds, chosen, |page| page_text(index, page))?;
            Arc::new(dictionary(&pages)?)
        }
        (ColumnIndexMetaData::INT32(index), DataType::Int32) => {
            let pages = each_page(bounds, chosen, |page| page_number(index, page))?;
            Arc::new(pages.iter().flat_map(repeated).collect::<Int32Array>())
        }
        (ColumnIndexMetaData::INT64(index), _) => {
            let pages = each_page(bounds, chosen, |page| page_number(index, page))?;
            let rows = pages.iter().flat_map(repeated);
            match data_type {
                DataType::Int64 => Arc::new(rows.collect::<Int64Array>()),
                DataType::UInt64 => {
                    let rows = rows.map(|number| number.map(i64::cast_unsigned));
                    Arc::new(rows.collect::<UInt64Array>())
                }
                DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                    Arc::new(rows.collect::<TimestampNanosecondArray>())
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// The value of each chosen page and its chosen rows. `value` is asked of pages without nulls.
fn each_page<T>(
    bounds: &ColumnIndexMetaData,
    chosen: &[ChosenPage],
    value: impl Fn(usize) -> Option<T>,
) -> Option<Vec<(Option<T>, usize)>> {
    let of_page = |chosen: &ChosenPage| {
        let page = chosen.page;
        if u64::try_from(page).ok()? >= bounds.num_pages() {
            return None;
        }
        let value = match (bounds.is_null_page(page), bounds.null_count(page)) {
            (true, _) => None,
            (false, Some(0)) => Some(value(page)?),
            _ => return None,
        };
        Some((value, chosen.rows))
    };
    chosen.iter().map(of_page).collect()
}

fn repeated<T: Copy>((value, rows): &(Option<T>, usize)) -> impl Iterator<Item = Option<T>> {
    std::iter::repeat_n(*value, *rows)
}

/// A bound may be shortened, but then it lies beyond the other one, so equal bounds are values.
fn page_text(index: &ByteArrayColumnIndex, page: usize) -> Option<&str> {
    let min = index.min_value(page)?;
    let is_only = Some(min) == index.max_value(page);
    std::str::from_utf8(min).ok().filter(|_text| is_only)
}

fn page_number<T: Copy + PartialEq>(index: &PrimitiveColumnIndex<T>, page: usize) -> Option<T> {
    let min = index.min_value(page)?;
    (Some(min) == index.max_value(page)).then_some(*min)
}

fn dictionary(pages: &[(Option<&str>, usize)]) -> Option<DictionaryArray<Int32Type>> {
    let (mut values, mut keys) = (Vec::<&str>::new(), Vec::new());
    for (value, rows) in pages {
        let key = value.map(|value| {
            let known = values.iter().rposition(|known| *known == value);
            known.unwrap_or_else(|| {
                values.push(value);
                values.len() - 1
            })
        });
        let key = key.map(i32::try_from).transpose().ok()?;
        keys.extend(std::iter::repeat_n(key, *rows));
    }
    let values = StringArray::from_iter_values(values);
    DictionaryArray::try_new(Int32Array::from(keys), Arc::new(values)).ok()
}

/// The one value between the bounds.
fn only<T: PartialEq>(bounds: &ValueStatistics<T>) -> Option<&T> {
    let exact = bounds.min_is_exact() && bounds.max_is_exact();
    let min = bounds.min_opt().filter(|_min| exact)?;
    (Some(min) == bounds.max_opt()).then_some(min)
}

fn only_text(bounds: &ValueStatistics<ByteArray>) -> Option<&str> {
    std::str::from_utf8(only(bounds)?.data()).ok()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, Int64Builder, RecordBatch, StringBuilder};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use super::*;

    const PAGE_ROWS: usize = 4;

    /// The bounds of the pages of a text column and of one of numbers.
    fn bounds(values: &[Option<u8>], text: impl Fn(u8) -> String) -> [ColumnIndexMetaData; 2] {
        let (mut texts, mut numbers) = (StringBuilder::new(), Int64Builder::new());
        for value in values {
            texts.append_option(value.map(&text));
            numbers.append_option(value.map(i64::from));
        }
        let columns: [(&str, ArrayRef); 2] = [
            ("text", Arc::new(texts.finish())),
            ("number", Arc::new(numbers.finish())),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let properties = WriterProperties::builder()
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(1)
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&bytes::Bytes::from(file))
            .unwrap();
        let index = &metadata.column_index().unwrap()[0];
        [index[0].clone(), index[1].clone()]
    }

    proptest! {
        #[test]
        fn pages_tell_their_values_only_when_all_are_the_same(
            pages in prop::collection::vec(
                prop::collection::vec(prop::option::of(0..2_u8), PAGE_ROWS..=PAGE_ROWS), 1..4),
            rows in prop::collection::vec(1..=PAGE_ROWS, 3),
            // Longer texts have bounds that are shortened.
            length in prop::sample::select(vec![1_usize, 63, 64, 65, 200]),
            tail in prop::bool::ANY,
        ) {
            let text = |value: u8| match tail {
                true => format!("{}{value}", "x".repeat(length)),
                false => format!("{value}{}", "x".repeat(length)),
            };
            let values: Vec<Option<u8>> = pages.concat();
            let [texts, numbers] = bounds(&values, text);
            let chosen: Vec<ChosenPage> = (0..pages.len())
                .map(|page| ChosenPage { page, rows: rows[page] })
                .collect();
            let same = pages.iter().all(|page| page.iter().all(|value| *value == page[0]));
            let expect: Vec<Option<u8>> = pages
                .iter()
                .zip(&rows)
                .flat_map(|(page, rows)| vec![page[0]; *rows])
                .collect();
            let found = constant_pages(&numbers, &DataType::Int64, &chosen);
            prop_assert_eq!(found.is_some(), same);
            if let Some(found) = found {
                let expect: Int64Array = expect.iter().map(|value| value.map(i64::from)).collect();
                prop_assert_eq!(found.as_primitive(), &expect);
            }
            let of_texts = constant_pages(&texts, &DataType::Utf8, &chosen);
            // Shortened bounds are never equal, so long texts are read.
            prop_assert!(same || of_texts.is_none());
            prop_assert!(of_texts.is_some() || !same || length >= 63);
            let indexed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let of_dictionary = constant_pages(&texts, &indexed, &chosen);
            prop_assert_eq!(of_dictionary.is_some(), of_texts.is_some());
            for found in of_texts.into_iter().chain(of_dictionary) {
                let found = arrow::compute::cast(&found, &DataType::Utf8).unwrap();
                let expect: StringArray = expect.iter().map(|value| value.map(text)).collect();
                prop_assert_eq!(found.len(), expect.len());
                prop_assert_eq!(found.as_string(), &expect);
            }
        }
    }
}
