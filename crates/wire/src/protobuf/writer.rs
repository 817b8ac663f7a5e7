//! Appends protobuf fields to a buffer. Proto3 defaults (zero, empty) are left out.

/// Writes one message. Nested messages are written in place: one byte is kept for their length and the
/// body is moved up when the length needs more.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
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

    /// A nested message, written even when it stays empty.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Writer<'_>)) {
        self.key(field, 2);
        let length_at = self.out.len();
        self.out.push(0);
        fill(&mut Writer { out: self.out });
        let length = self.out.len() - length_at - 1;
        let mut encoded = [0_u8; 10];
        let used = encode_varint(length as u64, &mut encoded);
        let encoded = encoded.get(..used).unwrap_or_default();
        self.out
            .splice(length_at..=length_at, encoded.iter().copied());
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        push_varint(self.out, u64::from(field << 3 | wire_type));
    }
}

pub(super) fn encode_varint(mut value: u64, out: &mut [u8; 10]) -> usize {
    for (index, slot) in out.iter_mut().enumerate() {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            *slot = low;
            return index + 1;
        }
        *slot = low | 0x80;
    }
    out.len()
}

fn push_varint(out: &mut Vec<u8>, value: u64) {
    let mut encoded = [0_u8; 10];
    let used = encode_varint(value, &mut encoded);
    out.extend_from_slice(encoded.get(..used).unwrap_or_default());
}
