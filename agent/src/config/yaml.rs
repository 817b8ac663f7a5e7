//! A YAML document as a tree that knows its lines, and a serde deserializer over it.
//!
//! In: YAML text. Out: [`Node`]s. A scalar is read by the type of the field it is for: `version: 1.30` is
//! the text `1.30` for a string field. Limits: [`DEPTH_MAX`] levels, [`NODES_MAX`] nodes, aliases included.

mod de;

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::error::Problem;

pub(crate) use de::{Located, from_node};

const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 100_000;
/// The key that stands for the keys of another map.
const MERGE: &str = "<<";

/// A value and the line (from 1) it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `plain` scalars (without quotes or tags) may be numbers, booleans or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) line: usize,
}

impl Node {
    /// What an absent or empty document stands for.
    pub(crate) fn empty_map() -> Self {
        Self {
            line: 1,
            value: Value::Map(Vec::new()),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.count()).sum(),
        }
    }
}

/// Reads one document.
///
/// # Errors
/// Not YAML, more than one document, a key twice, a key that is no scalar, or a limit exceeded.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| Problem::at(error.marker().line(), error.to_string()))?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.root.unwrap_or_else(Node::empty_map))
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
}

/// A collection whose end has not been seen.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<Key>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::at(line, "the file holds more than one document"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let text = text.into_owned();
                let value = Value::Scalar { text, plain };
                self.close(Node { line, value }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(line, Value::List(Vec::new()), anchor)?;
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(line, Value::Map(Vec::new()), anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.open.pop() {
                    if let Value::Map(entries) = &mut open.node.value {
                        merge(entries)?;
                    }
                    self.close(open.node, open.anchor)?;
                }
            }
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let node =
                    node.ok_or_else(|| Problem::at(line, "an alias inside its own anchor"))?;
                self.nodes += node.count();
                self.close(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, line: usize, value: Value, anchor: usize) -> Result<(), Problem> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Problem::at(line, "the file is nested too deeply"));
        }
        self.open.push(Open {
            node: Node { line, value },
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Problem::at(node.line, "the file holds too many values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match parent.key.take() {
                Some(key) => entries.push((key, node)),
                None => parent.key = Some(key_of(node, entries)?),
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// Puts what the merge key `<<` names in its place: a map or a list of maps, of which the first that has a key counts, after
/// the keys that stand there themselves.
fn merge(entries: &mut Vec<(Key, Node)>) -> Result<(), Problem> {
    let Some(at) = entries.iter().position(|(key, _)| key.name == MERGE) else {
        return Ok(());
    };
    let (key, merged) = entries.remove(at);
    let maps = match merged.value {
        Value::List(maps) => maps,
        _ => vec![merged],
    };
    for map in maps {
        let Value::Map(others) = map.value else {
            let message = "`<<` merges maps: write an alias of one, or a list of such";
            return Err(Problem::at(key.line, message));
        };
        for (key, node) in others {
            if entries.iter().all(|(own, _)| own.name != key.name) {
                entries.push((key, node));
            }
        }
    }
    Ok(())
}

fn key_of(node: Node, entries: &[(Key, Node)]) -> Result<Key, Problem> {
    let line = node.line;
    let Value::Scalar { text: name, .. } = node.value else {
        return Err(Problem::at(line, "a key must be text"));
    };
    if entries.iter().any(|(key, _)| key.name == name) {
        return Err(Problem::at(line, format!("key `{name}` stands here twice")));
    }
    Ok(Key { name, line })
}
