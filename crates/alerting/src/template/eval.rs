//! Walks the tree and writes the text.

use std::sync::Arc;

use vervet_model::Labels;

use super::functions;
use super::number::general_text;
use super::parse::{Arm, Base, Node, Operand, Pipeline, Range};
use super::{TemplateData, TemplateError};

const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Nodes that are looked at, those of loops each time.
const STEPS_MAX: usize = 1_000_000;

/// What follows a `$`; nothing is the dot.
pub(super) const VARIABLES: [&str; 5] = ["", "labels", "value", "externalURL", "externalLabels"];
/// The fields of the dot.
pub(super) const FIELDS: [&str; 4] = ["Labels", "Value", "ExternalURL", "ExternalLabels"];

/// A value of the template language.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Float(f64),
    Integer(i64),
    Bool(bool),
    Labels(Labels),
    /// What a query gave.
    Samples(Arc<Vec<Sample>>),
    Sample(Sample),
    /// The arguments of `args`: `arg0`, `arg1` and so on.
    Args(Vec<Self>),
    /// The dot: what has the fields `Labels`, `Value` and `ExternalURL`.
    Data,
}

/// One element of a query's result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) value: f64,
}

impl Value {
    /// As Go prints it with `%v`.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Float(value) => general_text(*value, None),
            Self::Integer(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Labels(labels) => {
                let pairs: Vec<String> = labels
                    .iter()
                    .map(|label| format!("{}:{}", label.name, label.value))
                    .collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Samples(samples) => {
                let samples = samples.iter().cloned();
                let texts: Vec<String> =
                    samples.map(|sample| Self::Sample(sample).text()).collect();
                format!("[{}]", texts.join(" "))
            }
            Self::Sample(sample) => {
                let labels = Self::Labels(sample.labels.clone()).text();
                format!("{{{labels} {}}}", general_text(sample.value, None))
            }
            Self::Args(values) => {
                let pairs: Vec<String> = (0..)
                    .zip(values)
                    .map(|(index, value): (usize, _)| format!("arg{index}:{}", value.text()))
                    .collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Data => String::new(),
        }
    }

    /// Whether `if` takes it: neither zero nor empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Float(value) => *value != 0.0,
            Self::Integer(value) => *value != 0,
            Self::Bool(value) => *value,
            Self::Labels(labels) => !labels.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Args(values) => !values.is_empty(),
            Self::Sample(_) | Self::Data => true,
        }
    }
}

pub(super) fn run(nodes: &[Node], data: &TemplateData<'_>) -> Result<String, TemplateError> {
    let mut walk = Walk {
        data,
        output: String::new(),
        variables: Vec::new(),
        dot: Value::Data,
        steps: 0,
    };
    walk.block(nodes)?;
    Ok(walk.output)
}

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Walk<'a> {
    data: &'a TemplateData<'a>,
    output: String,
    /// Those that the template declared, the innermost last.
    variables: Vec<(String, Value)>,
    dot: Value,
    steps: usize,
}

