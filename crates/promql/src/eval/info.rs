//! `info`: labels of info metrics for the series of a vector.
//!
//! In: the vector, and what to take from which info metrics (without it: everything from `target_info`). Series and
//! info series belong together when they agree on the labels that identify a target. At each step the newest
//! sample decides which info series of a metric counts. A label that the series has itself stays as it is.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};

use vervet_model::{Label, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use crate::error::QueryError;
use crate::eval::group::key_labels;
use crate::eval::labels::is_of_metric;
use crate::eval::memory::{Held, SPARE, entry_bytes, labels_bytes};
use crate::eval::{Element, Evaluator, Query, Track, merge_same_labels};
use crate::syntax::{Edges, Expr, Node, Selector, TimeShift};

/// The labels that identify a target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// The info metric that is used when none is named.
const TARGET_INFO: &str = "target_info";
/// The names of info metrics where a selector only says which not to take.
const ANY_INFO: &str = ".+_info";
/// A list of values to look for is given to the store if it is at most so long (bytes); otherwise the store returns
/// more than is needed.
const PATTERN_BYTES_MAX: usize = 2 << 10;
const JOINING: &str = "the info series of a vector";

/// What to take from which info metrics.
struct Wanted {
    /// All must hold for the name of an info metric.
    names: Vec<Matcher>,
    /// Which info series count; if there are any, only the labels that they name are taken.
    labels: Vec<Matcher>,
}

impl Wanted {
    fn of(selector: Option<&Selector>) -> Result<Self, QueryError> {
        let Some(selector) = selector else {
            let names = vec![Matcher::equal(METRIC_NAME, TARGET_INFO)];
            let labels = Vec::new();
            return Ok(Self { names, labels });
        };
        let matchers = selector.matchers.iter().cloned();
        let (mut names, labels): (Vec<_>, Vec<_>) =
            matchers.partition(|matcher| *matcher.name == *METRIC_NAME);
        let excludes = |name: &Matcher| matches!(name.op, MatchOp::NotEqual | MatchOp::NotRegex);
        if !names.is_empty() && names.iter().all(excludes) {
            names.push(Matcher::new(METRIC_NAME, MatchOp::Regex, ANY_INFO)?);
        }
        Ok(Self { names, labels })
    }

    fn takes(&self, label: &str) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|matcher| *matcher.name == *label)
    }

    /// Whether a series is an info series itself.
    fn is_source(&self, labels: &Labels) -> bool {
        !self.names.is_empty() && self.names.iter().all(|name| name.matches_labels(labels))
    }

    /// Whether a series without info series is left out.
    fn needs_info(&self) -> bool {
        let nothing = Labels::empty();
        self.labels
            .iter()
            .any(|matcher| !matcher.matches_labels(&nothing))
    }
}

/// The info series of one target by metric; the value of a sample is the time of the original sample.
type Metrics<'i> = BTreeMap<&'i str, Vec<&'i Track>>;

/// What a tree takes for its first entry: a node has room for eleven.
const fn node_bytes<K, V>() -> usize {
    12 * size_of::<(K, V)>()
}

/// What one more info series takes: nodes are at least half full, lists that grow make room for four.
const CANDIDATE_BYTES: usize = SPARE * size_of::<(&str, Vec<&Track>)>() + 4 * size_of::<&Track>();

/// Which info series of each metric counts at a step, if any does.
type Chosen = Vec<Option<usize>>;

/// What one more label from an info series takes while a label set is built.
const TAKEN_BYTES: usize = SPARE * (size_of::<(&str, &str)>() + size_of::<Label>());

/// Looks at the clock once in so many series, labels and steps.
const WORK_UNCHECKED_MAX: usize = 1024;

/// Ends a query in the midst of much work when its time is over.
struct Pace<'q> {
    query: &'q Query<'q>,
    unchecked: usize,
}

impl<'q> Pace<'q> {
    fn new(query: &'q Query<'q>) -> Self {
        let unchecked = 0;
        Self { query, unchecked }
    }

    fn work(&mut self, amount: usize) -> Result<(), QueryError> {
        self.unchecked = self.unchecked.saturating_add(amount);
        if self.unchecked < WORK_UNCHECKED_MAX {
            return Ok(());
        }
        self.unchecked = 0;
        self.query.check_deadline()
    }
}

