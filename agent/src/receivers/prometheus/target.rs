//! From what a discovery found to a target: labels, relabelling, address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use vervet_relabel::{Labels, apply};
use xxhash_rust::xxh3::Xxh3;

use super::discovery::{ADDRESS, Group, LabelMap};
use super::job::JobConfig;
use super::units::Span;

const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const META: &str = "__meta_";
const RESERVED: &str = "__";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Of all labels that are left after relabelling: what makes it the same target as before.
    pub(crate) key: u128,
    /// What is added to every series.
    pub(crate) labels: LabelMap,
    pub(crate) url: Url,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// What relabelling makes of a discovered target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Scrape(Box<Target>),
    Dropped,
    /// It cannot be scraped.
    Invalid(String),
}

/// What is wrong with an address, if anything.
pub(crate) fn address_mistake(address: &str) -> Option<String> {
    if address.is_empty() || address.contains('/') {
        return Some("is no address such as localhost:9100".to_owned());
    }
    let url = Url::parse(&format!("http://{address}/"));
    url.err().map(|error| format!("is no address: {error}"))
}

/// Where a target was found. Its labels are put together when they are asked for: clusters have many that are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    job: Arc<JobConfig>,
    groups: Arc<Vec<Group>>,
    group: usize,
    target: usize,
}

impl Origin {
    /// All targets of a source.
    pub(crate) fn all(
        job: &Arc<JobConfig>,
        groups: &Arc<Vec<Group>>,
    ) -> impl Iterator<Item = Self> {
        let places = groups.iter().enumerate();
        let places =
            places.flat_map(|(at, group)| (0..group.targets.len()).map(move |own| (at, own)));
        places.map(|(group, target)| Self {
            job: Arc::clone(job),
            groups: Arc::clone(groups),
            group,
            target,
        })
    }

    /// The labels before relabelling.
    pub(crate) fn labels(&self) -> LabelMap {
        let group = self.groups.get(self.group);
        let own = group.and_then(|group| group.targets.get(self.target));
        match (group, own) {
            (Some(group), Some(own)) => discovered(&self.job, group, own),
            _ => LabelMap::new(),
        }
    }
}

/// The labels of a target before relabelling.
fn discovered(job: &JobConfig, group: &Group, own: &LabelMap) -> LabelMap {
    let mut labels = group.labels.clone();
    labels.extend(
        own.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    labels.retain(|_, value| !value.is_empty());
    let mut default = |name: &str, value: &str| {
        if !value.is_empty() && !labels.contains_key(name) {
            labels.insert(name.to_owned(), value.to_owned());
        }
    };
    default(JOB, &job.name);
    default(INTERVAL, &Span(job.interval).text());
    default(TIMEOUT, &Span(job.timeout).text());
    default(METRICS_PATH, &job.path);
    default(SCHEME, job.scheme.as_str());
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM}{name}"), first);
        }
    }
    labels
}

/// Applies a job's rules to the labels of a discovered target.
pub(crate) fn relabelled(job: &JobConfig, discovered: &LabelMap) -> Verdict {
    let mut labels: Labels<'_> = discovered
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    if !apply(&job.relabel, &mut labels) {
        return Verdict::Dropped;
    }
    let address = labels.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Verdict::Invalid("no address is left".to_owned());
    }
    if let Some(mistake) = address_mistake(&address) {
        return Verdict::Invalid(format!("`{address}` {mistake}"));
    }
    let (interval, timeout) = match times(&labels) {
        Ok(times) => times,
        Err(message) => return Verdict::Invalid(message),
    };
    labels.retain(|name| !name.starts_with(META));
    if !labels.has(INSTANCE) {
        labels.set(INSTANCE, address.clone());
    }
    let Some(url) = url(job, &labels, &address) else {
        let scheme = labels.get(SCHEME);
        return Verdict::Invalid(format!("`{scheme}://{address}` is no address of HTTP"));
    };
    let public = labels
        .iter()
        .filter(|(name, _)| !name.starts_with(RESERVED));
    let public = public
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Verdict::Scrape(Box::new(Target {
        key: key(&labels),
        labels: public,
        url,
        interval,
        timeout,
    }))
}

fn times(labels: &Labels<'_>) -> Result<(Duration, Duration), String> {
    let read = |name: &str, what: &str| {
        let text = labels.get(name);
        let span = Span::parse(text).filter(|span| !span.0.is_zero());
        span.map(|span| span.0)
            .ok_or_else(|| format!("`{text}` in {name} is no {what}"))
    };
    let (interval, timeout) = (read(INTERVAL, "interval")?, read(TIMEOUT, "time-out")?);
    match timeout > interval {
        true => Err(format!("{TIMEOUT} is longer than {INTERVAL}")),
        false => Ok((interval, timeout)),
    }
}

fn url(job: &JobConfig, labels: &Labels<'_>, address: &str) -> Option<Url> {
    let scheme = labels.get(SCHEME);
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let mut url = Url::parse(&format!("{scheme}://{address}/")).ok()?;
    url.set_path(labels.get(METRICS_PATH));
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &job.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix(PARAM) {
            let values = params.entry(name).or_default();
            match values.first_mut() {
                Some(first) => *first = value,
                None => values.push(value),
            }
        }
    }
    let pairs = params
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (*name, *value)));
    let pairs: Vec<(&str, &str)> = pairs.collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Some(url)
}

fn key(labels: &Labels<'_>) -> u128 {
    let mut hasher = Xxh3::new();
    for (name, value) in labels.iter() {
        for part in [name, value] {
            hasher.update(&part.len().to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.digest128()
}
