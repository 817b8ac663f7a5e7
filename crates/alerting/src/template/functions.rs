//! The functions of templates, with the results that Prometheus's have.

use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexBuilder};

use super::eval::{Sample, Value};
use super::humanize::{humanize, humanize_duration, humanize_timestamp, humanize1024, short};
use super::printf::printf;
use super::{TemplateData, TemplateError};
use crate::duration::parse_duration;

const REGEX_SIZE_BYTES_MAX: usize = 1 << 20;

pub(super) fn call(
    name: &str,
    arguments: &[Value],
    data: &TemplateData<'_>,
) -> Result<Value, TemplateError> {
    if let ("query", [query]) = (name, arguments) {
        return ask(&query.text(), data);
    }
    let result = match NAMES.contains(&name) {
        true => of_queries(name, arguments)
            .or_else(|| of_numbers(name, arguments, data))
            .or_else(|| of_texts(name, arguments, data))
            .or_else(|| of_truth(name, arguments)),
        false => return Err(TemplateError::Unsupported(format!("the function {name}"))),
    };
    let result = result.unwrap_or_else(|| {
        Err(format!(
            "cannot be called with {} such arguments",
            arguments.len()
        ))
    });
    result.map_err(|problem| TemplateError::Call {
        function: name.to_owned(),
        problem,
    })
}

/// What a function came to; `None` when it takes no such arguments.
type Outcome = Option<Result<Value, String>>;

fn ask(query: &str, data: &TemplateData<'_>) -> Result<Value, TemplateError> {
    let samples = match data.answers.get(query) {
        Some(Ok(samples)) => samples,
        Some(Err(problem)) => {
            return Err(TemplateError::Call {
                function: "query".to_owned(),
                problem: problem.clone(),
            });
        }
        None => return Err(TemplateError::Unanswered(query.to_owned())),
    };
    let sample = |(labels, value): &(_, f64)| Sample {
        labels: Clone::clone(labels),
        value: *value,
    };
    Ok(Value::Samples(Arc::new(
        samples.iter().map(sample).collect(),
    )))
}

fn of_queries(name: &str, arguments: &[Value]) -> Outcome {
    Some(Ok(match (name, arguments) {
        ("first", [Value::Samples(samples)]) => match samples.first() {
            Some(sample) => Value::Sample(sample.clone()),
            None => return Some(Err("the query gave nothing".to_owned())),
        },
        ("label", [label, Value::Sample(sample)]) => {
            let text = sample.labels.get(&label.text());
            Value::Text(text.unwrap_or_default().to_owned())
        }
        ("value", [Value::Sample(sample)]) => Value::Float(sample.value),
        ("strvalue", [Value::Sample(sample)]) => {
            let text = sample.labels.get("__value__");
            Value::Text(text.unwrap_or_default().to_owned())
        }
        ("sortByLabel", [label, Value::Samples(samples)]) => {
            let label = label.text();
            let mut sorted = Vec::clone(samples);
            sorted.sort_by(|a, b| a.labels.get(&label).cmp(&b.labels.get(&label)));
            Value::Samples(Arc::new(sorted))
        }
        ("args", values) => Value::Args(values.to_vec()),
        _ => return None,
    }))
}

fn of_numbers(name: &str, arguments: &[Value], data: &TemplateData<'_>) -> Outcome {
    if let ("now", []) = (name, arguments) {
        return Some(Ok(Value::Float(data.seconds)));
    }
    let [value] = arguments else { return None };
    let number = || number(value);
    Some(match name {
        "humanize" => number().map(humanize).map(Value::Text),
        "humanize1024" => number().map(humanize1024).map(Value::Text),
        "humanizeDuration" => number().map(humanize_duration).map(Value::Text),
        "humanizePercentage" => {
            number().map(|value| Value::Text(format!("{}%", short(value * 100.0))))
        }
        "humanizeTimestamp" | "toTime" => number().and_then(humanize_timestamp).map(Value::Text),
        "toDuration" => number().map(go_duration).map(Value::Text),
        "parseDuration" => parse_duration(&value.text())
            .map(|duration| Value::Float(duration.as_secs_f64()))
            .map_err(|error| error.to_string()),
        _ => return None,
    })
}

