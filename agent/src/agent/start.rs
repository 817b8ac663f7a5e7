//! Starting an agent.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use vervet_journal::JournalError;

use super::orphans;
use super::parts::Parts;
use super::shared::{Shared, Tokens};
use super::{AgentOptions, RunningAgent};
use crate::agent_id::{self, AgentIdentity};
use crate::books::{Books, BooksCollector};
use crate::budget::system::System;
use crate::budget::{BudgetCollector, MemoryBudget, MemoryWatch};
use crate::buffer::{Buffer, BufferCollector, BufferWriter, WriterParts, blocking, log_recovery};
use crate::config::AgentConfig;
use crate::exporters::dead_letter::{DeadLetterCollector, DeadLetters};
use crate::exporters::{ExporterMetrics, OpenError};
use crate::health::Stages;
use crate::kubernetes;
use crate::metrics::AgentMetrics;
use crate::pipeline::channel_within;
use crate::processors::ChainError;
use crate::reloads::Reloads;
use crate::stops::Stops;
use crate::telemetry;

/// Batches of files that a segment of the buffer has room for at least, with what one read adds to them.
const BATCHES_PER_SEGMENT: usize = 2;

/// Why an agent did not start. Nothing has been lost.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("data folder {} cannot be used", path.display())]
    DataDir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Processor(#[from] ChainError),
    #[error("the source of pods cannot be asked")]
    Kubernetes(#[from] kubernetes::StartError),
    #[error("the buffer cannot be opened")]
    Buffer(#[from] JournalError),
    #[error("exporter {name} cannot be started")]
    Exporter {
        name: String,
        #[source]
        source: OpenError,
    },
    /// An address cannot be listened on.
    #[error("{name} cannot be started")]
    Listen {
        name: String,
        #[source]
        source: io::Error,
    },
}

pub(super) async fn start(
    config: AgentConfig,
    options: AgentOptions,
) -> Result<RunningAgent, StartError> {
    telemetry::install_tls_provider();
    let (buffer, identity, stops) = open_buffer(&config, &options).await?;
    let agent_id = Arc::clone(identity.id());
    let (shared, writer) = assemble(&config, options, buffer, (identity, stops));
    let parts = Parts::start(shared, config).await?;
    let memory = parts.view().memory;
    tokio::spawn(memory.run(System::default(), parts.tokens().admin.clone()));
    tracing::info!(%agent_id, addresses = ?parts.addresses(), "agent started");
    Ok(RunningAgent {
        parts,
        writer: tokio::spawn(writer.run()),
    })
}

/// What does not depend on receivers, exporters and pipelines.
fn assemble(
    config: &AgentConfig,
    options: AgentOptions,
    buffer: Buffer,
    (identity, stops): (AgentIdentity, Stops),
) -> (Shared, BufferWriter) {
    let metrics = Arc::<AgentMetrics>::default();
    let books = Books::new(metrics.intake().clone(), Arc::clone(&options.clock));
    let books = Arc::new(books);
    let (stages, tokens) = (Stages::default(), Tokens::default());
    let memory_bytes = config.memory_bytes;
    let memory_bytes = memory_bytes.unwrap_or_else(|| System::default().budget_bytes());
    let memory = MemoryWatch::new(MemoryBudget::new(memory_bytes));
    let buffer_figures = BufferCollector {
        journal: buffer.journal.clone(),
        keeping: buffer.keeping.clone(),
    };
    let collectors = (Arc::clone(&books), buffer_figures, memory.clone());
    let dead_letters = Arc::new(DeadLetters::new(&config.data_dir, config.dead_letter));
    let letters = Arc::clone(&dead_letters);
    let exporter_metrics = Arc::<ExporterMetrics>::default();
    let reloads = Reloads::default();
    reloads.succeeded(options.clock.now(), "start".to_owned());
    metrics.register(|registry| {
        exporter_metrics.register(registry);
        registry.register_collector(Box::new(DeadLetterCollector(letters)));
        registry.register_collector(Box::new(reloads.clone()));
        registry.register_collector(Box::new(stops.clone()));
        registry.register_collector(Box::new(BooksCollector(collectors.0)));
        registry.register_collector(Box::new(collectors.1));
        registry.register_collector(Box::new(BudgetCollector(collectors.2)));
    });
    let budget = memory.budget().clone();
    let (sender, queue) = channel_within("agent", budget.clone(), Arc::clone(&metrics));
    let sender = sender.with_batch_bytes(buffer.segment_bytes_max / BATCHES_PER_SEGMENT);
    let (booked_sender, booked) = watch::channel(0);
    let shared = Shared {
        identity,
        clock: options.clock,
        metrics: Arc::clone(&metrics),
        books: Arc::clone(&books),
        stages,
        memory,
        journal: buffer.journal.clone(),
        checkpoints: Arc::clone(&buffer.checkpoints),
        keeping: buffer.keeping.clone(),
        gaps: Arc::clone(&buffer.gaps),
        sender,
        booked,
        dead_letters,
        exporter_metrics,
        reloads,
        stops,
        tokens,
        is_durable: !is_in_memory(&config.data_dir),
    };
    let parts = WriterParts {
        queue,
        memory: budget,
        books,
        metrics,
        booked: booked_sender,
        health: shared.stages.add("buffer", Arc::clone(&shared.clock)),
        drain: shared.tokens.drain.clone(),
        give_up: shared.tokens.give_up.clone(),
    };
    (shared, BufferWriter::new(buffer, parts))
}

async fn open_buffer(
    config: &AgentConfig,
    options: &AgentOptions,
) -> Result<(Buffer, AgentIdentity, Stops), StartError> {
    let (dir, disk_bytes) = (config.data_dir.clone(), config.disk_bytes);
    let fs = Arc::clone(&options.file_system);
    let (owned, now) = (config.clone(), options.clock.now());
    let (buffer, report, identity, stops) = blocking(move || {
        let failed = |source| StartError::DataDir {
            path: dir.clone(),
            source,
        };
        make_private(&dir).map_err(failed)?;
        let (buffer, report) = Buffer::open(&dir.join("buffer"), disk_bytes, fs)?;
        if let Err(error) = buffer.book_lost(&dir) {
            let error = super::with_causes(&error);
            tracing::error!(
                error,
                "what a repair has found lost is not in the books yet"
            );
        }
        let end = buffer.checkpoints.lock().place();
        orphans::settle(&owned, &buffer.journal, end)?;
        let held = agent_id::Held {
            is_new: buffer.is_new,
            oldest: buffer.journal.stats().oldest_sequence,
            next: buffer.journal.last_sequence() + 1,
        };
        let identity = agent_id::load(&dir, held, now).map_err(failed)?;
        Ok::<_, StartError>((buffer, report, identity, Stops::open(&dir)))
    })
    .await?;
    log_recovery("buffer", &config.data_dir.join("buffer"), &report);
    Ok((buffer, identity, stops))
}

/// Whether the folder is on a file system that ends with the machine (tmpfs, ramfs).
fn is_in_memory(dir: &Path) -> bool {
    const IN_MEMORY: [i128; 2] = [0x0102_1994, 0x8584_58f6];
    let file_system = rustix::fs::statfs(dir);
    file_system.is_ok_and(|found| IN_MEMORY.contains(&i128::from(found.f_type)))
}

/// Makes the data folder for its owner alone: names of files and their positions are in it. One in use that others may look
/// into is left as it is and complained of.
fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    const OTHERS: u32 = 0o077;
    if !dir.is_dir() {
        return std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir);
    }
    let mode = std::fs::metadata(dir)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    // One that somebody has just made for the agent; it need not be the agent's to change.
    let is_new = std::fs::read_dir(dir)?.next().is_none();
    let private = std::fs::Permissions::from_mode(mode & !OTHERS);
    if !is_new || std::fs::set_permissions(dir, private).is_err() {
        tracing::warn!(path = %dir.display(), mode = format!("{:o}", mode & 0o7777), "the data folder is open to others, chmod 700 keeps them out");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_end_with_the_machine_are_known() {
        // Where there is none, there is nothing to tell.
        let shared = Path::new("/dev/shm");
        let is_there = shared.is_dir();
        assert_eq!(is_in_memory(shared), is_there);
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!is_in_memory(Path::new("/nowhere")));
    }
}
