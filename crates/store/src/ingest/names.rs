//! Names of OpenTelemetry metrics and attributes in Prometheus's alphabet.
//!
//! The rules are those of OpenTelemetry's "Prometheus and OpenMetrics compatibility": a name is cut into
//! words at every character outside `[a-zA-Z0-9:]`, the unit is added as words unless it is among them,
//! monotonic sums end in `total`, gauges of unit `1` in `ratio`, and the words are joined by `_`.

use std::borrow::Cow;

/// The kind of a metric as far as its name depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Gauge,
    MonotonicSum,
    Other,
}

/// The Prometheus name of a metric, empty when nothing of the name is left.
pub(super) fn metric_name(name: &str, unit: &str, kind: NameKind) -> String {
    let mut words: Vec<Cow<'_, str>> = words(name).map(Cow::Borrowed).collect();
    if words.is_empty() {
        return String::new();
    }
    add_unit(&mut words, unit);
    match kind {
        NameKind::MonotonicSum => move_last(&mut words, "total"),
        NameKind::Gauge if unit.trim() == "1" => move_last(&mut words, "ratio"),
        NameKind::Gauge | NameKind::Other => {}
    }
    let name = words.join("_");
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("_{name}");
    }
    name
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'))
        .filter(|word| !word.is_empty())
}

fn move_last(words: &mut Vec<Cow<'_, str>>, word: &'static str) {
    words.retain(|known| known != word);
    words.push(Cow::Borrowed(word));
}

/// `By` is added as `bytes`, `By/s` as `bytes` and `per_second`, annotations (`{requests}`) not at all.
fn add_unit(words: &mut Vec<Cow<'_, str>>, unit: &str) {
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main, Some(per)),
        None => (unit, None),
    };
    if let Some(word) = unit_word(main, main_unit).filter(|word| !words.contains(word)) {
        words.push(word);
    }
    let per = per.and_then(|per| unit_word(per, per_unit));
    if let Some(word) = per.filter(|word| !words.contains(word)) {
        words.push(Cow::Owned(format!("per_{word}")));
    }
}

fn unit_word(unit: &str, known: fn(&str) -> Option<&'static str>) -> Option<Cow<'static, str>> {
    let unit = unit.trim();
    if unit.is_empty() || unit.contains(['{', '}']) {
        return None;
    }
    let word = match known(unit) {
        Some(word) => Cow::Borrowed(word),
        None => Cow::Owned(words(unit).collect::<Vec<_>>().join("_")),
    };
    (!word.is_empty()).then_some(word)
}

fn main_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "1" => "",
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "bit" => "bits",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" | "kBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        _ => return None,
    })
}

fn per_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" | "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

/// The Prometheus label of an attribute: other characters become `_`, a leading digit gets `key_` before it.
pub(super) fn label_name(key: &str) -> Cow<'_, str> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let digit_first = key.starts_with(|first: char| first.is_ascii_digit());
    if !digit_first && key.chars().all(valid) {
        return Cow::Borrowed(key);
    }
    let prefix = if digit_first { "key_" } else { "" };
    let rest = key.chars().map(|c| if valid(c) { c } else { '_' });
    Cow::Owned(prefix.chars().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_follow_the_compatibility_rules() {
        use NameKind::{Gauge, MonotonicSum, Other};
        let cases = [
            (
                "http.server.request.duration",
                "s",
                Other,
                "http_server_request_duration_seconds",
            ),
            (
                "http.server.duration",
                "ms",
                Other,
                "http_server_duration_milliseconds",
            ),
            ("requests", "{request}", MonotonicSum, "requests_total"),
            ("requests_total", "1", MonotonicSum, "requests_total"),
            (
                "total.seconds.spent",
                "s",
                MonotonicSum,
                "seconds_spent_total",
            ),
            ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
            ("cpu.ratio", "1", Gauge, "cpu_ratio"),
            ("disk.io", "By", MonotonicSum, "disk_io_bytes_total"),
            ("net.rate", "By/s", Gauge, "net_rate_bytes_per_second"),
            ("net.per.second", "{packet}/s", Gauge, "net_per_second"),
            (
                "speed",
                "furlong/fortnight",
                Gauge,
                "speed_furlong_per_fortnight",
            ),
            ("a..b--c", "", Gauge, "a_b_c"),
            ("job:rule", "", Gauge, "job:rule"),
            ("2xx", "", Gauge, "_2xx"),
            ("memory.usage_bytes", "By", Gauge, "memory_usage_bytes"),
            ("...", "By", Gauge, ""),
        ];
        for (name, unit, kind, expect) in cases {
            assert_eq!(metric_name(name, unit, kind), expect, "{name} {unit}");
        }
    }

    #[test]
    fn label_names_keep_to_the_alphabet() {
        assert_eq!(label_name("k8s.pod.name"), "k8s_pod_name");
        assert_eq!(label_name("http_method"), "http_method");
        assert_eq!(label_name("3rd"), "key_3rd");
        assert_eq!(label_name("grün"), "gr_n");
    }
}