fn of_texts(name: &str, arguments: &[Value], data: &TemplateData<'_>) -> Outcome {
    let text = |text: String| Some(Ok(Value::Text(text)));
    match (name, arguments) {
        ("title", [v]) => text(title(&v.text())),
        ("toUpper", [v]) => text(v.text().to_uppercase()),
        ("toLower", [v]) => text(v.text().to_lowercase()),
        ("stripPort", [v]) => text(strip_port(&v.text()).to_owned()),
        ("stripDomain", [v]) => text(strip_domain(&v.text())),
        ("safeHtml", [v]) => text(v.text()),
        ("html", values) => text(escaped_html(&print(values))),
        ("js", values) => text(escaped_js(&print(values))),
        ("urlquery", values) => text(escaped_url(&print(values))),
        ("urlQueryEscape", [v]) => text(escaped_url(&v.text())),
        ("graphLink", [v]) => text(format!(
            "/graph?g0.expr={}&g0.tab=0",
            escaped_url(&v.text())
        )),
        ("tableLink", [v]) => text(format!(
            "/graph?g0.expr={}&g0.tab=1",
            escaped_url(&v.text())
        )),
        ("externalURL", []) => text(data.external_url.to_owned()),
        ("pathPrefix", []) => text(path(data.external_url).to_owned()),
        ("match", [pattern, v]) => {
            let regex = regex(&pattern.text());
            Some(regex.map(|regex| Value::Bool(regex.is_match(&v.text()))))
        }
        ("reReplaceAll", [pattern, with, v]) => {
            let with = with.text();
            let replaced = |regex: Regex| regex.replace_all(&v.text(), &*with).into_owned();
            Some(regex(&pattern.text()).map(replaced).map(Value::Text))
        }
        ("printf", [format, values @ ..]) => Some(printf(&format.text(), values).map(Value::Text)),
        ("print", values) => text(print(values)),
        ("println", values) => {
            let texts: Vec<String> = values.iter().map(Value::text).collect();
            text(format!("{}\n", texts.join(" ")))
        }
        _ => None,
    }
}

fn of_truth(name: &str, arguments: &[Value]) -> Outcome {
    Some(Ok(match (name, arguments) {
        ("len", [Value::Labels(labels)]) => count(labels.len()),
        ("len", [Value::Samples(samples)]) => count(samples.len()),
        ("len", [Value::Args(values)]) => count(values.len()),
        ("len", [v]) => count(v.text().len()),
        ("index", [Value::Labels(labels), key]) => {
            Value::Text(labels.get(&key.text()).unwrap_or_default().to_owned())
        }
        ("index", [Value::Samples(samples), Value::Integer(index)]) => {
            let sample = usize::try_from(*index).ok().and_then(|at| samples.get(at));
            match sample {
                Some(sample) => Value::Sample(sample.clone()),
                None => return Some(Err(format!("there is nothing at {index}"))),
            }
        }
        ("slice", [Value::Text(text), from, to @ ..]) if to.len() <= 1 => {
            return Some(slice(text, from, to.first()));
        }
        ("not", [v]) => Value::Bool(!v.is_true()),
        ("and", [.., last]) => {
            let first = arguments.iter().find(|v| !v.is_true());
            first.unwrap_or(last).clone()
        }
        ("or", [.., last]) => {
            let first = arguments.iter().find(|v| v.is_true());
            first.unwrap_or(last).clone()
        }
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            Value::Bool(others.iter().any(|other| equal(first, other)))
        }
        ("ne", [a, b]) => Value::Bool(!equal(a, b)),
        ("lt" | "le" | "gt" | "ge", [a, b]) => {
            return Some(ordered(name, a, b).map(Value::Bool));
        }
        _ => return None,
    }))
}

/// Whether a template can call it.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

const NAMES: [&str; 48] = [
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "sortByLabel",
    "args",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "parseDuration",
    "title",
    "toUpper",
    "toLower",
    "stripPort",
    "stripDomain",
    "safeHtml",
    "html",
    "js",
    "urlquery",
    "urlQueryEscape",
    "graphLink",
    "tableLink",
    "externalURL",
    "pathPrefix",
    "match",
    "reReplaceAll",
    "printf",
    "print",
    "println",
    "len",
    "index",
    "slice",
    "call",
    "not",
    "and",
    "or",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
];

