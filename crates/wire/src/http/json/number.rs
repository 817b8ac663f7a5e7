//! Numbers of JSON as protobuf holds them.

use crate::otlp::schema::Kind;
use crate::protobuf::Writer;

/// A number as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

impl Wire {
    /// A whole number; `None` when it is out of the kind's range, or the kind holds none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a double is the nearest to the number that was written"
    )]
    pub(super) fn of_integer(kind: Kind, value: i128) -> Option<Self> {
        Some(match kind {
            Kind::Uint32 => Self::Varint(u64::from(u32::try_from(value).ok()?)),
            Kind::Uint64 => Self::Varint(u64::try_from(value).ok()?),
            Kind::Int64 => Self::Varint(i64::try_from(value).ok()?.cast_unsigned()),
            Kind::Sint32 => {
                let value = i32::try_from(value).ok()?;
                Self::Varint(u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()))
            }
            Kind::Fixed32 => Self::Fixed32(u32::try_from(value).ok()?),
            Kind::Fixed64 => Self::Fixed64(u64::try_from(value).ok()?),
            Kind::Sfixed64 => Self::Fixed64(i64::try_from(value).ok()?.cast_unsigned()),
            Kind::Double => Self::Fixed64((value as f64).to_bits()),
            Kind::Text | Kind::Hex | Kind::Base64 | Kind::Bool | Kind::Message(_) => return None,
        })
    }

    /// A number with a fraction or exponent. Those without a fraction (`1e3`) are whole numbers.
    pub(super) fn of_float(kind: Kind, value: f64) -> Option<Self> {
        /// Above it not every whole number is a double.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if let Kind::Double = kind {
            return Some(Self::Fixed64(value.to_bits()));
        }
        if value.fract() != 0.0 || value.abs() > EXACT_MAX {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole and in range, as was just seen"
        )]
        Self::of_integer(kind, value as i128)
    }

    /// A number that is written as text.
    pub(super) fn of_text(kind: Kind, text: &str) -> Option<Self> {
        match kind {
            Kind::Double => {
                let value = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    _ => text.parse().ok()?,
                };
                Some(Self::Fixed64(value.to_bits()))
            }
            Kind::Text | Kind::Hex | Kind::Base64 | Kind::Bool | Kind::Message(_) => None,
            _ => Self::of_integer(kind, text.parse().ok()?),
        }
    }

    /// Writes it, with a key unless it stands in a packed list.
    pub(super) fn write(self, w: &mut Writer<'_>, key: Option<u32>) {
        let wire_type = match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Fixed32(_) => 5,
        };
        if let Some(number) = key {
            w.bare_key(number, wire_type);
        }
        match self {
            Self::Varint(value) => w.bare_varint(value),
            Self::Fixed64(value) => w.raw(&value.to_le_bytes()),
            Self::Fixed32(value) => w.raw(&value.to_le_bytes()),
        }
    }
}
