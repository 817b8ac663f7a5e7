//! A whole OTLP request through a chain.
//!
//! The walk decodes every record once, which also tells a malformed request. Only what a step changed is encoded again;
//! between two changes the request is copied in one piece, and a request without changes not at all.

use std::ops::Range;

use bytes::Bytes;
use vervet_model::Signal;
use vervet_wire::DecodeError;
use vervet_wire::otlp::{LogRecord, Metric, Resource, Scope, Span, count_records};
use vervet_wire::protobuf::{Field, Reader, Rewriter};

use super::{Chain, Drops};
use crate::pipeline::{Batch, ReceiverContext};

/// Field numbers that requests of all signals share: resource groups in a request; the resource and scope
/// groups in a resource group; records in a scope group; attributes in a resource.
const GROUP: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_GROUP: u32 = 2;
const RECORD: u32 = 2;
const ATTRIBUTE: u32 = 1;
/// The scope of a scope group, and its fields that a step may change: name, version, attributes.
const SCOPE: u32 = 1;
const SCOPE_FIELDS: std::ops::RangeInclusive<u32> = 1..=3;

/// A request after its processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    pub payload: Bytes,
    /// Records in it (log records, spans or data points).
    pub records: u64,
    pub drops: Drops,
}

impl Chain {
    /// All steps on a whole request of `signal`, for which the chain must have been built. Resource and scope groups
    /// that lose all their records go with them.
    ///
    /// # Errors
    /// The request is malformed.
    pub fn request(&self, signal: Signal, body: Bytes) -> Result<Processed, DecodeError> {
        if self.is_empty() {
            let records = count_records(signal, &body)?;
            return Ok(Processed {
                payload: body,
                records,
                drops: Drops::default(),
            });
        }
        let mut walk = Walk {
            chain: self,
            signal,
            rewriter: Rewriter::new(&body),
            records: 0,
            drops: Drops::default(),
        };
        let mut fields = Fields::new(&body, 0..body.len());
        while let Some(found) = fields.next()? {
            if found.number == GROUP {
                walk.group(&body, &found)?;
            }
        }
        let Walk {
            rewriter,
            records,
            drops,
            ..
        } = walk;
        let payload = rewriter.finish().map(Bytes::from);
        Ok(Processed {
            payload: payload.unwrap_or(body),
            records,
            drops,
        })
    }
}

impl ReceiverContext {
    /// Applies the signal's chain to a batch the receiver made itself and counts what is dropped. `None` when
    /// nothing is left of it.
    pub(crate) fn process(&self, batch: Batch) -> Option<Batch> {
        let signal = batch.signal;
        let chain = self.chains.of(signal);
        if chain.is_empty() {
            return Some(batch);
        }
        let bytes = batch.payload.len() as u64;
        let receiver = self.output.receiver();
        match chain.request(signal, batch.payload) {
            Ok(mut processed) => {
                processed.drops.count(&self.metrics, receiver, signal);
                (processed.records > 0).then_some(Batch {
                    payload: processed.payload,
                    records: processed.records,
                    ..batch
                })
            }
            Err(error) => {
                // Sending it on unprocessed could write what must not be written.
                tracing::error!(receiver, %error, "a batch cannot be read by its processors");
                let (reason, records) = ("unreadable", batch.records);
                self.metrics
                    .receiver_dropped(receiver, signal, reason, records, bytes);
                None
            }
        }
    }
}

/// A field of the request, with where it stands.
struct Found<'b> {
    number: u32,
    value: Field<'b>,
    /// The whole field, key included.
    field: Range<usize>,
}

impl<'b> Found<'b> {
    /// The embedded message and where its body stands.
    fn message(&self) -> Result<(&'b [u8], Range<usize>), DecodeError> {
        let bytes = self.value.bytes(self.number)?;
        let end = self.field.end;
        Ok((bytes, end - bytes.len()..end))
    }
}

/// Walks the fields of a message that stands somewhere in the request.
struct Fields<'b> {
    reader: Reader<'b>,
    end: usize,
}

impl<'b> Fields<'b> {
    fn new(body: &'b [u8], range: Range<usize>) -> Self {
        Self {
            end: range.end,
            reader: Reader::new(body.get(range).unwrap_or_default()),
        }
    }

    fn next(&mut self) -> Result<Option<Found<'b>>, DecodeError> {
        let Some((number, value)) = self.reader.next_field()? else {
            return Ok(None);
        };
        let end = self.end - self.reader.remaining();
        Ok(Some(Found {
            number,
            value,
            field: end - self.reader.raw().len()..end,
        }))
    }
}

struct Walk<'c, 'b> {
    chain: &'c Chain,
    signal: Signal,
    rewriter: Rewriter<'b>,
    records: u64,
    drops: Drops,
}

