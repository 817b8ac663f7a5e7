//! OTLP/HTTP with protobuf bodies: `POST endpoint/v1/{logs,metrics,traces}`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, Url};
use serde::Deserialize;
use vervet_model::{Clock, Signal, SystemClock};
use vervet_wire::compress::Packed;
use vervet_wire::otlp::decode_response;
use vervet_wire::protobuf::Reader;
use vervet_wire::receiver::{AGENT_ID_KEY, SEQUENCE_KEY};
use vervet_wire::{Accepted, LANES, Source};

use super::credentials::Credentials;
use super::hints::{self, Peer};
use super::retry::{Failure, Reach, judge_http};
use super::sender::OpenError;
use super::settings::OtlpExporterConfig;
use super::tls::{self, TlsFiles};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read of an answer (bytes).
const ANSWER_BYTES_MAX: usize = 64 << 10;
const PROTOBUF: &str = "application/x-protobuf";

/// One connection a lane, kept open.
pub(super) struct HttpSender {
    client: Client,
    /// Without a slash at its end.
    base: String,
    credentials: Credentials,
    peer: Peer,
}

impl HttpSender {
    pub(super) fn open(config: &OtlpExporterConfig) -> Result<Self, OpenError> {
        crate::telemetry::install_tls_provider();
        let is_tls = config.endpoint.starts_with("https://");
        let files = match is_tls {
            true => tls::read(&config.tls)?,
            false => TlsFiles {
                authorities: None,
                identity: None,
            },
        };
        let failed = |source| OpenError::HttpClient {
            endpoint: config.endpoint.clone(),
            source,
        };
        let mut base = config.endpoint.trim_end_matches('/').to_owned();
        let mut builder = client(&files).map_err(failed)?;
        if let Some(name) = config.tls.server_name.as_deref().filter(|_| is_tls) {
            (base, builder) = under_another_name(&base, name, builder);
        }
        Ok(Self {
            client: builder.build().map_err(failed)?,
            base,
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
        let mut headers = self.credentials.headers().await;
        let mut put = |name: HeaderName, value: String| {
            if let Ok(value) = value.try_into() {
                headers.insert(name, value);
            }
        };
        put(CONTENT_TYPE, PROTOBUF.to_owned());
        if let Some(encoding) = body.encoding() {
            put(CONTENT_ENCODING, encoding.to_owned());
        }
        if let Some(source) = source {
            put(
                HeaderName::from_static(AGENT_ID_KEY),
                source.agent_id.clone(),
            );
            let sequence = source.sequence.to_string();
            put(HeaderName::from_static(SEQUENCE_KEY), sequence);
        }
        let request = self
            .client
            .post(format!("{}/v1/{signal}", self.base))
            .headers(headers)
            .body(body.bytes().clone());
        let answer = request.send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.unanswered(&error).await),
        };
        self.peer.answered();
        self.judge(answer).await
    }

    async fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let reach = match error.is_connect() {
            true => Reach::NotSent,
            false => Reach::Unanswered,
        };
        let message = hints::of_http(&causes(error), &self.peer).await;
        Failure::passing(reach, "unreachable", message)
    }

    async fn judge(&self, answer: Response) -> Result<Accepted, Failure> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read(answer).await?;
        if status.is_success() {
            return accepted(&headers, &body);
        }
        if status == StatusCode::UNAUTHORIZED {
            self.credentials.refused();
        }
        let message = message_of(&headers, &body);
        let failure = judge_http(status, &headers, &message, SystemClock.now());
        let content_type = content_type(&headers);
        let message = hints::of_http_status(status.as_u16(), content_type, &failure.message);
        Err(Failure { message, ..failure })
    }
}

fn client(files: &TlsFiles) -> Result<ClientBuilder, reqwest::Error> {
    let authorities = files.authorities.as_deref().unwrap_or_default();
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(usize::try_from(LANES).unwrap_or(1))
        .tcp_nodelay(true)
        // A token must not follow to another place.
        .redirect(Policy::none())
        .tls_certs_only(Certificate::from_pem_bundle(authorities)?);
    if let Some((cert, key)) = &files.identity {
        let mut pem = cert.clone();
        pem.push(b'\n');
        pem.extend_from_slice(key);
        builder = builder.identity(Identity::from_pem(&pem)?);
    }
    Ok(builder)
}

