//! Calls a collector's export services.

use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Request, Status};
use vervet_model::Signal;

use super::codec::BytesCodec;
use super::service_name;
use crate::otlp::decode_response;
use crate::receiver::{AGENT_ID_KEY, Accepted, SEQUENCE_KEY, Source};

/// Largest answer that is read (bytes).
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A client of one OTLP/gRPC endpoint. Cloning shares the connection.
#[derive(Debug, Clone)]
pub struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    /// A client over `channel` that compresses with zstd, or not at all.
    pub fn new(channel: Channel, compression: Option<CompressionEncoding>) -> Self {
        let mut grpc = Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        if let Some(encoding) = compression {
            grpc = grpc.send_compressed(encoding);
        }
        Self { grpc }
    }

    /// Sends one request body and waits for the answer.
    ///
    /// # Errors
    /// The status the server answered with, or `UNAVAILABLE` when it could not be reached.
    pub async fn export(
        &self,
        signal: Signal,
        body: Bytes,
        source: Option<&Source>,
    ) -> Result<Accepted, Status> {
        let mut grpc = self.grpc.clone();
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(body);
        if let Some(source) = source {
            let invalid = |_error| Status::invalid_argument("the agent id is not ASCII");
            request
                .metadata_mut()
                .insert(AGENT_ID_KEY, source.agent_id.parse().map_err(invalid)?);
            request
                .metadata_mut()
                .insert(SEQUENCE_KEY, source.sequence.into());
        }
        let path = format!("/{}/Export", service_name(signal));
        let path =
            PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
        let answer = grpc.unary(request, path, BytesCodec).await?.into_inner();
        let (rejected, message) =
            decode_response(&answer).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Accepted { rejected, message })
    }
}
