//! How long typed requests take over generated logs and spans, of files as flushes leave them and as compaction does:
//! cold, with nothing of the segments in memory but what the operating system keeps of the files, and warm.
//!
//! | variable | default | what |
//! |---|---|---|
//! | `VERVET_RECORDS` | 2,000,000 | log records |
//! | `VERVET_SPANS` | as many | spans |
//! | `VERVET_HOURS` | 10 | the time that log records are spread over |
//! | `VERVET_RUNS` | 25 | times that each request is made, 0 for none; fewer of those that take long, at least 3 |
//! | `VERVET_ONLY` | | requests are made whose name holds this |
//! | `VERVET_COLD` | 1 | whether each request is made cold first; 0 leaves a profile of warm ones |
//! | `VERVET_MERGE` | 1 | whether files are merged, and asked again |
//! | `VERVET_KEEP` | | a folder that is kept, and asked as it is when it has been filled before |
//! | `VERVET_WORK_DIR` | `.` | where a folder is made that is not kept |
//!
//! Printed are medians, the 99th percentile and the CPU time of warm requests, what was found, and the most memory the process had
//! meanwhile.

#[path = "store_queries/ask.rs"]
mod ask;
#[path = "store_queries/fill.rs"]
mod fill;
#[path = "store_queries/report.rs"]
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vervet_model::{Clock as _, SystemClock};
use vervet_store::{Cancel, PromoteConfig, PromoteKey, Store, StoreConfig, UpkeepConfig};

use self::ask::Asker;
use self::fill::Needles;
use self::report::{peak_mib, reset_peak, tell};

const RECORDS_DEFAULT: usize = 2_000_000;
const RUNS_DEFAULT: usize = 25;
const HOURS_DEFAULT: usize = 10;

/// How much is stored and asked.
#[derive(Debug, Clone, Copy)]
struct Settings {
    records: usize,
    spans: usize,
    hours: u64,
    runs: usize,
    merge: bool,
}

fn main() -> anyhow::Result<()> {
    let records = setting("VERVET_RECORDS", RECORDS_DEFAULT);
    let settings = Settings {
        records,
        spans: setting("VERVET_SPANS", records),
        hours: setting("VERVET_HOURS", HOURS_DEFAULT) as u64,
        runs: setting("VERVET_RUNS", RUNS_DEFAULT),
        merge: setting("VERVET_MERGE", 1) > 0,
    };
    match std::env::var_os("VERVET_KEEP") {
        Some(kept) => run(&PathBuf::from(kept), settings),
        None => {
            let parent = std::env::var("VERVET_WORK_DIR").unwrap_or_else(|_| ".".into());
            run(tempfile::tempdir_in(parent)?.path(), settings)
        }
    }
}

fn run(dir: &Path, settings: Settings) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut store = Store::open(config(dir))?;
    let needles = match Needles::load(dir)? {
        Some(needles) => needles,
        None => {
            let needles = fill::fill(&mut store, settings)?;
            needles.save(dir)?;
            needles
        }
    };
    tell(&sizes(&store));
    let asker = Asker::new(store.clone(), settings.runs, needles)?;
    if settings.runs > 0 {
        asker.ask()?;
    }
    if settings.merge && merge(&store)? {
        tell(&sizes(&store));
        if settings.runs > 0 {
            asker.ask()?;
        }
    }
    Ok(())
}

/// The attributes that usage would promote after two flushes, from the first one on. Merging may take the time it needs.
fn config(dir: &Path) -> StoreConfig {
    let key = |key: &str| PromoteKey {
        key: key.to_owned(),
        kind: None,
    };
    let logs = [
        "process.pid",
        "http.request.method",
        "url.path",
        "http.response.status_code",
        "duration_ms",
    ];
    let mut upkeep = UpkeepConfig {
        reader_grace: Duration::ZERO,
        ..UpkeepConfig::default()
    };
    upkeep.compaction.bytes_per_second = u64::MAX;
    StoreConfig {
        promote: PromoteConfig {
            logs: logs.map(key).to_vec(),
            ..PromoteConfig::default()
        },
        upkeep,
        ..StoreConfig::new(dir)
    }
}

/// Merges files until none are due. Whether there were any.
fn merge(store: &Store) -> anyhow::Result<bool> {
    reset_peak();
    let started = Instant::now();
    let (mut merges, mut rows) = (0, 0);
    while let Some(done) = store.compact(SystemClock.now(), &Cancel::default())? {
        merges += 1;
        rows += done.rows;
        store.reclaim(SystemClock.now())?;
    }
    let seconds = started.elapsed().as_secs_f64();
    tell(&format!(
        "\n{merges} merges of {rows} rows in {seconds:.1} s, memory at most {:.0} MiB",
        peak_mib()
    ));
    Ok(merges > 0)
}

fn setting(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

fn sizes(store: &Store) -> String {
    let stats = store.stats();
    let each = |bytes: u64, rows: u64| bytes as f64 / rows.max(1) as f64;
    format!(
        "{} log records: {} files, {:.1} bytes each; {} spans: {} files, {:.1} bytes each",
        stats.logs.rows_stored,
        stats.logs.files,
        each(stats.logs.bytes, stats.logs.rows_stored),
        stats.spans.rows_stored,
        stats.spans.files,
        each(stats.spans.bytes, stats.spans.rows_stored),
    )
}
