//! Finds what no data could expand: unknown functions, variables and fields.

use super::functions;
use super::parse::{Base, Node, Operand, Pipeline};
use super::{TemplateError, eval};

pub(super) fn check(nodes: &[Node]) -> Result<(), TemplateError> {
    let mut scope = Scope {
        variables: eval::VARIABLES.map(str::to_owned).to_vec(),
        is_dot_known: true,
    };
    scope.nodes(nodes)
}

/// What is known at a place of the template.
struct Scope {
    variables: Vec<String>,
    /// Whether the dot is what the template was given, not what `with` or `range` found.
    is_dot_known: bool,
}

impl Scope {
    /// Checks a block; variables that it declares end with it.
    fn nodes(&mut self, nodes: &[Node]) -> Result<(), TemplateError> {
        let outside = self.variables.len();
        for node in nodes {
            self.node(node)?;
        }
        self.variables.truncate(outside);
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), TemplateError> {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => Ok(()),
            Node::Output(pipeline) => self.pipeline(pipeline),
            Node::Set {
                name,
                is_new,
                pipeline,
            } => {
                self.pipeline(pipeline)?;
                match is_new {
                    true => self.variables.push(name.clone()),
                    false => self.variable(name)?,
                }
                Ok(())
            }
            Node::Choose { arms, otherwise } => {
                let outside = self.variables.len();
                for arm in arms {
                    self.pipeline(&arm.pipeline)?;
                    self.variables.extend(arm.variable.clone());
                    self.inside(arm.is_with, &arm.body)?;
                }
                self.nodes(otherwise)?;
                self.variables.truncate(outside);
                Ok(())
            }
            Node::Range(range) => {
                let outside = self.variables.len();
                self.pipeline(&range.pipeline)?;
                let variables = [&range.key, &range.element];
                self.variables
                    .extend(variables.into_iter().flatten().cloned());
                self.inside(true, &range.body)?;
                self.nodes(&range.otherwise)?;
                self.variables.truncate(outside);
                Ok(())
            }
        }
    }

    fn inside(&mut self, is_dot_set: bool, nodes: &[Node]) -> Result<(), TemplateError> {
        let outside = self.is_dot_known;
        self.is_dot_known &= !is_dot_set;
        let checked = self.nodes(nodes);
        self.is_dot_known = outside;
        checked
    }

    fn pipeline(&self, pipeline: &Pipeline) -> Result<(), TemplateError> {
        let mut operands = pipeline.iter().flatten();
        operands.try_for_each(|operand| self.operand(operand))
    }

    fn operand(&self, operand: &Operand) -> Result<(), TemplateError> {
        match operand {
            Operand::Literal(_) => Ok(()),
            Operand::Function(name) if functions::exists(name) => Ok(()),
            Operand::Function(name) => Err(unsupported("the function ", name)),
            Operand::Path { base, fields } => match (base, fields.first()) {
                (Base::Nested(pipeline), _) => self.pipeline(pipeline),
                (Base::Variable(name), _) => self.variable(name),
                (Base::Dot, Some(field)) if self.is_dot_known => {
                    match eval::FIELDS.contains(&field.as_str()) {
                        true => Ok(()),
                        false => Err(unsupported("the field .", field)),
                    }
                }
                (Base::Dot, _) => Ok(()),
            },
        }
    }

    fn variable(&self, name: &str) -> Result<(), TemplateError> {
        match self.variables.iter().any(|known| known == name) {
            true => Ok(()),
            false => Err(unsupported("the variable $", name)),
        }
    }
}

fn unsupported(kind: &str, name: &str) -> TemplateError {
    TemplateError::Unsupported(format!("{kind}{name}"))
}
