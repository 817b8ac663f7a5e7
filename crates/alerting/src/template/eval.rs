//! Walks the tree and writes the text.

use vervet_model::Labels;

use super::functions;
use super::number::general_text;
use super::parse::{Base, Node, Operand, Pipeline};
use super::{TemplateData, TemplateError};

const OUTPUT_BYTES_MAX: usize = 64 << 10;

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
    /// The dot: what has the fields `Labels`, `Value` and `ExternalURL`.
    Data,
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
            Self::Data => true,
        }
    }
}

pub(super) fn run(nodes: &[Node], data: &TemplateData<'_>) -> Result<String, TemplateError> {
    let mut output = String::new();
    write(nodes, data, &mut output)?;
    Ok(output)
}

fn write(
    nodes: &[Node],
    data: &TemplateData<'_>,
    output: &mut String,
) -> Result<(), TemplateError> {
    for node in nodes {
        match node {
            Node::Text(text) => output.push_str(text),
            Node::Output(pipeline) => output.push_str(&pipe(pipeline, data)?.text()),
            Node::If { arms, otherwise } => write(chosen(arms, otherwise, data)?, data, output)?,
        }
        if output.len() > OUTPUT_BYTES_MAX {
            return Err(TemplateError::TooLong {
                max: OUTPUT_BYTES_MAX,
            });
        }
    }
    Ok(())
}

fn chosen<'a>(
    arms: &'a [(Pipeline, Vec<Node>)],
    otherwise: &'a [Node],
    data: &TemplateData<'_>,
) -> Result<&'a [Node], TemplateError> {
    for (condition, nodes) in arms {
        if pipe(condition, data)?.is_true() {
            return Ok(nodes);
        }
    }
    Ok(otherwise)
}

fn pipe(pipeline: &Pipeline, data: &TemplateData<'_>) -> Result<Value, TemplateError> {
    let mut piped: Option<Value> = None;
    for command in pipeline {
        let Some((head, operands)) = command.split_first() else {
            continue;
        };
        let mut arguments = operands
            .iter()
            .map(|operand| value(operand, data))
            .collect::<Result<Vec<_>, _>>()?;
        arguments.extend(piped.take());
        piped = Some(match head {
            Operand::Function(name) => functions::call(name, &arguments, data)?,
            _ if arguments.is_empty() => value(head, data)?,
            _ => {
                return Err(TemplateError::Syntax(
                    "a value is used as a function".to_owned(),
                ));
            }
        });
    }
    piped.ok_or_else(|| TemplateError::Syntax("an action is empty".to_owned()))
}

fn value(operand: &Operand, data: &TemplateData<'_>) -> Result<Value, TemplateError> {
    match operand {
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Function(name) => functions::call(name, &[], data),
        Operand::Path { base, fields } => {
            let base = match base {
                Base::Dot => Value::Data,
                Base::Variable(name) => variable(name, data)?,
                Base::Nested(pipeline) => pipe(pipeline, data)?,
            };
            fields
                .iter()
                .try_fold(base, |value, name| field(&value, name, data))
        }
    }
}

fn variable(name: &str, data: &TemplateData<'_>) -> Result<Value, TemplateError> {
    match name {
        "" => Ok(Value::Data),
        "labels" => Ok(Value::Labels(data.labels.clone())),
        "value" => Ok(Value::Float(data.value)),
        "externalURL" => Ok(Value::Text(data.external_url.to_owned())),
        // There are none, so every one of them is absent, which is the empty text.
        "externalLabels" => Ok(Value::Labels(Labels::empty())),
        other => Err(TemplateError::Unsupported(format!("the variable ${other}"))),
    }
}

fn field(value: &Value, name: &str, data: &TemplateData<'_>) -> Result<Value, TemplateError> {
    match (value, name) {
        (Value::Labels(labels), name) => {
            Ok(Value::Text(labels.get(name).unwrap_or_default().to_owned()))
        }
        (Value::Data, "Labels") => variable("labels", data),
        (Value::Data, "Value") => variable("value", data),
        (Value::Data, "ExternalURL") => variable("externalURL", data),
        (Value::Data, "ExternalLabels") => variable("externalLabels", data),
        (_, other) => Err(TemplateError::Unsupported(format!("the field .{other}"))),
    }
}
