//! What a server answers, and whether two answers are the same.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values may differ by this part of the larger: sums are put together in another order.
const TOLERANCE: f64 = 1e-9;
/// Nearer to nothing than this is nothing: what is left when nearly equal sums are subtracted.
const NOTHING: f64 = 1e-9;

const DATES: [&str; 8] = [
    "minute(",
    "hour(",
    "month(",
    "year(",
    "day_of_week(",
    "day_of_month(",
    "day_of_year(",
    "days_in_month(",
];

/// Values by time in milliseconds, of each series by its labels.
type Matrix = BTreeMap<String, BTreeMap<i64, f64>>;

/// What was answered, as far as it is compared.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Error {
        status: u16,
        kind: String,
        message: String,
    },
    Values {
        kind: String,
        values: Matrix,
    },
}

/// Whether two answers are the same.
#[derive(Debug)]
pub(super) enum Verdict {
    SameError,
    Same {
        samples: usize,
    },
    /// A difference that is known, by its name.
    Excepted(&'static str),
    Differs(String),
}

impl Verdict {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SameError => "same error",
            Self::Same { samples: 0 } => "both empty",
            Self::Same { .. } => "same samples",
            Self::Excepted(name) => name,
            Self::Differs(_) => "different",
        }
    }
}

impl Answer {
    pub(super) async fn get(client: &reqwest::Client, url: &str) -> Self {
        let response = client.get(url).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if json["status"] != "success" {
            let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
            return Self::Error {
                status,
                kind: text("errorType"),
                message: text("error"),
            };
        }
        let data = &json["data"];
        let kind = data["resultType"].as_str().unwrap().to_owned();
        let values = match kind.as_str() {
            "scalar" | "string" => BTreeMap::from([(String::new(), points([&data["result"]]))]),
            _ => data["result"]
                .as_array()
                .unwrap()
                .iter()
                .map(series)
                .collect(),
        };
        Self::Values { kind, values }
    }
}

fn series(series: &Value) -> (String, BTreeMap<i64, f64>) {
    let labels: BTreeMap<&str, &str> = series["metric"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let values = match series.get("value") {
        Some(value) => points([value]),
        None => points(series["values"].as_array().unwrap()),
    };
    (format!("{labels:?}"), values)
}

fn points<'v>(points: impl IntoIterator<Item = &'v Value>) -> BTreeMap<i64, f64> {
    let point = |point: &Value| {
        let time = point[0].as_f64().unwrap();
        // Rust reads Prometheus's spelling of what is no number and of infinities.
        let value = point[1].as_str().unwrap().parse().unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time in milliseconds fits"
        )]
        let time_ms = (time * 1000.0).round() as i64;
        (time_ms, value)
    };
    points.into_iter().map(point).collect()
}

fn is_close(a: f64, b: f64) -> bool {
    let scale = a.abs().max(b.abs());
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * scale || scale < NOTHING
}

/// Compares what Prometheus answers to a query with what the collector does.
pub(super) fn compare(query: &str, expected: &Answer, actual: &Answer) -> Verdict {
    let verdict = match (expected, actual) {
        (
            Answer::Error {
                status: a,
                kind: b,
                message,
            },
            Answer::Error {
                status: c,
                kind: d,
                message: other,
            },
        ) => match (a, b) == (c, d) {
            true => Verdict::SameError,
            false => Verdict::Differs(format!("{a} {b} {message}; here {c} {d} {other}")),
        },
        (
            Answer::Values { kind: a, values },
            Answer::Values {
                kind: b,
                values: other,
            },
        ) => match (a == b, difference(values, other)) {
            (true, None) => Verdict::Same {
                samples: values.values().map(BTreeMap::len).sum(),
            },
            (true, Some(how)) => Verdict::Differs(how),
            (false, _) => Verdict::Differs(format!("a {a}; here a {b}")),
        },
        (
            Answer::Error {
                status, message, ..
            },
            Answer::Values { values, .. },
        ) => Verdict::Differs(format!("{status} {message}; here {} series", values.len())),
        (
            Answer::Values { values, .. },
            Answer::Error {
                status, message, ..
            },
        ) => Verdict::Differs(format!("{} series; here {status} {message}", values.len())),
    };
    let Verdict::Differs(_) = verdict else {
        return verdict;
    };
    match exception(query, expected, actual) {
        Some(name) => Verdict::Excepted(name),
        None => verdict,
    }
}

/// Why the answers to a query may differ, if they may: what has changed since 2.42, the version that Debian has, and what
/// Prometheus leaves open.
fn exception(query: &str, expected: &Answer, actual: &Answer) -> Option<&'static str> {
    let has = |text| query.contains(text);
    let is_ranked = query.starts_with("topk(") || query.starts_with("bottomk(");
    if is_ranked && ranks(expected) == ranks(actual) {
        return Some("of equal values topk takes the series that was made first");
    }
    if has("count_values") {
        return Some("the last digit of a sum, and the sign of nothing, become a label");
    }
    if has("atan2") {
        return Some("atan2 kept the name of the metric, up to 2");
    }
    if has("predict_linear(") && has("@") {
        return Some("predict_linear of a fixed range answered its first step only, up to 2");
    }
    if query.matches("s:").count() + query.matches("m:").count() > 1 {
        return Some("a subquery in a subquery held the step at its left end, up to 2");
    }
    if ["stddev", "stdvar"].into_iter().any(has) {
        return Some("the deviation of an infinite value was 0, up to 2");
    }
    if DATES.into_iter().any(has) {
        return Some("the date of what is no time is what the processor makes of it");
    }
    // Not of `irate`.
    let is_rate = |at: usize| !query[..at].ends_with('i');
    let has_rate = query.match_indices("rate(").any(|(at, _)| is_rate(at));
    if has_rate || has("increase(") {
        return Some("rates were extrapolated by up to 1.1 intervals to their zero, up to 2");
    }
    None
}

/// The values at each time, without their series.
fn ranks(answer: &Answer) -> Option<BTreeMap<i64, Vec<u64>>> {
    let Answer::Values { values, .. } = answer else {
        return None;
    };
    let mut ranks: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for (time, value) in values.values().flatten() {
        ranks.entry(*time).or_default().push(value.to_bits());
    }
    for values in ranks.values_mut() {
        values.sort_unstable();
    }
    Some(ranks)
}

fn difference(expected: &Matrix, actual: &Matrix) -> Option<String> {
    for (labels, values) in expected {
        let Some(others) = actual.get(labels) else {
            return Some(format!("{labels} with {} samples is missing", values.len()));
        };
        for (time, value) in values {
            match others.get(time) {
                None => return Some(format!("{labels} at {time}: {value}; here nothing")),
                Some(other) if !is_close(*value, *other) => {
                    return Some(format!("{labels} at {time}: {value}; here {other}"));
                }
                Some(_) => {}
            }
        }
        if let Some((time, value)) = others.iter().find(|(time, _)| !values.contains_key(time)) {
            return Some(format!("{labels} at {time}: nothing; here {value}"));
        }
    }
    let unexpected = actual.keys().find(|labels| !expected.contains_key(*labels));
    unexpected.map(|labels| format!("{labels} is here and not expected"))
}
