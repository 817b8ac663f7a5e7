//! What a file has while it is read.

use std::fs::File;
use std::io;
use std::mem;
use std::time::Instant;

use vervet_wire::otlp::Resource;

use super::carried::Carried;
use super::recent::remember;
use crate::receivers::filelog::content::Content;
use crate::receivers::filelog::identity::{TAIL_BYTES, read_up_to};
use crate::receivers::filelog::lines::{Lines, Records};

/// Less than this is left to a file in a room of its own between two turns (bytes, records).
const REST_BYTES_MAX: usize = 64 << 10;
const REST_RECORDS_MAX: usize = 64;

/// What is needed to read a file.
pub(in super::super) struct OpenFile {
    pub(super) content: Content,
    /// What has been read from the mark on.
    pub(in super::super) buffer: Vec<u8>,
    pub(super) carried: Option<Box<Carried>>,
    pub(in super::super) opened_at: Instant,
    pub(in super::super) lines: Lines,
    pub(in super::super) resource: Resource<'static>,
    /// What was known of pods when the resource was made; `None` while its pod is waited for.
    pub(in super::super) generation: Option<u64>,
    pub(super) recent: Vec<u8>,
}

/// Room for bytes and records that one file after the other takes while it is read. A turn needs a megabyte of it and
/// leaves most files with part of a line, so that memory does not grow with the number of files.
#[derive(Default)]
pub(in super::super) struct Scratch {
    buffer: Vec<u8>,
    records: Records,
}

impl OpenFile {
    pub(in super::super) fn file(&self) -> &File {
        self.content.file()
    }

    /// Takes the room, to be read into, where it is larger than its own.
    pub(in super::super) fn borrow(&mut self, scratch: &mut Scratch) {
        if self.buffer.capacity() < scratch.buffer.capacity() {
            scratch.buffer.clear();
            scratch.buffer.extend_from_slice(&self.buffer);
            mem::swap(&mut scratch.buffer, &mut self.buffer);
        }
        self.lines.borrow(&mut scratch.records);
    }

    /// Gives the room back if little is left in it, which moves to a room as small.
    pub(in super::super) fn give_back(&mut self, scratch: &mut Scratch) {
        if self.buffer.len() < REST_BYTES_MAX && self.buffer.capacity() > scratch.buffer.capacity()
        {
            let rest = self.buffer.clone();
            scratch.buffer = mem::replace(&mut self.buffer, rest);
        }
        self.lines.give_back(&mut scratch.records, REST_RECORDS_MAX);
    }

    /// Whether the file still holds, before `offset`, what was read there.
    pub(super) fn continues(&self, file: &File, offset: u64) -> io::Result<bool> {
        let mut expected = [0; TAIL_BYTES];
        let own = self.own();
        let from_buffer = own.len().min(TAIL_BYTES);
        let from_recent = self.recent.len().min(TAIL_BYTES - from_buffer);
        let parts = [
            self.recent
                .get(self.recent.len() - from_recent..)
                .unwrap_or_default(),
            own.get(own.len() - from_buffer..).unwrap_or_default(),
        ];
        let known = from_recent + from_buffer;
        for (to, from) in expected.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let mut found = [0; TAIL_BYTES];
        let (Some(found), Some(expected)) = (found.get_mut(..known), expected.get(..known)) else {
            return Ok(true);
        };
        let from = offset.saturating_sub(known as u64);
        Ok(read_up_to(file, found, from)? == known && found == expected)
    }

    /// The whole buffer stands before the mark.
    pub(super) fn pass(&mut self) {
        remember(&mut self.recent, &self.buffer);
        self.buffer.clear();
    }

    /// The last bytes handed on.
    pub(in super::super) fn recent(&self) -> &[u8] {
        &self.recent
    }
}
