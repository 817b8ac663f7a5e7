//! Redaction of records: every text they hold, at any depth.

mod list;
mod same;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use vervet_wire::otlp::{KeyValue, LogRecord, Metric, MetricData, Scope, Span, Value};
use vervet_wire::protobuf::{Field, Reader, Writer};

use super::KEY_RULE;
use super::detector::Detector;
use super::judged;
use super::lists::{self, Place};
use super::names::{KeyNames, Secrecy, SecretKey};
use super::scan::{Covered, Found, Scanner};

pub(super) use same::Noted;

/// Keys shorter than this hold nothing that is looked for in keys (bytes).
const KEY_BYTES_MIN: usize = 8;

/// What `filtered_attributes` of an exemplar and `metadata` of a metric are numbered.
const EXEMPLAR_ATTRIBUTE: u32 = 7;
const METRIC_METADATA: u32 = 12;

/// Entries that hold the name, or the value, of a pair.
const PAIR_NAMES: [&str; 5] = ["name", "key", "header", "field", "variable"];
const PAIR_VALUES: [&str; 2] = ["value", "val"];

/// The rules of one processor, applied to values. What they found is noted by rule.
pub(in crate::processors) struct Redactor {
    scanner: Scanner,
    keys: KeyNames,
    except: HashSet<String>,
    drop: bool,
}

/// What became of a value.
enum Fate {
    Stays,
    /// It held a secret, by this rule, and is to go with it.
    Goes(usize),
}

impl Redactor {
    pub(super) fn new(scanner: Scanner, keys: &[SecretKey], except: &[String], drop: bool) -> Self {
        Self {
            scanner,
            keys: KeyNames::new(keys),
            except: except.iter().cloned().collect(),
            drop,
        }
    }

    /// The names of the rules; that of whole values by key stands last.
    pub(super) fn rule_names(&self) -> Vec<String> {
        let names = self.scanner.names.iter().cloned();
        names.chain([KEY_RULE.to_owned()]).collect()
    }

    /// The names of the rules for a field at `path` that held `text`.
    pub(super) fn rules_for(&self, path: &str, text: Option<&str>) -> Vec<&str> {
        let mut texts = text.into_iter().chain([path]);
        let covered = texts.find_map(|text| self.scanner.text(text));
        let mut names: Vec<&str> = Vec::new();
        for rule in covered.into_iter().flat_map(|covered| covered.rules) {
            let name = self
                .scanner
                .names
                .get(rule)
                .map_or(KEY_RULE, String::as_str);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            names.push(KEY_RULE);
        }
        names
    }

    /// What may be shown of a field at `path` that held `text`.
    pub(super) fn conceal(&self, path: &str, text: &str) -> String {
        let key = path
            .strip_suffix("\"]")
            .and_then(|path| path.rsplit('"').next());
        if key.is_some_and(|key| self.is_secret(key, &Value::from(text))) {
            let mut cover = String::new();
            self.scanner.cover(KEY_RULE, text, &mut cover);
            return cover;
        }
        self.cover_text(text.to_owned())
    }

    pub(super) fn cover_text(&self, text: String) -> String {
        match self.scanner.text(&text) {
            Some(covered) => covered.text,
            None => text,
        }
    }

    /// The rule of a detector that is on.
    pub(super) fn rule(&self, detector: Detector) -> Option<usize> {
        self.scanner.rule(detector)
    }

    /// Covers a part of a text that `rule` found. Gives the rule if the value must go.
    pub(super) fn cut(
        &self,
        value: &mut Value<'_>,
        place: Range<usize>,
        rule: usize,
        noted: &mut Noted,
    ) -> Option<usize> {
        if let Value::String(text) = value {
            let found = Found::new(text, place, rule);
            *text = Cow::Owned(self.scanner.cover_all(text, &[found]));
        }
        match self.fate(vec![rule], noted) {
            Fate::Goes(rule) => Some(rule),
            Fate::Stays => None,
        }
    }

    fn key_rule(&self) -> usize {
        self.scanner.key_rule()
    }

    /// Gives the rule because of which the record must be dropped, if it must.
    pub(in crate::processors) fn log(
        &self,
        record: &mut LogRecord<'_>,
        noted: &mut Noted,
    ) -> Option<usize> {
        self.attributes(&mut record.attributes, noted);
        self.mask(&mut record.severity_text, noted);
        self.mask(&mut record.event_name, noted);
        let fate = match &mut record.body {
            Value::String(text) => self.body(text, &mut record.attributes, noted),
            body => self.value(body, noted),
        };
        match fate {
            Fate::Goes(rule) => Some(rule),
            Fate::Stays => None,
        }
    }

    pub(super) fn scope(&self, scope: &mut Scope<'_>, noted: &mut Noted) {
        self.mask(&mut scope.name, noted);
        self.mask(&mut scope.version, noted);
        self.attributes(&mut scope.attributes, noted);
    }

