//! Keeps other sites' pages out of every HTTP listener of both programs.
//!
//! In: requests with what their senders say of themselves; out: those that may be served. A browser may be made to send
//! requests to this machine by any page it shows, and a foreign name can be pointed at this machine and read through (DNS
//! rebinding). What is no browser says nothing of itself and is served.
//!
//! | listener | host names | requests of other sites' pages |
//! |---|---|---|
//! | [`service`] on loopback | local ones and the known one | refused: 403 |
//! | [`service`] elsewhere | all | served: a proxy in front may let pages send telemetry |
//! | [`site`] on loopback | local ones and the known one | refused, but links to pages of the web app: 403 |
//! | [`site`] elsewhere | all | as on loopback |
//!
//! A link is a `GET` or `HEAD` of which the browser says that a person goes to a page by it (`Sec-Fetch-Mode: navigate`,
//! `Sec-Fetch-Dest: document`); what is below [`API_PREFIXES`] is no page. A browser that says nothing of a request's mode
//! is taken to link. A host name that is not served is answered with 421.
//!
//! Every answer of [`service`] on loopback and of [`site`] says that its content type is meant
//! (`X-Content-Type-Options: nosniff`) and that other sites may not show it (`Cross-Origin-Resource-Policy: same-origin`).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::router::signal_of;
use crate::receiver::{OtlpSink, Protocol, RefusedRequest};

/// Paths of APIs begin with one of these, or are one of [`API_PATHS`]; all others of a [`site`] are pages.
pub const API_PREFIXES: [&str; 7] = [
    "/api/",
    "/v1/",
    "/loki/",
    "/tempo/",
    "/jaeger/",
    "/alertmanager/",
    "/-/",
];
const API_PATHS: [&str; 5] = ["/healthz", "/livez", "/readyz", "/metrics", "/api"];

/// `router` for a listener on `address` that programs ask; its host may also be that of the URL `known_as`.
pub fn service(router: Router, address: SocketAddr, known_as: Option<&str>) -> Router {
    let guard = Guard::new(address, known_as, false);
    match guard.local {
        true => router.layer(from_fn_with_state(guard, check)),
        false => router,
    }
}

/// `router` for a listener on `address` that browsers show; its host may also be that of the URL `known_as`.
pub fn site(router: Router, address: SocketAddr, known_as: Option<&str>) -> Router {
    let guard = Guard::new(address, known_as, true);
    router.layer(from_fn_with_state(guard, check))
}

/// As [`service`] for OTLP: `sink` is told of what is refused.
pub fn telemetry<S: OtlpSink>(
    router: Router,
    address: SocketAddr,
    known_as: Option<&str>,
    sink: S,
) -> Router {
    let guard = Guard::new(address, known_as, false);
    match guard.local {
        true => router.layer(from_fn_with_state((guard, sink), check_telemetry)),
        false => router,
    }
}

async fn check_telemetry<S: OtlpSink>(
    State((guard, sink)): State<(Guard, S)>,
    request: Request,
    next: Next,
) -> Response {
    let Some((status, message)) = guard.refusal(&request) else {
        return own(next.run(request).await);
    };
    if let Some(signal) = signal_of(request.uri().path()) {
        sink.refused(RefusedRequest {
            signal,
            protocol: Protocol::Http,
            reason: match status {
                StatusCode::MISDIRECTED_REQUEST => "host",
                _ => "site",
            },
            delivered: false,
        });
    }
    own((status, message).into_response())
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.refusal(&request) {
        Some((status, message)) => own((status, message).into_response()),
        None => own(next.run(request).await),
    }
}

/// `response` with what keeps other sites from making something else of it.
fn own(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[derive(Debug, Clone)]
struct Guard {
    /// Whether the listener is on loopback, so that only local host names and `known` are served.
    local: bool,
    known: Option<Arc<str>>,
    /// Whether other sites' pages may link to ours.
    links: bool,
}

impl Guard {
    fn new(address: SocketAddr, known_as: Option<&str>, links: bool) -> Self {
        Self {
            local: address.ip().to_canonical().is_loopback(),
            known: known_as.and_then(host_of).map(Arc::from),
            links,
        }
    }

    fn refusal<B>(&self, request: &http::Request<B>) -> Option<(StatusCode, &'static str)> {
        let headers = request.headers();
        let authority = request.uri().authority().map(|a| a.as_str());
        let host = authority.or_else(|| text(headers, header::HOST.as_str()));
        let host = host.unwrap_or_default();
        if self.local && !is_local(host) && !self.is_known(host) {
            let message = "this host name is not served: ask for 127.0.0.1 or localhost, \
                           or set external_url of a collector\n";
            return Some((StatusCode::MISDIRECTED_REQUEST, message));
        }
        let links = self.links && is_link(request);
        let refused = !links && self.is_cross_site(headers, host);
        let message = "requests from other sites are refused\n";
        refused.then_some((StatusCode::FORBIDDEN, message))
    }

    fn is_known(&self, authority: &str) -> bool {
        let name = without_port(authority);
        self.known
            .as_deref()
            .is_some_and(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether a browser says that another site's page has made the request. A proxy may have changed the host since.
    fn is_cross_site(&self, headers: &HeaderMap, host: &str) -> bool {
        let site = text(headers, "sec-fetch-site");
        let origin = headers.get(header::ORIGIN).map(|origin| {
            let origin = origin.to_str().unwrap_or_default();
            origin.split_once("://").map_or("", |(_scheme, host)| host)
        });
        site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
            || origin.is_some_and(|it| !it.eq_ignore_ascii_case(host) && !self.is_known(it))
    }
}

/// Whether a browser follows a link to a page by `request`, as far as it says.
fn is_link<B>(request: &http::Request<B>) -> bool {
    let says = |name: &str, expected: &str| {
        text(request.headers(), name).is_none_or(|value| value == expected)
    };
    let path = request.uri().path();
    let is_api = API_PATHS.contains(&path) || API_PREFIXES.iter().any(|it| path.starts_with(it));
    [Method::GET, Method::HEAD].contains(request.method())
        && says("sec-fetch-mode", "navigate")
        && says("sec-fetch-dest", "document")
        && !request.headers().contains_key(header::ORIGIN)
        && !is_api
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `[::1]:80`, `127.0.0.1`, `localhost:7421`
fn is_local(authority: &str) -> bool {
    let name = without_port(authority);
    let address: Result<IpAddr, _> = name.parse();
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(loopback)
}

/// The host of an authority: `[::1]:80` is `::1`, `a:80` is `a`.
fn without_port(authority: &str) -> &str {
    let bracketed = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    match bracketed {
        Some((address, _port)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// The host of a URL, without its port.
fn host_of(url: &str) -> Option<&str> {
    let (_scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(without_port(authority)).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests;
