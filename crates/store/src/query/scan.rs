//! One table of a cut as DataFusion sees it: Parquet files and in-memory batches, in union.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::union::UnionExec;
use object_store::path::Path;

use super::session::Access;
use crate::catalog::DataFile;
use crate::flush::head_batches;
use crate::head::View;
use crate::segment::shred;
use crate::store::Inner;
use crate::tables::{Layout, Table};

/// Bytes after a Parquet file's metadata: its length and the magic number.
const PARQUET_TAIL_BYTES: u64 = 8;

#[derive(Debug)]
pub(super) struct TableScan {
    layout: Layout,
    /// Whether attributes of rows in the head are moved into promoted columns where those are read. Otherwise
    /// the columns are null and the attributes all in the map.
    shred_head: bool,
    /// Newest first.
    files: Vec<DataFile>,
    batches: Vec<RecordBatch>,
    runtime: Arc<RuntimeEnv>,
}

impl TableScan {
    pub(super) fn new(inner: &Inner, view: &View, table: Table, access: Access) -> Self {
        let overlaps = |file: &&DataFile| match (access.time, file.time_range) {
            (Some((start, end)), Some((first, last))) => first <= end && last >= start,
            _ => true,
        };
        let mut files: Vec<DataFile> = view
            .snapshot
            .table(table)
            .filter(overlaps)
            .cloned()
            .collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.time_range.map(|(_first, last)| last)));
        Self {
            layout: view.snapshot.layout(table).clone(),
            shred_head: access.shred_head,
            files,
            batches: head_batches(view, table, &inner.series.read()),
            runtime: Arc::clone(&inner.runtime),
        }
    }

    fn scan_files(
        &self,
        partitions: usize,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::local_filesystem();
        let factory = CachedParquetFileReaderFactory::new(
            self.runtime.object_store(&url)?,
            self.runtime.cache_manager.get_file_metadata_cache(),
        );
        let factory = HoldingFiles {
            factory,
            _files: self.files.clone(),
        };
        let source = ParquetSource::new(self.layout.file_schema())
            .with_parquet_file_reader_factory(Arc::new(factory))
            .with_enable_page_index(true);
        let files = self
            .files
            .iter()
            .map(partitioned_file)
            .collect::<Result<Vec<_>>>()?;
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(FileGroup::new(files).split_files(partitions))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn scan_head(
        &self,
        partitions: usize,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts: Vec<Vec<RecordBatch>> =
            vec![Vec::new(); partitions.clamp(1, self.batches.len().max(1))];
        let count = parts.len();
        for (index, batch) in self.batches.iter().enumerate() {
            if let Some(part) = parts.get_mut(index % count) {
                part.push(self.in_layout(batch, projection)?);
            }
        }
        let schema = self.layout.file_schema();
        let head = MemorySourceConfig::try_new_exec(&parts, schema, projection.cloned())?;
        Ok(head)
    }

    /// Rows of the head with all columns of the layout.
    fn in_layout(
        &self,
        batch: &RecordBatch,
        projection: Option<&Vec<usize>>,
    ) -> Result<RecordBatch> {
        let schema = self.layout.file_schema();
        let promoted = batch.num_columns()..self.layout.schema().fields().len();
        let is_read = !promoted.is_empty()
            && projection.is_none_or(|read| read.iter().any(|index| promoted.contains(index)));
        // Values of samples need no packing to be read: see `packed_values`.
        let shredded;
        let batch = if self.shred_head && is_read && self.layout.table() != Table::Samples {
            shredded = shred(batch, &self.layout)
                .map_err(|error| DataFusionError::External(error.into()))?;
            &shredded
        } else {
            batch
        };
        // Texts of the head are whole, so their companions are null.
        let nulls = schema.fields().iter().skip(batch.num_columns());
        let nulls = nulls.map(|field| new_null_array(field.data_type(), batch.num_rows()));
        let columns: Vec<ArrayRef> = batch.columns().iter().cloned().chain(nulls).collect();
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// Keeps the files of a plan from being deleted for as long as the plan may open one.
#[derive(Debug)]
struct HoldingFiles {
    factory: CachedParquetFileReaderFactory,
    _files: Vec<DataFile>,
}

impl ParquetFileReaderFactory for HoldingFiles {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        self.factory
            .create_reader(partition_index, file, metadata_size_hint, metrics)
    }
}

fn partitioned_file(file: &DataFile) -> Result<PartitionedFile> {
    let location = Path::from_absolute_path(&*file.path)
        .map_err(|error| DataFusionError::External(error.into()))?;
    let hint = file.footer_bytes.saturating_add(PARQUET_TAIL_BYTES);
    let mut partitioned = PartitionedFile::new(String::new(), file.bytes)
        .with_metadata_size_hint(usize::try_from(hint).unwrap_or(usize::MAX))
        .with_extension(file.clone());
    partitioned.object_meta.location = location;
    Ok(partitioned)
}

#[async_trait]
impl TableProvider for TableScan {
    fn schema(&self) -> SchemaRef {
        self.layout.file_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Conditions stay above the scan; the optimizer moves them into the files' half where that pays.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = state.config().target_partitions();
        if self.files.is_empty() {
            return self.scan_head(partitions, projection);
        }
        let limit = limit.filter(|_limit| filters.is_empty());
        let files = self.scan_files(partitions, projection, limit)?;
        if self.batches.is_empty() {
            return Ok(files);
        }
        UnionExec::try_new(vec![self.scan_head(partitions, projection)?, files])
    }
}
