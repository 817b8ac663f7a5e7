//! What becomes of an exporter's backlog when the exporter is not configured any more.
//!
//! Nothing waits for it: its cursor goes. Something does: it is kept where it is, for an exporter of the same name to
//! come, and said at every start and reload. It does not grow: what is stored from then on is not for it. It never makes
//! receivers wait: when the disk budget is used up, its oldest records go first. The setting `give_up` names exporters whose
//! backlog is not wanted any more.

use vervet_journal::{Journal, JournalError};

use crate::books::Place;
use crate::config::AgentConfig;
use crate::exporters::{self, CURSOR_PREFIX};

/// Looks after the cursors of exporters that `config` does not have, from `now` on; returns the exporters whose cursors are
/// no more.
///
/// # Errors
/// A cursor cannot be opened or removed.
pub(super) fn settle(
    config: &AgentConfig,
    journal: &Journal,
    now: Place,
) -> Result<Vec<String>, JournalError> {
    let mut removed = Vec::new();
    for cursor in journal.stats().cursors {
        let Some(exporter) = cursor.name.strip_prefix(CURSOR_PREFIX) else {
            continue;
        };
        if config.exporters.contains_key(exporter) {
            continue;
        }
        let (batches, bytes) = (cursor.lag_records, cursor.lag_bytes);
        let is_given_up = config.give_up.iter().any(|name| name == exporter);
        if batches == 0 || is_given_up {
            if batches > 0 {
                tracing::warn!(
                    exporter,
                    batches,
                    bytes,
                    "backlog of a removed exporter is given up"
                );
            }
            journal.remove_cursor(&cursor.name)?;
            removed.push(exporter.to_owned());
            continue;
        }
        if let Err(error) = exporters::let_go(&mut journal.cursor(&cursor.name)?, now) {
            tracing::warn!(%error, exporter, "that its backlog may go and ends here could not be stored: what goes may be booked as damaged later");
        }
        tracing::warn!(
            exporter,
            batches,
            bytes,
            "exporter is not configured any more, its backlog is kept until it comes back or `give_up` names it"
        );
    }
    Ok(removed)
}
