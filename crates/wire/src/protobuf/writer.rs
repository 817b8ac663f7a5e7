//! Appends protobuf fields to a buffer. Proto3 defaults (zero, empty) are left out.

/// Longest encoding of a length that room is kept for (bytes).
const LENGTH_WIDTH_MAX: usize = 5;

/// Writes one message. Nested messages are written in place: room is kept for their length, and the body is
/// moved when the length takes more or less than was expected.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// A nested message that is being written.
#[derive(Debug)]
pub(crate) struct Open {
    length_at: usize,
    width: usize,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub fn varint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint_always(field, value);
        }
    }

    /// Writes the field even when it is zero (members of a oneof, optional fields).
    pub fn varint_always(&mut self, field: u32, value: u64) {
        self.key(field, 0);
        push_varint(self.out, value);
    }

    pub fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.fixed64_always(field, value);
        }
    }

    /// Writes the field even when it is zero (members of a oneof, optional fields).
    #[inline]
    pub fn fixed64_always(&mut self, field: u32, value: u64) {
        self.key(field, 1);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.key(field, 5);
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes_always(field, value);
        }
    }

    /// Writes the field even when it is empty (members of a oneof).
    #[inline]
    pub fn bytes_always(&mut self, field: u32, value: &[u8]) {
        self.key(field, 2);
        push_varint(self.out, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// How many bytes the buffer holds.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Appends fields that are encoded already.
    pub fn raw(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    pub fn string(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A zig-zag encoded signed integer.
    pub fn sint32(&mut self, field: u32, value: i32) {
        let zigzag = (value << 1) ^ (value >> 31);
        self.varint(field, u64::from(zigzag.cast_unsigned()));
    }

    /// A packed list of 64-bit values.
    pub fn packed_fixed64(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        if values.len() == 0 {
            return;
        }
        self.key(field, 2);
        push_varint(self.out, values.len() as u64 * 8);
        for value in values {
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A packed list of varints.
    pub fn packed_varint(&mut self, field: u32, values: &[u64]) {
        if !values.is_empty() {
            self.message(field, |w| {
                values.iter().for_each(|value| push_varint(w.out, *value))
            });
        }
    }

    /// A nested message, written even when it stays empty. For one that is usually below 128 bytes.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Writer<'_>)) {
        self.message_of(field, 1, fill);
    }

    /// A nested message whose length is expected to take `width` bytes, of 1 to 5: seven bits each. A wrong
    /// guess costs a move of the message, nothing else.
    pub fn message_of(&mut self, field: u32, width: usize, fill: impl FnOnce(&mut Writer<'_>)) {
        let open = self.open(field, width);
        fill(&mut Writer { out: self.out });
        self.close(open);
    }

    /// Begins a nested message as [`Self::message_of`] does; what is written from now on stands in it until [`Self::close`].
    pub(crate) fn open(&mut self, field: u32, width: usize) -> Open {
        let width = width.clamp(1, LENGTH_WIDTH_MAX);
        self.key(field, 2);
        let length_at = self.out.len();
        // Single bytes: cheaper than a call that fills so few.
        (0..width).for_each(|_| self.out.push(0));
        Open { length_at, width }
    }

    /// Ends the nested message that was begun last.
    pub(crate) fn close(&mut self, open: Open) {
        let Open { length_at, width } = open;
        let body = length_at + width..self.out.len();
        let used = varint_width(body.len() as u64);
        if used > width {
            self.out.resize(body.end + used - width, 0);
        }
        let length = body.len();
        if used != width {
            self.out.copy_within(body, length_at + used);
            self.out.truncate(length_at + used + length);
        }
        let room = self.out.iter_mut().skip(length_at).take(used);
        put_varint(room, length as u64);
    }

    /// A value without a key, as packed lists hold them.
    pub(crate) fn bare_varint(&mut self, value: u64) {
        push_varint(self.out, value);
    }

    /// A value whose key the caller writes.
    pub(crate) fn bare_key(&mut self, field: u32, wire_type: u32) {
        self.key(field, wire_type);
    }

    /// What stands before a nested message of exactly `length` bytes, which the caller writes next.
    #[inline]
    pub fn message_head(&mut self, field: u32, length: usize) {
        self.key(field, 2);
        push_varint(self.out, length as u64);
    }

    #[inline]
    fn key(&mut self, field: u32, wire_type: u32) {
        push_varint(self.out, u64::from(field << 3 | wire_type));
    }
}

/// Bytes that a value takes as a varint.
#[inline]
pub fn varint_width(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

pub(super) fn encode_varint(value: u64, out: &mut [u8; 10]) -> usize {
    let width = varint_width(value);
    put_varint(out.iter_mut().take(width), value);
    width
}

/// Writes a varint into room of just its width.
fn put_varint<'r>(room: impl ExactSizeIterator<Item = &'r mut u8>, mut value: u64) {
    let last = room.len().saturating_sub(1);
    for (index, slot) in room.enumerate() {
        let more = if index < last { 0x80 } else { 0 };
        *slot = (value & 0x7f) as u8 | more;
        value >>= 7;
    }
}

/// Most keys, lengths and numbers take one byte.
#[inline]
fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}
