//! The web app, embedded. Assets carry a hash in their name and are cached for good; every other path is
//! the app's own and gets `index.html`, with a fresh nonce for the styles it writes at run time.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use rust_embed::RustEmbed;

/// Stands in `index.html` where the nonce belongs.
const NONCE_PLACEHOLDER: &str = "__CSP_NONCE__";
const ASSETS_PREFIX: &str = "assets/";
/// Paths that belong to APIs: an unknown one is an error, not a page.
const API_PREFIXES: [&str; 8] = [
    "api/",
    "v1/",
    "loki/",
    "tempo/",
    "jaeger/",
    "alertmanager/",
    "-/",
    "healthz",
];

#[derive(RustEmbed)]
#[folder = "../dashboards/dist"]
#[allow_missing = true]
struct Dist;

pub(super) async fn serve(method: Method, uri: Uri, request: Request<Body>) -> Response {
    let path = uri.path().trim_start_matches('/');
    if API_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
        return (StatusCode::NOT_FOUND, "no such endpoint\n").into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if path.starts_with(ASSETS_PREFIX) || Dist::get(path).is_some() && path != "index.html" {
        return asset(path, request.headers());
    }
    index()
}

/// A file as it is, in the best encoding the browser takes.
fn asset(path: &str, headers: &HeaderMap) -> Response {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let takes = |name: &str| {
        accepted
            .split(',')
            .any(|part| part.split(';').next().unwrap_or_default().trim() == name)
    };
    let encodings = [("br", ".br"), ("gzip", ".gz")];
    let encoded = encodings.into_iter().filter(|(name, _)| takes(name));
    let found = encoded
        .filter_map(|(name, suffix)| {
            Dist::get(&format!("{path}{suffix}")).map(|file| (file, Some(name)))
        })
        .next()
        .or_else(|| Dist::get(path).map(|file| (file, None)));
    let Some((file, encoding)) = found else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let cache = if path.starts_with(ASSETS_PREFIX) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = Body::from(file.data).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type(path)),
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    if let Some(encoding) = encoding {
        headers.insert(
            header::CONTENT_ENCODING,
            http::HeaderValue::from_static(encoding),
        );
    }
    response
}

/// The app's page.
pub(super) fn index() -> Response {
    let Some(file) = Dist::get("index.html") else {
        let message = "this build holds no web app: run `npm run build` in dashboards/ and build the collector again\n";
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let nonce = format!("{:032x}", rand::random::<u128>());
    let page = String::from_utf8_lossy(&file.data).replace(NONCE_PLACEHOLDER, &nonce);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
