//! The functions that give values, by OTTL's names.

mod json;

use ring::digest;
use vervet_wire::otlp::{KeyValue, Value};

use super::check::Type;
use super::eval::{EvalError, Val};

/// Pairs that `ParseKeyValue` accepts: each is compared with those before it.
const PAIRS_MAX: usize = 2_048;

/// A function, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::processors) enum Function {
    IsString,
    IsInt,
    IsDouble,
    IsBool,
    IsMap,
    IsList,
    HasPrefix,
    HasSuffix,
    Int,
    Double,
    String,
    ToLowerCase,
    ToUpperCase,
    Trim,
    Len,
    Substring,
    Concat,
    Split,
    Sha256,
    ParseJson,
    ParseKeyValue,
    Time,
    UnixSeconds,
    UnixMilli,
}

/// How a function is called.
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) function: Function,
    pub(super) arguments: &'static [Type],
    /// How many of them must be given.
    pub(super) least: usize,
    pub(super) result: Type,
}

const fn of(
    name: &'static str,
    function: Function,
    arguments: &'static [Type],
    least: usize,
    result: Type,
) -> Signature {
    Signature {
        name,
        function,
        arguments,
        least,
        result,
    }
}

#[rustfmt::skip]
pub(super) const FUNCTIONS: [Signature; 24] = [
    of("IsString", Function::IsString, &[Type::Any], 1, Type::Bool),
    of("IsInt", Function::IsInt, &[Type::Any], 1, Type::Bool),
    of("IsDouble", Function::IsDouble, &[Type::Any], 1, Type::Bool),
    of("IsBool", Function::IsBool, &[Type::Any], 1, Type::Bool),
    of("IsMap", Function::IsMap, &[Type::Any], 1, Type::Bool),
    of("IsList", Function::IsList, &[Type::Any], 1, Type::Bool),
    of("HasPrefix", Function::HasPrefix, &[Type::Text, Type::Text], 2, Type::Bool),
    of("HasSuffix", Function::HasSuffix, &[Type::Text, Type::Text], 2, Type::Bool),
    of("Int", Function::Int, &[Type::Any], 1, Type::Any),
    of("Double", Function::Double, &[Type::Any], 1, Type::Any),
    of("String", Function::String, &[Type::Any], 1, Type::Any),
    of("ToLowerCase", Function::ToLowerCase, &[Type::Text], 1, Type::Any),
    of("ToUpperCase", Function::ToUpperCase, &[Type::Text], 1, Type::Any),
    of("Trim", Function::Trim, &[Type::Text], 1, Type::Any),
    of("Len", Function::Len, &[Type::Any], 1, Type::Any),
    of("Substring", Function::Substring, &[Type::Text, Type::Int, Type::Int], 2, Type::Any),
    of("Concat", Function::Concat, &[Type::List, Type::Text], 1, Type::Text),
    of("Split", Function::Split, &[Type::Text, Type::Text], 2, Type::Any),
    of("SHA256", Function::Sha256, &[Type::Any], 1, Type::Any),
    of("ParseJSON", Function::ParseJson, &[Type::Text], 1, Type::Any),
    of("ParseKeyValue", Function::ParseKeyValue, &[Type::Text, Type::Text, Type::Text], 1, Type::Any),
    of("Time", Function::Time, &[Type::Text, Type::Text], 2, Type::Any),
    of("UnixSeconds", Function::UnixSeconds, &[Type::Int], 1, Type::Any),
    of("UnixMilli", Function::UnixMilli, &[Type::Int], 1, Type::Any),
];

impl Function {
    /// Computes the value; `nil` for `nil`, except where a kind is asked for.
    pub(super) fn call<'t>(self, arguments: Vec<Val<'t>>) -> Result<Val<'t>, EvalError> {
        let mut arguments = arguments.into_iter();
        let first = arguments.next().unwrap_or(Val::Nil);
        if let Some(answer) = self.is_kind(&first) {
            return Ok(Val::Bool(answer));
        }
        if matches!(first, Val::Nil) {
            return Ok(match self {
                Self::HasPrefix | Self::HasSuffix => Val::Bool(false),
                _ => Val::Nil,
            });
        }
        let (second, third) = (arguments.next(), arguments.next());
        let text = |value: Option<Val<'t>>, default: &'static str| match value {
            Some(value) => value.into_text("this argument must be a text"),
            None => Ok(default.into()),
        };
        Ok(match self {
            Self::HasPrefix => Val::Bool(text(Some(first), "")?.starts_with(&*text(second, "")?)),
            Self::HasSuffix => Val::Bool(text(Some(first), "")?.ends_with(&*text(second, "")?)),
            Self::Int => first.to_int(),
            Self::Double => first.to_double(),
            Self::String => Val::Str(first.to_text()),
            Self::ToLowerCase => Val::from(text(Some(first), "")?.to_lowercase()),
            Self::ToUpperCase => Val::from(text(Some(first), "")?.to_uppercase()),
            Self::Trim => Val::from(text(Some(first), "")?.trim().to_owned()),
            Self::Len => first.len()?,
            Self::Substring => substring(&text(Some(first), "")?, second, third)?,
            Self::Concat => concat(&first, &text(second, "")?)?,
            Self::Split => split(&text(Some(first), "")?, &text(second, "")?)?,
            Self::Sha256 => {
                let hash = digest::digest(&digest::SHA256, first.to_text().as_bytes());
                Val::from(hex::encode(hash))
            }
            Self::ParseJson => parse_json(&text(Some(first), "")?)?,
            Self::ParseKeyValue => {
                let (delimiter, pair) = (text(second, "=")?, text(third, " ")?);
                parse_key_value(&text(Some(first), "")?, &delimiter, &pair)?
            }
            Self::Time => parse_time(&text(Some(first), "")?, &text(second, "")?)?,
            Self::UnixSeconds => Val::Int(first.int()?.div_euclid(1_000_000_000)),
            Self::UnixMilli => Val::Int(first.int()?.div_euclid(1_000_000)),
            Self::IsString
            | Self::IsInt
            | Self::IsDouble
            | Self::IsBool
            | Self::IsMap
            | Self::IsList => Val::Nil,
        })
    }

    fn is_kind(self, value: &Val<'_>) -> Option<bool> {
        Some(match self {
            Self::IsString => matches!(value, Val::Str(_)),
            Self::IsInt => matches!(value, Val::Int(_)),
            Self::IsDouble => matches!(value, Val::Double(_)),
            Self::IsBool => matches!(value, Val::Bool(_)),
            Self::IsMap => value.entries().is_some(),
            Self::IsList => value.items().is_some(),
            _ => return None,
        })
    }
}

