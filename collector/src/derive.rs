//! What is derived from the stream of records: error groups and request counts.
//!
//! A consumer of the journal with a cursor of its own. It takes what is durable, from memory while it keeps up and from the
//! journal otherwise, extracts every exception
//! ([`exceptions`]) and counts the requests that services served. Error groups are applied in one
//! transaction together with the journal position, so that neither a crash nor a replay counts twice.

mod exceptions;
pub(crate) mod hints;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vervet_error_groups::{ErrorStore, GroupChangeKind, Occurrence};
use vervet_journal::Cursor;
use vervet_model::{Clock, Signal, SystemClock};
use vervet_store::Format;
use vervet_wire::otlp::{self, LogRecord, Resource, Span, SpanKind, SpanOutline, StatusCode};

use crate::derived::{Derived, RequestStatus};
use crate::ingest::{Envelope, Recent, Sequenced};

/// The consumer's cursor in the journal.
pub(crate) const CURSOR: &str = "derive";

/// Bytes of journal records read at a time.
const READ_BYTES: usize = 4 << 20;
/// Requests that come within this are taken together: each time costs a sync of the cursor.
const GATHER_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait after a failure before trying again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long a new or regressed group stays among the metrics.
const RECENT: Duration = Duration::from_secs(3600);
/// How often the metrics of recent groups are renewed when nothing happens.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);

/// The consumer. One task.
pub(crate) struct Derive {
    pub(crate) cursor: Cursor,
    pub(crate) recent: Arc<Recent>,
    pub(crate) errors: Arc<ErrorStore>,
    pub(crate) derived: Arc<Derived>,
    /// The highest durable sequence of the journal.
    pub(crate) durable: watch::Receiver<u64>,
}

