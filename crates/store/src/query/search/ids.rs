//! Which row groups of a segment may hold given traces, for readers other than typed requests.

use std::sync::Arc;

use super::Searcher;
use super::stop::Stop;
use crate::StoreError;
use crate::catalog::DataFile;
use crate::segment::index::token;

impl Searcher {
    /// For each row group of `file`, whether it may hold a trace of each of the lists; `None` when its index does not tell.
    ///
    /// # Errors
    /// The file or its footer cannot be read.
    pub(crate) fn groups_with_traces(
        &self,
        file: &DataFile,
        lists: &[Vec<Vec<u8>>],
        stop: &Arc<Stop>,
    ) -> Result<Option<Vec<bool>>, StoreError> {
        let segment = self.cache.open(file, stop)?;
        let mut of_all: Option<Vec<bool>> = None;
        for list in lists {
            let mut of_any = vec![false; segment.metadata().parquet().num_row_groups()];
            for id in list {
                let Ok(found) = segment.groups_with(token::id(id)) else {
                    if stop.check().is_ok() {
                        self.cache.note_damaged_index(segment.path());
                    }
                    return Ok(None);
                };
                let Some(found) = found else {
                    return Ok(None);
                };
                for (any, found) in of_any.iter_mut().zip(found) {
                    *any |= found;
                }
            }
            of_all = Some(match of_all {
                None => of_any,
                Some(all) => all.iter().zip(of_any).map(|(a, b)| *a && b).collect(),
            });
        }
        Ok(of_all)
    }
}
