//! The load bench's command line: find the programs, measure, print one table.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use vervet_benches::load::alone::{Workload, profile};
use vervet_benches::load::{Bench, Part, Programs, Scale};
use vervet_benches::report::table;
use vervet_benches::{micro, sink};

/// Measures the collector and the agent built beside this program, under load and idle.
#[derive(Debug, Parser)]
#[command(
    name = "vervet-benches",
    version,
    args_conflicts_with_subcommands = true
)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: LoadOptions,
}

#[derive(Debug, Args)]
struct LoadOptions {
    /// A short run on a tenth of the data: shows that everything works, its figures are rough.
    #[arg(long)]
    quick: bool,
    /// One part only; `agent` needs no collector.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    #[command(flatten)]
    place: Place,
    /// Put the results of the micro benches, kept in target/criterion, into the table.
    #[arg(long, value_name = "DIR")]
    criterion: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Place {
    /// Folder of vervet-collector and vervet-agent [default: the one this program is in].
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where the programs may keep data; its disk is what is measured [default: the folder above the programs].
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take OTLP/gRPC, count it and acknowledge at once: a destination that costs next to nothing
    Sink {
        /// Where to listen for OTLP/gRPC
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Run the agent once on one workload, under a profiler
    Profile(ProfileOptions),
}

#[derive(Debug, Args)]
struct ProfileOptions {
    #[arg(long)]
    workload: Workload,
    /// Size of the input (MiB)
    #[arg(long, default_value_t = 32)]
    mib: usize,
    #[command(flatten)]
    place: Place,
    /// What the agent's command line is put after, such as `-- perf record -o FILE`
    #[arg(last = true)]
    wrapper: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if cfg!(debug_assertions) {
        tell("debug build: the load generator is slow and takes CPU from what is measured");
    }
    let figures = match options.command {
        Some(Command::Sink { listen }) => return sink::run(listen),
        Some(Command::Profile(options)) => options.place.in_work_dir(|mut bench| {
            bench.programs.agent_wrapper = options.wrapper;
            profile(&bench, options.workload, options.mib)
        })?,
        None => load(options.load)?,
    };
    write!(std::io::stdout().lock(), "\n{}", table(&figures)).context("cannot print the table")
}

fn load(options: LoadOptions) -> anyhow::Result<Vec<vervet_benches::report::Figure>> {
    let mut figures = options.place.in_work_dir(|mut bench| {
        if options.quick {
            bench.scale = Scale::QUICK;
        }
        bench.run(options.only, tell)
    })?;
    if let Some(dir) = &options.criterion {
        figures.extend(micro::figures(dir)?);
    }
    Ok(figures)
}

impl Place {
    /// Measures with a new work folder, which is deleted at the end.
    fn in_work_dir<T>(self, measure: impl FnOnce(Bench) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let own = std::env::current_exe().context("cannot find this program's own folder")?;
        let programs_dir = match self.programs {
            Some(dir) => dir,
            None => own
                .parent()
                .map(Path::to_path_buf)
                .context("this program has no folder")?,
        };
        let work_parent = self.work_dir.unwrap_or_else(|| programs_dir.join(".."));
        let work = tempfile::Builder::new()
            .prefix("vervet-bench-")
            .tempdir_in(&work_parent)
            .with_context(|| format!("cannot make a folder in {}", work_parent.display()))?;
        measure(Bench {
            programs: Programs::in_folder(&programs_dir),
            work_dir: work.path().to_path_buf(),
            scale: Scale::FULL,
        })
    }
}

/// Progress goes to standard error, the table to standard output.
fn tell(message: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{message}");
}
