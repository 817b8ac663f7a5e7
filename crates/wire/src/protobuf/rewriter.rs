//! Copies a message with some fields replaced or removed, at any depth, and everything else as it is.

use std::ops::Range;

use super::Writer;
use super::writer::encode_varint;

/// Rewrites one message. All positions are offsets into it, and they never go back. While nothing has been
/// replaced or removed nothing is copied either; what stands between two changes is copied in one piece.
#[derive(Debug)]
pub struct Rewriter<'a> {
    source: &'a [u8],
    out: Vec<u8>,
    /// Everything before it is in `out`, or was left out.
    copied: usize,
    levels: Vec<Level>,
    levels_open: usize,
}

/// An embedded message that is being walked.
#[derive(Debug)]
struct Level {
    /// The whole field, key included.
    field_start: usize,
    body: Range<usize>,
    opened: Option<Opened>,
}

/// Where its copy stands in the output. It has one once something in it was changed.
#[derive(Debug, Clone, Copy)]
struct Opened {
    field_at: usize,
    length_at: usize,
    body_at: usize,
}

impl<'a> Rewriter<'a> {
    pub fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            out: Vec::new(),
            copied: 0,
            levels: Vec::new(),
            levels_open: 0,
        }
    }

    /// Goes into the embedded message at `body`, whose field begins at `field_start`.
    pub fn enter(&mut self, field_start: usize, body: Range<usize>) {
        self.levels.push(Level {
            field_start,
            body,
            opened: None,
        });
    }

    /// Leaves the embedded message entered last. If it was changed, its new length is put before it.
    pub fn leave(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        self.levels_open = self.levels_open.min(self.levels.len());
        let Some(opened) = level.opened else { return };
        self.copy_to(level.body.end);
        let length = self.out.len() - opened.body_at;
        let mut encoded = [0_u8; 10];
        let used = encode_varint(length as u64, &mut encoded);
        let encoded = encoded.get(..used).unwrap_or_default();
        match self.out.get_mut(opened.length_at..opened.body_at) {
            Some(place) if place.len() == used => place.copy_from_slice(encoded),
            _ => {
                self.out
                    .splice(opened.length_at..opened.body_at, encoded.iter().copied());
            }
        }
    }

    /// Leaves the embedded message entered last, and leaves it out.
    pub fn leave_out(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        self.levels_open = self.levels_open.min(self.levels.len());
        match level.opened {
            Some(opened) => {
                self.out.truncate(opened.field_at);
                self.copied = level.body.end;
            }
            None => self.remove(level.field_start..level.body.end),
        }
    }

    /// Writes other fields in the place of `field`, which may be empty to insert.
    pub fn replace(&mut self, field: Range<usize>, write: impl FnOnce(&mut Writer<'_>)) {
        self.open_levels();
        self.copy_to(field.start);
        write(&mut Writer::new(&mut self.out));
        self.copied = field.end;
    }

    /// Leaves the field at these bytes out.
    pub fn remove(&mut self, field: Range<usize>) {
        self.replace(field, |_| {});
    }

    /// The new message; `None` when it is the old one.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        while !self.levels.is_empty() {
            self.leave();
        }
        if self.copied == 0 && self.out.is_empty() {
            return None;
        }
        self.copy_to(self.source.len());
        Some(self.out)
    }

    /// Copies the heads of the messages around a change; their lengths are mended when they are left.
    fn open_levels(&mut self) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.source.len() + self.source.len() / 16);
        }
        while let Some(level) = self.levels.get(self.levels_open) {
            let (start, body) = (level.field_start, level.body.clone());
            let length_width = varint_width_before(self.source, start, body.start);
            self.copy_to(start);
            let field_at = self.out.len();
            self.copy_to(body.start);
            let body_at = self.out.len();
            let opened = Opened {
                field_at,
                length_at: body_at - length_width,
                body_at,
            };
            if let Some(level) = self.levels.get_mut(self.levels_open) {
                level.opened = Some(opened);
            }
            self.levels_open += 1;
        }
    }

    fn copy_to(&mut self, end: usize) {
        let bytes = self.source.get(self.copied..end).unwrap_or_default();
        self.out.extend_from_slice(bytes);
        self.copied = self.copied.max(end);
    }
}

/// How many bytes the length takes that ends before `body_start`, in a field that begins at `field_start`
/// with a key: the key ends with the first byte below 0x80.
fn varint_width_before(source: &[u8], field_start: usize, body_start: usize) -> usize {
    let head = source.get(field_start..body_start).unwrap_or_default();
    let key = head.iter().position(|byte| *byte < 0x80);
    key.map_or(0, |last| head.len() - last - 1)
}
