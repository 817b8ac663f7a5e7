//! Keeps other sites' pages out while the admin listener is on loopback: a browser may be made to send requests here by
//! any page, and a foreign name can be pointed at this machine (DNS rebinding). So a request must name a local host, and
//! must not say that it comes from another site.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

pub(super) async fn local_only(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let host = authority.or_else(|| text(headers, header::HOST.as_str()));
    if !is_local(host.unwrap_or_default()) {
        let message = "this host name is not served; ask for 127.0.0.1 or localhost\n";
        return (StatusCode::MISDIRECTED_REQUEST, message).into_response();
    }
    let site = text(headers, "sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
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
    use super::is_local;

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
            ("", false),
        ] {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }
}
