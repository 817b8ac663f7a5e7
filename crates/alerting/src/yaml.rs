//! YAML with places, for files whose mistakes are told all at once.
//!
//! In: a text. Out: its first document as a tree of [`Node`]s that know line and column, or where it stops being YAML.
//! Aliases and merge keys (`<<`) are resolved, scalars keep the text as it is written: what `010` means is up to the
//! reader. [`Reader`] takes the tree apart and notes every mistake it meets.
//!
//! Limits: 500,000 nodes after aliases are resolved, 64 levels.

mod reader;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

pub(crate) use reader::{Reader, Text};

const NODES_MAX: usize = 500_000;
const DEPTH_MAX: usize = 64;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// `is_plain`: without quotes, so that it may be a number or nothing.
    Scalar {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    /// In the order of the file; keys may repeat.
    Map(Vec<(Node, Node)>),
}

/// The text is no YAML, or too much of it.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl Node {
    /// Nothing, as YAML writes it.
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar { text, is_plain } => {
                *is_plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Kind::List(_) | Kind::Map(_) => false,
        }
    }

    fn count(&self) -> usize {
        match &self.kind {
            Kind::Scalar { .. } => 1,
            Kind::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Kind::Map(entries) => {
                let of_entry = |(key, value): &(Self, Self)| key.count() + value.count();
                1 + entries.iter().map(of_entry).sum::<usize>()
            }
        }
    }

    fn depth(&self) -> usize {
        let below = match &self.kind {
            Kind::Scalar { .. } => None,
            Kind::List(items) => items.iter().map(Self::depth).max(),
            Kind::Map(entries) => {
                let of_entry = |(key, value): &(Self, Self)| key.depth().max(value.depth());
                entries.iter().map(of_entry).max()
            }
        };
        1 + below.unwrap_or(0)
    }
}

/// The first document; `None` when there is none.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let mut builder = Builder {
        lines: text.lines().collect(),
        ..Builder::default()
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.take(event, place(&span))?;
    }
    Ok(builder.root)
}

fn scan_error(error: &ScanError) -> YamlError {
    let mark = error.marker();
    let message = match error.info() {
        info if info.is_empty() => "this is not YAML".to_owned(),
        info => info,
    };
    YamlError {
        place: Place {
            line: count(mark.line()),
            column: count(mark.col()) + 1,
        },
        message,
    }
}

fn place(span: &Span) -> Place {
    Place {
        line: count(span.start.line()),
        column: count(span.start.col()) + 1,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A list or map that is not closed yet.
struct Open {
    place: Place,
    anchor: usize,
    /// Of a map, keys and values in turn.
    items: Vec<Node>,
    is_map: bool,
}

#[derive(Default)]
struct Builder<'t> {
    lines: Vec<&'t str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix() == "str");
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain && !is_text,
                };
                let place = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => self.block_head(place),
                    _ => place,
                };
                self.add(Node { place, kind }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(place, anchor, false),
            Event::MappingStart(_, anchor, _) => self.open(place, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(refuse(place, "the alias stands for what contains it"));
                };
                self.nodes = self.nodes.saturating_add(node.count());
                if self.open.len() + node.depth() > DEPTH_MAX {
                    return Err(too_deep(place));
                }
                self.add(Node { place, ..node }, 0)
            }
            _ => Ok(()),
        }
    }

    /// The place of the `|` or `>` above the text of a block, which is where a block is said to be.
    fn block_head(&self, text: Place) -> Place {
        let above = usize::try_from(text.line.saturating_sub(1)).unwrap_or(0);
        let above = self.lines.get(..above).unwrap_or_default();
        let mut above = above.iter().enumerate().rev();
        let head = above.find(|(_, line)| !line.trim().is_empty());
        let found = head.and_then(|(index, line)| {
            let code = line.rfind(" #").and_then(|end| line.get(..end));
            let code = code.unwrap_or(line);
            let before = code.get(..code.rfind(['|', '>'])?)?;
            Some((count(index) + 1, before.chars().count()))
        });
        match found {
            Some((line, before)) => Place {
                line,
                column: count(before) + 1,
            },
            None => text,
        }
    }

    fn open(&mut self, place: Place, anchor: usize, is_map: bool) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(place));
        }
        self.open.push(Open {
            place,
            anchor,
            items: Vec::new(),
            is_map,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let kind = match open.is_map {
            true => Kind::Map(merged(open.items)?),
            false => Kind::List(open.items),
        };
        let node = Node {
            place: open.place,
            kind,
        };
        self.add(node, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(refuse(node.place, "the file holds too much"));
        }
        if anchor > 0 {
            self.nodes = self.nodes.saturating_add(node.count());
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

/// Pairs keys with values and brings in what `<<` names; keys that are written out win.
fn merged(items: Vec<Node>) -> Result<Vec<(Node, Node)>, YamlError> {
    let (mut own, mut brought) = (Vec::new(), Vec::new());
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        if is_merge(&key) {
            brought.extend(maps(value)?.into_iter().flatten());
        } else {
            own.push((key, value));
        }
    }
    let name = |(key, _): &(Node, Node)| scalar(key).map(str::to_owned);
    let mut known: HashSet<Option<String>> = own.iter().map(name).collect();
    own.extend(
        brought
            .into_iter()
            .filter(|entry| known.insert(name(entry))),
    );
    Ok(own)
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, Kind::Scalar { text, is_plain: true } if text == "<<")
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

fn maps(value: Node) -> Result<Vec<Vec<(Node, Node)>>, YamlError> {
    let place = value.place;
    let map = |node: Node| match node.kind {
        Kind::Map(entries) => Ok(entries),
        _ => Err(refuse(place, "`<<` needs a map or a list of maps")),
    };
    match value.kind {
        Kind::List(nodes) => nodes.into_iter().map(map).collect(),
        _ => Ok(vec![map(value)?]),
    }
}

fn too_deep(place: Place) -> YamlError {
    refuse(place, "nested too deeply")
}

fn refuse(place: Place, message: &str) -> YamlError {
    YamlError {
        place,
        message: message.to_owned(),
    }
}
