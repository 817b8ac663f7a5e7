//! Random queries that are valid by type, over the metrics that are there.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

/// How deep expressions go.
const DEPTH: u32 = 3;
/// Steps of a range query, at most.
const STEPS_MAX: i64 = 60;
/// Series that one selector may find, so that nothing is joined for long.
const SERIES_MAX: usize = 400;

/// The metrics there are, with the values of each label.
pub(super) struct Catalog {
    metrics: Vec<(String, BTreeMap<String, BTreeSet<String>>)>,
}

/// A query, and when it is asked.
pub(super) struct Query {
    pub(super) text: String,
    at_ms: i64,
    start_ms: i64,
    step_ms: i64,
    steps: i64,
}

/// Gives one query after the other.
pub(super) struct Queries<'c> {
    rng: StdRng,
    made_up: Vec<&'c Metric>,
    scraped: Vec<&'c Metric>,
    /// Since when there are made-up and scraped samples, and until when (ms).
    times: (i64, i64, i64),
    /// Whether the query is about what was scraped.
    is_scraped: bool,
}

type Metric = (String, BTreeMap<String, BTreeSet<String>>);

impl Catalog {
    /// The metrics of a Prometheus.
    pub(super) async fn read(api: &str, client: &reqwest::Client) -> Self {
        let url = format!("{api}/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D");
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let mut metrics: BTreeMap<String, (usize, BTreeMap<String, BTreeSet<String>>)> =
            BTreeMap::new();
        for series in json["data"].as_array().unwrap() {
            let labels = series.as_object().unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (count, values) = metrics.entry(text(&labels["__name__"])).or_default();
            *count += 1;
            for (name, value) in labels.iter().filter(|(name, _)| *name != "__name__") {
                values.entry(name.clone()).or_default().insert(text(value));
            }
        }
        let metrics = metrics.into_iter();
        let few = metrics.filter(|(_name, (count, _))| *count <= SERIES_MAX);
        Self {
            metrics: few.map(|(name, (_count, values))| (name, values)).collect(),
        }
    }
}

impl Query {
    /// Asked at a moment, and over a range.
    pub(super) fn paths(&self) -> [String; 2] {
        let query = encoded(&self.text);
        let time = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let end_ms = self.start_ms + self.step_ms * self.steps;
        [
            format!("/api/v1/query?query={query}&time={}", time(self.at_ms)),
            format!(
                "/api/v1/query_range?query={query}&start={}&end={}&step={}",
                time(self.start_ms),
                time(end_ms),
                time(self.step_ms)
            ),
        ]
    }
}