    pub(super) fn span(&self, span: &mut Span<'_>, noted: &mut Noted) {
        self.mask(&mut span.name, noted);
        self.attributes(&mut span.attributes, noted);
        for event in &mut span.events {
            self.mask(&mut event.name, noted);
            self.attributes(&mut event.attributes, noted);
        }
        for link in &mut span.links {
            self.attributes(&mut link.attributes, noted);
        }
        self.mask(&mut span.status_message, noted);
    }

    pub(super) fn metric(&self, metric: &mut Metric<'_>, noted: &mut Noted) {
        self.mask(&mut metric.description, noted);
        self.kept_attributes(&mut metric.rest, METRIC_METADATA, noted);
        match &mut metric.data {
            MetricData::Empty => {}
            MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
                for point in points {
                    self.attributes(&mut point.attributes, noted);
                    self.exemplars(&mut point.rest, 5, noted);
                }
            }
            MetricData::Histogram { points, .. } => {
                for point in points {
                    self.attributes(&mut point.attributes, noted);
                    self.exemplars(&mut point.rest, 8, noted);
                }
            }
            MetricData::ExponentialHistogram { points, .. } => {
                for point in points {
                    self.attributes(&mut point.attributes, noted);
                    self.exemplars(&mut point.rest, 11, noted);
                }
            }
            MetricData::Summary(points) => {
                for point in points {
                    self.attributes(&mut point.attributes, noted);
                }
            }
        }
    }

    pub(in crate::processors) fn attributes(
        &self,
        attributes: &mut Vec<KeyValue<'_>>,
        noted: &mut Noted,
    ) {
        attributes.retain_mut(|attribute| match self.attribute(attribute, noted) {
            Fate::Stays => true,
            Fate::Goes(_) => false,
        });
    }

    fn attribute(&self, attribute: &mut KeyValue<'_>, noted: &mut Noted) -> Fate {
        if !self.except.is_empty() && self.except.contains(attribute.key.as_ref()) {
            return Fate::Stays;
        }
        if attribute.key.len() >= KEY_BYTES_MIN {
            self.mask(&mut attribute.key, noted);
        }
        if self.is_secret(&attribute.key, &attribute.value) {
            return self.whole(attribute, noted);
        }
        match &mut attribute.value {
            Value::Array(values) if lists::is_in_turns(&attribute.key) => {
                self.list(values, Some(Place::InTurns), noted);
                Fate::Stays
            }
            value => self.value(value, noted),
        }
    }

    /// A value that goes because of its key.
    fn whole(&self, attribute: &mut KeyValue<'_>, noted: &mut Noted) -> Fate {
        if self.is_nothing(&attribute.value) {
            return self.value(&mut attribute.value, noted);
        }
        noted.push(self.key_rule());
        noted.whole(&attribute.value);
        if self.drop {
            return Fate::Goes(self.key_rule());
        }
        let mut cover = String::new();
        let value = attribute.value.to_text();
        self.scanner.cover(KEY_RULE, &value, &mut cover);
        attribute.value = Value::from(cover);
        Fate::Stays
    }

    /// The value of a pair whose name is in an entry beside it: `{"name": "authorization", "value": "..."}`.
    fn pair(&self, entries: &mut Vec<KeyValue<'_>>, noted: &mut Noted) {
        let names = entries.iter().filter_map(|entry| {
            let is_name = is_one_of(&entry.key, &PAIR_NAMES);
            is_name.then(|| name_in(&entry.value)).flatten()
        });
        let secrecies: Vec<_> = names.filter_map(|name| self.secrecy(name)).collect();
        if !secrecies.is_empty() {
            entries.retain_mut(|entry| {
                let is_value = is_one_of(&entry.key, &PAIR_VALUES);
                let is = |secrecy: &Secrecy| is_secret_by(*secrecy, &entry.value);
                let goes = is_value && secrecies.iter().any(is);
                !goes || matches!(self.whole(entry, noted), Fate::Stays)
            });
        }
    }

    /// Whether there is no value to hide, or it is hidden already.
    fn is_nothing(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Empty => true,
            Value::String(text) => text.is_empty() || self.scanner.is_cover_text(text),
            Value::Array(values) => values.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        }
    }

    fn secrecy(&self, key: &str) -> Option<Secrecy> {
        self.keys.secrecy(key.as_bytes())
    }

    /// Whether a value goes because of its key.
    fn is_secret(&self, key: &str, value: &Value<'_>) -> bool {
        let secrecy = self.secrecy(key);
        secrecy.is_some_and(|secrecy| is_secret_by(secrecy, value))
    }

    fn value(&self, value: &mut Value<'_>, noted: &mut Noted) -> Fate {
        match value {
            Value::String(text) => {
                let Some(covered) = self.scanner.text(text) else {
                    return Fate::Stays;
                };
                *text = Cow::Owned(covered.text);
                self.fate(covered.rules, noted)
            }
            Value::Bytes(bytes) => {
                let covered = match std::str::from_utf8(bytes) {
                    Ok(text) => self.scanner.text(text).map(Covered::into_bytes),
                    Err(_not_whole) => self.parts(bytes),
                };
                let Some((covered, rules)) = covered else {
                    return Fate::Stays;
                };
                *bytes = Cow::Owned(covered);
                self.fate(rules, noted)
            }
            Value::Int(number) => self.number(*number, value, noted),
            Value::Double(number) => match whole(*number) {
                Some(number) => self.number(number, value, noted),
                None => Fate::Stays,
            },
            Value::Array(values) => {
                self.list(values, None, noted);
                Fate::Stays
            }
            Value::Map(entries) => {
                self.pair(entries, noted);
                self.attributes(entries, noted);
                Fate::Stays
            }
            Value::Empty | Value::Bool(_) => Fate::Stays,
        }
    }

    fn number(&self, number: i64, value: &mut Value<'_>, noted: &mut Noted) -> Fate {
        // A sign hides nothing: it is the digits that are looked for.
        let digits = number.unsigned_abs();
        let Some(rule) = self.scanner.number(digits) else {
            return Fate::Stays;
        };
        let name = self.scanner.names.get(rule).map_or("", String::as_str);
        let mut cover = String::new();
        self.scanner.cover(name, &digits.to_string(), &mut cover);
        *value = Value::from(cover);
        self.fate(vec![rule], noted)
    }

    fn fate(&self, found: Vec<usize>, noted: &mut Noted) -> Fate {
        let first = found.first().copied();
        noted.extend(found);
        match first.filter(|_| self.drop) {
            Some(rule) => Fate::Goes(rule),
            None => Fate::Stays,
        }
    }

    /// For texts that cannot be left out.
    fn mask(&self, text: &mut Cow<'_, str>, noted: &mut Noted) {
        if let Some(covered) = self.scanner.text(text) {
            *text = Cow::Owned(covered.text);
            noted.extend(covered.rules);
        }
    }

    /// The attributes of exemplars, which stand among the fields a point's view does not name.
    fn exemplars(&self, rest: &mut Cow<'_, [u8]>, field: u32, noted: &mut Noted) {
        if rest.is_empty() {
            return;
        }
        let before = noted.len();
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        let mut reader = Reader::new(rest);
        // It was read from a message, so it is well-formed.
        while let Ok(Some((number, value))) = reader.next_field() {
            match value {
                Field::Bytes(exemplar) if number == field => {
                    w.message(number, |w| self.exemplar(exemplar, w, noted));
                }
                _ => w.raw(reader.raw()),
            }
        }
        if noted.len() > before {
            *rest = Cow::Owned(out);
        }
    }

    fn exemplar(&self, message: &[u8], w: &mut Writer<'_>, noted: &mut Noted) {
        let mut rest = Cow::Borrowed(message);
        self.kept_attributes(&mut rest, EXEMPLAR_ATTRIBUTE, noted);
        w.raw(&rest);
    }

    /// The attributes numbered `field` among fields that are kept as they stand on the wire. One that cannot be read, as
    /// it is nested too deep, cannot be searched and goes, by the rule of keys.
    fn kept_attributes(&self, rest: &mut Cow<'_, [u8]>, field: u32, noted: &mut Noted) {
        if rest.is_empty() {
            return;
        }
        let before = noted.len();
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        let mut reader = Reader::new(rest);
        let mut attributes = Vec::new();
        while let Ok(Some((number, value))) = reader.next_field() {
            match value {
                Field::Bytes(attribute) if number == field => match KeyValue::read(attribute) {
                    Ok(attribute) => attributes.push(attribute),
                    Err(_nested_too_deep) => noted.push(self.key_rule()),
                },
                _ => w.raw(reader.raw()),
            }
        }
        self.attributes(&mut attributes, noted);
        if noted.len() > before {
            for attribute in &attributes {
                w.message(field, |w| attribute.write(w));
            }
            *rest = Cow::Owned(out);
        }
    }
}

fn is_one_of(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// The text of a name, which may be wrapped in a map of its type: `{"stringValue": "x"}`.
fn name_in<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::String(text) => Some(text),
        Value::Map(entries) => match entries.as_slice() {
            [entry] => entry.value.as_str(),
            _ => None,
        },
        _ => None,
    }
}

fn is_secret_by(secrecy: Secrecy, value: &Value<'_>) -> bool {
    match value {
        _ if secrecy == Secrecy::Always => true,
        // Only what is said in words is no secret.
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => !secrecy.is_judged(),
        Value::String(text) => judged::is_secret(secrecy, text.as_bytes(), true, true),
        // A token in bytes is no count.
        Value::Bytes(_) => true,
        // One secret in it, and nothing of it is shown.
        Value::Array(values) => values.iter().any(|value| is_secret_by(secrecy, value)),
        Value::Map(entries) => {
            let mut values = entries.iter().map(|entry| &entry.value);
            values.any(|value| is_secret_by(secrecy, value))
        }
    }
}

/// A number without a fraction that fits an integer.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9e18;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is in range"
    )]
    let integer = number as i64;
    (number.fract() == 0.0 && number.abs() < LIMIT).then_some(integer)
}
