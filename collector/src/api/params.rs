//! Parameters from the query string and, for form posts, the body. A name may repeat (`match[]`).

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use vervet_alerting::nearest_key;

/// Name and value pairs in the order they were given, the query string first.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The first value of `name`; an empty one counts as absent.
    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Refuses what nobody would read.
    ///
    /// # Errors
    /// A parameter that is not among `known`.
    pub(super) fn only(&self, known: &[&'static str]) -> Result<(), UnknownParam> {
        let unknown = self
            .0
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |(name, _)| {
            Err(UnknownParam {
                name: name.clone(),
                hint: match nearest_key(name, known) {
                    Some(nearest) => format!("did you mean {nearest:?}?"),
                    None => format!("known are {}", known.join(", ")),
                },
            })
        })
    }

    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Parses the value of `name`.
    ///
    /// # Errors
    /// The value is there and `parse` does not take it.
    pub(super) fn parse<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InvalidParam> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => parse(value).map(Some).ok_or_else(|| InvalidParam {
                name,
                value: value.to_owned(),
            }),
        }
    }

    /// Like [`Params::parse`], for a parameter that must be there.
    ///
    /// # Errors
    /// The value is absent, or `parse` does not take it.
    pub(super) fn require<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, InvalidParam> {
        self.parse(name, parse)?.ok_or(InvalidParam {
            name,
            value: String::new(),
        })
    }
}

impl Params {
    /// As the extractor, but a body that is not declared to be a form is a text of its own, which is returned.
    ///
    /// # Errors
    /// What is wrong with the request.
    #[cfg(feature = "sql")]
    pub(super) async fn with_text(request: Request) -> Result<(Self, Option<String>), String> {
        let invalid = || "a parameter is not valid percent-encoded UTF-8".to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut pairs = decode(query.as_bytes()).ok_or_else(invalid)?;
        let content_type = request.headers().get(http::header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let body = axum::body::Bytes::from_request(request, &())
            .await
            .map_err(|rejection| rejection.body_text())?;
        if is_form {
            pairs.extend(decode(&body).ok_or_else(invalid)?);
        }
        let text = match is_form || body.is_empty() {
            true => None,
            false => Some(
                String::from_utf8(body.to_vec())
                    .map_err(|_error| "the body is not UTF-8".to_owned())?,
            ),
        };
        Ok((Self(pairs), text))
    }
}

/// A parameter that there is not; its message is shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown parameter {name:?}: {hint}")]
pub(super) struct UnknownParam {
    name: String,
    hint: String,
}

/// A parameter has no meaning; its message is shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid parameter {name:?}: cannot parse {value:?}")]
pub(super) struct InvalidParam {
    name: &'static str,
    value: String,
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut pairs = decode(query.as_bytes()).ok_or_else(not_a_form)?;
        if request.method() == http::Method::POST {
            let body = axum::body::Bytes::from_request(request, state)
                .await
                .map_err(IntoResponse::into_response)?;
            pairs.extend(decode(&body).ok_or_else(not_a_form)?);
        }
        Ok(Self(pairs))
    }
}

fn not_a_form() -> Response {
    let message = "a parameter is not valid percent-encoded UTF-8";
    (StatusCode::BAD_REQUEST, message).into_response()
}

/// The pairs of `name=value&name=value`; `None` when one is not percent-encoded UTF-8.
fn decode(form: &[u8]) -> Option<Vec<(String, String)>> {
    let parts = form
        .split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty());
    let pair = |part: &[u8]| {
        let at = part
            .iter()
            .position(|byte| *byte == b'=')
            .unwrap_or(part.len());
        let (name, value) = part.split_at_checked(at)?;
        Some((
            percent_decode(name)?,
            percent_decode(value.get(1..).unwrap_or_default())?,
        ))
    };
    parts.map(pair).collect()
}

fn percent_decode(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_decode() {
        let params = Params(
            decode(b"query=a%2Bb+c&match[]=x&match%5B%5D=%7B%7D&flag&empty=").expect("valid"),
        );
        assert_eq!(params.get("query"), Some("a+b c"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["x", "{}"]);
        assert_eq!((params.get("flag"), params.get("empty")), (None, None));
        let known = ["query", "minDuration", "service"];
        let refused = |form: &[u8]| Params(decode(form).expect("valid")).only(&known);
        assert_eq!(refused(b"query=x&service=y"), Ok(()));
        for (form, hint) in [
            (&b"servce=x"[..], "did you mean \"service\"?"),
            (b"min_duration=1s", "did you mean \"minDuration\"?"),
            (b"zzz=1", "known are query, minDuration, service"),
        ] {
            let error = refused(form).expect_err("unknown").to_string();
            assert!(error.contains(hint), "{error}");
        }
        for bad in [&b"a=%"[..], b"a=%f", b"a=%zz", b"a=%ff"] {
            assert!(decode(bad).is_none(), "{bad:?}");
        }
    }
}
