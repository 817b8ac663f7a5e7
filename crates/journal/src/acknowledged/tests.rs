use proptest::prelude::*;

use super::*;

/// Byte for byte, so that a change of the format is seen.
#[test]
fn the_file_is_as_it_is_drawn() {
    let bytes = encode(7, b"note");
    let start = [
        &b"VRVTACKN"[..],
        &1_u32.to_le_bytes(),
        &4_u32.to_le_bytes(),
        &7_u64.to_le_bytes(),
    ]
    .concat();
    assert_eq!(bytes.get(..24), Some(&start[..]));
    assert_eq!(bytes.get(28..), Some(&b"note"[..]));
    assert_eq!(bytes.len(), 32);
}

proptest! {
    #[test]
    fn what_is_written_over_another_is_read(
        before: (u64, Vec<u8>), sequence in 0..SEQUENCE_LIMIT, note in prop::collection::vec(any::<u8>(), 0..NOTE_BYTES_MAX),
    ) {
        let mut file = encode(before.0, &before.1);
        let over = encode(sequence, &note);
        file.resize(file.len().max(over.len()), 0);
        file[..over.len()].copy_from_slice(&over);
        prop_assert_eq!(decode(&file), Some(Acknowledged { sequence, note }));
    }

    #[test]
    fn a_flipped_bit_or_a_missing_end_is_seen(
        sequence in 0..SEQUENCE_LIMIT, note in prop::collection::vec(any::<u8>(), 0..NOTE_BYTES_MAX), at: prop::sample::Index, bit in 0..8_u32,
    ) {
        let whole = encode(sequence, &note);
        let at = at.index(whole.len());
        prop_assert_eq!(decode(&whole[..at]), None);
        let mut flipped = whole;
        flipped[at] ^= 1 << bit;
        prop_assert_eq!(decode(&flipped), None);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _either = decode(&bytes);
    }
}