/// A text as it stands in a URL.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl<'c> Queries<'c> {
    pub(super) fn new(catalog: &'c Catalog, seed: u64, times: (i64, i64, i64)) -> Self {
        let is_made_up = |metric: &&Metric| !metric.1.contains_key("job");
        let (made_up, scraped) = catalog.metrics.iter().partition(is_made_up);
        Self {
            rng: StdRng::seed_from_u64(seed),
            made_up,
            scraped,
            times,
            is_scraped: false,
        }
    }

    pub(super) fn next(&mut self) -> Query {
        self.is_scraped = self.rng.random();
        let text = match self.rng.random_range(0..12) {
            0 => self.scalar(2),
            1 => format!(
                "{}({}, {})",
                self.one(&["topk", "bottomk"]),
                self.small(),
                self.vector(2)
            ),
            2 => format!("{}({})", self.one(&["sort", "sort_desc"]), self.vector(2)),
            _ => self.vector(DEPTH),
        };
        let (made_up_ms, scraped_ms, end_ms) = self.times;
        let from_ms = if self.is_scraped {
            scraped_ms
        } else {
            made_up_ms
        };
        // On the beat of the end, which no sample and no aligned step is on.
        let back = |rng: &mut StdRng| rng.random_range(0..=(end_ms - from_ms) / 1000) * 1000;
        let at_ms = end_ms - back(&mut self.rng);
        let start_ms = end_ms - back(&mut self.rng);
        let step_ms = *[1_000, 2_000, 7_000, 15_000, 60_000]
            .choose(&mut self.rng)
            .unwrap();
        let steps = ((end_ms - start_ms) / step_ms).min(STEPS_MAX);
        Query {
            text,
            at_ms,
            start_ms,
            step_ms,
            steps,
        }
    }

    fn one<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts.choose(&mut self.rng).unwrap()
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    fn small(&mut self) -> String {
        self.rng.random_range(0..5).to_string()
    }

    fn number(&mut self) -> String {
        let number = self.one(&[
            "0", "1", "2", "0.5", "-1", "10", "100", "1e3", "NaN", "Inf", "-Inf", "0x10", "3.7",
        ]);
        number.to_owned()
    }

    fn fraction(&mut self) -> String {
        self.one(&["0", "0.1", "0.5", "0.9", "0.99", "1", "-0.5", "1.5"])
            .to_owned()
    }

    fn metric(&mut self) -> &'c Metric {
        let metrics = if self.is_scraped {
            &self.scraped
        } else {
            &self.made_up
        };
        metrics.choose(&mut self.rng).unwrap()
    }

    fn duration(&mut self) -> String {
        let durations: &[&str] = match self.is_scraped {
            true => &["5s", "10s", "3s", "15s", "1m"],
            false => &["1m", "2m30s", "5m", "90s", "20m", "45s"],
        };
        self.one(durations).to_owned()
    }

    /// A metric with conditions.
    fn selector(&mut self) -> String {
        let (name, labels) = self.metric();
        let mut conditions = Vec::new();
        while self.chance(2) && conditions.len() < 3 {
            conditions.push(self.condition(labels));
        }
        match conditions.as_slice() {
            [] => name.clone(),
            some if self.chance(6) => {
                let (name, rest) = (format!("__name__=\"{name}\""), some.join(","));
                format!("{{{name},{rest}}}")
            }
            some => format!("{name}{{{}}}", some.join(",")),
        }
    }

    fn condition(&mut self, labels: &BTreeMap<String, BTreeSet<String>>) -> String {
        let all: Vec<_> = labels.iter().collect();
        let Some((name, values)) = all.choose(&mut self.rng) else {
            return "none=\"\"".to_owned();
        };
        let values: Vec<_> = values.iter().collect();
        let value = values.choose(&mut self.rng).unwrap();
        let is_plain = value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-:./ ".contains(&byte));
        if !is_plain || value.is_empty() {
            return format!("{name}=~\".+\"");
        }
        let quoted = value.replace('.', "\\\\.");
        let first = value.get(..1).unwrap_or_default();
        match self.rng.random_range(0..6) {
            0 | 1 => format!("{name}=\"{value}\""),
            2 => format!("{name}!=\"{value}\""),
            3 => format!("{name}=~\"{quoted}|other\""),
            4 if first != "." => format!("{name}!~\"{first}.*\""),
            _ => format!("{name}=~\"(?i:{quoted})\""),
        }
    }

    /// When a selector or a subquery looks elsewhere.
    fn elsewhere(&mut self) -> String {
        match self.rng.random_range(0..10) {
            0 => format!(" offset {}", self.duration()),
            1 => format!(" offset -{}", self.duration()),
            2 => {
                let (_, scraped_ms, _) = self.times;
                format!(
                    " @ {}.377",
                    scraped_ms / 1000 + self.rng.random_range(-600..10)
                )
            }
            3 => format!(" @ {}()", self.one(&["start", "end"])),
            _ => String::new(),
        }
    }

    /// An expression over a range of time.
    fn range(&mut self, depth: u32) -> String {
        if depth > 1 && self.chance(4) {
            let inner = self.vector(depth - 1);
            let steps: &[&str] = if self.is_scraped {
                &["1s", "2s"]
            } else {
                &["15s", "30s", "1m"]
            };
            let (range, step) = (self.duration(), self.one(steps));
            return format!("({inner})[{range}:{step}]{}", self.elsewhere());
        }
        let (selector, range) = (self.selector(), self.duration());
        format!("{selector}[{range}]{}", self.elsewhere())
    }

    /// An expression that gives a number.
    fn scalar(&mut self, depth: u32) -> String {
        match self.rng.random_range(0..8) {
            0 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            1 => "time()".to_owned(),
            2 => "pi()".to_owned(),
            3 if depth > 0 => {
                let operator =
                    self.one(&["+", "-", "*", "/", "%", "^", "== bool", "> bool", "atan2"]);
                format!(
                    "({} {operator} {})",
                    self.scalar(depth - 1),
                    self.scalar(depth - 1)
                )
            }
            _ => self.number(),
        }
    }

    /// An expression that gives a vector.
    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.elsewhere());
        }
        let depth = depth - 1;
        match self.rng.random_range(0..20) {
            0 | 1 => format!("{}{}", self.selector(), self.elsewhere()),
            2..=6 => self.over_time(depth + 1),
            7..=10 => self.aggregation(depth),
            11..=14 => self.binary(depth),
            15 => format!("-{}", self.vector(depth)),
            16 => self.quantile_of_histogram(),
            17 => self.relabelled(depth),
            _ => self.function(depth),
        }
    }

    fn over_time(&mut self, depth: u32) -> String {
        let range = self.range(depth);
        match self.rng.random_range(0..12) {
            0..=2 => format!("{}({range})", self.one(&["rate", "increase", "irate"])),
            3 => format!("{}({range})", self.one(&["delta", "idelta", "deriv"])),
            4 => format!("{}({range})", self.one(&["changes", "resets"])),
            5 => format!("quantile_over_time({}, {range})", self.fraction()),
            6 => format!("predict_linear({range}, {})", self.scalar(0)),
            7 => format!("absent_over_time({range})"),
            _ => {
                let function = self.one(&[
                    "avg", "min", "max", "sum", "count", "stddev", "stdvar", "last", "present",
                ]);
                format!("{function}_over_time({range})")
            }
        }
    }

    /// Some names of labels, most of them of a metric.
    fn names(&mut self) -> String {
        let (_, labels) = self.metric();
        let mut names: Vec<&str> = labels.keys().map(String::as_str).collect();
        names.push("none");
        let count = self.rng.random_range(0..3);
        let chosen: Vec<&str> = names
            .choose_multiple(&mut self.rng, count)
            .copied()
            .collect();
        chosen.join(", ")
    }

    fn aggregation(&mut self, depth: u32) -> String {
        let grouping = match self.rng.random_range(0..3) {
            0 => String::new(),
            1 => format!(" by ({})", self.names()),
            _ => format!(" without ({})", self.names()),
        };
        let vector = self.vector(depth);
        match self.rng.random_range(0..10) {
            0 => format!("quantile{grouping} ({}, {vector})", self.fraction()),
            1 => format!("count_values{grouping} (\"v\", {vector})"),
            _ => {
                let operator = self.one(&[
                    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar",
                ]);
                format!("{operator}{grouping} ({vector})")
            }
        }
    }

    fn binary(&mut self, depth: u32) -> String {
        let arithmetic = ["+", "-", "*", "/", "%", "^", "atan2"];
        let comparisons = ["==", "!=", ">", "<", ">=", "<="];
        let operator = match self.rng.random_range(0..5) {
            0..=2 => self.one(&arithmetic).to_owned(),
            3 => self.one(&comparisons).to_owned(),
            _ => format!("{} bool", self.one(&comparisons)),
        };
        match self.rng.random_range(0..6) {
            0 => format!("({} {operator} {})", self.vector(depth), self.scalar(1)),
            1 => format!("({} {operator} {})", self.scalar(1), self.vector(depth)),
            2 => {
                let operator = self.one(&["and", "or", "unless"]);
                let matching = self.matching();
                format!(
                    "({} {operator}{matching} {})",
                    self.vector(depth),
                    self.vector(depth)
                )
            }
            3 => {
                // Many to one: the one side is brought down to the labels that are matched.
                let names = self.names();
                let side = self.one(&["left", "right"]);
                let one = format!("sum by ({names}) ({})", self.vector(depth));
                let many = self.vector(depth);
                let (left, right) = if side == "left" {
                    (many, one)
                } else {
                    (one, many)
                };
                format!("({left} {operator} on ({names}) group_{side} () {right})")
            }
            4 => {
                // The same vector twice matches itself. It is not compared: Prometheus adds in no fixed order.
                let (vector, matching) = (self.vector(depth), self.matching());
                let operator = self.one(&arithmetic);
                format!("({vector} {operator}{matching} {vector})")
            }
            _ => {
                let matching = self.matching();
                format!(
                    "({} {operator}{matching} {})",
                    self.vector(depth),
                    self.vector(depth)
                )
            }
        }
    }

    fn matching(&mut self) -> String {
        match self.rng.random_range(0..4) {
            0 => format!(" on ({})", self.names()),
            1 => format!(" ignoring ({})", self.names()),
            _ => String::new(),
        }
    }

    fn quantile_of_histogram(&mut self) -> String {
        let metrics = if self.is_scraped {
            &self.scraped
        } else {
            &self.made_up
        };
        let buckets: Vec<&str> = metrics
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.ends_with("_bucket"))
            .collect();
        let bucket = *buckets.choose(&mut self.rng).unwrap();
        let (fraction, range) = (self.fraction(), self.duration());
        match self.rng.random_range(0..3) {
            0 => format!("histogram_quantile({fraction}, {bucket})"),
            1 => format!("histogram_quantile({fraction}, rate({bucket}[{range}]))"),
            _ => format!("histogram_quantile({fraction}, sum by (le) (rate({bucket}[{range}])))"),
        }
    }

    fn relabelled(&mut self, depth: u32) -> String {
        let (vector, (_, labels)) = (self.vector(depth), self.metric());
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        let source = names.choose(&mut self.rng).copied().unwrap_or("none");
        match self.rng.random() {
            true => format!("label_replace({vector}, \"new\", \"$1-x\", \"{source}\", \"(.).*\")"),
            false => format!("label_join({vector}, \"new\", \"+\", \"{source}\", \"none\")"),
        }
    }

    fn function(&mut self, depth: u32) -> String {
        const PLAIN: [&str; 38] = [
            "abs",
            "ceil",
            "floor",
            "exp",
            "ln",
            "log2",
            "log10",
            "sqrt",
            "sgn",
            "round",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "deg",
            "rad",
            "timestamp",
            "absent",
            "minute",
            "hour",
            "month",
            "year",
            "day_of_week",
            "day_of_month",
            "day_of_year",
            "days_in_month",
            "sort",
            "sort_desc",
            "ceil",
            "abs",
        ];
        match self.rng.random_range(0..8) {
            0 => format!("vector({})", self.scalar(1)),
            1 => format!(
                "clamp({}, {}, {})",
                self.vector(depth),
                self.scalar(0),
                self.scalar(0)
            ),
            2 => format!(
                "{}({}, {})",
                self.one(&["clamp_min", "clamp_max"]),
                self.vector(depth),
                self.scalar(1)
            ),
            3 => format!(
                "round({}, {})",
                self.vector(depth),
                self.one(&["0.1", "5", "1", "0.01"])
            ),
            4 => format!("timestamp({}{})", self.selector(), self.elsewhere()),
            _ => format!("{}({})", self.one(&PLAIN), self.vector(depth)),
        }
    }
}
