//! Finds what no data could expand: unknown functions, variables and fields.

use super::functions;
use super::parse::{Base, Node, Operand, Pipeline};
use super::{TemplateError, eval};

pub(super) fn check(nodes: &[Node]) -> Result<(), TemplateError> {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Output(pipeline) => check_pipeline(pipeline)?,
            Node::If { arms, otherwise } => {
                for (condition, nodes) in arms {
                    check_pipeline(condition)?;
                    check(nodes)?;
                }
                check(otherwise)?;
            }
        }
    }
    Ok(())
}

fn check_pipeline(pipeline: &Pipeline) -> Result<(), TemplateError> {
    pipeline.iter().flatten().try_for_each(check_operand)
}

fn check_operand(operand: &Operand) -> Result<(), TemplateError> {
    match operand {
        Operand::Literal(_) => Ok(()),
        Operand::Function(name) if functions::exists(name) => Ok(()),
        Operand::Function(name) => Err(unsupported("the function ", name)),
        Operand::Path { base, fields } => match (base, fields.first()) {
            (Base::Nested(pipeline), _) => check_pipeline(pipeline),
            (Base::Variable(name), _) if !eval::VARIABLES.contains(&name.as_str()) => {
                Err(unsupported("the variable $", name))
            }
            (Base::Dot, Some(field)) if !eval::FIELDS.contains(&field.as_str()) => {
                Err(unsupported("the field .", field))
            }
            (Base::Dot | Base::Variable(_), _) => Ok(()),
        },
    }
}

fn unsupported(kind: &str, name: &str) -> TemplateError {
    TemplateError::Unsupported(format!("{kind}{name}"))
}
