//! What goes with every request: the bearer token and the configured headers.
//!
//! A token file is looked at again when it is [`CHECK_INTERVAL`] since the last look, and at once after the
//! destination has refused the token. Values are marked sensitive, so that no layer below writes them to a log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::sender::OpenError;
use super::settings::{BearerToken, OtlpExporterConfig};
use crate::buffer::blocking;

const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Largest token file that is read (bytes).
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// A shorter value is taken for no secret: it would stand in every other word.
const SECRET_BYTES_MIN: usize = 4;

/// Cloning shares the token.
#[derive(Clone)]
pub(super) struct Credentials {
    headers: HeaderMap,
    file: Option<Arc<TokenFile>>,
}

struct TokenFile {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    header: HeaderValue,
    changed: Option<SystemTime>,
    looked_at: Instant,
}

#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the file is larger than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the file holds no token")]
    NoToken,
}

impl Credentials {
    /// # Errors
    /// The token file cannot be read or holds no token.
    pub(super) fn open(config: &OtlpExporterConfig) -> Result<Self, OpenError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            // Both were checked with the configuration.
            if let (Ok(name), Ok(value)) = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.reveal()),
            ) {
                headers.insert(name, sensitive(value));
            }
        }
        let mut file = None;
        match &config.auth {
            None => {}
            Some(BearerToken::Text(token)) => {
                if let Some(value) = bearer(token.reveal()) {
                    headers.insert(AUTHORIZATION, value);
                }
            }
            Some(BearerToken::File(path)) => file = Some(Arc::new(TokenFile::open(path)?)),
        }
        Ok(Self { headers, file })
    }

    /// The headers of the next request.
    pub(super) async fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(file) = &self.file {
            if file.known.lock().looked_at.elapsed() >= CHECK_INTERVAL {
                let file = Arc::clone(file);
                blocking(move || file.look()).await;
            }
            headers.insert(AUTHORIZATION, file.known.lock().header.clone());
        }
        headers
    }

    /// The values that go with requests, as they may be repeated by a destination.
    pub(super) fn secrets(&self) -> Vec<String> {
        let token = self
            .file
            .as_ref()
            .map(|file| file.known.lock().header.clone());
        let values = self.headers.values().cloned().chain(token);
        let texts = values.filter_map(|value| {
            let text = value.to_str().ok()?;
            Some(text.strip_prefix("Bearer ").unwrap_or(text).to_owned())
        });
        texts
            .filter(|text| text.len() >= SECRET_BYTES_MIN)
            .collect()
    }

    /// The destination did not accept them.
    pub(super) fn refused(&self) {
        if let Some(file) = &self.file {
            let mut known = file.known.lock();
            if let Some(earlier) = known.looked_at.checked_sub(CHECK_INTERVAL) {
                known.looked_at = earlier;
            }
        }
    }
}

impl TokenFile {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let (header, changed) = read_token(path).map_err(|error| OpenError::File {
            path: path.to_owned(),
            source: match error {
                TokenError::Io(error) => error,
                other => std::io::Error::new(std::io::ErrorKind::InvalidData, other),
            },
        })?;
        let known = Known {
            header,
            changed,
            looked_at: Instant::now(),
        };
        Ok(Self {
            path: path.to_owned(),
            known: Mutex::new(known),
        })
    }

    /// Reads the file again if it has changed. Blocks. While it cannot be read the old token stays.
    fn look(&self) {
        let changed = std::fs::metadata(&self.path)
            .and_then(|metadata| metadata.modified())
            .ok();
        let mut known = self.known.lock();
        known.looked_at = Instant::now();
        if changed.is_some() && changed == known.changed {
            return;
        }
        match read_token(&self.path) {
            Ok((header, changed)) => {
                known.header = header;
                known.changed = changed;
            }
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "token file cannot be read, the old token stays");
            }
        }
    }
}

fn read_token(path: &Path) -> Result<(HeaderValue, Option<SystemTime>), TokenError> {
    let metadata = std::fs::metadata(path)?;
    if metadata.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLarge);
    }
    let text = std::fs::read_to_string(path)?;
    let header = bearer(text.trim()).ok_or(TokenError::NoToken)?;
    Ok((header, metadata.modified().ok()))
}

/// `None` when it is no token: empty, or with spaces or control characters in it.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok();
    value.filter(|_| valid).map(sensitive)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
