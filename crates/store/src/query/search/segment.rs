//! Reads columns of one segment.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::{RecordBatch, RecordBatchReader as _};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::reader::{ChunkReader, Length};

use super::stop::Stop;
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
}

/// What is known of a segment without reading rows.
pub(crate) struct SegmentMetadata {
    plain: ArrowReaderMetadata,
    dictionary: ArrowReaderMetadata,
    /// Where each column that is no map stands among the chunks of a row group.
    leaves: HashMap<String, usize>,
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
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_prefetch_hint(usize::try_from(hint).ok())
            .parse_and_finish(input)?;
        let parquet = Arc::new(parquet);
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&parquet), ArrowReaderOptions::new())?;
        let schema = with_dictionaries(plain.schema());
        let options = ArrowReaderOptions::new().with_schema(schema);
        let dictionary = ArrowReaderMetadata::try_new(Arc::clone(&parquet), options)?;
        let columns = parquet.file_metadata().schema_descr().columns();
        let leaves = columns.iter().map(|column| column.path().string());
        let leaves = leaves.zip(0..).collect();
        let index = read_index(input, &parquet);
        Ok(Self {
            plain,
            dictionary,
            leaves,
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

fn with_dictionaries(schema: &SchemaRef) -> SchemaRef {
    let text = |field: &Arc<Field>| {
        let is_text = *field.data_type() == DataType::Utf8;
        if is_text && DICTIONARY_COLUMNS.contains(&field.name().as_str()) {
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
        &self.input.path
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
        let error = |source| self.input.error(source);
        let metadata = self.arrow(texts).clone();
        let rows = self.group(group).map_or(0, RowGroupMetaData::num_rows);
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.input.clone(), metadata);
        let mask = match names {
            Some(names) => {
                let companions: Vec<String> = names.iter().map(|name| companion(name)).collect();
                let names = names.iter().copied();
                let names = names.chain(companions.iter().map(String::as_str));
                ProjectionMask::columns(builder.parquet_schema(), names)
            }
            None => ProjectionMask::all(),
        };
        let mut builder = builder
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(usize::try_from(rows).unwrap_or(0).max(1));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let mut reader = builder.build().map_err(error)?;
        let schema = reader.schema();
        let mut parts = Vec::with_capacity(1);
        for part in &mut reader {
            parts.push(part.map_err(|source| error(source.into()))?);
        }
        let whole = match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                parts.extend(last);
                concat_batches(&schema, &parts)
            }
        };
        whole
            .and_then(|batch| unpack(&batch))
            .map_err(|source| error(source.into()))
    }
}

/// A file that is read at offsets, until its request is stopped.
#[derive(Clone)]
struct Input {
    path: Arc<PathBuf>,
    file: Arc<File>,
    bytes: u64,
    stop: Arc<Stop>,
}

impl Input {
    fn open(path: &Path, stop: &Arc<Stop>) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        Ok(Self {
            path: Arc::new(path.to_owned()),
            file: Arc::new(file),
            bytes,
            stop: Arc::clone(stop),
        })
    }

    /// What went wrong in reading: the request was stopped, or the file is damaged.
    fn error(&self, source: ParquetError) -> StoreError {
        match self.stop.check() {
            Err(stopped) => stopped,
            Ok(()) => StoreError::Read {
                path: self.path.as_ref().clone(),
                source,
            },
        }
    }

    fn check(&self) -> Result<(), ParquetError> {
        self.stop
            .check()
            .map_err(|stopped| ParquetError::External(stopped.into()))
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Input {
    type T = BufReader<InputReader>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.check()?;
        Ok(BufReader::new(InputReader {
            input: self.clone(),
            position: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.check()?;
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} of a file of {}",
                self.bytes
            )));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

pub(crate) struct InputReader {
    input: Input,
    position: u64,
}

impl Read for InputReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.file.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}