impl<'b> Walk<'_, 'b> {
    fn group(&mut self, body: &'b [u8], group: &Found<'b>) -> Result<(), DecodeError> {
        let (message, range) = group.message()?;
        let mut resource = Resource::read(message)?;
        let changed = self.chain.run_resource(&mut resource);
        let before = self.counts();
        self.rewriter.enter(group.field.start, range.clone());
        let mut missing = changed;
        if changed && !has_field(message, RESOURCE)? {
            self.rewriter.replace(range.start..range.start, |w| {
                w.message(RESOURCE, |w| resource.write_attributes(w));
            });
            missing = false;
        }
        let mut fields = Fields::new(body, range);
        while let Some(found) = fields.next()? {
            match found.number {
                RESOURCE if changed => {
                    let attributes = std::mem::take(&mut missing).then_some(&resource);
                    self.resource(body, &found, attributes)?;
                }
                SCOPE_GROUP => self.scope_group(body, &found, &resource)?,
                _ => {}
            }
        }
        self.leave(before);
        Ok(())
    }

    /// Puts other attributes into a resource; its other fields stay.
    fn resource(
        &mut self,
        body: &'b [u8],
        found: &Found<'b>,
        attributes: Option<&Resource<'_>>,
    ) -> Result<(), DecodeError> {
        let (_, range) = found.message()?;
        self.rewriter.enter(found.field.start, range.clone());
        if let Some(resource) = attributes {
            self.rewriter.replace(range.start..range.start, |w| {
                resource.write_attributes(w);
            });
        }
        let mut fields = Fields::new(body, range);
        while let Some(found) = fields.next()? {
            if found.number == ATTRIBUTE {
                self.rewriter.remove(found.field);
            }
        }
        self.rewriter.leave();
        Ok(())
    }

    fn scope_group(
        &mut self,
        body: &'b [u8],
        group: &Found<'b>,
        resource: &Resource<'_>,
    ) -> Result<(), DecodeError> {
        let (message, range) = group.message()?;
        let mut scope = Scope::read(message)?;
        let mut changed = self.chain.run_scope(&mut scope).then_some(&scope);
        let is_changed = changed.is_some();
        let before = self.counts();
        self.rewriter.enter(group.field.start, range.clone());
        let mut fields = Fields::new(body, range);
        while let Some(found) = fields.next()? {
            match found.number {
                SCOPE if is_changed => self.scope(body, &found, changed.take())?,
                RECORD => self.record(&found, resource, &scope)?,
                _ => {}
            }
        }
        self.leave(before);
        Ok(())
    }

    /// Puts other fields into a scope; those unknown here stay. A scope in several pieces becomes one.
    fn scope(
        &mut self,
        body: &'b [u8],
        found: &Found<'b>,
        scope: Option<&Scope<'_>>,
    ) -> Result<(), DecodeError> {
        let (_, range) = found.message()?;
        self.rewriter.enter(found.field.start, range.clone());
        if let Some(scope) = scope {
            self.rewriter
                .replace(range.start..range.start, |w| scope.write(w));
        }
        let mut fields = Fields::new(body, range);
        while let Some(found) = fields.next()? {
            if SCOPE_FIELDS.contains(&found.number) {
                self.rewriter.remove(found.field);
            }
        }
        self.rewriter.leave();
        Ok(())
    }

    fn record(
        &mut self,
        found: &Found<'b>,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
    ) -> Result<(), DecodeError> {
        let (message, _) = found.message()?;
        match self.signal {
            Signal::Logs => {
                let mut record = LogRecord::read(message)?;
                let outcome = self.chain.run_log(resource, scope, &mut record);
                self.settle(found, outcome, |w| record.write(w));
            }
            Signal::Traces => {
                let mut span = Span::read(message)?;
                let outcome = self.chain.run_span(resource, scope, &mut span);
                self.settle(found, outcome, |w| span.write(w));
            }
            Signal::Metrics => self.metric(found, Metric::read(message)?, resource, scope),
        }
        Ok(())
    }

    fn settle(
        &mut self,
        found: &Found<'b>,
        outcome: super::Outcome,
        write: impl FnOnce(&mut vervet_wire::protobuf::Writer<'_>),
    ) {
        let field = found.field.clone();
        match outcome {
            Ok(false) => self.records += 1,
            Ok(true) => {
                self.records += 1;
                self.rewriter
                    .replace(field, |w| w.message(RECORD, |w| write(w)));
            }
            Err(reason) => {
                self.drops.add(&reason, 1, field.len() as u64);
                self.rewriter.remove(field);
            }
        }
    }

    fn metric(
        &mut self,
        found: &Found<'b>,
        mut metric: Metric<'_>,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
    ) {
        let field = found.field.clone();
        let bytes_before = field.len();
        let mut points = Drops::default();
        let outcome = self
            .chain
            .run_metric(resource, scope, &mut metric, &mut points);
        match outcome {
            Ok(false) => self.records += metric.data.points() as u64,
            Ok(true) => {
                self.records += metric.data.points() as u64;
                let mut bytes_after = 0;
                self.rewriter.replace(field, |w| {
                    let before = w.written();
                    w.message(RECORD, |w| metric.write(w));
                    bytes_after = w.written() - before;
                });
                let bytes = bytes_before.saturating_sub(bytes_after) as u64;
                self.drops.add_points(&points, bytes);
            }
            Err(reason) => {
                points.add(&reason, metric.data.points() as u64, 0);
                self.drops.add_points(&points, bytes_before as u64);
                self.rewriter.remove(field);
            }
        }
    }

    /// Records kept and dropped so far.
    fn counts(&self) -> (u64, u64) {
        (self.records, self.drops.records())
    }

    /// Leaves a group; one that lost all its records is left out.
    fn leave(&mut self, (kept, dropped): (u64, u64)) {
        if self.records == kept && self.drops.records() > dropped {
            self.rewriter.leave_out();
        } else {
            self.rewriter.leave();
        }
    }
}

fn has_field(message: &[u8], wanted: u32) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, _)) = reader.next_field()? {
        if number == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}