fn substring<'t>(
    text: &str,
    start: Option<Val<'_>>,
    length: Option<Val<'_>>,
) -> Result<Val<'t>, EvalError> {
    let number = |value: Val<'_>| {
        usize::try_from(value.int()?)
            .map_err(|_negative| EvalError("a length or place is negative"))
    };
    let start = start.map_or(Ok(0), number)?;
    let length = length.map_or(Ok(usize::MAX), number)?;
    let part: String = text.chars().skip(start).take(length).collect();
    Ok(Val::from(part))
}

fn concat<'t>(list: &Val<'_>, separator: &str) -> Result<Val<'t>, EvalError> {
    let items = list.items().ok_or(EvalError("Concat needs a list"))?;
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(&item.to_text());
    }
    Ok(Val::from(out))
}

fn split<'t>(text: &str, separator: &str) -> Result<Val<'t>, EvalError> {
    if separator.is_empty() {
        return Err(EvalError("the separator is empty"));
    }
    let parts = text
        .split(separator)
        .map(|part| Value::from(part.to_owned()));
    Ok(Val::from(Value::Array(parts.collect())))
}

fn parse_json<'t>(text: &str) -> Result<Val<'t>, EvalError> {
    json::parse(text).map(Val::from)
}

/// `a=1 b="two words"`: pairs, values with or without quotes.
fn parse_key_value<'t>(text: &str, delimiter: &str, pair: &str) -> Result<Val<'t>, EvalError> {
    if delimiter.is_empty() || pair.is_empty() {
        return Err(EvalError("a delimiter is empty"));
    }
    let mut entries: Vec<KeyValue<'static>> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once(delimiter)
            .ok_or(EvalError("a pair has no delimiter"))?;
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quoted = quote.and_then(|quote| after.get(1..)?.split_once(quote));
        let (value, after) = match quoted {
            Some((value, after)) => (value, after.strip_prefix(pair).unwrap_or(after)),
            None => after.split_once(pair).unwrap_or((after, "")),
        };
        let key = key.trim();
        if key.is_empty() {
            return Err(EvalError("a pair has no key"));
        }
        entries.retain(|entry| entry.key != key);
        if entries.len() >= PAIRS_MAX {
            return Err(EvalError("there are too many pairs"));
        }
        entries.push(KeyValue::new(key.to_owned(), value.trim().to_owned()));
        rest = after.trim_start();
    }
    Ok(Val::from(Value::Map(entries)))
}

/// Nanoseconds since the epoch, by strftime's signs; without an offset the time is UTC.
fn parse_time<'t>(text: &str, format: &str) -> Result<Val<'t>, EvalError> {
    let bad = |_error| EvalError("the text is not a time of this format");
    let parsed = jiff::fmt::strtime::parse(format, text).map_err(bad)?;
    let timestamp = match parsed.offset() {
        Some(_) => parsed.to_timestamp().map_err(bad)?,
        None => {
            let date = parsed.to_date().map_err(bad)?;
            let time = parsed.to_time().unwrap_or(jiff::civil::Time::midnight());
            let zoned = date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC);
            zoned.map_err(bad)?.timestamp()
        }
    };
    let nanos = i64::try_from(timestamp.as_nanosecond());
    nanos
        .map(Val::Int)
        .map_err(|_far| EvalError("the time does not fit 64 bits of nanoseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_pairs_are_refused() {
        let text = |count: usize| -> String { (0..count).map(|n| format!("k{n}=1 ")).collect() };
        assert!(parse_key_value(&text(PAIRS_MAX), "=", " ").is_ok());
        assert!(parse_key_value(&text(PAIRS_MAX + 1), "=", " ").is_err());
    }
}
