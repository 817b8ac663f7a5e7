//! What is known of a segment without reading rows: its footer, and the header of its index.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy,
};
use parquet::file::reader::ChunkReader as _;

use super::input::Input;
use super::page_index::{self, PageIndex};
use crate::catalog::DataFile;
use crate::segment::index::cube::Cube;
use crate::segment::index::{INDEX_KEY, IndexError, IndexHeader, IndexPlace};
use crate::tables::column;

/// Rows that a series has in a row group on average at least, for its place to be remembered.
const RUN_ROWS_MIN: usize = 64;

/// The series of a row group, in the order of its rows: their ids, and the row at which each begins.
pub(crate) type SeriesRuns = Vec<(u64, usize)>;

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

/// What is known of a segment without reading rows.
pub(crate) struct SegmentMetadata {
    pub(super) plain: ArrowReaderMetadata,
    pub(super) dictionary: ArrowReaderMetadata,
    pub(super) templates: ArrowReaderMetadata,
    /// Where each column that is no map stands among the chunks of a row group.
    pub(super) leaves: HashMap<String, usize>,
    /// The chunks of each column.
    pub(super) roots: HashMap<String, Range<usize>>,
    /// By row group.
    pub(super) pages: Vec<OnceLock<Arc<PageIndex>>>,
    /// By row group, of segments of samples.
    series: Vec<OnceLock<SeriesRuns>>,
    /// `None` when there is no index.
    pub(super) index: Result<Option<IndexHeader>, IndexError>,
    pub(super) cube: OnceLock<Option<Arc<Cube>>>,
}

impl SegmentMetadata {
    pub(super) fn read(input: &Input, file: &DataFile) -> Result<Self, ParquetError> {
        let hint = file.footer_bytes.saturating_add(PARQUET_TAIL_BYTES);
        let unused =
            ParquetMetaDataOptions::new().with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let parquet = ParquetMetaDataReader::new()
            .with_metadata_options(Some(unused))
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
        let groups = parquet.row_groups().len();
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
            series: (0..groups).map(|_group| OnceLock::new()).collect(),
            index,
            cube: OnceLock::new(),
        })
    }

    pub(crate) fn parquet(&self) -> &ParquetMetaData {
        self.plain.metadata()
    }

    /// Where the series of a row group are, if that is remembered.
    pub(crate) fn series_runs(&self, group: usize) -> Option<&[(u64, usize)]> {
        self.series.get(group)?.get().map(Vec::as_slice)
    }

    /// Remembers where the series of a row group are, unless there are too many for its rows.
    pub(crate) fn keep_series_runs(&self, group: usize, mut runs: SeriesRuns, rows: usize) {
        if let Some(known) = self.series.get(group)
            && runs.len().saturating_mul(RUN_ROWS_MIN) <= rows
        {
            runs.shrink_to_fit();
            let _another_thread_was_first = known.set(runs);
        }
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
        let has_series = self.leaves.contains_key(column::SERIES_ID);
        let rows = self.parquet().file_metadata().num_rows();
        let rows = usize::try_from(rows).unwrap_or(0);
        let runs = usize::from(has_series) * rows / RUN_ROWS_MIN * size_of::<(u64, usize)>();
        self.parquet().memory_size()
            + runs
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