impl Derive {
    /// Runs until `shutdown`, then once more over what is left.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut last = false;
        loop {
            let mut consumer = self;
            let task = tokio::task::spawn_blocking(move || {
                let drained = consumer.drain();
                (consumer, drained)
            });
            let Ok((consumer, drained)) = task.await else {
                tracing::error!(
                    "the consumer of errors panicked; error groups are no longer updated"
                );
                return;
            };
            self = consumer;
            if last {
                return;
            }
            let failed = drained
                .inspect_err(|error| tracing::warn!(%error, "error groups not updated; retrying"))
                .is_err();
            let pause = if failed {
                RETRY_INTERVAL
            } else {
                REFRESH_INTERVAL
            };
            tokio::select! {
                () = shutdown.cancelled() => last = true,
                changed = self.durable.changed(), if !failed => last = changed.is_err(),
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => last = true,
                () = tokio::time::sleep(GATHER_INTERVAL), if !last => {}
            }
        }
    }

    /// Applies everything that is durable.
    fn drain(&mut self) -> anyhow::Result<()> {
        self.follow()
            // What was read and not applied is read again.
            .inspect_err(|_| self.cursor.rewind())
    }

    fn follow(&mut self) -> anyhow::Result<()> {
        // What follows requests in memory will be in memory too, a moment after it is durable.
        let mut in_memory = false;
        loop {
            let (requests, last) = if let Some(requests) = self.held() {
                in_memory = true;
                requests
            } else if in_memory {
                break;
            } else if let Some(requests) = self.read()? {
                requests
            } else {
                break;
            };
            self.apply(&requests, last)?;
            self.cursor.commit(last, &[])?;
        }
        let since = SystemClock.now().saturating_sub(RECENT);
        self.derived.set_recent_groups(self.errors.recent(since)?);
        Ok(())
    }

    /// The next requests and the last sequence of them, when they are in memory.
    fn held(&self) -> Option<(Vec<Sequenced>, u64)> {
        let requests = self.recent.take_after(self.cursor.committed())?;
        let last = requests.back()?.sequence;
        Some((requests.into(), last))
    }

    /// The same from the journal.
    fn read(&mut self) -> anyhow::Result<Option<(Vec<Sequenced>, u64)>> {
        let records = self.cursor.read(READ_BYTES)?;
        let Some(last) = records.last().map(|record| record.sequence) else {
            return Ok(None);
        };
        let parsed = |record| {
            let envelope = Envelope::parse(record)
                .inspect_err(|error| tracing::error!(%error, "journal record skipped"));
            Some(Sequenced {
                sequence: record.sequence,
                envelope: envelope.ok()?,
                may_report: None,
            })
        };
        Ok(Some((records.iter().filter_map(parsed).collect(), last)))
    }

    fn apply(&self, requests: &[Sequenced], last: u64) -> anyhow::Result<()> {
        let applied = self.errors.applied_sequence()?;
        let mut occurrences = Vec::new();
        for request in requests.iter().filter(|request| request.sequence > applied) {
            self.extract(request, &mut occurrences);
        }
        if occurrences.is_empty() {
            return Ok(());
        }
        for change in self.errors.apply(&occurrences, last, SystemClock.now())? {
            if change.kind != GroupChangeKind::Seen {
                tracing::info!(group = %change.group_id, service = %change.service_name, kind = ?change.kind, "error group");
            }
        }
        Ok(())
    }

    fn extract(&self, request: &Sequenced, occurrences: &mut Vec<Occurrence>) {
        let Sequenced {
            envelope,
            may_report,
            ..
        } = request;
        let received_at = envelope.received_at;
        // Bodies in the journal were decoded before they were appended; one that does not decode has
        // been reported by then.
        let Ok(body) = envelope.body.protobuf() else {
            return;
        };
        if let Some(source) = &envelope.source {
            self.derived
                .agent_host(source.agent(), || host_name(envelope.format, &body));
        }
        let Format::Otlp(signal) = envelope.format else {
            return;
        };
        let _ = match signal {
            Signal::Metrics => Ok(()),
            Signal::Logs if may_report.as_ref().is_some_and(Vec::is_empty) => Ok(()),
            Signal::Logs => {
                let mut may_report = may_report.as_ref().map(|rows| rows.iter().peekable());
                let mut number = 0;
                otlp::for_each_message(&body, |resource, scope, message| {
                    let is_hinted = match &mut may_report {
                        Some(rows) => rows.next_if_eq(&&number).is_some(),
                        None => hints::log_may_report(message)?,
                    };
                    number += 1;
                    // A record that cannot be read was refused by itself.
                    if is_hinted && let Ok(record) = LogRecord::read(message) {
                        let found = exceptions::of_log(resource, scope, &record, received_at);
                        occurrences.extend(found);
                    }
                    Ok(())
                })
            }
            Signal::Traces => otlp::for_each_message(&body, |resource, _, message| {
                let outline = SpanOutline::read(message, exceptions::EVENT)?;
                if matches!(outline.kind, SpanKind::Server | SpanKind::Consumer) {
                    let environment = exceptions::environment(resource);
                    self.derived.service_request(
                        resource.str("service.name"),
                        environment,
                        request_status(outline.status),
                    );
                }
                if outline.has_event
                    && let Ok(span) = Span::read(message)
                {
                    occurrences.extend(exceptions::of_span(resource, &span, received_at));
                }
                Ok(())
            }),
        };
    }
}

/// `host.name` of the first resource of a request, empty when it has none.
fn host_name(format: Format, body: &[u8]) -> String {
    let mut host = None;
    let mut take = |resource: &Resource<'_>| {
        host.get_or_insert_with(|| resource.str("host.name").to_owned());
    };
    let _ = match format {
        Format::Otlp(Signal::Logs) => otlp::for_each_log(body, |resource, _, _| take(resource)),
        Format::Otlp(Signal::Metrics) => {
            otlp::for_each_metric(body, |resource, _, _| take(resource))
        }
        Format::Otlp(Signal::Traces) => otlp::for_each_span(body, |resource, _, _| take(resource)),
        Format::RemoteWrite(_) => Ok(()),
    };
    host.unwrap_or_default()
}

fn request_status(status: StatusCode) -> RequestStatus {
    match status {
        StatusCode::Unset => RequestStatus::Unset,
        StatusCode::Ok => RequestStatus::Ok,
        StatusCode::Error => RequestStatus::Error,
    }
}
