//! Reads columns of one segment.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader as _};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use memchr::memmem::Finder;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::reader::ChunkReader as _;

use super::constant::constant;
use super::input::Input;
use super::page_index::{self, PageIndex, rows_of};
use super::pages::GroupPages;
use super::stop::Stop;
use super::times::Page;
use crate::StoreError;
use crate::catalog::DataFile;
use crate::segment::index::bloom::bits;
use crate::segment::index::cube::Cube;
use crate::segment::index::{INDEX_KEY, IndexError, IndexHeader, IndexPlace};
use crate::segment::unpack;
use crate::tables::column;
use crate::tables::packed::companion;

/// Bytes after a Parquet file's metadata: its length and the magic number.
const PARQUET_TAIL_BYTES: u64 = 8;

/// Text columns with few values, which are read as indexes into their dictionary.
const DICTIONARY_COLUMNS: [&str; 12] = [
    column::LEVEL,
    column::SERVICE_NAME,
    column::ENVIRONMENT,
    column::HOST_NAME,
    column::K8S_NAMESPACE_NAME,
    column::K8S_POD_NAME,
    column::K8S_CONTAINER_NAME,
    column::EVENT_NAME,
    column::SCOPE_NAME,
    column::NAME,
    column::KIND,
    column::STATUS,
];

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

/// What is known of a segment without reading rows.
pub(crate) struct SegmentMetadata {
    plain: ArrowReaderMetadata,
    dictionary: ArrowReaderMetadata,
    templates: ArrowReaderMetadata,
    /// Where each column that is no map stands among the chunks of a row group.
    leaves: HashMap<String, usize>,
    /// The chunks of each column.
    roots: HashMap<String, Range<usize>>,
    /// By row group.
    pages: Vec<OnceLock<Arc<PageIndex>>>,
    /// `None` when there is no index.
    index: Result<Option<IndexHeader>, IndexError>,
    cube: OnceLock<Option<Arc<Cube>>>,
}

/// A segment that is open for one request.
pub(crate) struct Segment {
    input: Input,
    metadata: Arc<SegmentMetadata>,
    /// What was looked up in the blooms.
    looked_up: Mutex<HashMap<u64, Option<Vec<bool>>>>,
}

impl SegmentMetadata {
    fn read(input: &Input, file: &DataFile) -> Result<Self, ParquetError> {
        let hint = file.footer_bytes.saturating_add(PARQUET_TAIL_BYTES);
        let parquet = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_prefetch_hint(usize::try_from(hint).ok())
            .parse_and_finish(input)?;
        let parquet = Arc::new(parquet);
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&parquet), ArrowReaderOptions::new())?;
        let with_dictionaries = |which: &dyn Fn(&str) -> bool| {
            let schema = with_dictionaries(plain.schema(), which);
            let options = ArrowReaderOptions::new().with_schema(schema);
            ArrowReaderMetadata::try_new(Arc::clone(&parquet), options)
        };
        let dictionary = with_dictionaries(&|name| DICTIONARY_COLUMNS.contains(&name))?;
        let templates = with_dictionaries(&|_name| true)?;
        let columns = parquet.file_metadata().schema_descr().columns();
        let leaves = columns.iter().map(|column| column.path().string());
        let leaves = leaves.zip(0..).collect();
        let mut roots = HashMap::<String, Range<usize>>::new();
        for (leaf, column) in columns.iter().enumerate() {
            let root = column.path().parts().first().cloned().unwrap_or_default();
            roots.entry(root).or_insert(leaf..leaf).end = leaf + 1;
        }
        let index = read_index(input, &parquet);
        Ok(Self {
            plain,
            dictionary,
            templates,
            leaves,
            roots,
            pages: parquet
                .row_groups()
                .iter()
                .map(|_group| OnceLock::new())
                .collect(),
            index,
            cube: OnceLock::new(),
        })
    }

    pub(crate) fn parquet(&self) -> &ParquetMetaData {
        self.plain.metadata()
    }

    /// Memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        const PER_FIELD_BYTES: usize = 512;
        /// What a compressed byte of the cube comes to.
        const CUBE_FACTOR: usize = 16;
        let cube = match &self.index {
            Ok(Some(header)) => header.cube_range().map_or(0, |(_offset, length)| length),
            _ => 0,
        };
        self.parquet().memory_size()
            + page_index::memory(self.parquet())
            + self.plain.schema().fields().len() * PER_FIELD_BYTES
            + cube * CUBE_FACTOR
    }

    /// Whether there is an index that cannot be used.
    pub(crate) fn index_is_damaged(&self) -> bool {
        matches!(self.index, Err(IndexError::Damaged(_)))
    }
}