/// The name that the certificate is checked against is the URL's, so the URL gets it, and looking it up yields the
/// endpoint's addresses.
fn under_another_name(base: &str, name: &str, builder: ClientBuilder) -> (String, ClientBuilder) {
    let Ok(mut url) = Url::parse(base) else {
        return (base.to_owned(), builder);
    };
    let real = url.host_str().unwrap_or_default();
    let real = real
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    if url.set_host(Some(name)).is_err() {
        return (base.to_owned(), builder);
    }
    let base = url.as_str().trim_end_matches('/').to_owned();
    (base, builder.no_proxy().dns_resolver(Alias(real)))
}

/// Resolves every name as another.
struct Alias(String);

impl Resolve for Alias {
    fn resolve(&self, _name: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn read(mut answer: Response) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    loop {
        let chunk = answer.chunk().await;
        match chunk
            .map_err(|error| Failure::passing(Reach::Unanswered, "cut off", causes(&error)))?
        {
            Some(chunk) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&chunk);
            }
            // The rest would say no more.
            Some(_) | None => return Ok(body.freeze()),
        }
    }
}

/// A 2xx answer is a promise, of which only a readable body can take part back. A web page is none: the endpoint
/// is something else's.
fn accepted(headers: &HeaderMap, body: &[u8]) -> Result<Accepted, Failure> {
    if content_type(headers).starts_with("text/html") {
        return Err(Failure::passing(
            Reach::Answered,
            "200",
            "the answer is a web page, not OTLP's",
        ));
    }
    // Its status stands elsewhere, and is no good one for a request that is not gRPC's.
    if content_type(headers).starts_with(hints::GRPC) {
        let message = hints::of_http_status(200, content_type(headers), "");
        return Err(Failure::passing(Reach::Answered, "200", message));
    }
    if is_protobuf(headers) {
        let (rejected, message) = decode_response(body).unwrap_or_default();
        return Ok(Accepted { rejected, message });
    }
    Ok(serde_json::from_slice::<JsonAnswer>(body)
        .map(JsonAnswer::accepted)
        .unwrap_or_default())
}

/// An export response in JSON, as some servers answer also to protobuf.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonAnswer {
    #[serde(default, alias = "partial_success")]
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    #[serde(
        alias = "rejectedDataPoints",
        alias = "rejectedSpans",
        alias = "rejected_log_records",
        alias = "rejected_data_points",
        alias = "rejected_spans"
    )]
    rejected_log_records: JsonNumber,
    #[serde(alias = "error_message")]
    error_message: String,
}

/// 64 bits are text in the JSON of protobuf; many write a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum JsonNumber {
    Number(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Default for JsonNumber {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl JsonAnswer {
    fn accepted(self) -> Accepted {
        let partial = self.partial_success.unwrap_or_default();
        let rejected = match partial.rejected_log_records {
            JsonNumber::Number(number) => number,
            JsonNumber::Text(text) => text.parse().unwrap_or(0),
            JsonNumber::Other(_) => 0,
        };
        Accepted {
            rejected,
            message: partial.error_message,
        }
    }
}

/// The message of a `google.rpc.Status`, or the text.
fn message_of(headers: &HeaderMap, body: &[u8]) -> String {
    let text = || String::from_utf8_lossy(body).into_owned();
    if !is_protobuf(headers) {
        return text();
    }
    let mut reader = Reader::new(body);
    while let Ok(Some((number, field))) = reader.next_field() {
        if let (2, Ok(message)) = (number, field.bytes(number)) {
            return String::from_utf8_lossy(message).into_owned();
        }
    }
    String::new()
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with(PROTOBUF)
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim_start()
}

/// An error with its causes. The URL is not among them; it is known from the configuration.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        cause = error.source();
    }
    match text.is_empty() {
        true => "the request failed".to_owned(),
        false => text,
    }
}
