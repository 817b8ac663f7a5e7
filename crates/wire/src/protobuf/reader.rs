//! A forward-only reader over one message.

/// The bytes are not the protobuf message they should be. The sender must not retry them unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the message ends inside a field")]
    Truncated,
    #[error("a varint is longer than 10 bytes")]
    VarintTooLong,
    #[error("field {field} has wire type {wire_type}, which does not fit it")]
    WireType { field: u32, wire_type: u8 },
    #[error("a field number is zero or too large")]
    FieldNumber,
    #[error(
        "attribute values are nested deeper than {} levels",
        crate::NESTING_MAX
    )]
    TooDeep,
    #[error("more than {max} attributes or values stand in one list")]
    TooMany { max: usize },
    #[error("too many records: the request holds more than {max} groups, records and points")]
    TooManyItems { max: usize },
    #[error("a label refers to symbol {reference} of {symbols}")]
    Symbol { reference: u64, symbols: usize },
    #[error("a series has a label without a value")]
    OddLabels,
    #[error("too many values: a record takes more than {max} bytes once it is decoded")]
    TooHeavy { max: usize },
    #[error("field {field} stands twice although it holds one message")]
    Repeated { field: u32 },
    #[error(
        "a span has no times, and its trace id is none; were metrics sent to the endpoint of traces?"
    )]
    NoSpan,
}

/// The value of one field as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Field<'a> {
    /// The bytes of a length-delimited field (string, bytes, message, packed list).
    ///
    /// # Errors
    /// The field has another wire type.
    #[inline]
    pub fn bytes(self, field: u32) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.mismatch(field)),
        }
    }

    /// The value of a varint field.
    ///
    /// # Errors
    /// The field has another wire type.
    #[inline]
    pub fn varint(self, field: u32) -> Result<u64, DecodeError> {
        match self {
            Self::Varint(value) => Ok(value),
            other => Err(other.mismatch(field)),
        }
    }

    /// The value of a fixed64, sfixed64 or double field, as bits.
    ///
    /// # Errors
    /// The field has another wire type.
    #[inline]
    pub fn fixed64(self, field: u32) -> Result<u64, DecodeError> {
        match self {
            Self::Fixed64(value) => Ok(value),
            other => Err(other.mismatch(field)),
        }
    }

    /// The value of a fixed32 field.
    ///
    /// # Errors
    /// The field has another wire type.
    #[inline]
    pub fn fixed32(self, field: u32) -> Result<u32, DecodeError> {
        match self {
            Self::Fixed32(value) => Ok(value),
            other => Err(other.mismatch(field)),
        }
    }

    #[cold]
    fn mismatch(self, field: u32) -> DecodeError {
        let wire_type = match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Fixed32(_) => 5,
        };
        DecodeError::WireType { field, wire_type }
    }
}

/// The fields of a `google.protobuf.Timestamp` or `Duration`, as they are written.
///
/// # Errors
/// The message is malformed.
pub fn seconds_and_nanos(message: &[u8]) -> Result<(i64, i64), DecodeError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => seconds = field.varint(number)?.cast_signed(),
            2 => nanos = field.varint(number)?.cast_signed(),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

/// The largest number that a field may have.
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// Walks the fields of one message in the order they were written.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// What was left before the field that was read last.
    before: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub fn new(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            before: message,
        }
    }

    /// How many bytes have not been read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The field that [`next_field`](Self::next_field) gave last, as it stands on the wire, key included.
    pub fn raw(&self) -> &'a [u8] {
        let length = self.before.len() - self.rest.len();
        self.before.get(..length).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field's number and value, `None` at the end of the message.
    ///
    /// # Errors
    /// The bytes are not a protobuf message.
    // A call hands its answer over through memory, which costs more than reading the field does.
    #[inline(always)]
    pub fn next_field(&mut self) -> Result<Option<(u32, Field<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.before = self.rest;
        let key = self.varint()?;
        let number = match key >> 3 {
            number @ 1..=FIELD_NUMBER_MAX => u32::try_from(number).unwrap_or(0),
            _ => return Err(DecodeError::FieldNumber),
        };
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length =
                    usize::try_from(self.varint()?).map_err(|_too_large| DecodeError::Truncated)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            // Groups (3, 4) are not part of proto3.
            other => {
                return Err(DecodeError::WireType {
                    field: number,
                    wire_type: u8::try_from(other).unwrap_or(7),
                });
            }
        };
        Ok(Some((number, field)))
    }

    /// Reads one bare varint, as packed lists hold them.
    ///
    /// # Errors
    /// The bytes end early or the varint is too long.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest {
            // Keys and most lengths have one byte.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            DecodeError::Truncated
        } else {
            DecodeError::VarintTooLong
        })
    }

    /// Reads one bare little-endian 64-bit value, as packed lists hold them.
    ///
    /// # Errors
    /// Fewer than eight bytes are left.
    pub fn fixed64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}
