//! Sends the journal's records to an OTLP/gRPC endpoint, one request at a time and in order.
//!
//! Each request carries the agent's id and the record's sequence, by which a Vervet collector knows a repeat. The
//! cursor is committed, with the exporter's account as its state, after at most [`READ_BYTES`] of records or
//! [`COMMIT_INTERVAL`]. Requests are retried until they are answered; only an answer that says the request itself
//! is wrong ends in `data_dir/rejected`.

mod connect;
mod retry;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use vervet_journal::{Cursor, Journal, JournalError, OnFull, Record};
use vervet_model::Signal;
use vervet_wire::grpc::Client;
use vervet_wire::{Accepted, Source};

pub use connect::ConnectError;

use super::rejected;
use crate::books::{Account, Books};
use crate::buffer::{Amount, Totals, blocking, decode};
use crate::config::{OtlpExporterConfig, QueuePolicy};
use crate::health::StageHealth;
use crate::pipeline::SignalSet;
use retry::{Backoff, Verdict, judge};

/// Payload bytes read from the journal at once.
const READ_BYTES: usize = 4 << 20;
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after the journal could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);

/// What an exporter shares with the rest of the agent.
pub(crate) struct ExporterParts {
    pub(crate) agent_id: String,
    pub(crate) rejected_dir: PathBuf,
    pub(crate) books: Arc<Books>,
    /// Sequence up to which the books know the journal's records. Closed when nothing more will come.
    pub(crate) booked: watch::Receiver<u64>,
    pub(crate) health: StageHealth,
    /// Cancelled when it must end now.
    pub(crate) give_up: CancellationToken,
}

pub(crate) struct OtlpExporter {
    name: String,
    config: OtlpExporterConfig,
    signals: SignalSet,
    client: Client,
    /// Away only while it is read or committed.
    cursor: Option<Cursor>,
    settled: u64,
    committed_at: Instant,
    parts: ExporterParts,
}

/// The agent must end now.
struct GivenUp;

impl OtlpExporter {
    /// Opens the exporter's cursor and book; `appended` is all that the journal ever took.
    ///
    /// # Errors
    /// The cursor cannot be opened, or the endpoint or its certificates make no sense.
    pub(crate) fn open(
        name: &str,
        config: OtlpExporterConfig,
        signals: SignalSet,
        journal: &Journal,
        appended: &Totals,
        parts: ExporterParts,
    ) -> Result<Self, ConnectError> {
        let client = connect::client(&config)?;
        let mut cursor = journal.cursor(&cursor_name(name))?;
        cursor.set_policy(match config.on_full {
            QueuePolicy::Block => OnFull::Block,
            QueuePolicy::DropOldest => OnFull::DropOldest,
        });
        let account = account(&mut cursor, appended)?;
        parts.books.open(name, signals, account, appended);
        let settled = cursor.committed();
        Ok(Self {
            name: name.to_owned(),
            config,
            signals,
            client,
            cursor: Some(cursor),
            settled,
            committed_at: Instant::now(),
            parts,
        })
    }

    /// Sends until the buffer takes nothing more and everything in it is sent, or it must give up.
    pub(crate) async fn run(mut self) {
        loop {
            let booked = *self.parts.booked.borrow();
            let Some(records) = self.read().await else {
                break;
            };
            if records.is_empty() {
                self.commit().await;
                if !self.wait_for_records(booked).await {
                    break;
                }
            }
            for record in records {
                if self.settle(record).await.is_err() {
                    self.commit().await;
                    return;
                }
                if self.committed_at.elapsed() >= COMMIT_INTERVAL {
                    self.commit().await;
                }
            }
        }
    }

    /// True when there may be more than was booked before the last read; false at the end.
    async fn wait_for_records(&mut self, booked: u64) -> bool {
        let more = self.parts.booked.wait_for(|now| *now > booked);
        tokio::select! {
            biased;
            () = self.parts.give_up.cancelled() => false,
            more = more => more.is_ok(),
        }
    }

    /// The next records, none when caught up. `None` when it must give up while the journal cannot be read.
    async fn read(&mut self) -> Option<Vec<Record>> {
        loop {
            let mut cursor = self.cursor.take()?;
            let (cursor, result) = blocking(move || {
                let result = cursor.read(READ_BYTES);
                (cursor, result)
            })
            .await;
            self.cursor = Some(cursor);
            match result {
                Ok(records) => return Some(records),
                Err(error) => {
                    tracing::error!(%error, exporter = self.name, "buffer cannot be read, trying again");
                }
            }
            tokio::select! {
                () = self.parts.give_up.cancelled() => return None,
                () = sleep(READ_RETRY) => {}
            }
        }
    }

    async fn commit(&mut self) {
        self.committed_at = Instant::now();
        let settled = self.settled;
        let Some(mut cursor) = self.cursor.take_if(|cursor| cursor.committed() < settled) else {
            return;
        };
        let account = self.parts.books.account(&self.name);
        let (cursor, result) = blocking(move || {
            let result = serde_json::to_vec(&account)
                .map_err(CommitError::Encode)
                .and_then(|state| cursor.commit(settled, &state).map_err(CommitError::Journal));
            (cursor, result)
        })
        .await;
        self.cursor = Some(cursor);
        if let Err(error) = result {
            tracing::warn!(%error, exporter = self.name, "progress could not be stored, trying again later");
        }
    }

