//! The functions of templates, with the results that Prometheus's have.

use regex::{Regex, RegexBuilder};

use super::eval::Value;
use super::number::{exponent_text_with, fixed_text, general_text};
use super::{TemplateData, TemplateError};
use crate::duration::parse_duration;

const REGEX_SIZE_BYTES_MAX: usize = 1 << 20;
const WIDTH_MAX: usize = 256;
/// Significant digits of the humanize functions.
const DIGITS: usize = 4;

pub(super) fn call(
    name: &str,
    arguments: &[Value],
    data: &TemplateData<'_>,
) -> Result<Value, TemplateError> {
    let problem = |problem: String| TemplateError::Call {
        function: name.to_owned(),
        problem,
    };
    let result = match (name, arguments) {
        ("humanize", [v]) => number(v).map(humanize).map(Value::Text),
        ("humanize1024", [v]) => number(v).map(humanize1024).map(Value::Text),
        ("humanizeDuration", [v]) => number(v).map(humanize_duration).map(Value::Text),
        ("humanizePercentage", [v]) => {
            number(v).map(|v| Value::Text(format!("{}%", general_text(v * 100.0, Some(DIGITS)))))
        }
        ("humanizeTimestamp", [v]) => number(v).and_then(humanize_timestamp).map(Value::Text),
        ("title", [v]) => Ok(Value::Text(title(&v.text()))),
        ("toUpper", [v]) => Ok(Value::Text(v.text().to_uppercase())),
        ("toLower", [v]) => Ok(Value::Text(v.text().to_lowercase())),
        ("stripPort", [v]) => Ok(Value::Text(strip_port(&v.text()).to_owned())),
        ("stripDomain", [v]) => Ok(Value::Text(strip_domain(&v.text()))),
        ("externalURL", []) => Ok(Value::Text(data.external_url.to_owned())),
        ("parseDuration", [v]) => parse_duration(&v.text())
            .map(|duration| Value::Float(duration.as_secs_f64()))
            .map_err(|error| error.to_string()),
        ("match", [pattern, text]) => {
            regex(&pattern.text()).map(|regex| Value::Bool(regex.is_match(&text.text())))
        }
        ("reReplaceAll", [pattern, with, text]) => regex(&pattern.text()).map(|regex| {
            Value::Text(
                regex
                    .replace_all(&text.text(), with.text().as_str())
                    .into_owned(),
            )
        }),
        ("printf", [format, values @ ..]) => printf(&format.text(), values).map(Value::Text),
        ("print", values) => Ok(Value::Text(values.iter().map(Value::text).collect())),
        ("len", [Value::Labels(labels)]) => Ok(count(labels.len())),
        ("len", [v]) => Ok(count(v.text().len())),
        ("index", [Value::Labels(labels), key]) => Ok(Value::Text(
            labels.get(&key.text()).unwrap_or_default().to_owned(),
        )),
        ("not", [v]) => Ok(Value::Bool(!v.is_true())),
        ("and", [.., last]) => Ok(arguments
            .iter()
            .find(|v| !v.is_true())
            .unwrap_or(last)
            .clone()),
        ("or", [.., last]) => Ok(arguments
            .iter()
            .find(|v| v.is_true())
            .unwrap_or(last)
            .clone()),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            Ok(Value::Bool(others.iter().any(|other| equal(first, other))))
        }
        ("ne", [a, b]) => Ok(Value::Bool(!equal(a, b))),
        ("lt" | "le" | "gt" | "ge", [a, b]) => ordered(name, a, b).map(Value::Bool),
        (known, _) if NAMES.contains(&known) => Err(format!(
            "cannot be called with {} such arguments",
            arguments.len()
        )),
        (other, _) => {
            return Err(TemplateError::Unsupported(format!("the function {other}")));
        }
    };
    result.map_err(problem)
}

/// Whether a template can call it.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

const NAMES: [&str; 27] = [
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "title",
    "toUpper",
    "toLower",
    "stripPort",
    "stripDomain",
    "externalURL",
    "parseDuration",
    "match",
    "reReplaceAll",
    "printf",
    "print",
    "len",
    "index",
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

fn short(value: f64) -> String {
    general_text(value, Some(DIGITS))
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return short(value);
    }
    if value.abs() >= 1.0 {
        return scaled_down(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    scaled_up(value)
}

fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    scaled_down(
        value,
        1024.0,
        &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"],
    )
}

fn scaled_down(mut value: f64, step: f64, prefixes: &[&str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < step {
            break;
        }
        prefix = next;
        value /= step;
    }
    format!("{}{prefix}", short(value))
}

fn scaled_up(mut value: f64) -> String {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}", short(value))
}

fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return short(value);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        return format!("{}s", scaled_up(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole seconds are wanted; it saturates"
    )]
    let whole = value as i64;
    let (seconds, minutes) = (whole % 60, whole / 60 % 60);
    let (hours, days) = (whole / 3600 % 24, whole / 86_400);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", short(value))
    }
}

/// Unix seconds as Go prints a time in UTC.
fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(short(value));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is range-checked below"
    )]
    let millis = (value * 1000.0) as i64;
    let timestamp = jiff::Timestamp::from_millisecond(millis).map_err(|error| error.to_string())?;
    Ok(timestamp
        .strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC")
        .to_string())
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

/// The part of Go's `printf` that templates use: flags `-+0` and space, width, precision, and the verbs
/// `v s q d f F e g x X t %`.
fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut output = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some((before, tail)) = rest.split_once('%') {
        output.push_str(before);
        let end = tail
            .find(|c: char| c.is_alphabetic() || c == '%')
            .ok_or("a verb is missing")?;
        let (spec, tail) = tail.split_at(end);
        let verb = tail.chars().next().unwrap_or('%');
        rest = tail.get(verb.len_utf8()..).unwrap_or_default();
        if verb == '%' {
            output.push('%');
        } else {
            let value = values
                .next()
                .ok_or_else(|| format!("no value for %{spec}{verb}"))?;
            output.push_str(&Spec::parse(spec)?.print(verb, value)?);
        }
    }
    output.push_str(rest);
    match values.next() {
        Some(_) => Err("more values than verbs".to_owned()),
        None => Ok(output),
    }
}

/// What stands between the percent sign and the verb.
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn parse(text: &str) -> Result<Self, String> {
        let sizes = text.trim_start_matches(['-', '+', ' ', '0']);
        let flags = text.strip_suffix(sizes).unwrap_or_default();
        let (width, precision) = match sizes.split_once('.') {
            Some((width, precision)) => (width, Some(precision)),
            None => (sizes, None),
        };
        let size = |digits: &str| match digits {
            "" => Ok(0),
            digits => match digits.parse::<usize>() {
                Ok(size) if size <= WIDTH_MAX => Ok(size),
                _ => Err(format!("cannot print with %{text}")),
            },
        };
        Ok(Self {
            left: flags.contains('-'),
            plus: flags.contains('+'),
            space: flags.contains(' '),
            zeros: flags.contains('0'),
            width: size(width)?,
            precision: precision.map(size).transpose()?,
        })
    }

    fn print(&self, verb: char, value: &Value) -> Result<String, String> {
        let text = match (verb, value) {
            // Go reads the plus of %+v as a wish for field names, not for a sign.
            ('v', Value::Float(_) | Value::Integer(_)) => value.text(),
            ('g', Value::Float(value)) => self.signed(general_text(*value, self.precision)),
            ('f' | 'F', Value::Float(value)) => {
                self.signed(fixed_text(*value, self.precision.unwrap_or(6)))
            }
            ('e', Value::Float(value)) => {
                self.signed(exponent_text_with(*value, self.precision.unwrap_or(6)))
            }
            ('d', Value::Integer(value)) => self.signed(value.to_string()),
            ('x', Value::Integer(value)) => format!("{value:x}"),
            ('X', Value::Integer(value)) => format!("{value:X}"),
            ('t' | 'v', Value::Bool(value)) => value.to_string(),
            ('s' | 'v', Value::Text(text)) => match self.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text.clone(),
            },
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('v' | 's', Value::Labels(_)) => value.text(),
            (verb, value) => return Err(format!("cannot print {} with %{verb}", value.text())),
        };
        Ok(self.padded(text, matches!(value, Value::Float(_) | Value::Integer(_))))
    }

    fn signed(&self, text: String) -> String {
        match text.as_bytes().first() {
            Some(b'-' | b'+') => text,
            _ if self.plus => format!("+{text}"),
            _ if self.space => format!(" {text}"),
            _ => text,
        }
    }

    fn padded(&self, text: String, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.left {
            return text + &" ".repeat(missing);
        }
        if self.zeros && is_number {
            let digits = text.trim_start_matches(['-', '+']);
            let sign = text.strip_suffix(digits).unwrap_or_default();
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}
