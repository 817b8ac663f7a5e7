//! Texts, bytes and numbers of JSON, written into their field.

use serde::de;

use super::number::Wire;
use super::{Place, Slot};
use crate::base64;
use crate::otlp::schema::Kind;
use crate::protobuf::Writer;

/// The widest number on the wire (bytes).
const NUMBER_BYTES_MAX: usize = 10;

impl Slot<'_, '_> {
    pub(super) fn integer<E: de::Error>(
        self,
        value: i128,
        unexpected: de::Unexpected<'_>,
    ) -> Result<(), E> {
        match Wire::of_integer(self.field.kind, value).filter(|_| !self.is_list()) {
            Some(wire) => self.number(wire),
            None => Err(self.wrong(unexpected)),
        }
    }

    pub(super) fn float<E: de::Error>(self, value: f64) -> Result<(), E> {
        match Wire::of_float(self.field.kind, value).filter(|_| !self.is_list()) {
            Some(wire) => self.number(wire),
            None => Err(self.wrong(de::Unexpected::Float(value))),
        }
    }

    fn number<E: de::Error>(self, wire: Wire) -> Result<(), E> {
        self.to.ensure(NUMBER_BYTES_MAX)?;
        let key = (self.place != Place::Packed).then_some(self.field.number);
        wire.write(&mut Writer::new(&mut self.to.out), key);
        Ok(())
    }

    pub(super) fn text<E: de::Error>(self, text: &str) -> Result<(), E> {
        if self.is_list() {
            return Err(self.wrong(de::Unexpected::Other("a text")));
        }
        match self.field.kind {
            Kind::Text => {
                self.to.ensure(text.len())?;
                Writer::new(&mut self.to.out).bytes_always(self.field.number, text.as_bytes());
                Ok(())
            }
            Kind::Hex => self.bytes(text, decode_hex),
            Kind::Base64 => self.bytes(text, decode_base64),
            kind => match Wire::of_text(kind, text) {
                Some(wire) => self.number(wire),
                // What was sent is not repeated: it may be a secret.
                None => Err(self.wrong(de::Unexpected::Other("a text"))),
            },
        }
    }

    fn bytes<E: de::Error>(
        self,
        text: &str,
        decode: fn(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<(), E> {
        // Both take fewer bytes than digits.
        self.to.ensure(text.len())?;
        let open = self.to.open(self.field.number, 1)?;
        let decoded = decode(text.as_bytes(), &mut self.to.out);
        self.to.close(open)?;
        match decoded {
            true => Ok(()),
            false => Err(self.wrong(de::Unexpected::Other("a text"))),
        }
    }
}

/// False when `digits` are not pairs of hexadecimal digits.
fn decode_hex(digits: &[u8], out: &mut Vec<u8>) -> bool {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, rest) = digits.as_chunks::<2>();
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (value(*high), value(*low)) else {
            return false;
        };
        out.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    rest.is_empty()
}

/// Both alphabets, padded or not; false when it is none of them.
fn decode_base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = text.get(..text.len() - padding).unwrap_or_default();
    if padding > 2 || digits.len() % 4 == 1 {
        return false;
    }
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let Some(value) = base64::digit(*byte) else {
                return false;
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend(bytes.iter().take(group.len() * 3 / 4));
    }
    true
}
