use proptest::prelude::*;

use super::*;

const LIMIT: usize = 4 << 20;

fn all() -> Vec<Compressor> {
    let new = |compression, level| Compressor::new(compression, level).expect("memory");
    vec![
        new(Compression::None, None),
        new(Compression::Gzip, None),
        new(Compression::Gzip, Some(9)),
        new(Compression::Zstd, None),
        new(Compression::Zstd, Some(7)),
    ]
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 1..4),
    ) {
        for mut compressor in all() {
            for body in &bodies {
                let body = Bytes::from(body.clone());
                let packed = compressor.pack(&body);
                prop_assert_eq!(&packed.unpack(LIMIT).expect("intact"), &body);
                let message = compressor.pack_message(&body);
                prop_assert_eq!(&message.unpack(LIMIT).expect("intact"), &body);
                let length = u32::from_be_bytes(message.bytes()[1..5].try_into().expect("4 bytes"));
                prop_assert_eq!(length as usize, message.bytes().len() - 5);
                prop_assert_eq!(message.bytes()[0] == 1, message.encoding().is_some());
            }
        }
    }
}

#[test]
fn text_shrinks_and_a_large_body_leaves_no_large_buffer() {
    let body = Bytes::from("level=info msg=\"request served\" status=200\n".repeat(50_000));
    for mut compressor in all().into_iter().skip(1) {
        let packed = compressor.pack(&body);
        assert!(packed.bytes().len() * 20 < body.len());
        assert!(compressor.scratch.capacity() <= SCRATCH_BYTES_KEPT);
        assert_eq!(packed.unpack(LIMIT).expect("intact"), body);
        assert!(packed.unpack(body.len() - 1).is_err(), "over the limit");
    }
}

#[test]
fn bytes_that_do_not_compress_still_fit() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(300_000)
    .collect();
    let noise = Bytes::from(noise);
    for mut compressor in all() {
        let packed = compressor.pack_message(&noise);
        assert_eq!(packed.unpack(LIMIT).expect("intact"), noise);
        assert!(packed.bytes().len() < noise.len() + 1_024);
    }
}
