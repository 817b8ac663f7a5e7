//! What a Vervet program says about itself: logs on stderr and, when configured, its own traces by OTLP/HTTP.
//!
//! Logs are JSON lines unless stderr is a terminal, where control and direction characters in values are escaped. `VERVET_LOG`, else `RUST_LOG`, sets the level and filters
//! (`info` by default). Used by the agent and the collector.

use std::io::{self, IsTerminal};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::printable::{printable, printable_json};

const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What to set up.
#[derive(Debug, Clone, Default)]
pub struct TelemetryOptions {
    pub service_name: &'static str,
    pub service_version: &'static str,
    /// Base address of an OTLP/HTTP endpoint for the program's own spans, such as `http://127.0.0.1:4318`.
    pub traces_endpoint: Option<String>,
}

/// Telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the traces endpoint cannot be used")]
    Traces(#[from] ExporterBuildError),
    #[error("a subscriber is installed already")]
    Installed(#[from] TryInitError),
}

/// Sends the last spans when it is told to. Keep it until the program ends.
#[derive(Debug)]
#[must_use = "spans are lost unless the guard is flushed at the end"]
pub struct TelemetryGuard(Option<SdkTracerProvider>);

/// Sets up logs and traces for the process. Call inside a Tokio runtime when traces are exported.
///
/// # Errors
/// The endpoint makes no sense, or a subscriber is installed already.
pub fn init(options: &TelemetryOptions) -> Result<TelemetryGuard, TelemetryError> {
    install_tls_provider();
    let provider = options
        .traces_endpoint
        .as_deref()
        .map(|endpoint| tracer_provider(endpoint, options))
        .transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(options.service_name))
    });
    tracing_subscriber::registry()
        .with(traces)
        .with(log_layer())
        .with(filter())
        .try_init()?;
    if let Some(provider) = &provider {
        global::set_tracer_provider(provider.clone());
    }
    Ok(TelemetryGuard(provider))
}

/// Makes `ring` the process's TLS provider, unless one is installed.
pub fn install_tls_provider() {
    // An error means that there is one already, which is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

impl TelemetryGuard {
    /// Sends what is left and ends the exporter.
    pub async fn flush(self) {
        let Some(provider) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "own spans could not be sent");
        }
    }
}

fn tracer_provider(
    endpoint: &str,
    options: &TelemetryOptions,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(options.service_name)
        .with_attribute(KeyValue::new("service.version", options.service_version))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter, Tokio).build())
        .with_resource(resource)
        .build())
}

fn log_layer<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    if std::io::stderr().is_terminal() {
        let layer = fmt::layer().with_writer(std::io::stderr);
        // Values may come from anywhere, names of files for example: what a terminal would obey is escaped.
        layer.fmt_fields(fields()).boxed()
    } else {
        let layer = fmt::layer().with_writer(|| Escaping(std::io::stderr()));
        layer.json().flatten_event(true).boxed()
    }
}

/// Name and value of each field, the message without its name.
fn fields() -> impl for<'writer> fmt::FormatFields<'writer> + Send + Sync + 'static {
    let field = fmt::format::debug_fn(|writer, field, value| {
        let value = printable(&format!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{value}"),
            name => write!(writer, "{name}={value}"),
        }
    });
    field.delimited(" ")
}

/// Writes lines of JSON; what a terminal would obey, should they end on one, is escaped in their texts.
struct Escaping<W>(W);

impl<W: io::Write> io::Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = printable_json(&String::from_utf8_lossy(line));
        self.0.write_all(text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The exporter's own HTTP client must not trace itself.
fn filter() -> EnvFilter {
    let text = std::env::var("VERVET_LOG").or_else(|_unset| std::env::var("RUST_LOG"));
    let text = text.unwrap_or_else(|_unset| "info".to_owned());
    EnvFilter::builder().parse_lossy(format!(
        "{text},hyper=warn,h2=warn,reqwest=warn,opentelemetry=warn"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const NAME: &str = "a\u{1b}[31m\u{9b}2J\u{202e}\nb";

    /// What is logged of a file with such a name.
    fn logged(subscriber: impl tracing::Subscriber + Send + Sync, shared: &Shared) -> String {
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(path = %NAME, text = NAME, "file {NAME} cannot be read");
        });
        String::from_utf8(shared.0.lock().clone()).expect("text")
    }

    #[test]
    fn names_of_files_do_not_steer_terminals() {
        let shared = Shared::default();
        let writer = shared.clone();
        let layer = fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(fields());
        let text = logged(tracing_subscriber::registry().with(layer), &shared);
        assert!(
            text.contains("path=a\\u{1b}[31m\\u{9b}2J\\u{202e}\\nb"),
            "{text}"
        );
        let line = text.strip_suffix('\n').expect("one line");
        assert_eq!(crate::printable::printable(line), line);

        let shared = Shared::default();
        let writer = shared.clone();
        let layer = fmt::layer()
            .with_writer(move || Escaping(writer.clone()))
            .json()
            .flatten_event(true);
        let text = logged(tracing_subscriber::registry().with(layer), &shared);
        let line = text.strip_suffix('\n').expect("one line");
        assert_eq!(crate::printable::printable(line), line);
        let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(json["path"], NAME);
    }
}
