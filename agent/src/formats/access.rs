//! Access logs of Apache and nginx: `common` and `combined`, with or without the virtual host in front.
//!
//! `192.0.2.7 - ann [02/Jan/2024:03:04:05 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "https://from/" "agent/1.0"`. The body is
//! the whole line, so whatever a site adds behind is there; the status makes the severity.

use vervet_model::Severity;
use vervet_wire::otlp::KeyValue;

use super::logfmt::closing_quote;
use super::{Parsed, Settings, timestamp};

/// How far into a line the time begins, at most (bytes).
const TIME_WITHIN: usize = 512;

/// Where the time stands, if the line can be of this format.
#[inline]
fn time_at(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..bytes.len().min(TIME_WITHIN))?;
    memchr::memchr_iter(b'[', head)
        .map(|bracket| bracket + 1)
        .find(|open| bytes.get(open + 2) == Some(&b'/') && bytes.get(open + 6) == Some(&b'/'))
        .filter(|open| open.checked_sub(2).and_then(|at| bytes.get(at)) == Some(&b' '))
}

pub(super) fn begins(bytes: &[u8]) -> bool {
    time_at(bytes).is_some()
}

pub(super) fn parse<'a>(settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
    let open = time_at(text.as_bytes())?;
    let (stamp, end) = timestamp::take_access(text.as_bytes(), open)?;
    let mut rest = text.get(end..)?.strip_prefix("] ")?;
    let request = take_quoted(&mut rest)?;
    let (status, mut rest) = split_word(rest.strip_prefix(' ')?);
    let (bytes, after) = split_word(rest.strip_prefix(' ')?);
    rest = after;
    let status: i64 = status.parse().ok().filter(|_| status.len() == 3)?;
    if bytes != "-" && bytes.parse::<i64>().is_err() {
        return None;
    }
    let mut record = Parsed {
        body: text.into(),
        severity: match status {
            ..400 => Severity::INFO,
            400..500 => Severity::WARN,
            _ => Severity::ERROR,
        },
        attributes: Vec::with_capacity(12),
        ..Parsed::default()
    };
    settings.times.put(stamp, &mut record);
    let attributes = &mut record.attributes;
    who(text.get(..open - 2)?, attributes)?;
    add_request(request, attributes);
    attributes.push(KeyValue::new("http.response.status_code", status));
    if let Ok(bytes) = bytes.parse::<i64>() {
        attributes.push(KeyValue::new("http.response.body.size", bytes));
    }
    for key in ["http.request.header.referer", "user_agent.original"] {
        let Some(mut quoted) = rest.strip_prefix(' ').filter(|r| r.starts_with('"')) else {
            break;
        };
        put(attributes, key, take_quoted(&mut quoted)?);
        rest = quoted;
    }
    Some(record)
}

/// `<client> <identity> <user>`, or with the virtual host in front. Where the client is a header's list
/// (`203.0.113.7, 10.0.0.1`), as proxies pass it on, its first address is the client.
fn who<'a>(head: &'a str, attributes: &mut Vec<KeyValue<'a>>) -> Option<()> {
    const WORDS_MAX: usize = 4;
    let (mut words, mut count, mut in_list) = ([""; WORDS_MAX], 0, false);
    for word in head.split(' ') {
        if !in_list {
            *words.get_mut(count)? = word;
            count += 1;
        }
        in_list = word.ends_with(',') && count <= 2;
    }
    let (host, client, user) = match words {
        [client, _identity, user, _] if count == 3 => ("-", client, user),
        [host, client, _identity, user] if count == 4 => (host, client, user),
        _ => return None,
    };
    let (client, _proxies) = client.split_once(',').unwrap_or((client, ""));
    put(attributes, "client.address", client);
    put(attributes, "user.name", user);
    put(attributes, "server.address", host);
    (!client.is_empty()).then_some(())
}

/// Adds what a request line says; other text than a request is only in the body.
pub(super) fn add_request<'a>(request: &'a str, attributes: &mut Vec<KeyValue<'a>>) {
    let mut words = request.split(' ');
    let (Some(method), Some(target), Some(protocol), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return;
    };
    let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
    let Some(version) = protocol.strip_prefix("HTTP/").filter(|_| is_method) else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    attributes.push(KeyValue::new("http.request.method", method));
    attributes.push(KeyValue::new("url.path", path));
    if !query.is_empty() {
        attributes.push(KeyValue::new("url.query", query));
    }
    attributes.push(KeyValue::new("network.protocol.version", version));
}

/// `-` stands for nothing.
fn put<'a>(attributes: &mut Vec<KeyValue<'a>>, key: &'static str, value: &'a str) {
    if !matches!(value, "-" | "") {
        attributes.push(KeyValue::new(key, value));
    }
}

/// The inside of the quotes at the beginning of `rest`, which moves on behind them.
fn take_quoted<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let inside = rest.strip_prefix('"')?;
    let end = closing_quote(inside.as_bytes())?;
    *rest = inside.get(end + 1..)?;
    inside.get(..end)
}

fn split_word(text: &str) -> (&str, &str) {
    let end = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
