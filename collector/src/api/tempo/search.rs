//! The two ways to write a search: `tags` in logfmt, and the part of TraceQL that is one spanset of
//! conditions joined by `&&`.

use vervet_store::TraceQuery;

use super::Failure;
use crate::time::parse_duration;

/// `service.name=web http.method=GET name="GET /"`.
pub(super) fn apply_tags(query: &mut TraceQuery, tags: &str) -> Result<(), Failure> {
    let mut rest = tags.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| unsupported(rest))?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| unsupported(after))?,
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        set(query, key.trim(), "=", value)?;
        rest = after.trim_start();
    }
    Ok(())
}

/// `{ resource.service.name = "web" && duration > 100ms && status = error }`.
pub(super) fn apply_traceql(query: &mut TraceQuery, text: &str) -> Result<(), Failure> {
    let inner = text
        .trim()
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let inner = inner.ok_or_else(|| unsupported(text))?;
    for condition in split_conditions(inner) {
        let condition = condition.trim();
        if condition.is_empty() {
            continue;
        }
        let at = condition
            .find(['=', '<', '>', '!'])
            .ok_or_else(|| unsupported(condition))?;
        let (key, rest) = condition
            .split_at_checked(at)
            .ok_or_else(|| unsupported(condition))?;
        let length = rest
            .find(|c| !matches!(c, '=' | '<' | '>' | '!' | '~'))
            .ok_or_else(|| unsupported(condition))?;
        let (operator, value) = rest
            .split_at_checked(length)
            .ok_or_else(|| unsupported(condition))?;
        let value = value.trim();
        let unquoted = value
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(value);
        set(query, key.trim(), operator, unquoted)?;
    }
    Ok(())
}

/// The parts between `&&`, which inside quotes is text.
fn split_conditions(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (index, byte) in text.bytes().enumerate() {
        quoted ^= byte == b'"';
        if !quoted && text.get(index..index + 2) == Some("&&") {
            parts.push(text.get(start..index).unwrap_or_default());
            start = index + 2;
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn set(query: &mut TraceQuery, key: &str, operator: &str, value: &str) -> Result<(), Failure> {
    let key = key
        .strip_prefix("resource.")
        .or_else(|| key.strip_prefix("span."))
        .unwrap_or(key);
    let key = key.strip_prefix('.').unwrap_or(key);
    let text = Some(value.to_owned());
    match (key, operator) {
        ("service.name" | "service" | "rootServiceName", "=") => query.service = text,
        ("name", "=") => query.name = text,
        ("status", "=") => query.status = text,
        ("kind", "=") => query.kind = text,
        ("duration" | "minDuration", ">" | ">=") => query.min_duration = Some(duration(value)?),
        ("duration" | "maxDuration", "<" | "<=") => query.max_duration = Some(duration(value)?),
        (_, "=") if !key.is_empty() => query.attributes.push((key.to_owned(), value.to_owned())),
        _ => return Err(unsupported(&format!("{key} {operator} {value}"))),
    }
    Ok(())
}

fn duration(text: &str) -> Result<std::time::Duration, Failure> {
    parse_duration(text)
        .ok_or_else(|| Failure::invalid(format!("{text:?} is not a duration such as 100ms")))
}

fn unsupported(text: &str) -> Failure {
    Failure::invalid(format!(
        "unsupported search near {text:?}: one spanset of conditions joined by && is supported, such as \
         {{ resource.service.name = \"web\" && duration > 100ms && status = error }}"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn traceql_conditions_become_a_query() {
        let mut query = TraceQuery::default();
        let text = r#"{ resource.service.name = "a && b" && duration > 100ms && duration<2s && status=error && span.http.route="/x" }"#;
        apply_traceql(&mut query, text).expect("supported");
        assert_eq!(
            (query.service.as_deref(), query.status.as_deref()),
            (Some("a && b"), Some("error"))
        );
        assert_eq!(
            query.min_duration.zip(query.max_duration),
            Some((Duration::from_millis(100), Duration::from_secs(2)))
        );
        assert_eq!(
            query.attributes,
            [("http.route".to_owned(), "/x".to_owned())]
        );
        apply_traceql(&mut TraceQuery::default(), "{}").expect("everything");
    }

    #[test]
    fn tags_are_logfmt() {
        let mut query = TraceQuery::default();
        apply_tags(
            &mut query,
            r#"service.name=web http.method=GET name="GET /a b""#,
        )
        .expect("supported");
        assert_eq!(
            (query.service.as_deref(), query.name.as_deref()),
            (Some("web"), Some("GET /a b"))
        );
        assert_eq!(
            query.attributes,
            [("http.method".to_owned(), "GET".to_owned())]
        );
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for text in [
            "{} | count() > 3",
            "{ name =~ \"x\" }",
            "{ a || b }",
            "name",
            "{ duration > soon }",
        ] {
            assert!(
                apply_traceql(&mut TraceQuery::default(), text).is_err(),
                "{text}"
            );
        }
    }
}
