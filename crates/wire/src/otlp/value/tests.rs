//! The short way of reading an attribute gives what the long one does.

use proptest::prelude::*;

use super::*;

/// Short keys and values of all kinds that are read the short way, and some that are not.
fn attribute() -> impl Strategy<Value = KeyValue<'static>> {
    let value = prop_oneof![
        "[a-zß]{0,140}".prop_map(Value::from),
        any::<i64>().prop_map(Value::Int),
        (-300_i64..300).prop_map(Value::Int),
        (0..64_u32).prop_map(|bit| Value::Int((1_u64 << bit).cast_signed())),
        (-1e6..1e6).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Empty),
        Just(Value::Bytes(Cow::Borrowed(b"bytes"))),
        Just(Value::Array(vec![Value::Int(1)])),
    ];
    ("[a-z.]{0,140}", value).prop_map(|(key, value)| KeyValue::new(key, value))
}

fn written(attribute: &KeyValue<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_key_value(&mut Writer::new(&mut bytes), attribute);
    bytes
}

#[test]
fn short_attributes_are_read_the_short_way() {
    let values = [
        Value::from("text"),
        Value::Int(0),
        Value::Int(127),
        Value::Int(128),
        Value::Int(1 << 60),
        Value::Double(0.25),
        Value::Bool(true),
        Value::Bool(false),
    ];
    for value in values {
        let attribute = KeyValue::new("key", value);
        assert_eq!(read_plain(&written(&attribute)), Some(attribute));
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(attribute in attribute()) {
        let bytes = written(&attribute);
        prop_assert_eq!(read_key_value(&bytes), Ok(attribute));
    }

    #[test]
    fn both_ways_agree_on_damaged_attributes(
        attribute in attribute(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = written(&attribute);
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        if let Some(attribute) = read_plain(&bytes) {
            let long = read_key_value_at(&bytes, 0);
            // Not a number is not equal to itself.
            prop_assert_eq!(Ok(format!("{attribute:?}")), long.map(|long| format!("{long:?}")));
        }
    }
}
