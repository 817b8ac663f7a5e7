//! Room for recursion: a query is a tree, and everything that reads, evaluates or frees it recurses.
//!
//! A thread that is given to us has 2 MiB of stack as a rule, enough for [`SHALLOW_TOKENS_MAX`] nested
//! expressions many times over. A query that could be deeper gets a thread of its own with
//! [`STACK_BYTES`] (of address space; only what is used becomes memory), enough for any query within the
//! limits on tokens and depth.

use std::thread;

use crate::error::QueryError;
use crate::syntax::token_count;

/// Queries of at most this many tokens run on the caller's thread.
const SHALLOW_TOKENS_MAX: usize = 48;
const STACK_BYTES: usize = 64 << 20;

/// Does work that recurses over a query where it has the stack for it.
///
/// # Errors
/// Those of the work; the query has too many tokens; or no thread could be started.
pub(crate) fn with_room<T: Send>(
    query: &str,
    work: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    if token_count(query)? <= SHALLOW_TOKENS_MAX {
        return work();
    }
    thread::scope(|scope| {
        let deep = thread::Builder::new()
            .name("promql".to_owned())
            .stack_size(STACK_BYTES);
        let worker = deep.spawn_scoped(scope, work);
        let worker = worker.map_err(|error| {
            QueryError::Execution(format!("no thread for a query could be started: {error}"))
        })?;
        match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
