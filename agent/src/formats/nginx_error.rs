//! nginx's error log: `2024/01/02 03:04:05 [error] 12#34: *5 message, client: 192.0.2.7, server: shop, request: "GET / HTTP/1.1"`.
//!
//! The body is all that stands behind the numbers; what nginx adds about the request becomes attributes, too.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::{KeyValue, Value};

use super::access::add_request;
use super::logfmt::closing_quote;
use super::{Parsed, Settings};

pub(super) fn parse<'a>(settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
    if text.get(4..5) != Some("/") {
        return None;
    }
    let (stamp, end) = settings.times.take(text)?;
    let rest = text.get(end..)?.strip_prefix(" [")?;
    let (level, rest) = rest.split_once("] ")?;
    let severity = Severity::from_syslog_text(level)?;
    let (numbers, message) = rest.split_once(": ")?;
    let (process, thread) = numbers.split_once('#')?;
    let (process, thread): (i64, i64) = (process.parse().ok()?, thread.parse().ok()?);
    let mut parsed = Parsed {
        severity: settings.roles.level(level).unwrap_or(severity),
        severity_text: Cow::Borrowed(level),
        attributes: vec![
            KeyValue::new("process.pid", process),
            KeyValue::new("thread.id", thread),
        ],
        ..Parsed::default()
    };
    settings.times.put(stamp, &mut parsed);
    let connection = message.strip_prefix('*').and_then(|rest| {
        let (number, message) = rest.split_once(' ')?;
        Some((number.parse::<i64>().ok()?, message))
    });
    let message = match connection {
        Some((number, message)) => {
            let attribute = KeyValue::new("nginx.connection", number);
            parsed.attributes.push(attribute);
            message
        }
        None => message,
    };
    add_context(message, &mut parsed.attributes);
    parsed.body = Value::from(message);
    Some(parsed)
}

/// The pairs behind the message, from `, client: ` on.
fn add_context<'a>(message: &'a str, attributes: &mut Vec<KeyValue<'a>>) {
    let Some(at) = message.find(", client: ") else {
        return;
    };
    let mut rest = message.get(at..).unwrap_or_default();
    while let Some((key, value, after)) = take_pair(rest) {
        let name = match key {
            "client" => "client.address",
            "server" => "nginx.server",
            "host" => "server.address",
            "upstream" => "nginx.upstream",
            "referrer" => "http.request.header.referer",
            "request" => {
                add_request(value, attributes);
                ""
            }
            _ => "",
        };
        if !name.is_empty() && !value.is_empty() {
            attributes.push(KeyValue::new(name, value));
        }
        rest = after;
    }
}

/// `, key: value` or `, key: "value"`, and what follows.
fn take_pair(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = text.strip_prefix(", ")?.split_once(": ")?;
    if let Some(quoted) = rest.strip_prefix('"') {
        let end = closing_quote(quoted.as_bytes())?;
        return Some((key, quoted.get(..end)?, quoted.get(end + 1..)?));
    }
    let end = rest.find(", ").unwrap_or(rest.len());
    Some((key, rest.get(..end)?, rest.get(end..)?))
}
