//! A queued batch in pieces.

use std::sync::Arc;

use super::{Batch, Queued};

impl Queued {
    /// The batches it was made into, in order. Its memory is given back with the last.
    pub(crate) fn split(mut self, batches: Vec<Batch>) -> Vec<Self> {
        let queued = batches.into_iter().map(|batch| Self {
            receiver: Arc::clone(&self.receiver),
            batch,
            reply: None,
            permit: None,
            on_the_way: self.on_the_way.clone(),
        });
        let mut queued: Vec<Self> = queued.collect();
        if let Some(last) = queued.last_mut() {
            last.permit = self.permit.take();
        }
        queued
    }
}
