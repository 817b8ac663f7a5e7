//! The columns of a table's segments: the fixed ones and, after them, the promoted ones.
//!
//! The head holds rows of the fixed columns only, with all attributes in the map. A segment is written in the
//! layout of its time (see [`shred`](crate::segment::shred)). Each snapshot carries the layouts it was taken
//! with; files that are older lack the columns that were added since.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::{Promoted, PromotedColumn, Table, packed};

/// How one table's segments are laid out: its fixed columns and, after them, the promoted ones. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    table: Table,
    schema: SchemaRef,
    /// Of files.
    file_schema: SchemaRef,
    promoted: Arc<Promoted>,
}

impl Layout {
    /// The layout without promoted columns.
    pub fn fixed(table: Table) -> Self {
        Self::new(table, Promoted::default())
    }

    pub fn new(table: Table, promoted: Promoted) -> Self {
        let own = promoted.columns().iter().map(PromotedColumn::field);
        let schema = with_fields(&table.segment_schema(), own);
        let mut layout = Self {
            table,
            file_schema: Arc::clone(&schema),
            schema,
            promoted: Arc::new(promoted),
        };
        layout.file_schema = with_fields(&layout.schema, packed::companions(&layout));
        layout
    }

    pub fn table(&self) -> Table {
        self.table
    }

    /// The schema of rows in this layout, with whole texts.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The schema of every file written with this layout: texts and their companions, see [`packed`]. Earlier files
    /// may lack promoted columns and companions.
    pub fn file_schema(&self) -> SchemaRef {
        Arc::clone(&self.file_schema)
    }

    pub fn promoted(&self) -> &Promoted {
        &self.promoted
    }
}

/// A schema with further fields at its end.
fn with_fields(schema: &SchemaRef, further: impl IntoIterator<Item = Field>) -> SchemaRef {
    let further = further.into_iter().map(Arc::new);
    let fields: Vec<_> = schema.fields().iter().cloned().chain(further).collect();
    match fields.len() == schema.fields().len() {
        true => Arc::clone(schema),
        false => Arc::new(Schema::new(fields)),
    }
}

/// The layout of each table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layouts([Layout; 4]);

impl Default for Layouts {
    fn default() -> Self {
        Self(Table::ALL.map(Layout::fixed))
    }
}

impl Layouts {
    pub fn get(&self, table: Table) -> &Layout {
        let [logs, spans, samples, series] = &self.0;
        match table {
            Table::Logs => logs,
            Table::Spans => spans,
            Table::Samples => samples,
            Table::Series => series,
        }
    }

    /// The promoted columns that `earlier` does not have.
    pub fn added_since(&self, earlier: &Self) -> Vec<(Table, PromotedColumn)> {
        let mut added = Vec::new();
        for layout in &self.0 {
            let known = earlier.get(layout.table).promoted();
            let columns = layout.promoted.columns().iter();
            let new = columns.filter(|column| known.find(&column.key).is_none());
            added.extend(new.map(|column| (layout.table, column.clone())));
        }
        added
    }

    /// These layouts with another one for its table.
    #[must_use]
    pub fn with(mut self, layout: Layout) -> Self {
        for own in &mut self.0 {
            if own.table == layout.table {
                *own = layout.clone();
            }
        }
        self
    }
}