impl Evaluator<'_> {
    pub(crate) fn eval_info(
        &self,
        vector: &Node,
        wanted: Option<&Node>,
    ) -> Result<Vec<Track>, QueryError> {
        let base = self.eval_vector(vector)?;
        let wanted = Wanted::of(wanted.and_then(first_selector))?;
        let (sources, enriched): (Vec<Track>, Vec<Track>) = base
            .into_iter()
            .partition(|track| wanted.is_source(&track.labels));
        let shift = first_selector(vector).map(|selector| selector.shift);
        let infos = self.select_infos(&wanted, &enriched, shift)?;
        let memory = &self.query.memory;
        let list = infos.len() + enriched.len();
        let _lists = memory.hold(list * size_of::<Track>() * SPARE, JOINING)?;
        let mut held = memory.hold(0, JOINING)?;
        let targets = self.by_target(&infos, &mut held)?;
        let mut results = sources;
        for track in enriched {
            self.query.check_deadline()?;
            match targets.get(&target_of(&track.labels)) {
                Some(metrics) => self.enrich(&wanted, track, metrics, &mut results)?,
                None if wanted.needs_info() => {}
                None => results.push(track),
            }
        }
        merge_same_labels(results, memory)
    }

    /// The info series by target and metric; what the tables take is added to what is held.
    fn by_target<'i>(
        &self,
        infos: &'i [Track],
        held: &mut Held<'_>,
    ) -> Result<HashMap<Labels, Metrics<'i>>, QueryError> {
        let mut pace = Pace::new(self.query);
        let mut targets: HashMap<Labels, Metrics<'i>> = HashMap::new();
        for info in infos {
            pace.work(1)?;
            held.grow(CANDIDATE_BYTES, JOINING)?;
            let metrics = match targets.entry(target_of(&info.labels)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let entry = labels_bytes(new.key()) + entry_bytes::<Labels, Metrics<'_>>();
                    held.grow(entry + node_bytes::<&str, Vec<&Track>>(), JOINING)?;
                    new.insert(Metrics::new())
                }
            };
            let metric = info.labels.metric_name();
            metrics.entry(metric).or_default().push(info);
        }
        Ok(targets)
    }

    /// The info series of all targets in a vector, at the times that the vector is read at.
    fn select_infos(
        &self,
        wanted: &Wanted,
        vector: &[Track],
        shift: Option<TimeShift>,
    ) -> Result<Vec<Track>, QueryError> {
        let mut matchers = Vec::new();
        for label in IDENTIFYING {
            let values = vector.iter().filter_map(|track| track.labels.get(label));
            let values: BTreeSet<&str> = values.filter(|value| !value.is_empty()).collect();
            matchers.extend(one_of(label, &values)?);
        }
        if matchers.is_empty() {
            return Ok(Vec::new());
        }
        if wanted.names.is_empty() {
            matchers.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
        }
        matchers.extend(wanted.names.iter().chain(&wanted.labels).cloned());
        let selector = Selector {
            matchers,
            shift: shift.unwrap_or(TimeShift {
                offset: 0,
                at: None,
            }),
            edges: Edges::Sampled,
        };
        let infos = self.eval_newest(&selector, |time, element| match element {
            Element::Float(_) => Element::Float(time as f64),
            histogram @ Element::Histogram(_) => histogram,
        })?;
        match infos.iter().find(|track| !track.histograms.is_empty()) {
            Some(track) => Err(QueryError::Execution(format!(
                "this should be an info metric, with float samples: {}",
                track.labels
            ))),
            None => Ok(infos),
        }
    }

    /// Adds a series with the labels of its info series: one result for each combination of them over time.
    fn enrich(
        &self,
        wanted: &Wanted,
        track: Track,
        metrics: &Metrics<'_>,
        results: &mut Vec<Track>,
    ) -> Result<(), QueryError> {
        let memory = &self.query.memory;
        let mut pace = Pace::new(self.query);
        let candidates = metrics.values().map(Vec::len).sum();
        let chosen_bytes = metrics.len() * size_of::<Option<usize>>();
        let mut held = memory.hold(chosen_bytes + node_bytes::<Chosen, Track>(), JOINING)?;
        memory.grow(track.lists_bytes(), JOINING)?;
        let mut parts: BTreeMap<Chosen, Track> = BTreeMap::new();
        let elements = track
            .samples
            .iter()
            .map(|sample| (sample.timestamp, Element::Float(sample.value)));
        let histograms = track.histograms.iter().map(|sample| {
            let histogram = std::sync::Arc::clone(&sample.histogram);
            (sample.timestamp, Element::Histogram(histogram))
        });
        for (time, element) in elements.chain(histograms) {
            pace.work(candidates)?;
            let chosen = metrics
                .values()
                .map(|series| newest(series, time))
                .collect::<Result<Chosen, _>>()?;
            if wanted.needs_info() && chosen.iter().all(Option::is_none) {
                continue;
            }
            if let Some(part) = parts.get_mut(&chosen) {
                part.push(time, element);
                continue;
            }
            held.grow(chosen_bytes + SPARE * size_of::<(Chosen, Track)>(), JOINING)?;
            let infos = metrics
                .values()
                .zip(&chosen)
                .filter_map(|(series, index)| series.get((*index)?).copied());
            let labels = with_labels(wanted, &track.labels, infos, (&mut pace, &mut held))?;
            let mut part = Track::floats(labels, track.drop_name, Vec::new());
            part.push(time, element);
            memory.grow(part.bytes() + size_of::<Track>() * SPARE, JOINING)?;
            parts.insert(chosen, part);
        }
        results.extend(parts.into_values());
        Ok(())
    }
}

