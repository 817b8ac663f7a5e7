//! Puts the configured resource attributes on OTLP requests, where a request lacks them.
//!
//! Protobuf merges a message field that stands twice, so the missing attributes are appended to each
//! resource group as a second `resource`; nothing else is decoded or moved.

use bytes::Bytes;
use vervet_wire::DecodeError;
use vervet_wire::protobuf::{Field, Reader, Writer};

/// Attributes for requests that lack them, encoded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceDefaults(Vec<Attribute>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    key: Vec<u8>,
    /// A `KeyValue` message.
    encoded: Vec<u8>,
}

impl ResourceDefaults {
    pub(crate) fn new(attributes: &[(String, String)]) -> Self {
        let encode = |(key, value): &(String, String)| {
            let mut encoded = Vec::new();
            let mut writer = Writer::new(&mut encoded);
            writer.string(1, key);
            writer.message(2, |any_value| any_value.bytes_always(1, value.as_bytes()));
            Attribute {
                key: key.as_bytes().to_vec(),
                encoded,
            }
        };
        Self(attributes.iter().map(encode).collect())
    }

    /// The request with every attribute on every resource; attributes it has win.
    ///
    /// # Errors
    /// The request is malformed.
    pub(crate) fn add_to(&self, request: Bytes) -> Result<Bytes, DecodeError> {
        if self.0.is_empty() {
            return Ok(request);
        }
        let mut out = Vec::with_capacity(request.len() + self.encoded_bytes());
        let mut groups = Reader::new(&request);
        while let Some((number, field)) = groups.next_field()? {
            let mut writer = Writer::new(&mut out);
            match field {
                Field::Bytes(group) if number == 1 => {
                    let missing = self.missing_in(group)?;
                    let mut group = group.to_vec();
                    if !missing.is_empty() {
                        Writer::new(&mut group).message(1, |resource| {
                            missing
                                .iter()
                                .for_each(|attribute| resource.bytes(1, &attribute.encoded));
                        });
                    }
                    writer.bytes_always(1, &group);
                }
                // No field but 1 is defined; what a later version adds is passed on.
                Field::Bytes(bytes) => writer.bytes_always(number, bytes),
                Field::Varint(value) => writer.varint_always(number, value),
                Field::Fixed64(value) => writer.fixed64_always(number, value),
                Field::Fixed32(value) => writer.fixed32(number, value),
            }
        }
        Ok(out.into())
    }

    fn missing_in(&self, group: &[u8]) -> Result<Vec<&Attribute>, DecodeError> {
        let mut missing: Vec<&Attribute> = self.0.iter().collect();
        let mut fields = Reader::new(group);
        while let Some((number, field)) = fields.next_field()? {
            if number != 1 {
                continue;
            }
            let mut resource = Reader::new(field.bytes(number)?);
            while let Some((number, field)) = resource.next_field()? {
                if number == 1 {
                    let key = key_of(field.bytes(number)?)?;
                    missing.retain(|attribute| attribute.key != key);
                }
            }
        }
        Ok(missing)
    }

    fn encoded_bytes(&self) -> usize {
        const FRAMING: usize = 16;
        self.0
            .iter()
            .map(|attribute| attribute.encoded.len() + FRAMING)
            .sum()
    }
}

fn key_of(key_value: &[u8]) -> Result<&[u8], DecodeError> {
    let mut key: &[u8] = b"";
    let mut reader = Reader::new(key_value);
    while let Some((number, field)) = reader.next_field()? {
        if number == 1 {
            key = field.bytes(number)?;
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    use super::*;

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = any_value::Value::StringValue(value.to_owned());
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    fn request(attributes: Vec<KeyValue>) -> ExportLogsServiceRequest {
        let resource = Some(Resource {
            attributes,
            ..Resource::default()
        });
        let group = ResourceLogs {
            resource,
            ..ResourceLogs::default()
        };
        let bare = ResourceLogs::default();
        ExportLogsServiceRequest {
            resource_logs: vec![group, bare],
        }
    }

    #[test]
    fn only_missing_attributes_are_added_to_each_resource() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let defaults = ResourceDefaults::new(&[pair("env", "prod"), pair("host", "n1")]);
        let sent = request(vec![attribute("env", "dev"), attribute("x", "y")]);
        let out = defaults.add_to(sent.encode_to_vec().into()).expect("valid");
        let out = ExportLogsServiceRequest::decode(out).expect("decodes");
        let attributes = |index: usize| {
            out.resource_logs[index]
                .resource
                .clone()
                .expect("resource")
                .attributes
        };
        let both = [
            attribute("env", "dev"),
            attribute("x", "y"),
            attribute("host", "n1"),
        ];
        assert_eq!(attributes(0), both);
        assert_eq!(
            attributes(1),
            [attribute("env", "prod"), attribute("host", "n1")]
        );
    }

    #[test]
    fn a_cut_request_is_an_error() {
        let defaults = ResourceDefaults::new(&[("a".to_owned(), "b".to_owned())]);
        let mut bytes = request(vec![attribute("env", "dev")]).encode_to_vec();
        bytes.truncate(bytes.len() - 3);
        assert!(defaults.add_to(bytes.into()).is_err());
    }
}
