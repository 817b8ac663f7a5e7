//! The load bench's command line: find the programs, measure, print one table.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use vervet_benches::load::{Bench, Programs, Scale};
use vervet_benches::micro;
use vervet_benches::report::table;

/// Measures the collector and the agent built beside this program, under load and idle.
#[derive(Debug, Parser)]
#[command(name = "vervet-benches", version)]
struct Options {
    /// A short run on a tenth of the data: shows that everything works, its figures are rough.
    #[arg(long)]
    quick: bool,
    /// Folder of vervet-collector and vervet-agent [default: the one this program is in].
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where the programs may keep data; its disk is what is measured [default: the folder above the programs].
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Put the results of the micro benches, kept in target/criterion, into the table.
    #[arg(long, value_name = "DIR")]
    criterion: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let own = std::env::current_exe().context("cannot find this program's own folder")?;
    let programs_dir = match &options.programs {
        Some(dir) => dir.clone(),
        None => own
            .parent()
            .map(Path::to_path_buf)
            .context("this program has no folder")?,
    };
    let programs = Programs::in_folder(&programs_dir)?;
    let work_parent = options.work_dir.unwrap_or_else(|| programs_dir.join(".."));
    let work = tempfile::Builder::new()
        .prefix("vervet-bench-")
        .tempdir_in(&work_parent)
        .with_context(|| format!("cannot make a folder in {}", work_parent.display()))?;
    if cfg!(debug_assertions) {
        tell("debug build: the load generator is slow and takes CPU from what is measured");
    }
    let bench = Bench {
        programs,
        work_dir: work.path().to_path_buf(),
        scale: if options.quick {
            Scale::QUICK
        } else {
            Scale::FULL
        },
    };
    let mut figures = bench.run(tell)?;
    if let Some(dir) = &options.criterion {
        figures.extend(micro::figures(dir)?);
    }
    write!(std::io::stdout().lock(), "\n{}", table(&figures)).context("cannot print the table")
}

/// Progress goes to standard error, the table to standard output.
fn tell(message: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{message}");
}
