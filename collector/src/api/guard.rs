//! Keeps other web sites' pages out: a browser may be made to send requests here by any page it shows.
//!
//! A request that changes something is refused when the browser says it comes from another site. While the
//! API listens on loopback, a request must also name a local host, so that no foreign name can be pointed
//! at this machine and read through (DNS rebinding).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};

/// The host names requests may be for; `None` allows every one.
pub(super) type AllowedHosts = Option<Arc<[String]>>;

pub(super) async fn guard(
    State(allowed): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let host = authority
        .or_else(|| text(headers, header::HOST.as_str()))
        .unwrap_or_default();
    if !host_is_allowed(host, allowed.as_deref()) {
        let message = "this host name is not served; set external_url to allow it\n";
        return (StatusCode::MISDIRECTED_REQUEST, message).into_response();
    }
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !reads && is_cross_site(headers, host) {
        return (
            StatusCode::FORBIDDEN,
            "requests from other sites are refused\n",
        )
            .into_response();
    }
    next.run(request).await
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn host_is_allowed(host: &str, allowed: Option<&[String]>) -> bool {
    let Some(allowed) = allowed else { return true };
    let name = without_port(host);
    let local = name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    local || allowed.iter().any(|known| known == name)
}

/// The host of an authority: `[::1]:80` is `::1`, `a:80` is `a`.
fn without_port(authority: &str) -> &str {
    match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, _port)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_cross_site(headers: &HeaderMap, host: &str) -> bool {
    let site = text(headers, "sec-fetch-site");
    let origin = text(headers, header::ORIGIN.as_str());
    let origin_host =
        origin.map(|origin| origin.split_once("://").map_or("", |(_scheme, host)| host));
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || origin_host.is_some_and(|origin| origin != host)
}

/// The host of the address under which users reach the web app.
pub(super) fn host_of(url: &str) -> Option<String> {
    let host = url.split_once("://")?.1.split('/').next()?;
    Some(without_port(host).to_owned()).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_host_names_are_refused_on_loopback() {
        let known = [host_of("https://vervet.example.com:8443/x").expect("a host")];
        for (host, expect) in [
            ("127.0.0.1:7420", true),
            ("localhost:7420", true),
            ("[::1]:7420", true),
            ("vervet.example.com", true),
            ("evil.example:7420", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            assert_eq!(host_is_allowed(host, Some(&known)), expect, "{host}");
            assert!(host_is_allowed(host, None), "{host}");
        }
    }

    #[test]
    fn requests_of_other_sites_are_told_by_their_headers() {
        let cross = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            });
            is_cross_site(&headers.collect(), "127.0.0.1:7420")
        };
        assert!(!cross(&[]));
        assert!(!cross(&[
            ("origin", "http://127.0.0.1:7420"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(cross(&[("origin", "http://evil.example")]));
        assert!(cross(&[("origin", "null")]));
        assert!(cross(&[("sec-fetch-site", "cross-site")]));
        assert!(cross(&[("sec-fetch-site", "same-site")]));
    }
}
