//! Record batches in the order they came, small ones joined.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

/// A batch of this many rows is kept as it is.
const SETTLED_ROWS_MIN: usize = 512;
/// Small batches are joined when there are this many of them or this many rows in them.
const SMALL_BATCHES_MAX: usize = 64;
const SMALL_ROWS_MAX: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Batches {
    settled: Vec<RecordBatch>,
    small: Vec<RecordBatch>,
    small_rows: usize,
    rows: u64,
}

impl Batches {
    pub(super) fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() == 0 {
            return;
        }
        self.rows += batch.num_rows() as u64;
        if batch.num_rows() >= SETTLED_ROWS_MIN {
            self.join_small();
            self.settled.push(batch);
            return;
        }
        self.small_rows += batch.num_rows();
        self.small.push(batch);
        if self.small.len() >= SMALL_BATCHES_MAX || self.small_rows >= SMALL_ROWS_MAX {
            self.join_small();
        }
    }

    pub(super) fn all(&self) -> Vec<RecordBatch> {
        self.settled.iter().chain(&self.small).cloned().collect()
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn join_small(&mut self) {
        let Some(first) = self.small.first() else {
            return;
        };
        match concat_batches(&first.schema(), &self.small) {
            Ok(joined) => {
                self.settled.push(joined);
                self.small.clear();
            }
            // All batches have the schema of the table, so this does not happen; the rows stay as they are.
            Err(_kept_apart) => self.settled.append(&mut self.small),
        }
        self.small_rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(rows: std::ops::Range<i32>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, false)]);
        let numbers = Arc::new(Int32Array::from_iter_values(rows));
        RecordBatch::try_new(Arc::new(schema), vec![numbers]).unwrap()
    }

    #[test]
    fn small_batches_are_joined_and_none_is_lost() {
        let mut batches = Batches::default();
        for n in 0..200 {
            batches.push(batch(n..n + 1));
        }
        batches.push(batch(200..9000));
        let all = batches.all();
        assert_eq!(batches.rows(), 9000);
        assert!(all.len() < 10, "{}", all.len());
        let joined = concat_batches(&all[0].schema(), &all).unwrap();
        assert_eq!(joined, batch(0..9000));
    }
}
