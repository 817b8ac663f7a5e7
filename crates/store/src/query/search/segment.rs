//! Reads columns of one segment.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array as _, ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader as _, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use memchr::memmem::Finder;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader as _;

use super::constant::constant;
use super::input::Input;
use super::metadata::SegmentMetadata;
use super::page_cache::PageCache;
use super::page_index::{PageIndex, rows_of};
use super::pages::GroupPages;
use super::stop::Stop;
use super::times::Page;
use crate::StoreError;
use crate::catalog::DataFile;
use crate::segment::index::IndexError;
use crate::segment::index::cube::Cube;
use crate::segment::unpack;
use crate::tables::column;
use crate::tables::packed::with_companions;

/// How texts of few values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// As indexes into a dictionary, to be tested or counted.
    Dictionary,
    /// As they are, to be shown.
    Plain,
    /// All texts as indexes into a dictionary, so also those of which few are equal.
    AllDictionary,
}

/// A segment that is open for one request.
pub(crate) struct Segment {
    input: Input,
    pages: Arc<PageCache>,
    metadata: Arc<SegmentMetadata>,
    /// What was looked up in the blooms.
    looked_up: Mutex<HashMap<u64, Option<Vec<bool>>>>,
}

impl Segment {
    /// Opens a segment, whose metadata is read unless `known`.
    pub(crate) fn open(
        file: &DataFile,
        known: Option<Arc<SegmentMetadata>>,
        pages: &Arc<PageCache>,
        stop: &Arc<Stop>,
    ) -> Result<Self, StoreError> {
        let input = Input::open(file, stop)?;
        let metadata = match known {
            Some(metadata) => metadata,
            None => {
                let read = SegmentMetadata::read(&input, file);
                Arc::new(read.map_err(|source| input.error(source))?)
            }
        };
        Ok(Self {
            input,
            pages: Arc::clone(pages),
            metadata,
            looked_up: Mutex::default(),
        })
    }

    pub(crate) fn metadata(&self) -> &Arc<SegmentMetadata> {
        &self.metadata
    }

    pub(crate) fn path(&self) -> &Path {
        self.input.path()
    }

    /// What went wrong in reading: the request was stopped, or the segment is damaged.
    pub(crate) fn error(&self, source: ParquetError) -> StoreError {
        self.input.error(source)
    }

    pub(crate) fn group(&self, index: usize) -> Option<&RowGroupMetaData> {
        self.metadata.parquet().row_groups().get(index)
    }

