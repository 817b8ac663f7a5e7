//! A journal with books, into which tests put records and from which exporters are started, killed and started again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vervet_journal::{Entry, FileSystem, Journal, JournalConfig, JournalError, OsFileSystem};
use vervet_model::{Clock, Signal, SystemClock};
use vervet_wire::otlp::{LogRecord, Resource, Scope, Value, write_resource_logs};

use super::super::dead_letter::{self, DeadLetters, Letter};
use super::super::{
    ALIVE_INTERVAL, Exporter, ExporterMetrics, ExporterParts, OpenError, cursor_name,
};
use super::wait_until;
use crate::agent_id::AgentIdentity;
use crate::books::{BookLine, Books, Place};
use crate::budget::MemoryBudget;
use crate::buffer::{Amount, Totals, encode_header, tell_of_evictions};
use crate::config::AgentConfig;
use crate::config::substitute::SystemSources;
use crate::health::StageHealth;
use crate::pipeline::SignalSet;

pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) journal: Journal,
    pub(super) books: Arc<Books>,
    totals: Totals,
    appending: Arc<Mutex<Totals>>,
    booked: Option<watch::Sender<u64>>,
    booked_receiver: watch::Receiver<u64>,
    letters: Arc<DeadLetters>,
    pub(super) metrics: Arc<ExporterMetrics>,
    pub(super) alive_interval: Duration,
    pub(super) is_durable: bool,
}

