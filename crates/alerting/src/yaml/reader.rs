//! Takes a tree apart by the keys that are known, and collects what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Kind, Node, Place};
use crate::duration::parse_duration;
use crate::rule_file::{RuleFileError, nearest_key};

/// A text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) place: Place,
    pub(crate) value: String,
}

/// A map whose keys are all known.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) place: Place,
    values: BTreeMap<&'n str, &'n Node>,
}

impl<'n> Fields<'n> {
    /// The value of a key that is there and not empty (`key:`).
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.values.get(key).copied().filter(|node| !node.is_null())
    }
}

/// Notes mistakes; what it returns in their place is empty, so that the search goes on.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a str,
    pub(crate) ignore_unknown: bool,
    pub(crate) errors: Vec<RuleFileError>,
}

impl Reader<'_> {
    pub(crate) fn refuse(&mut self, place: Place, message: impl Into<String>) {
        let error = RuleFileError::at(self.file, place, message.into());
        self.errors.push(error);
    }

    /// The fields of a map.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, known: &[&str]) -> Fields<'n> {
        let mut fields = Fields {
            place: node.place,
            values: BTreeMap::new(),
        };
        for (key, value) in self.entries(node) {
            let Some(name) = self.key(key) else { continue };
            if !known.contains(&name) {
                if !self.ignore_unknown {
                    self.refuse(key.place, unknown_key(name, known));
                }
            } else if fields.values.insert(name, value).is_some() {
                self.refuse(key.place, format!("the key `{name}` is there already"));
            }
        }
        fields
    }

    fn entries<'n>(&mut self, node: &'n Node) -> &'n [(Node, Node)] {
        match &node.kind {
            Kind::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                self.expected(node, "a map of keys and values");
                &[]
            }
        }
    }

    fn key<'n>(&mut self, key: &'n Node) -> Option<&'n str> {
        match &key.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => {
                self.expected(key, "a text as a key");
                None
            }
        }
    }

    fn expected(&mut self, node: &Node, what: &str) {
        let found = match &node.kind {
            Kind::Scalar { text, .. } => format!("{text:?}"),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        };
        self.refuse(node.place, format!("expected {what}, found {found}"));
    }

    /// The items of a list.
    pub(crate) fn items<'n>(&mut self, node: Option<&'n Node>) -> &'n [Node] {
        match node.map(|node| (node, &node.kind)) {
            None => &[],
            Some((_, Kind::List(items))) => items,
            Some((node, _)) => {
                self.expected(node, "a list");
                &[]
            }
        }
    }

    /// A text; numbers and the like are taken as they are written.
    pub(crate) fn text(&mut self, node: Option<&Node>) -> Option<Text> {
        let node = node?;
        match &node.kind {
            Kind::Scalar { text, .. } => Some(Text {
                place: node.place,
                value: match node.is_null() {
                    true => String::new(),
                    false => text.clone(),
                },
            }),
            _ => {
                self.expected(node, "a text");
                None
            }
        }
    }

    /// Names and texts, each with the places of both.
    pub(crate) fn texts(&mut self, node: Option<&Node>) -> Vec<(Text, Text)> {
        let (mut texts, mut known) = (Vec::new(), BTreeSet::new());
        let Some(node) = node else { return texts };
        for (key, value) in self.entries(node) {
            let (Some(key), Some(value)) = (self.text(Some(key)), self.text(Some(value))) else {
                continue;
            };
            if !known.insert(key.value.clone()) {
                let message = format!("the key `{}` is there already", key.value);
                self.refuse(key.place, message);
            } else {
                texts.push((key, value));
            }
        }
        texts
    }

    pub(crate) fn duration(&mut self, node: Option<&Node>) -> Option<Duration> {
        let text = self.text(node)?;
        match parse_duration(&text.value) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.refuse(text.place, error.to_string());
                None
            }
        }
    }

    /// A plain scalar that `read` understands.
    fn plain<T>(
        &mut self,
        node: Option<&Node>,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let node = node?;
        let value = match &node.kind {
            Kind::Scalar { text, is_plain } if *is_plain => read(text),
            _ => None,
        };
        if value.is_none() {
            self.expected(node, what);
        }
        value
    }

    pub(crate) fn integer(&mut self, node: Option<&Node>) -> Option<i64> {
        self.plain(node, "a whole number", |text| text.parse().ok())
    }

    pub(crate) fn truth(&mut self, node: Option<&Node>) -> Option<bool> {
        self.plain(node, "true or false", |text| match text {
            "true" | "True" | "TRUE" | "yes" | "on" => Some(true),
            "false" | "False" | "FALSE" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    pub(crate) fn number(&mut self, node: Option<&Node>) -> Option<f64> {
        self.plain(node, "a number", |text| {
            match text.trim_start_matches(['+', '-']) {
                ".inf" | ".Inf" | ".INF" if text.starts_with('-') => Some(f64::NEG_INFINITY),
                ".inf" | ".Inf" | ".INF" => Some(f64::INFINITY),
                ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
                digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                    text.parse().ok()
                }
                _ => None,
            }
        })
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest_key(key, known) {
        Some(nearest) => format!("unknown key `{key}`, did you mean `{nearest}`?"),
        None => format!("unknown key `{key}`, known keys: {}", known.join(", ")),
    }
}