    /// Whether the segment has a column.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.schema(Texts::Plain).column_with_name(name).is_some()
    }

    /// For each row group, whether it may hold the token; `None` without an index.
    pub(crate) fn groups_with(&self, token: u64) -> Result<Option<Vec<bool>>, IndexError> {
        if let Some(known) = self.looked_up.lock().get(&token) {
            return Ok(known.clone());
        }
        let groups = self.look_up(token)?;
        self.looked_up.lock().insert(token, groups.clone());
        Ok(groups)
    }

    fn look_up(&self, token: u64) -> Result<Option<Vec<bool>>, IndexError> {
        let Ok(Some(header)) = &self.metadata.index else {
            return Ok(None);
        };
        header.look_up(token, |offset, length| {
            self.input.get_bytes(offset, length).ok()
        })
    }

    /// The counts of the segment, if it has any.
    pub(crate) fn cube(&self) -> Result<Option<Arc<Cube>>, IndexError> {
        let Ok(Some(header)) = &self.metadata.index else {
            return Ok(None);
        };
        if let Some(known) = self.metadata.cube.get() {
            return Ok(known.clone());
        }
        let Some((offset, length)) = header.cube_range() else {
            return Ok(None);
        };
        let bytes = self.input.get_bytes(offset, length);
        let bytes = bytes.map_err(|_| IndexError::Damaged("cube"))?;
        let cube = Arc::new(header.cube(&bytes)?);
        let _another_thread_was_first = self.metadata.cube.set(Some(Arc::clone(&cube)));
        Ok(Some(cube))
    }

    /// The chunk of a column that is no map.
    pub(crate) fn chunk(&self, group: usize, name: &str) -> Option<&ColumnChunkMetaData> {
        self.group(group)?.columns().get(self.leaf(name)?)
    }

    /// The chunk of the keys of a map column.
    fn keys_chunk(&self, group: usize, name: &str) -> Option<&ColumnChunkMetaData> {
        let leaves = self.metadata.roots.get(name)?;
        self.group(group)?.columns().get(leaves.start)
    }

    pub(crate) fn leaf(&self, name: &str) -> Option<usize> {
        self.metadata.leaves.get(name).copied()
    }

    pub(crate) fn schema(&self, texts: Texts) -> &SchemaRef {
        self.arrow(texts).schema()
    }

    fn arrow(&self, texts: Texts) -> &ArrowReaderMetadata {
        match texts {
            Texts::Dictionary => &self.metadata.dictionary,
            Texts::Plain => &self.metadata.plain,
            Texts::AllDictionary => &self.metadata.templates,
        }
    }

    /// The chosen rows of a row group, with the columns of `names` or all.
    pub(crate) fn read(
        &self,
        group: usize,
        names: Option<&[&str]>,
        selection: Option<RowSelection>,
        texts: Texts,
    ) -> Result<RecordBatch, StoreError> {
        let all = names.map(|names| with_companions(names.iter().copied()));
        let all: Option<Vec<&str>> = all
            .as_ref()
            .map(|all| all.iter().map(String::as_str).collect());
        let batch = self.read_packed(group, all.as_deref(), selection, texts)?;
        unpack(&batch).map_err(|source| self.input.error(source.into()))
    }

    /// As [`Segment::read`], with the columns as the file has them.
    pub(crate) fn read_packed(
        &self,
        group: usize,
        names: Option<&[&str]>,
        selection: Option<RowSelection>,
        texts: Texts,
    ) -> Result<RecordBatch, StoreError> {
        self.read_columns(group, names, selection, texts)
            .map_err(|source| self.input.error(source))
    }

    fn read_columns(
        &self,
        group: usize,
        names: Option<&[&str]>,
        selection: Option<RowSelection>,
        texts: Texts,
    ) -> Result<RecordBatch, ParquetError> {
        let schema = self.schema(texts);
        let group_rows = self.group(group).map_or(0, rows_of);
        let rows = selection
            .as_ref()
            .map_or(group_rows, RowSelection::row_count);
        let is_wanted =
            |field: &Field| names.is_none_or(|names| names.contains(&field.name().as_str()));
        let index = self.page_index(group)?;
        let (mut fields, mut columns, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        for field in schema.fields().iter().filter(|field| is_wanted(field)) {
            let chunk = match field.data_type() {
                DataType::Map(..) => self.keys_chunk(group, field.name()),
                _ => self.chunk(group, field.name()),
            };
            let mut known = chunk.and_then(|chunk| constant(chunk, field.data_type(), rows));
            if known.is_none() {
                known = self.leaf(field.name()).and_then(|leaf| {
                    let total = self.group(group).map_or(0, rows_of);
                    let data_type = field.data_type();
                    index.constant(leaf, data_type, total, selection.as_ref())
                });
            }
            if known.is_none() {
                leaves.extend(
                    self.metadata
                        .roots
                        .get(field.name())
                        .cloned()
                        .unwrap_or_default(),
                );
            }
            fields.push(Arc::clone(field));
            columns.push(known);
        }
        if !leaves.is_empty() {
            let read = self.read_leaves(group, leaves, selection, texts)?;
            for (field, column) in fields.iter().zip(&mut columns) {
                if column.is_none() {
                    *column = read.column_by_name(field.name()).cloned();
                }
            }
        }
        let columns: Option<Vec<ArrayRef>> = columns.into_iter().collect();
        let columns =
            columns.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
        if columns.iter().any(|column| column.len() != rows) {
            return Err(ParquetError::General(
                "a column has too few rows".to_owned(),
            ));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }

    fn read_leaves(
        &self,
        group: usize,
        leaves: Vec<usize>,
        selection: Option<RowSelection>,
        texts: Texts,
    ) -> Result<RecordBatch, ParquetError> {
        let parquet = self.metadata.parquet();
        let descriptor = parquet.file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(descriptor, leaves);
        let hint = self.schema(texts).fields();
        let levels = parquet_to_arrow_field_levels(descriptor, mask, Some(hint))?;
        let mut reader = self.with_pages(group, |pages| {
            let rows = pages.rows().max(1);
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, pages, rows, selection)
        })?;
        let schema = reader.schema();
        let mut parts = Vec::with_capacity(1);
        for part in &mut reader {
            parts.push(part?);
        }
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                parts.extend(last);
                Ok(concat_batches(&schema, &parts)?)
            }
        }
    }

    /// The rows of those pages of a column that hold one of the byte strings; `None` when that cannot be told.
    pub(crate) fn pages_with(
        &self,
        group: usize,
        name: &str,
        searched: &[Finder<'_>],
        is_wanted: impl Fn(&Range<usize>) -> bool,
    ) -> Result<Option<Vec<Range<usize>>>, StoreError> {
        let Some(leaf) = self.leaf(name) else {
            return Ok(None);
        };
        let holding = self.with_pages(group, |pages| pages.holding(leaf, searched, is_wanted));
        holding.map_err(|source| self.input.error(source))
    }

    /// What is read of the pages of a row group.
    fn with_pages<T>(
        &self,
        group: usize,
        read: impl FnOnce(&GroupPages<'_>) -> Result<T, ParquetError>,
    ) -> Result<T, ParquetError> {
        let index = self.page_index(group)?;
        let parquet = self.metadata.parquet();
        let known = self.known_group(group)?;
        read(&GroupPages::new(
            &self.input,
            &self.pages,
            parquet,
            &index,
            known,
        ))
    }

    /// The texts in the dictionary of a text column; `None` when its values are not all there.
    pub(crate) fn dictionary(
        &self,
        group: usize,
        name: &str,
    ) -> Result<Option<StringArray>, StoreError> {
        let Some(leaf) = self.leaf(name).filter(|_| self.is_dictionary(group, name)) else {
            return Ok(None);
        };
        let read = self.with_pages(group, |pages| pages.dictionary(leaf));
        read.map(Some).map_err(|source| self.input.error(source))
    }

    /// The times of the pages of a row group; none when the segment does not tell.
    pub(crate) fn time_pages(&self, group: usize) -> Result<Vec<Page>, StoreError> {
        let index = self.page_index(group);
        let index = index.map_err(|source| self.input.error(source))?;
        Ok(index.times().to_vec())
    }

    fn page_index(&self, group: usize) -> Result<Arc<PageIndex>, ParquetError> {
        let known = self.metadata.pages.get(group);
        if let Some(index) = known.and_then(OnceLock::get) {
            return Ok(Arc::clone(index));
        }
        let parquet = self.metadata.parquet();
        let time = self.leaf(column::TIME);
        let index = PageIndex::read(&self.input, parquet, self.known_group(group)?, time)?;
        let index = Arc::new(index);
        if let Some(known) = known {
            let _another_thread_was_first = known.set(Arc::clone(&index));
        }
        Ok(index)
    }

    fn known_group(&self, group: usize) -> Result<&RowGroupMetaData, ParquetError> {
        let group = self.group(group);
        group.ok_or_else(|| ParquetError::General("a row group is missing".to_owned()))
    }

    /// Whether all values of a text column of a row group are in its dictionary.
    pub(crate) fn is_dictionary(&self, group: usize, name: &str) -> bool {
        let encodings = |chunk: &ColumnChunkMetaData| {
            chunk
                .page_encoding_stats_mask()
                .is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY))
        };
        self.chunk(group, name).is_some_and(encodings)
    }
}
