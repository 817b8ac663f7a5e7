//! HTTP clients that also work on a machine without certificate authorities.

use reqwest::{Client, ClientBuilder};

/// Builds a client with `configure`. Where the system has no certificate authorities, `http` still works and
/// `https` fails at the handshake; without this a client could not be had at all.
///
/// # Errors
/// What `configure` asks for cannot be had.
pub fn client(
    configure: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client, reqwest::Error> {
    crate::telemetry::install_tls_provider();
    configure(Client::builder()).build().or_else(|error| {
        let client = configure(Client::builder()).tls_certs_only([]).build()?;
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!(
            cause,
            "no certificate authorities on this system; https is not available"
        );
        Ok(client)
    })
}
