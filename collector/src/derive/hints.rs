//! Tells which log records may report an exception, without decoding them.
//!
//! Nearly all records report none, so most of the work of this consumer would be to decode what it throws away. A
//! record passes when [`super::exceptions::of_log`] could find something in it; what passes is decoded and looked at.

use vervet_store::Decoded;
use vervet_wire::DecodeError;
use vervet_wire::protobuf::{Field, Reader};

/// The fields of a `LogRecord`, an `AnyValue` and a `KeyValue` that are looked at.
const RECORD_BODY: u32 = 5;
const RECORD_ATTRIBUTES: u32 = 6;
const VALUE_STRING: u32 = 1;
const ENTRY_KEY: u32 = 1;

/// The numbers of the log records of a request that may report an exception, ascending. `None` when its columns do not
/// tell.
pub(crate) fn logs_that_may_report(decoded: &Decoded) -> Option<Vec<u32>> {
    decoded.logs_with(b'\n', names_an_error)
}

/// Whether a `LogRecord` message may report an exception.
///
/// # Errors
/// It is malformed as far as it was read.
pub(super) fn log_may_report(record: &[u8]) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(record);
    while let Some((number, field)) = reader.next_field()? {
        let Field::Bytes(message) = field else {
            continue;
        };
        let found = match number {
            RECORD_BODY => any(message, VALUE_STRING, |text| text.contains(&b'\n'))?,
            RECORD_ATTRIBUTES => match plain_key(message) {
                Some(key) => names_an_error(key),
                None => any(message, ENTRY_KEY, names_an_error)?,
            },
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The key of a `KeyValue` as it is nearly always written: a short key, a short value, and nothing else.
fn plain_key(message: &[u8]) -> Option<&[u8]> {
    const KEY: u8 = 0x0a;
    const VALUE: u8 = 0x12;
    const SHORT_MAX: u8 = 0x7f;
    let [KEY, key_bytes @ ..=SHORT_MAX, rest @ ..] = message else {
        return None;
    };
    let (key, value) = rest.split_at_checked(usize::from(*key_bytes))?;
    match value {
        [VALUE, bytes @ ..=SHORT_MAX, rest @ ..] if rest.len() == usize::from(*bytes) => Some(key),
        _ => None,
    }
}

/// Whether a field of that number is as asked for.
fn any(message: &[u8], wanted: u32, is: impl Fn(&[u8]) -> bool) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        if number == wanted && matches!(field, Field::Bytes(bytes) if is(bytes)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether exceptions are looked for under an attribute of this name.
fn names_an_error(key: &[u8]) -> bool {
    if !matches!(key.first(), Some(b'e' | b's' | b't')) {
        return false;
    }
    let [errors, stacks] = super::exceptions::field_names();
    let is_part = |field: &&str| {
        let rest = key.strip_prefix(field.as_bytes());
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'.')))
    };
    errors.iter().any(is_part) || stacks.iter().any(|field| key == field.as_bytes())
}
