//! The pages of one row group, decompressed with what a thread keeps for it.
//!
//! The reader of the `parquet` crate makes a compressor and a decompressor for every column that it reads, which takes
//! longer than most pages do. Here it reads them as if they were not compressed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{StringArray, StringBuilder};
use bytes::Bytes;
use memchr::memmem::Finder;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;

use super::input::Input;
use super::page_cache::{PageCache, PageKey};
use super::page_index::{PageIndex, rows_of};

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// One row group of a segment.
pub(super) struct GroupPages<'s> {
    input: Arc<Input>,
    cache: &'s Arc<PageCache>,
    metadata: &'s ParquetMetaData,
    index: &'s PageIndex,
    group: &'s RowGroupMetaData,
}

impl<'s> GroupPages<'s> {
    pub(super) fn new(
        input: &Input,
        cache: &'s Arc<PageCache>,
        metadata: &'s ParquetMetaData,
        index: &'s PageIndex,
        group: &'s RowGroupMetaData,
    ) -> Self {
        Self {
            input: Arc::new(input.clone()),
            cache,
            metadata,
            index,
            group,
        }
    }

    pub(super) fn rows(&self) -> usize {
        rows_of(self.group)
    }

    /// The rows of those pages of a column that hold one of the byte strings. Pages of which `is_wanted` says no are not
    /// read. `None` when bytes of values do not stand in its pages as they are.
    pub(super) fn holding(
        &self,
        leaf: usize,
        searched: &[Finder<'_>],
        is_wanted: impl Fn(&Range<usize>) -> bool,
    ) -> Result<Option<Vec<Range<usize>>>, ParquetError> {
        let encodings = |chunk: &ColumnChunkMetaData| chunk.page_encoding_stats_mask().copied();
        let encodings = self.group.columns().get(leaf).and_then(encodings);
        let as_they_are = Encoding::DELTA_LENGTH_BYTE_ARRAY;
        let Some(locations) = self.index.locations(leaf) else {
            return Ok(None);
        };
        if !encodings.is_some_and(|encodings| encodings.is_only(as_they_are)) {
            return Ok(None);
        }
        let start = |page: usize| {
            let first = locations.get(page)?.first_row_index;
            Some(usize::try_from(first).unwrap_or(0).min(self.rows()))
        };
        let mut pages = self.pages(leaf)?;
        let mut holding = Vec::new();
        for page in 0..locations.len() {
            let end = start(page + 1).unwrap_or(self.rows());
            let rows = start(page).unwrap_or(end)..end;
            if !is_wanted(&rows) {
                pages.skip_next_page()?;
                continue;
            }
            let page = pages.get_next_page()?;
            let page = page.ok_or_else(|| missing("page"))?;
            if searched
                .iter()
                .any(|searched| searched.find(page.buffer()).is_some())
            {
                holding.push(rows);
            }
        }
        Ok(Some(holding))
    }

    /// The texts in the dictionary of a column.
    pub(super) fn dictionary(&self, leaf: usize) -> Result<StringArray, ParquetError> {
        let damaged = || ParquetError::General("a dictionary is damaged".to_owned());
        let page = self.pages(leaf)?.get_next_page()?;
        let Some(Page::DictionaryPage {
            buf, num_values, ..
        }) = page
        else {
            return Err(missing("dictionary"));
        };
        let mut rest = buf.as_ref();
        let mut texts = StringBuilder::new();
        for _value in 0..num_values {
            let (length, after) = rest.split_first_chunk().ok_or_else(damaged)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let (text, after) = after.split_at_checked(length).ok_or_else(damaged)?;
            texts.append_value(std::str::from_utf8(text).map_err(|_| damaged())?);
            rest = after;
        }
        Ok(texts.finish())
    }

    fn pages(&self, leaf: usize) -> Result<Box<dyn PageReader>, ParquetError> {
        let chunk = self.group.columns().get(leaf);
        let chunk = chunk.ok_or_else(|| missing("column"))?;
        let pages = self.index.locations(leaf).cloned();
        let (input, rows) = (Arc::clone(&self.input), self.rows());
        if !matches!(chunk.compression(), Compression::ZSTD(_)) {
            return Ok(Box::new(SerializedPageReader::new(
                input, chunk, rows, pages,
            )?));
        }
        let compressed = as_uncompressed(chunk)?;
        let places = pages.as_ref().map(|pages| places(chunk, pages));
        Ok(Box::new(ZstdPages {
            cache: Arc::clone(self.cache),
            input: Arc::clone(&input),
            places: places.unwrap_or_default(),
            pages: SerializedPageReader::new(input, &compressed, rows, pages)?,
            bytes_max: usize::try_from(chunk.uncompressed_size()).unwrap_or(0),
        }))
    }
}

/// Where the pages of a column begin, its dictionary among them.
fn places(chunk: &ColumnChunkMetaData, pages: &[PageLocation]) -> VecDeque<u64> {
    let start = chunk.byte_range().0;
    let offset = |page: &PageLocation| u64::try_from(page.offset).unwrap_or(0);
    let dictionary = pages
        .first()
        .is_some_and(|first| offset(first) != start)
        .then_some(start);
    dictionary
        .into_iter()
        .chain(pages.iter().map(offset))
        .collect()
}

fn missing(what: &str) -> ParquetError {
    ParquetError::General(format!("a {what} is missing"))
}

/// What a reader has to know of a column to hand its pages out as they are in the file.
fn as_uncompressed(chunk: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData, ParquetError> {
    ColumnChunkMetaData::builder(chunk.column_descr_ptr())
        .set_compression(Compression::UNCOMPRESSED)
        .set_num_values(chunk.num_values())
        .set_data_page_offset(chunk.data_page_offset())
        .set_dictionary_page_offset(chunk.dictionary_page_offset())
        .set_total_compressed_size(chunk.compressed_size())
        .set_total_uncompressed_size(chunk.compressed_size())
        .build()
}

impl RowGroups for GroupPages<'_> {
    fn num_rows(&self) -> usize {
        self.rows()
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        Ok(Box::new(OneChunk(Some(self.pages(leaf)?))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

struct ZstdPages {
    cache: Arc<PageCache>,
    input: Arc<Input>,
    /// Of the pages that are left, as far as known.
    places: VecDeque<u64>,
    pages: SerializedPageReader<Input>,
    /// All pages together.
    bytes_max: usize,
}

impl ZstdPages {
    fn decompress(&self, mut page: Page) -> Result<Page, ParquetError> {
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
                *buf = decompress(buf, 0, self.bytes_max)?;
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } if *is_compressed => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                let levels = usize::try_from(levels).unwrap_or(usize::MAX);
                *buf = decompress(buf, levels, self.bytes_max)?;
                *is_compressed = false;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(page)
    }
}

impl Iterator for ZstdPages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for ZstdPages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let key = self.places.pop_front().map(|offset| PageKey {
            file: self.input.file(),
            offset,
        });
        self.input.check()?;
        if let Some(page) = key.and_then(|key| self.cache.get(key)) {
            self.pages.skip_next_page()?;
            return Ok(Some(page));
        }
        let page = self.pages.get_next_page()?;
        let page = page.map(|page| self.decompress(page)).transpose()?;
        if let Some((key, page)) = key.zip(page.as_ref()) {
            self.cache.insert(key, page);
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.places.pop_front();
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        self.pages.at_record_boundary()
    }
}

/// A page whose first `plain` bytes are not compressed.
fn decompress(page: &Bytes, plain: usize, bytes_max: usize) -> Result<Bytes, ParquetError> {
    let damaged = || ParquetError::General("a page is damaged".to_owned());
    let (head, frame) = page.split_at_checked(plain).ok_or_else(damaged)?;
    if frame.is_empty() {
        return Ok(page.clone());
    }
    let length = zstd::zstd_safe::get_frame_content_size(frame).map_err(|_| damaged())?;
    let length = length.and_then(|length| usize::try_from(length).ok());
    // A writer that does not say: as much as there can be.
    let length = length.unwrap_or(bytes_max);
    if length > bytes_max {
        return Err(damaged());
    }
    let mut whole = Vec::with_capacity(plain + length);
    whole.extend_from_slice(head);
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        let mut end = std::io::Cursor::new(&mut whole);
        end.set_position(plain as u64);
        decompressor.decompress_to_buffer(frame, &mut end)
    })?;
    Ok(whole.into())
}
