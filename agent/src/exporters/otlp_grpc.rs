//! OTLP/gRPC.

use std::time::Duration;

use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use vervet_model::Signal;
use vervet_wire::compress::Packed;
use vervet_wire::grpc::Client;
use vervet_wire::{Accepted, Source};

use super::credentials::Credentials;
use super::hints::{self, Peer};
use super::retry::{Failure, judge_grpc};
use super::sender::OpenError;
use super::settings::OtlpExporterConfig;
use super::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// One connection, shared by the lanes, made when it is first used and again whenever it is lost.
pub(super) struct GrpcSender {
    client: Client,
    credentials: Credentials,
    peer: Peer,
}

impl GrpcSender {
    pub(super) fn open(config: &OtlpExporterConfig) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Endpoint {
            endpoint: config.endpoint.clone(),
            source,
        };
        let mut endpoint = Endpoint::from_shared(config.endpoint.clone())
            .map_err(failed)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        if config.endpoint.starts_with("https://") {
            let files = tls::read(&config.tls)?;
            let mut tls = ClientTlsConfig::new();
            tls = tls.ca_certificates(files.authorities.map(Certificate::from_pem));
            if let Some((cert, key)) = files.identity {
                tls = tls.identity(Identity::from_pem(cert, key));
            }
            if let Some(name) = &config.tls.server_name {
                tls = tls.domain_name(name);
            }
            endpoint = endpoint.tls_config(tls).map_err(failed)?;
        }
        Ok(Self {
            client: Client::new(endpoint.connect_lazy(), None),
            credentials: Credentials::open(config)?,
            peer: Peer::of(&config.endpoint),
        })
    }

    pub(super) fn secrets(&self) -> Vec<String> {
        self.credentials.secrets()
    }

    pub(super) async fn send(
        &self,
        signal: Signal,
        body: &Packed,
        source: Option<&Source>,
    ) -> Result<Accepted, Failure> {
        let headers = self.credentials.headers().await;
        let answer = self.client.send(signal, body, source, &headers).await;
        let status = match answer {
            Ok(accepted) => {
                self.peer.answered();
                return Ok(accepted);
            }
            Err(status) => status,
        };
        if status.code() == Code::Unauthenticated {
            self.credentials.refused();
        }
        let failure = judge_grpc(&status);
        let message = hints::of_grpc(&failure.message, &self.peer).await;
        Err(Failure { message, ..failure })
    }
}
