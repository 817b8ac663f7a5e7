//! What the headers of a remote write request say of its body.

/// The version of the protocol that a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// 1.0: `prometheus.WriteRequest`.
    V1,
    /// 2.0: `io.prometheus.write.v2.Request`.
    V2,
}

/// The headers ask for what is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("the content type {0:?} is not application/x-protobuf")]
    ContentType(String),
    #[error(
        "the message {0:?} is neither prometheus.WriteRequest nor io.prometheus.write.v2.Request"
    )]
    Message(String),
    #[error("the content encoding {0:?} is neither snappy nor zstd")]
    Encoding(String),
}

impl Version {
    /// The version named by `Content-Type`: its parameter `proto` names the message, that of 1.0 when there is none, or no type.
    ///
    /// # Errors
    /// It is another type or message.
    pub fn from_content_type(content_type: &str) -> Result<Self, HeaderError> {
        let mut parts = content_type.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        if content_type.trim().is_empty() {
            return Ok(Self::V1);
        }
        if !media_type.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(HeaderError::ContentType(content_type.to_owned()));
        }
        let parameters = parts.filter_map(|part| part.split_once('='));
        let mut messages = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
        let Some((_name, message)) = messages.next() else {
            return Ok(Self::V1);
        };
        match message.trim().trim_matches('"') {
            "prometheus.WriteRequest" => Ok(Self::V1),
            "io.prometheus.write.v2.Request" => Ok(Self::V2),
            other => Err(HeaderError::Message(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_names_the_version() {
        let version = Version::from_content_type;
        for v1 in [
            "",
            "application/x-protobuf",
            "Application/X-Protobuf",
            "application/x-protobuf; charset=utf-8",
            "application/x-protobuf;proto=prometheus.WriteRequest",
        ] {
            assert_eq!(version(v1), Ok(Version::V1), "{v1}");
        }
        for v2 in [
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "application/x-protobuf ; Proto = \"io.prometheus.write.v2.Request\"",
        ] {
            assert_eq!(version(v2), Ok(Version::V2), "{v2}");
        }
        let message = "application/x-protobuf;proto=io.prometheus.write.v3.Request";
        let message = version(message);
        assert!(matches!(message, Err(HeaderError::Message(_))));
        for other in ["application/json", "application/x-protobuffer"] {
            assert!(matches!(version(other), Err(HeaderError::ContentType(_))));
        }
    }
}