/// An exporter at work.
pub(super) struct Running {
    name: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig {
    pub(super) fn new(disk_bytes: u64) -> Self {
        Self::on(Arc::new(OsFileSystem), disk_bytes)
    }

    pub(super) fn on(fs: Arc<dyn FileSystem>, disk_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        let mut config = JournalConfig::new(dir.path().join("buffer"));
        config.disk_bytes_max = disk_bytes;
        config.segment_bytes_max = disk_bytes / 8;
        let (journal, _report) = Journal::open_with(config, fs).expect("opens");
        let (booked, booked_receiver) = watch::channel(0);
        let (books, appending) = (Arc::<Books>::default(), Arc::default());
        tell_of_evictions(&journal, &books, &appending);
        Self {
            letters: Arc::new(DeadLetters::new(dir.path(), <_>::default())),
            dir,
            journal,
            books,
            appending,
            metrics: Arc::default(),
            totals: Totals::default(),
            booked: Some(booked),
            booked_receiver,
            alive_interval: ALIVE_INTERVAL,
            is_durable: true,
        }
    }

    /// The dead letters are on a volume of their own.
    pub(super) fn letters_on(mut self, fs: Arc<dyn FileSystem>) -> Self {
        self.letters = Arc::new(DeadLetters::on(fs, self.dir.path(), <_>::default()));
        self
    }

    /// Puts one batch in.
    pub(super) fn append(&mut self, texts: &[String]) -> Result<(), JournalError> {
        let payload = request(texts);
        let mut header = Vec::new();
        let records = texts.len() as u64;
        let at = vervet_model::UnixNanos(0);
        encode_header(&mut header, "test", records, at, &self.totals, &[]);
        *self.appending.lock() = self.totals;
        let kind = Signal::Logs as u8;
        let parts: &[&[u8]] = &[&header, &payload];
        let sequences = self.journal.append(&[Entry { kind, parts }])?;
        let bytes = payload.len() as u64;
        let amount = Amount { records, bytes };
        self.totals.add(Signal::Logs, amount);
        self.books.appended(Signal::Logs, amount);
        let booked = self.booked.as_ref().expect("open");
        booked.send_replace(*sequences.end());
        Ok(())
    }

    /// Where the journal ends.
    pub(super) fn end(&self) -> Place {
        Place {
            through: self.journal.last_sequence(),
            appended: self.totals,
        }
    }

    /// Nothing more will come.
    pub(super) fn close(&mut self) {
        self.booked = None;
    }

    /// Opens an exporter with the settings given.
    pub(super) fn open(
        &self,
        name: &str,
        settings: &str,
    ) -> Result<(Exporter, CancellationToken), OpenError> {
        let text = format!("exporters:\n  {name}: {{{settings}}}\n");
        let mut config = AgentConfig::parse("test", &text, &SystemSources).expect("valid");
        let config = config.exporters.remove(name).expect("there");
        let stop = CancellationToken::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let parts = ExporterParts {
            identity: AgentIdentity::plain("agent"),
            dead_letters: Arc::clone(&self.letters),
            books: Arc::clone(&self.books),
            gaps: Arc::default(),
            booked: self.booked_receiver.clone(),
            health: StageHealth::new(name, Arc::clone(&clock)),
            memory: MemoryBudget::new(64 << 20),
            metrics: Arc::clone(&self.metrics),
            clock,
            is_durable: self.is_durable,
            alive_interval: self.alive_interval,
            give_up: stop.clone(),
        };
        let logs = SignalSet::default().with(Signal::Logs);
        // One that is there, so that it begins with what is there.
        drop(self.journal.cursor(&cursor_name(name))?);
        let appended = (&self.totals, self.journal.last_sequence());
        let exporter = Exporter::open(name, &config, logs, &self.journal, appended, parts)?;
        Ok((exporter, stop))
    }

    /// Starts an exporter, waiting for the cursor of one that was killed.
    pub(super) async fn start(&self, name: &str, settings: &str) -> Running {
        Running::of(name, self.open_free(name, settings).await)
    }

    /// Opens an exporter once nobody else has its cursor.
    pub(super) async fn open_free(
        &self,
        name: &str,
        settings: &str,
    ) -> (Exporter, CancellationToken) {
        let mut opened = self.open(name, settings);
        while let Err(OpenError::Journal(JournalError::CursorInUse { .. })) = opened {
            tokio::task::yield_now().await;
            opened = self.open(name, settings);
        }
        opened.expect("opens")
    }

    pub(super) fn book(&self, name: &str) -> BookLine {
        let mut lines = self.books.lines();
        lines.retain(|line| line.exporter == name);
        lines.pop().expect("one line")
    }

    pub(super) async fn wait_until_settled(&self, name: &str) {
        wait_until("settled", || self.book(name).held.is_zero()).await;
        let book = self.book(name);
        assert!(book.balances(), "{book:?}");
    }

    pub(super) fn committed(&self, name: &str) -> u64 {
        let cursors = self.journal.stats().cursors;
        let cursor = cursors
            .iter()
            .find(|cursor| cursor.name == cursor_name(name));
        cursor.expect("there").committed
    }

    /// The dead letters, once everything that may add to them is gone.
    pub(super) fn letters(self) -> Vec<Letter> {
        let folder = self.dir.path().join(dead_letter::FOLDER);
        drop(self.letters);
        let mut letters = Vec::new();
        dead_letter::read(&folder, |letter| letters.push(letter.expect("a letter")))
            .expect("opens");
        letters
    }
}

impl Running {
    pub(super) fn of(name: &str, (exporter, stop): (Exporter, CancellationToken)) -> Self {
        Self {
            name: name.to_owned(),
            stop,
            task: tokio::spawn(exporter.run()),
        }
    }

    /// As the agent ends it.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic");
    }

    /// As a crash ends it.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _aborted = self.task.await;
    }

    /// Waits for it to end by itself.
    pub(super) async fn ended(self) {
        let ended = tokio::time::timeout(super::DEADLINE, self.task).await;
        ended
            .unwrap_or_else(|_| panic!("{} goes on", self.name))
            .expect("no panic");
    }
}

pub(super) fn request(texts: &[String]) -> Vec<u8> {
    let mut body = Vec::new();
    write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |w| {
        for text in texts {
            w.push(&LogRecord {
                body: Value::from(text.as_str()),
                ..LogRecord::default()
            });
        }
    });
    body
}
