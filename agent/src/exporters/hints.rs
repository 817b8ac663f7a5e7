//! What to do about a destination that speaks another protocol than the exporter: guessed from its answer.

mod peer;

use super::retry::speaks_of_tls;
pub(super) use peer::Peer;

/// Of what an answer says, where a hint follows (bytes).
const MESSAGE_BYTES_MAX: usize = 240;
const SPEAKS_HTTP: &str = "the port speaks HTTP, not gRPC: OTLP/gRPC is at port 4317 as a rule; for OTLP/HTTP, at port 4318 \
    as a rule, use `type: otlphttp`";
const SPEAKS_TLS: &str = "the port speaks TLS: use `https://`";
const SPEAKS_GRPC: &str = "the port speaks gRPC (HTTP/2), not OTLP/HTTP: that is at port 4318 as a rule; for OTLP/gRPC, at port 4317 \
    as a rule, use `type: otlp`";
const MAY_SPEAK_GRPC: &str = "a port that speaks gRPC closes connections so: OTLP/HTTP is at port 4318 as a rule; for OTLP/gRPC, \
    at port 4317 as a rule, use `type: otlp`";
const NO_OTLP: &str = "there is no OTLP/HTTP at this address: it is at port 4318 as a rule, and the endpoint is the part before /v1/logs; \
    for OTLP/gRPC, at port 4317 as a rule, use `type: otlp`";

/// The content type of gRPC.
pub(super) const GRPC: &str = "application/grpc";

const SPEAKS_PLAIN: &str =
    "the port speaks plain text, not TLS: use `http://`, or the port with TLS";
/// What failed handshakes of TLS say, and what to do about it.
const TLS_MARKS: [(&str, &str); 10] = [
    ("InvalidContentType", SPEAKS_PLAIN),
    ("tls handshake eof", MAY_SPEAK_PLAIN),
    (
        "UnknownIssuer",
        "the authority that has signed its certificate is not known here: give it as `ca_file`, or the destination is another's",
    ),
    (
        "BadSignature",
        "the authority of that name has not signed its certificate: give the right one as `ca_file`",
    ),
    (
        "CaUsedAsEndEntity",
        "its certificate is one of an authority: add `-addext basicConstraints=critical,CA:FALSE`, or sign a server's with it",
    ),
    (
        "not valid for name",
        "its certificate is for another name than the endpoint's: use that, or `server_name`",
    ),
    ("certificate expired", WRONG_DATES),
    ("not valid yet", WRONG_DATES),
    (
        "CertificateRequired",
        "it wants a certificate of the agent: `cert_file` and `key_file`",
    ),
    (
        "received fatal alert: UnknownCA",
        "it does not know the authority of the agent's certificate (`cert_file`)",
    ),
];
const MAY_SPEAK_PLAIN: &str = "a port that speaks plain text, or no server at all, closes connections so: is it the port with TLS?";
const WRONG_DATES: &str = "the dates of its certificate, or a clock, are wrong";

/// What failed calls of gRPC say where the other side is an HTTP server: its status, or what TLS has agreed on.
const GRPC_MARKS: [&str; 8] = [
    "HTTP status 400",
    "HTTP status 404",
    "HTTP status 405",
    "HTTP status 415",
    "HTTP status 426",
    "HTTP status 505",
    "invalid content-type",
    "HTTP/2 was not negotiated",
];
/// What they say where its first bytes are no frame of HTTP/2, or it only closes the connection.
const LOST_MARKS: [&str; 4] = [
    "frame with invalid size",
    "connection closed",
    "connection reset",
    "broken pipe",
];
/// What requests of HTTP/1.1 say where the other side begins with frames of HTTP/2.
const HTTP_MARKS: [&str; 3] = [
    "invalid HTTP version",
    "invalid HTTP status",
    "received unexpected message from connection",
];
/// What they say where it only closes the connection.
const CLOSED_MARKS: [&str; 4] = [
    "connection closed before message completed",
    // Before the request was begun; it may have said something, too.
    "connection was not ready",
    "onnection reset",
    "roken pipe",
];

/// The error of a call of gRPC with what to do about it, if it looks like another protocol's, or the `peer` tells so.
pub(super) async fn of_grpc(message: &str, peer: &Peer) -> String {
    match is_of_http(message) {
        true => with(message, Some(SPEAKS_HTTP)),
        false if of_tls(message).is_some() => with(message, of_tls(message)),
        false if LOST_MARKS.iter().any(|mark| message.contains(mark)) => {
            with(message, peer.hint().await)
        }
        false => message.to_owned(),
    }
}

fn is_of_http(message: &str) -> bool {
    GRPC_MARKS.iter().any(|mark| message.contains(mark))
}

fn of_tls(message: &str) -> Option<&'static str> {
    let mut marks = TLS_MARKS.iter();
    let found = marks.find(|(mark, _)| message.contains(mark));
    found.map(|(_, hint)| *hint)
}

/// The same of a request of HTTP that was not answered. Only before anything was is a closed connection a sign, and the `peer`
/// asked.
pub(super) async fn of_http(message: &str, peer: &Peer) -> String {
    if let Some(hint) = of_tls(message) {
        return with(message, Some(hint));
    }
    let is_other = HTTP_MARKS.iter().any(|mark| message.contains(mark));
    let was_closed = CLOSED_MARKS.iter().any(|mark| message.contains(mark));
    if !is_other && (peer.was_answered() || !was_closed) {
        return message.to_owned();
    }
    // A port with TLS answers with what looks like neither.
    let hint = match peer.hint().await {
        Some(SPEAKS_TLS) => SPEAKS_TLS,
        _ if is_other => SPEAKS_GRPC,
        _ => MAY_SPEAK_GRPC,
    };
    with(message, Some(hint))
}

/// The same of one that was answered with an error.
pub(super) fn of_http_status(status: u16, content_type: &str, message: &str) -> String {
    let hint = match status {
        _ if content_type.starts_with(GRPC) => Some(SPEAKS_GRPC),
        400 if speaks_of_tls(message) => Some(SPEAKS_TLS),
        404 | 405 | 415 | 426 | 505 => Some(NO_OTLP),
        _ => None,
    };
    with(message, hint)
}

fn with(message: &str, hint: Option<&str>) -> String {
    let Some(hint) = hint else {
        return message.to_owned();
    };
    let cut = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    match message.get(..cut).unwrap_or_default().trim() {
        "" => hint.to_owned(),
        message => format!("{message}; {hint}"),
    }
}
