use vervet_model::UnixNanos;
use vervet_wire::DecodeError;

use super::{Content, DecodeOptions, Decoded};
pub(super) fn decode(_: &[u8], _: &DecodeOptions, received_at: UnixNanos) -> Result<Decoded, DecodeError> {
    Ok(Decoded { signal: vervet_model::Signal::Metrics, records: 0, rejected: vec![], adjusted: vec![], received_at, content: Content::Metrics(Default::default()) })
}
