//! Parameters from the query string and, for form posts, the body. A name may repeat (`match[]`).

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// Name and value pairs in the order they were given, the query string first.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The first value of `name`; an empty one counts as absent.
    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
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
        let mut pairs = decode(query.as_bytes())?;
        if request.method() == http::Method::POST {
            let body = axum::body::Bytes::from_request(request, state)
                .await
                .map_err(IntoResponse::into_response)?;
            pairs.extend(decode(&body)?);
        }
        Ok(Self(pairs))
    }
}

fn decode(form: &[u8]) -> Result<Vec<(String, String)>, Response> {
    let mut pairs = Vec::new();
    for part in form
        .split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty())
    {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (part.get(..at), part.get(at + 1..)),
            None => (Some(part), None),
        };
        pairs.push((
            percent_decode(name.unwrap_or_default())?,
            percent_decode(value.unwrap_or_default())?,
        ));
    }
    Ok(pairs)
}

fn percent_decode(text: &[u8]) -> Result<String, Response> {
    let bad = || {
        (
            StatusCode::BAD_REQUEST,
            "a parameter is not valid percent-encoded UTF-8",
        )
            .into_response()
    };
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(*byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
                out.push(u8::try_from(high * 16 + low).map_err(|_never| bad())?);
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).map_err(|_error| bad())
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
        for bad in [&b"a=%"[..], b"a=%f", b"a=%zz", b"a=%ff"] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }
}
