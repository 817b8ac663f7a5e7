//! Trace and span identifiers (W3C Trace Context): 16 and 8 bytes, all zero meaning "none".

use std::fmt;

/// In [`DIGIT_VALUES`], the value of what is no hexadecimal digit.
const NOT_A_DIGIT: u8 = 0x80;

/// The value of each byte as a hexadecimal digit.
const DIGIT_VALUES: [u8; 256] = {
    let mut values = [NOT_A_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit as usize] as usize] = digit;
        values[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The identifier in `bytes`, or `None` when the length is wrong or all bytes are zero.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let id = <[u8; $bytes]>::try_from(bytes).ok()?;
                id.iter().any(|byte| *byte != 0).then_some(Self(id))
            }

            /// Parses hexadecimal digits of either case. Shorter input is padded with zeros on the
            /// left, as Jaeger and Tempo accept it.
            pub fn from_hex(text: &str) -> Option<Self> {
                const DIGITS: usize = $bytes * 2;
                let padding = DIGITS.checked_sub(text.len()).filter(|_| !text.is_empty())?;
                let mut digits = [b'0'; DIGITS];
                digits.get_mut(padding..)?.copy_from_slice(text.as_bytes());
                let mut id = [0_u8; $bytes];
                let mut seen = 0;
                for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
                    let [high, low] = [pair[0], pair[1]].map(|digit| DIGIT_VALUES[usize::from(digit)]);
                    *byte = high << 4 | low;
                    seen |= high | low;
                }
                if seen >= NOT_A_DIGIT {
                    return None;
                }
                Self::from_bytes(&id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hex_id!(
    /// Identifies a trace: 16 bytes, shown as 32 hexadecimal digits.
    TraceId,
    16
);
hex_id!(
    /// Identifies a span within a trace: 8 bytes, shown as 16 hexadecimal digits.
    SpanId,
    8
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_pads() {
        let id = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").expect("valid");
        assert_eq!(id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        for (text, expected) in [
            ("A1", "00000000000000a1"),
            ("7", "0000000000000007"),
            ("0123456789ABCDEF", "0123456789abcdef"),
            ("fedcba9876543210", "fedcba9876543210"),
        ] {
            assert_eq!(SpanId::from_hex(text).expect("valid").to_string(), expected);
        }
    }

    #[test]
    fn invalid_ids_are_refused() {
        assert_eq!(TraceId::from_hex("zz"), None);
        assert_eq!(TraceId::from_hex(""), None);
        assert_eq!(SpanId::from_hex("0123456789abcdeg"), None);
        assert_eq!(SpanId::from_hex("0123456789abcdé"), None);
        assert_eq!(SpanId::from_hex("/:@G`g"), None);
        assert_eq!(SpanId::from_hex("00000000000000000"), None);
        assert_eq!(SpanId::from_bytes(&[0; 8]), None);
        assert_eq!(SpanId::from_bytes(&[1; 7]), None);
    }
}
