//! Snappy's block format.

use bytes::Bytes;

use crate::receiver::Refusal;
use crate::room::{Room, Unlimited};

/// The body of a block. The block says how long it is, which is looked at first.
///
/// # Errors
/// The block is damaged, or longer than `bytes_max`.
pub(crate) fn decompress(block: &[u8], bytes_max: usize) -> Result<Bytes, Refusal> {
    decompress_within(block, bytes_max, &mut Unlimited)
}

/// As [`decompress`], in `room`, which is asked for the block and what it holds.
pub(super) fn decompress_within(
    block: &[u8],
    bytes_max: usize,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    let broken = |error| Refusal::Invalid(format!("the body does not decompress: {error}"));
    let length = snap::raw::decompress_len(block).map_err(broken)?;
    if length > bytes_max {
        return Err(Refusal::TooLarge { limit: bytes_max });
    }
    room.set(block.len() + length)?;
    let mut body = vec![0; length];
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut body)
        .map_err(broken)?;
    body.truncate(written);
    Ok(body.into())
}