/// The header of the index, if the footer names one.
fn read_index(input: &Input, parquet: &ParquetMetaData) -> Result<Option<IndexHeader>, IndexError> {
    const UNREADABLE: IndexError = IndexError::Damaged("place");
    let entries = parquet.file_metadata().key_value_metadata();
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.key == INDEX_KEY));
    let Some(value) = entry.and_then(|entry| entry.value.as_deref()) else {
        return Ok(None);
    };
    let place = IndexPlace::from_value(value).ok_or(UNREADABLE)?;
    let header = input.get_bytes(place.offset, IndexHeader::BYTES);
    let header = IndexHeader::parse(place, &header.map_err(|_| UNREADABLE)?)?;
    match usize::try_from(header.groups()) == Ok(parquet.num_row_groups()) {
        true => Ok(Some(header)),
        false => Err(UNREADABLE),
    }
}

fn with_dictionaries(schema: &SchemaRef, which: &dyn Fn(&str) -> bool) -> SchemaRef {
    let text = |field: &Arc<Field>| {
        let is_text = *field.data_type() == DataType::Utf8;
        if is_text && which(field.name()) {
            let indexed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(field.as_ref().clone().with_data_type(indexed))
        } else {
            Arc::clone(field)
        }
    };
    Arc::new(Schema::new(
        schema.fields().iter().map(text).collect::<Vec<_>>(),
    ))
}

impl Segment {
    /// Opens a segment, whose metadata is read unless `known`.
    pub(crate) fn open(
        file: &DataFile,
        known: Option<Arc<SegmentMetadata>>,
        stop: &Arc<Stop>,
    ) -> Result<Self, StoreError> {
        let input = Input::open(&file.path, stop)?;
        let metadata = match known {
            Some(metadata) => metadata,
            None => {
                let read = SegmentMetadata::read(&input, file);
                Arc::new(read.map_err(|source| input.error(source))?)
            }
        };
        Ok(Self {
            input,
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
        let Some(range) = header.page_of(token) else {
            return Ok(None);
        };
        let page = self.input.get_bytes(range.offset, range.length);
        let page = page.map_err(|_| IndexError::Damaged("blooms"))?;
        header.lookup(range, &page, &bits(token)).map(Some)
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
        let companions = |names: &[&str]| names.iter().map(|name| companion(name)).collect();
        let companions: Option<Vec<String>> = names.map(companions);
        let both = names.zip(companions.as_ref()).map(|(names, companions)| {
            let companions = companions.iter().map(String::as_str);
            names.iter().copied().chain(companions).collect::<Vec<_>>()
        });
        let batch = self.read_packed(group, both.as_deref(), selection, texts)?;
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
        let (mut fields, mut columns, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        for field in schema.fields().iter().filter(|field| is_wanted(field)) {
            let chunk = self.chunk(group, field.name());
            let known = chunk.and_then(|chunk| constant(chunk, field.data_type(), rows));
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
        let index = self.page_index(group)?;
        let pages = GroupPages::new(&self.input, parquet, &index, self.known_group(group)?);
        let rows = pages.rows().max(1);
        let mut reader =
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, rows, selection)?;
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
        let holding = || {
            let index = self.page_index(group)?;
            let parquet = self.metadata.parquet();
            GroupPages::new(&self.input, parquet, &index, self.known_group(group)?)
                .holding(leaf, searched, is_wanted)
        };
        holding().map_err(|source| self.input.error(source))
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
