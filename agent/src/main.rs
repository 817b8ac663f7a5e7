//! `vervet-agent`; see [`vervet_agent::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    vervet_agent::cli::main()
}
