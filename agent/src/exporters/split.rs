//! Halves a request that was refused, so that one bad record costs only itself.
//!
//! A request has resource groups, those have scope groups, and those have records (metrics, for metrics). The first
//! level with more than one part is the one that is cut; everything around it is copied into both halves, fields
//! nobody here knows included.

use bytes::Bytes;
use vervet_wire::DecodeError;
use vervet_wire::protobuf::{Field, Reader, Writer};

/// Where the parts stand in a message: resource groups in a request, scope groups in a resource group, records in a
/// scope group.
const PARTS: [u32; 3] = [1, 2, 2];

type Halves<T> = Option<(T, T)>;

/// Both halves, in order; `None` when the request has one record or none.
///
/// # Errors
/// The request is malformed.
pub(crate) fn halve(request: &[u8]) -> Result<Halves<Bytes>, DecodeError> {
    let halves = halve_at(request, &PARTS)?;
    Ok(halves.map(|(first, second)| (first.into(), second.into())))
}

fn halve_at(message: &[u8], levels: &[u32]) -> Result<Halves<Vec<u8>>, DecodeError> {
    let Some((part, deeper)) = levels.split_first() else {
        return Ok(None);
    };
    let parts = parts(message, *part)?;
    match parts.as_slice() {
        [] => Ok(None),
        [only] => {
            let halves = halve_at(only, deeper)?;
            halves
                .map(|(first, second)| {
                    Ok((
                        around(message, *part, |w| w.bytes_always(*part, &first))?,
                        around(message, *part, |w| w.bytes_always(*part, &second))?,
                    ))
                })
                .transpose()
        }
        several => {
            let (first, second) = several.split_at(several.len() / 2);
            let with = |half: &[&[u8]]| {
                around(message, *part, |w| {
                    half.iter().for_each(|bytes| w.bytes_always(*part, bytes));
                })
            };
            Ok(Some((with(first)?, with(second)?)))
        }
    }
}

fn parts(message: &[u8], wanted: u32) -> Result<Vec<&[u8]>, DecodeError> {
    let mut parts = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        if number == wanted {
            parts.push(field.bytes(number)?);
        }
    }
    Ok(parts)
}

/// The message with other parts.
fn around(
    message: &[u8],
    part: u32,
    write: impl FnOnce(&mut Writer<'_>),
) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match field {
            _ if number == part => {}
            Field::Varint(value) => w.varint_always(number, value),
            Field::Fixed64(value) => w.fixed64_always(number, value),
            Field::Bytes(bytes) => w.bytes_always(number, bytes),
            // A default value need not be written.
            Field::Fixed32(value) => w.fixed32(number, value),
        }
    }
    write(&mut w);
    Ok(out)
}

#[cfg(test)]
mod tests;
