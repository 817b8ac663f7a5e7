//! What the kinds of exporters differ in: packing a request, and sending it once.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use vervet_journal::JournalError;
use vervet_model::Signal;
use vervet_wire::compress::{Compressor, Packed};
use vervet_wire::{Accepted, LANES, Source};

use super::debug::DebugSender;
use super::file::FileSender;
use super::otlp_grpc::GrpcSender;
use super::otlp_http::HttpSender;
use super::retry::Failure;
use super::settings::{ExporterKind, OtlpExporterConfig};

/// An exporter cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("endpoint {endpoint} cannot be used")]
    Endpoint {
        endpoint: String,
        #[source]
        source: tonic::transport::Error,
    },
    #[error("no HTTP client for {endpoint}")]
    HttpClient {
        endpoint: String,
        #[source]
        source: reqwest::Error,
    },
    /// A certificate, key or token file.
    #[error("{} cannot be read", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A certificate or key file that holds something else.
    #[error("{} holds no {expected}", path.display())]
    NotPem {
        path: PathBuf,
        expected: &'static str,
    },
    #[error("no memory to compress with")]
    Compressor(#[source] io::Error),
    #[error("a new account cannot be encoded")]
    Account(#[source] serde_json::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Sends requests, one kind each.
pub(super) enum Sender {
    Grpc(GrpcSender),
    Http(HttpSender),
    File(FileSender),
    Debug(DebugSender),
}

/// Makes of a request what its kind sends.
pub(super) struct Packer {
    compressor: Compressor,
    as_message: bool,
}

impl Sender {
    pub(super) fn open(kind: &ExporterKind) -> Result<Self, OpenError> {
        Ok(match kind {
            ExporterKind::Otlp(config) => Self::Grpc(GrpcSender::open(config)?),
            ExporterKind::OtlpHttp(config) => Self::Http(HttpSender::open(config)?),
            ExporterKind::File(config) => Self::File(FileSender::new(config.clone())),
            ExporterKind::Debug(config) => Self::Debug(DebugSender::new(config.clone())),
        })
    }

    /// Lanes among which records are distributed. What is written to one place keeps its order.
    pub(super) fn lanes(&self) -> u64 {
        match self {
            Self::Grpc(_) | Self::Http(_) => LANES,
            Self::File(_) | Self::Debug(_) => 1,
        }
    }

    /// What goes with requests and must not be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Grpc(sender) => sender.secrets(),
            Self::Http(sender) => sender.secrets(),
            Self::File(_) | Self::Debug(_) => Vec::new(),
        }
    }

    /// Sends one request. `source` is absent when it is only a part of a record.
    pub(super) async fn send(
        &self,
        signal: Signal,
        body: &Packed,
        source: Option<&Source>,
    ) -> Result<Accepted, Failure> {
        match self {
            Self::Grpc(sender) => sender.send(signal, body, source).await,
            Self::Http(sender) => sender.send(signal, body, source).await,
            Self::File(sender) => sender.send(signal, body).await,
            Self::Debug(sender) => sender.send(signal, body).await,
        }
    }
}

impl Packer {
    pub(super) fn new(kind: &ExporterKind) -> Result<Self, OpenError> {
        let compressor = |config: &OtlpExporterConfig| {
            Compressor::new(config.compression.into(), config.compression_level)
        };
        let compressor = match kind {
            ExporterKind::Otlp(config) | ExporterKind::OtlpHttp(config) => compressor(config),
            ExporterKind::File(_) | ExporterKind::Debug(_) => Ok(Compressor::none()),
        };
        Ok(Self {
            compressor: compressor.map_err(OpenError::Compressor)?,
            as_message: matches!(kind, ExporterKind::Otlp(_)),
        })
    }

    /// One for single requests of the same kind: without compression, and without its memory.
    pub(super) fn plain(&self) -> Self {
        Self {
            compressor: Compressor::none(),
            as_message: self.as_message,
        }
    }

    pub(super) fn pack(&mut self, request: &Bytes) -> Packed {
        match self.as_message {
            true => self.compressor.pack_message(request),
            false => self.compressor.pack(request),
        }
    }
}