fn count(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "literals in templates are small"
)]
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Integer(value) => Ok(*value as f64),
        Value::Text(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is not a number")),
        other => Err(format!("{} is not a number", other.text())),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(_) | Value::Integer(_), Value::Float(_) | Value::Integer(_)) => {
            number(a) == number(b)
        }
        _ => a == b,
    }
}

fn ordered(name: &str, a: &Value, b: &Value) -> Result<bool, String> {
    let order = match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => number(a)?.partial_cmp(&number(b)?),
    };
    Ok(order.is_some_and(|order| match name {
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_BYTES_MAX)
        .build();
    regex.map_err(|error| error.to_string())
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut in_word = false;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        if in_word {
            titled.push(c);
        } else {
            titled.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    titled
}

fn strip_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => {
            name
        }
        Some((name, _)) if name.starts_with('[') && name.ends_with(']') => {
            name.trim_matches(['[', ']'])
        }
        _ => host,
    }
}

/// The first part of a host name, the port kept.
fn strip_domain(host: &str) -> String {
    let name = strip_port(host);
    let port = host.strip_prefix(name).unwrap_or_default();
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    match name.split_once('.') {
        Some((first, _)) if !is_address => format!("{first}{port}"),
        _ => host.to_owned(),
    }
}

/// As Go's `Sprint`: a space between two values that are no texts.
fn print(values: &[Value]) -> String {
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    let mut printed = String::new();
    for (index, value) in values.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| values.get(index));
        if before.is_some_and(|before| !is_text(before) && !is_text(value)) {
            printed.push(' ');
        }
        printed.push_str(&value.text());
    }
    printed
}

/// Bytes of a text from and to places that lie between characters.
fn slice(text: &str, from: &Value, to: Option<&Value>) -> Result<Value, String> {
    let place = |value: &Value| match value {
        Value::Integer(at) => usize::try_from(*at).map_err(|error| error.to_string()),
        other => Err(format!("{:?} is no place in a text", other.text())),
    };
    let (from, to) = (place(from)?, to.map_or(Ok(text.len()), place)?);
    let part = text.get(from..to);
    let part = part.ok_or_else(|| format!("{text:?} has nothing from {from} to {to}"))?;
    Ok(Value::Text(part.to_owned()))
}

/// Seconds as Go prints a duration: `1h2m3.5s`, `20ms`.
fn go_duration(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let Ok(duration) = Duration::try_from_secs_f64(seconds.abs()) else {
        return short(seconds);
    };
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let (whole, rest) = (duration.as_secs(), duration.subsec_nanos());
    if whole == 0 {
        let (unit, name) = match rest {
            1_000_000.. => (1e6, "ms"),
            1_000.. => (1e3, "µs"),
            _ => (1.0, "ns"),
        };
        return format!("{sign}{}{name}", f64::from(rest) / unit);
    }
    let mut text = sign.to_owned();
    if whole >= 3600 {
        text.push_str(&format!("{}h", whole / 3600));
    }
    if whole >= 60 {
        text.push_str(&format!("{}m", whole / 60 % 60));
    }
    let fraction = format!("{rest:09}");
    match fraction.trim_end_matches('0') {
        "" => format!("{text}{}s", whole % 60),
        digits => format!("{text}{}.{digits}s", whole % 60),
    }
}

fn path(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let path = after
        .find('/')
        .and_then(|at| after.get(at..))
        .unwrap_or_default();
    path.split(['?', '#']).next().unwrap_or_default()
}

fn escaped_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let escaped = escaped.replace('>', "&gt;").replace('"', "&#34;");
    escaped.replace('\'', "&#39;")
}

fn escaped_js(text: &str) -> String {
    let escape = |c: char| match c {
        '\\' | '\'' | '"' => format!("\\{c}"),
        '<' | '>' | '&' | '=' | '\0'..='\x1f' => format!("\\u{:04X}", u32::from(c)),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

fn escaped_url(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}
