//! Keeps other sites' pages out while a listener is on loopback: a browser may be made to send requests there by any page
//! it shows, and a foreign name can be pointed at this machine (DNS rebinding).

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

/// Middleware: a request must name a local host, and must not say that it comes from another site.
pub async fn local_only(request: Request, next: Next) -> Response {
    match refusal(&request) {
        Some((status, message)) => (status, message).into_response(),
        None => next.run(request).await,
    }
}

fn refusal<B>(request: &http::Request<B>) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let authority = request.uri().authority().map(|a| a.as_str());
    let host = authority.or_else(|| text(headers, header::HOST.as_str()));
    let host = host.unwrap_or_default();
    if !is_local(host) {
        let message = "this host name is not served; ask for 127.0.0.1 or localhost\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, message));
    }
    is_cross_site(headers, host).then_some((
        StatusCode::FORBIDDEN,
        "requests from other sites are refused\n",
    ))
}

/// Whether a browser says that another site's page has made the request. What is no browser says nothing.
fn is_cross_site(headers: &HeaderMap, host: &str) -> bool {
    let site = text(headers, "sec-fetch-site");
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").map_or("", |(_scheme, host)| host)
    });
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || origin.is_some_and(|origin| !origin.eq_ignore_ascii_case(host))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `[::1]:80`, `127.0.0.1`, `localhost:7421`
fn is_local(authority: &str) -> bool {
    let bracketed = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let name = match bracketed {
        Some((address, _port)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address: Result<IpAddr, _> = name.parse();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_names_are_served() {
        for (host, expected) in [
            ("127.0.0.1:7421", true),
            ("LocalHost", true),
            ("[::1]:7421", true),
            ("evil.example:7421", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:7421", false),
            ("me@evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = "127.0.0.1:4318";
        for (name, value, expected) in [
            ("user-agent", "sdk/1", None),
            ("origin", "http://127.0.0.1:4318", None),
            ("origin", "http://evil.example", Some(403)),
            ("origin", "http://localhost:3000", Some(403)),
            ("origin", "null", Some(403)),
            ("sec-fetch-site", "none", None),
            ("sec-fetch-site", "same-origin", None),
            ("sec-fetch-site", "same-site", Some(403)),
            ("sec-fetch-site", "cross-site", Some(403)),
            ("host", "evil.example", Some(421)),
        ] {
            let mut request = http::Request::post("/v1/logs").header("host", host);
            if name == "host" {
                request = http::Request::post("/v1/logs");
            }
            let request = request.header(name, value).body(()).expect("request");
            let status = refusal(&request).map(|(status, _)| status.as_u16());
            assert_eq!(status, expected, "{name}: {value}");
        }
    }
}
