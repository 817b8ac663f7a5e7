use axum::body::Body;
use axum::routing::{get, post};
use tower::ServiceExt as _;

use super::*;

const LOOPBACK: &str = "127.0.0.1:4318";
const ELSEWHERE: &str = "10.0.0.1:4318";
const KNOWN: Option<&str> = Some("https://vervet.example:8443/x");

/// How a request with these headers is answered by a listener that `guarded` makes.
async fn asked(
    guarded: fn(Router, SocketAddr, Option<&str>) -> Router,
    address: &str,
    method: &str,
    headers: &[(&str, &str)],
) -> u16 {
    let router = Router::new().route(
        "/",
        get(|| async { "read" }).merge(post(|| async { "changed" })),
    );
    let router = guarded(router, address.parse().expect("an address"), KNOWN);
    let mut request = http::Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    router
        .oneshot(request)
        .await
        .expect("infallible")
        .status()
        .as_u16()
}

#[tokio::test]
async fn only_local_and_known_names_are_served_on_loopback() {
    for (host, expected) in [
        ("127.0.0.1:4318", 200),
        ("127.9.9.9", 200),
        ("LocalHost", 200),
        ("[::1]:4318", 200),
        ("[::ffff:127.0.0.1]:4318", 200),
        ("vervet.example", 200),
        ("Vervet.example:8443", 200),
        ("evil.example:4318", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("vervet.example.evil.example", 421),
        ("10.0.0.1:4318", 421),
        ("me@evil.example", 421),
        ("localhost@evil.example", 421),
        ("[127.0.0.1", 421),
        ("", 421),
    ] {
        for method in ["GET", "POST"] {
            let headers = [("host", host)];
            assert_eq!(
                asked(service, LOOPBACK, method, &headers).await,
                expected,
                "{host}"
            );
            assert_eq!(
                asked(site, LOOPBACK, method, &headers).await,
                expected,
                "{host}"
            );
            assert_eq!(
                asked(service, ELSEWHERE, method, &headers).await,
                200,
                "{host}"
            );
            assert_eq!(
                asked(site, ELSEWHERE, method, &headers).await,
                200,
                "{host}"
            );
        }
    }
    assert_eq!(
        asked(service, LOOPBACK, "GET", &[]).await,
        421,
        "no name at all"
    );
    let mapped = "[::ffff:127.0.0.1]:4318";
    assert_eq!(
        asked(service, mapped, "GET", &[("host", "evil.example")]).await,
        421
    );
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    for (name, value, cross) in [
        ("user-agent", "sdk/1", false),
        ("origin", "http://127.0.0.1:4318", false),
        ("origin", "https://vervet.example:8443", false),
        ("origin", "http://evil.example", true),
        ("origin", "http://127.0.0.1:4318.evil.example", true),
        ("origin", "http://localhost:3000", true),
        ("origin", "null", true),
        ("origin", "\u{e4}", true),
        ("sec-fetch-site", "none", false),
        ("sec-fetch-site", "same-origin", false),
        ("sec-fetch-site", "same-site", true),
        ("sec-fetch-site", "cross-site", true),
    ] {
        let headers = [("host", LOOPBACK), (name, value)];
        let refused = |refused: bool| if refused { 403 } else { 200 };
        for method in ["GET", "HEAD", "POST"] {
            let reads = method != "POST";
            // Links have no origin.
            let links = name != "origin";
            for (guarded, address, expected) in [
                (
                    service as fn(_, _, Option<&str>) -> _,
                    LOOPBACK,
                    refused(cross),
                ),
                (service, ELSEWHERE, 200),
                (site, LOOPBACK, refused(cross && !(reads && links))),
                (site, ELSEWHERE, refused(cross && !(reads && links))),
            ] {
                let status = asked(guarded, address, method, &headers).await;
                assert_eq!(status, expected, "{method} {address} {name}: {value}");
            }
        }
    }
}

/// The answer of a site to another site's page that asks for `path`.
async fn cross_site(path: &str, mode: &str, dest: &str) -> Response {
    let paths = [
        "/",
        "/logs",
        "/metrics",
        "/api/vervet/v1/sql",
        "/loki/api/v1/query",
    ];
    let router = paths.into_iter().fold(Router::new(), |router, path| {
        router.route(path, get(|| async { "read" }))
    });
    let router = site(router, LOOPBACK.parse().expect("an address"), KNOWN);
    let request = http::Request::builder()
        .uri(path)
        .header("host", LOOPBACK)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", mode)
        .header("sec-fetch-dest", dest);
    let request = request.body(Body::empty()).expect("a request");
    router.oneshot(request).await.expect("infallible")
}

#[tokio::test]
async fn other_sites_may_only_link_to_pages() {
    for (path, mode, dest, expected) in [
        ("/", "navigate", "document", 200),
        ("/logs", "navigate", "document", 200),
        ("/logs", "navigate", "iframe", 403),
        ("/logs", "no-cors", "image", 403),
        ("/logs", "cors", "empty", 403),
        ("/api/vervet/v1/sql?query=SELECT+1", "no-cors", "image", 403),
        (
            "/api/vervet/v1/sql?query=SELECT+1",
            "no-cors",
            "script",
            403,
        ),
        (
            "/api/vervet/v1/sql?query=SELECT+1",
            "navigate",
            "document",
            403,
        ),
        ("/loki/api/v1/query", "navigate", "document", 403),
        ("/metrics", "navigate", "document", 403),
    ] {
        let response = cross_site(path, mode, dest).await;
        assert_eq!(response.status(), expected, "{path} {mode} {dest}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
    }
}

#[test]
fn a_url_has_a_host() {
    for (url, host) in [
        (
            "https://vervet.example.com:8443/x",
            Some("vervet.example.com"),
        ),
        ("http://[::1]:80", Some("::1")),
        ("http://a?b", Some("a")),
        ("http://", None),
        ("vervet.example.com", None),
    ] {
        assert_eq!(host_of(url), host, "{url}");
    }
}