impl Walk<'_> {
    /// Writes a block; its variables end with it.
    fn block(&mut self, nodes: &[Node]) -> Result<Flow, TemplateError> {
        let outside = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            self.step()?;
            flow = self.node(node)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(outside);
        Ok(flow)
    }

    fn step(&mut self) -> Result<(), TemplateError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(TemplateError::TooManySteps { max: STEPS_MAX });
        }
        if self.output.len() > OUTPUT_BYTES_MAX {
            return Err(TemplateError::TooLong {
                max: OUTPUT_BYTES_MAX,
            });
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.output.push_str(text),
            Node::Output(pipeline) => {
                let text = self.pipe(pipeline)?.text();
                self.output.push_str(&text);
            }
            Node::Set {
                name,
                is_new,
                pipeline,
            } => {
                let value = self.pipe(pipeline)?;
                self.set(name, *is_new, value)?;
            }
            Node::Choose { arms, otherwise } => return self.choose(arms, otherwise),
            Node::Range(range) => return self.range(range),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        self.step()?;
        Ok(Flow::On)
    }

    fn set(&mut self, name: &str, is_new: bool, value: Value) -> Result<(), TemplateError> {
        if is_new {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let known = self.variables.iter_mut().rev();
        match { known }.find(|(known, _)| known == name) {
            Some((_, place)) => {
                *place = value;
                Ok(())
            }
            None => Err(TemplateError::Unsupported(format!("setting ${name}"))),
        }
    }

    fn choose(&mut self, arms: &[Arm], otherwise: &[Node]) -> Result<Flow, TemplateError> {
        let outside = self.variables.len();
        let mut flow = None;
        for arm in arms {
            let value = self.pipe(&arm.pipeline)?;
            if let Some(name) = &arm.variable {
                self.variables.push((name.clone(), value.clone()));
            }
            if value.is_true() {
                flow = Some(match arm.is_with {
                    true => self.with_dot(value, &arm.body)?,
                    false => self.block(&arm.body)?,
                });
                break;
            }
        }
        let flow = match flow {
            Some(flow) => flow,
            None => self.block(otherwise)?,
        };
        self.variables.truncate(outside);
        Ok(flow)
    }

    fn with_dot(&mut self, dot: Value, nodes: &[Node]) -> Result<Flow, TemplateError> {
        let outside = std::mem::replace(&mut self.dot, dot);
        let flow = self.block(nodes);
        self.dot = outside;
        flow
    }

    fn range(&mut self, range: &Range) -> Result<Flow, TemplateError> {
        let elements = elements(self.pipe(&range.pipeline)?)?;
        if elements.is_empty() {
            return self.block(&range.otherwise);
        }
        let outside = self.variables.len();
        for (key, element) in elements {
            self.step()?;
            let key = range.key.clone().map(|name| (name, key));
            let named = range.element.clone().map(|name| (name, element.clone()));
            self.variables.extend(key.into_iter().chain(named));
            let flow = self.with_dot(element, &range.body)?;
            self.variables.truncate(outside);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipe(&self, pipeline: &Pipeline) -> Result<Value, TemplateError> {
        let mut piped: Option<Value> = None;
        for command in pipeline {
            let Some((head, operands)) = command.split_first() else {
                continue;
            };
            let mut arguments = operands
                .iter()
                .map(|operand| self.value(operand))
                .collect::<Result<Vec<_>, _>>()?;
            arguments.extend(piped.take());
            piped = Some(match head {
                Operand::Function(name) => functions::call(name, &arguments, self.data)?,
                _ if arguments.is_empty() => self.value(head)?,
                _ => {
                    return Err(TemplateError::Syntax(
                        "a value is used as a function".to_owned(),
                    ));
                }
            });
        }
        piped.ok_or_else(|| TemplateError::Syntax("an action is empty".to_owned()))
    }

    fn value(&self, operand: &Operand) -> Result<Value, TemplateError> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Function(name) => functions::call(name, &[], self.data),
            Operand::Path { base, fields } => {
                let base = match base {
                    Base::Dot => self.dot.clone(),
                    Base::Variable(name) => self.variable(name)?,
                    Base::Nested(pipeline) => self.pipe(pipeline)?,
                };
                let mut fields = fields.iter();
                fields.try_fold(base, |value, name| self.field(&value, name))
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Value, TemplateError> {
        let mut own = self.variables.iter().rev();
        if let Some((_, value)) = own.find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        given(name, self.data)
    }

    fn field(&self, value: &Value, name: &str) -> Result<Value, TemplateError> {
        let missing = || TemplateError::Unsupported(format!("the field .{name}"));
        match (value, name) {
            (Value::Labels(labels), name) => {
                Ok(Value::Text(labels.get(name).unwrap_or_default().to_owned()))
            }
            (Value::Sample(sample), "Labels") => Ok(Value::Labels(sample.labels.clone())),
            (Value::Sample(sample), "Value") => Ok(Value::Float(sample.value)),
            (Value::Args(values), name) => {
                let index = name
                    .strip_prefix("arg")
                    .and_then(|index| index.parse().ok());
                let value = index.and_then(|index: usize| values.get(index));
                value.cloned().ok_or_else(missing)
            }
            (Value::Data, "Labels") => given("labels", self.data),
            (Value::Data, "Value") => given("value", self.data),
            (Value::Data, "ExternalURL") => given("externalURL", self.data),
            (Value::Data, "ExternalLabels") => given("externalLabels", self.data),
            _ => Err(missing()),
        }
    }
}

/// A variable that every template has.
fn given(name: &str, data: &TemplateData<'_>) -> Result<Value, TemplateError> {
    match name {
        "" => Ok(Value::Data),
        "labels" => Ok(Value::Labels(data.labels.clone())),
        "value" => Ok(Value::Float(data.value)),
        "externalURL" => Ok(Value::Text(data.external_url.to_owned())),
        "externalLabels" => Ok(Value::Labels(data.external_labels.clone())),
        other => Err(TemplateError::Unsupported(format!("the variable ${other}"))),
    }
}

/// Keys or indices, and what `range` gives the dot.
fn elements(value: Value) -> Result<Vec<(Value, Value)>, TemplateError> {
    let indexed = |values: Vec<Value>| {
        let pairs = (0_i64..).zip(values);
        pairs
            .map(|(index, value)| (Value::Integer(index), value))
            .collect()
    };
    Ok(match value {
        Value::Samples(samples) => indexed(samples.iter().cloned().map(Value::Sample).collect()),
        Value::Labels(labels) => {
            let text = |text: &str| Value::Text(text.to_owned());
            let pairs = labels.iter();
            pairs
                .map(|label| (text(&label.name), text(&label.value)))
                .collect()
        }
        Value::Args(values) => {
            let pairs = (0..).zip(values);
            pairs
                .map(|(index, value): (usize, _)| (Value::Text(format!("arg{index}")), value))
                .collect()
        }
        Value::Integer(count) if count <= 0 => Vec::new(),
        Value::Integer(count) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if count > STEPS_MAX {
                return Err(TemplateError::TooManySteps { max: STEPS_MAX });
            }
            indexed((0_i64..).take(count).map(Value::Integer).collect())
        }
        other => {
            return Err(TemplateError::Syntax(format!(
                "range cannot go over {:?}",
                other.text()
            )));
        }
    })
}
