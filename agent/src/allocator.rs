//! Keeps the C library's allocator from taking a share of memory for every thread.
//!
//! Payloads of half a megabyte are made on one thread and given back on another. glibc has an arena per thread, up to
//! eight per core, and keeps in each what was given back there: at full load a third of the agent's memory. One that
//! threads share costs them nothing measurable, as few of them allocate at the same time. The number can only be set by
//! the environment a program starts with, or by a foreign function; so the program starts itself again, once.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

const ARENAS_KEY: &str = "MALLOC_ARENA_MAX";
const ARENAS: &str = "2";

/// Starts the program anew with fewer arenas, in the same process and with the same arguments, unless the environment
/// names a number already. Returns when there is nothing to do.
///
/// # Errors
/// The program cannot be started again; it can go on as it is.
pub fn limit_arenas() -> io::Result<()> {
    if !cfg!(target_env = "gnu") || std::env::var_os(ARENAS_KEY).is_some() {
        return Ok(());
    }
    restart().map(|never| match never {})
}

fn restart() -> io::Result<Infallible> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    Err(command.args(arguments).env(ARENAS_KEY, ARENAS).exec())
}