/// The candidate with the newest sample at a step.
fn newest(candidates: &[&Track], step: i64) -> Result<Option<usize>, QueryError> {
    let mut best: Option<(usize, f64)> = None;
    for (index, track) in candidates.iter().enumerate() {
        let at = track
            .samples
            .binary_search_by_key(&step, |sample| sample.timestamp);
        let Some(sample) = at.ok().and_then(|at| track.samples.get(at)) else {
            continue;
        };
        match best {
            Some((_, time)) if time > sample.value => {}
            Some((other, time)) if time == sample.value => {
                let other = candidates
                    .get(other)
                    .map_or_else(String::new, |track| track.labels.to_string());
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {other} @ {time}, new {} @ {time}",
                    track.labels
                )));
            }
            _ => best = Some((index, sample.value)),
        }
    }
    Ok(best.map(|(index, _)| index))
}

/// The labels of a series with those that it takes from info series.
fn with_labels<'i>(
    wanted: &Wanted,
    own: &Labels,
    infos: impl Iterator<Item = &'i Track>,
    (pace, held): (&mut Pace<'_>, &mut Held<'_>),
) -> Result<Labels, QueryError> {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut labels = LabelsBuilder::from_labels(own);
    for label in infos.flat_map(|info| &info.labels) {
        pace.work(1)?;
        if is_of_metric(&label.name) || !wanted.takes(&label.name) {
            continue;
        }
        // A builder compares a new label with all others.
        let others = taken.len();
        match taken.entry(&label.name) {
            btree_map::Entry::Occupied(known) if **known.get() != *label.value => {
                return Err(QueryError::Execution(format!(
                    "conflicting label: {}",
                    label.name
                )));
            }
            btree_map::Entry::Vacant(new) if own.get(&label.name).is_none() => {
                pace.work(others)?;
                held.grow(TAKEN_BYTES, JOINING)?;
                new.insert(&label.value);
                labels.set(label.name.clone(), label.value.clone());
            }
            _ => {}
        }
    }
    Ok(labels.build())
}

fn target_of(labels: &Labels) -> Labels {
    key_labels(labels, true, &IDENTIFYING.map(str::to_owned))
}

/// A matcher for a label with one of some values; none where there are no values.
fn one_of(label: &str, values: &BTreeSet<&str>) -> Result<Option<Matcher>, QueryError> {
    let escaped: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
    let pattern = escaped.join("|");
    Ok(match values.first() {
        None => None,
        Some(only) if values.len() == 1 => Some(Matcher::equal(label, *only)),
        Some(_) if pattern.len() <= PATTERN_BYTES_MAX => {
            Some(Matcher::new(label, MatchOp::Regex, &*pattern)?)
        }
        Some(_) => Some(Matcher::new(label, MatchOp::NotEqual, "")?),
    })
}

/// The first selector in an expression: the vector is read at its time.
fn first_selector(node: &Node) -> Option<&Selector> {
    match &node.expr {
        Expr::Number(_) | Expr::Text(_) => None,
        Expr::Vector(selector) | Expr::Matrix { selector, .. } => Some(selector),
        Expr::Subquery(subquery) => first_selector(&subquery.expr),
        Expr::Call { args, .. } => args.iter().find_map(first_selector),
        Expr::Aggregate(aggregate) => first_selector(&aggregate.expr)
            .or_else(|| aggregate.param.as_ref().and_then(first_selector)),
        Expr::Binary(binary) => first_selector(&binary.lhs).or_else(|| first_selector(&binary.rhs)),
        Expr::Negate(inner) | Expr::StepInvariant(inner) => first_selector(inner),
    }
}