    /// Sends one record, or skips it, so that it need not be looked at again.
    async fn settle(&mut self, record: Record) -> Result<(), GivenUp> {
        let Record {
            sequence,
            kind,
            payload,
        } = record;
        self.wait_until_booked(sequence).await?;
        let (Some(signal), Ok((header, request))) = (Signal::from_u8(kind), decode(payload)) else {
            tracing::error!(
                exporter = self.name,
                sequence,
                "buffer record cannot be read, skipped"
            );
            self.settled = sequence;
            return Ok(());
        };
        let amount = Amount {
            records: header.records,
            bytes: request.len() as u64,
        };
        self.parts.books.reached(&self.name, &header.before);
        if self.signals.contains(signal) {
            self.deliver(sequence, signal, request, amount).await?;
        } else {
            self.parts.books.skipped(&self.name, signal, amount);
        }
        self.settled = sequence;
        Ok(())
    }

    async fn wait_until_booked(&mut self, sequence: u64) -> Result<(), GivenUp> {
        let booked = self.parts.booked.wait_for(|booked| *booked >= sequence);
        tokio::select! {
            biased;
            booked = booked => booked.map(|_| ()).map_err(|_writer_gone| GivenUp),
            () = self.parts.give_up.cancelled() => Err(GivenUp),
        }
    }

    async fn deliver(
        &mut self,
        sequence: u64,
        signal: Signal,
        request: Bytes,
        amount: Amount,
    ) -> Result<(), GivenUp> {
        let source = Source {
            agent_id: self.parts.agent_id.clone(),
            sequence,
        };
        let mut backoff = Backoff::new(self.config.retry_initial, self.config.retry_max);
        self.parts.health.waits();
        loop {
            let status = match self.attempt(signal, request.clone(), &source).await? {
                Ok(accepted) => {
                    self.accepted(signal, amount, &accepted);
                    return Ok(());
                }
                Err(status) => status,
            };
            match judge(&status) {
                Verdict::Rejected => {
                    self.rejected(sequence, signal, request, amount, &status)
                        .await;
                    return Ok(());
                }
                Verdict::Retry { after } => {
                    let pause = backoff.next(after);
                    if backoff.is_worth_a_warning() {
                        tracing::warn!(exporter = self.name, code = ?status.code(), message = status.message(),
                            retry_after = ?pause, "destination does not take data, trying again");
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.parts.give_up.cancelled() => return Err(GivenUp),
                    }
                }
            }
        }
    }

    /// One request. The inner error is the destination's answer or what kept it from answering.
    #[tracing::instrument(name = "export", skip_all, fields(exporter = %self.name, %signal, sequence = source.sequence))]
    async fn attempt(
        &self,
        signal: Signal,
        request: Bytes,
        source: &Source,
    ) -> Result<Result<Accepted, Status>, GivenUp> {
        let export = self.client.export(signal, request, Some(source));
        tokio::select! {
            biased;
            answer = timeout(self.config.timeout, export) => {
                Ok(answer.unwrap_or_else(|_elapsed| Err(Status::deadline_exceeded("no answer in time"))))
            }
            () = self.parts.give_up.cancelled() => Err(GivenUp),
        }
    }

    fn accepted(&self, signal: Signal, amount: Amount, accepted: &Accepted) {
        let rejected = share(amount, accepted.rejected);
        let books = &self.parts.books;
        books.delivered(&self.name, signal, amount.minus(rejected));
        if !rejected.is_zero() {
            tracing::error!(exporter = self.name, %signal, records = rejected.records, reason = accepted.message,
                "destination rejected records");
            books.dropped(&self.name, signal, "rejected_by_collector", rejected);
        }
        self.parts.health.moved();
    }

    async fn rejected(
        &self,
        sequence: u64,
        signal: Signal,
        request: Bytes,
        amount: Amount,
        status: &Status,
    ) {
        let reason = format!("{:?}: {}\n", status.code(), status.message());
        let (dir, name) = (self.parts.rejected_dir.clone(), self.name.clone());
        let kept =
            blocking(move || rejected::keep(&dir, &name, sequence, signal, &request, &reason))
                .await;
        tracing::error!(exporter = self.name, %signal, sequence, code = ?status.code(), message = status.message(),
            kept = kept.unwrap_or(false), "destination refused a request for good");
        self.parts
            .books
            .dropped(&self.name, signal, "rejected", amount);
        self.parts.health.moved();
    }
}

#[derive(Debug, thiserror::Error)]
enum CommitError {
    #[error("the account cannot be encoded")]
    Encode(#[source] serde_json::Error),
    #[error(transparent)]
    Journal(JournalError),
}

/// The journal cursor of an exporter.
pub(crate) fn cursor_name(exporter: &str) -> String {
    format!("{CURSOR_PREFIX}{exporter}")
}

/// What the cursors of all exporters begin with.
pub(crate) const CURSOR_PREFIX: &str = "exporter-";

/// The stored account; for a new cursor one that starts with what the journal holds.
fn account(cursor: &mut Cursor, appended: &Totals) -> Result<Account, JournalError> {
    match serde_json::from_slice(cursor.state()) {
        Ok(account) => return Ok(account),
        Err(error) if !cursor.state().is_empty() => {
            tracing::error!(%error, cursor = cursor.name(), "account cannot be read, starting a new one");
        }
        Err(_no_state) => {}
    }
    let oldest = cursor.read(1)?.into_iter().next();
    cursor.rewind();
    let before = oldest
        .and_then(|record| decode(record.payload).ok())
        .map(|(header, _)| header.before);
    Ok(Account::starting_after(&before.unwrap_or(*appended)))
}

/// `records` of an amount, with the bytes in proportion.
fn share(amount: Amount, records: u64) -> Amount {
    let records = records.min(amount.records);
    let bytes = u128::from(amount.bytes) * u128::from(records);
    let bytes = bytes.checked_div(u128::from(amount.records)).unwrap_or(0);
    Amount {
        records,
        bytes: u64::try_from(bytes).unwrap_or(amount.bytes),
    }
}
