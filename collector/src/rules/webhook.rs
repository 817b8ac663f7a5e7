//! Delivers notifications as Alertmanager's webhook does: a POST of JSON, 2xx meaning delivered.

use std::sync::Arc;
use std::time::Duration;

use vervet_alerting::{BoxFuture, Integration, Notification, Notifier, NotifyError};

use crate::health::with_causes;
use crate::metrics::Metrics;

/// How long one delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an error answer is kept for the message (bytes).
const ANSWER_BYTES_MAX: usize = 1024;

/// Sends to webhooks. Redirects are not followed: they would carry the alert to another host.
pub(crate) struct Webhooks {
    client: reqwest::Client,
    metrics: Arc<Metrics>,
}

impl Webhooks {
    /// # Errors
    /// The HTTP client cannot be set up.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Result<Self, reqwest::Error> {
        let client = vervet_agent::http::client(|builder| {
            builder
                .timeout(DELIVERY_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("vervet-collector/", env!("CARGO_PKG_VERSION")))
        })?;
        Ok(Self { client, metrics })
    }

    #[tracing::instrument(skip_all)]
    async fn deliver(&self, url: &str, notification: &Notification) -> Result<(), NotifyError> {
        let retryable = |error: reqwest::Error| NotifyError {
            message: format!("{}: {}", host(url), with_causes(&error.without_url())),
            retryable: true,
        };
        let mut response = self
            .client
            .post(url)
            .json(notification)
            .send()
            .await
            .map_err(retryable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let mut answer = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            answer.extend_from_slice(&chunk);
            if answer.len() >= ANSWER_BYTES_MAX {
                answer.truncate(ANSWER_BYTES_MAX);
                break;
            }
        }
        let message = format!(
            "{} answered {status}: {}",
            host(url),
            String::from_utf8_lossy(&answer).trim()
        );
        let retryable =
            status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
        Err(NotifyError { message, retryable })
    }
}

/// Where a webhook is, without what may be secret in its path, query and user.
fn host(url: &str) -> String {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| {
        let port = url.port_or_known_default()?;
        Some(format!("{}:{port}", url.host_str()?))
    });
    host.unwrap_or_else(|| "the webhook".to_owned())
}

impl Notifier for Webhooks {
    fn send<'a>(
        &'a self,
        integration: &'a Integration,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            let result = self.deliver(&integration.webhook.url, notification).await;
            match &result {
                Ok(()) => {
                    self.metrics.notifications.inc();
                }
                Err(error) => {
                    tracing::warn!(receiver = integration.receiver, %error, "notification not delivered");
                    self.metrics
                        .notification_failed(integration.receiver.clone(), &error.message);
                }
            }
            result
        })
    }
}
