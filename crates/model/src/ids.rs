//! Trace and span identifiers (W3C Trace Context): 16 and 8 bytes, all zero meaning "none".

use std::fmt;

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
                if text.is_empty() || text.len() > DIGITS || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                let mut id = [0_u8; $bytes];
                for (index, digit) in text.bytes().rev().enumerate() {
                    let value = (digit as char).to_digit(16)?;
                    let shift = if index % 2 == 0 { 0 } else { 4 };
                    id[$bytes - 1 - index / 2] |= u8::try_from(value).ok()? << shift;
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
        assert_eq!(
            SpanId::from_hex("A1").expect("valid").to_string(),
            "00000000000000a1"
        );
    }

    #[test]
    fn invalid_ids_are_refused() {
        assert_eq!(TraceId::from_hex("zz"), None);
        assert_eq!(TraceId::from_hex(""), None);
        assert_eq!(SpanId::from_hex("00000000000000000"), None);
        assert_eq!(SpanId::from_bytes(&[0; 8]), None);
        assert_eq!(SpanId::from_bytes(&[1; 7]), None);
    }
}
