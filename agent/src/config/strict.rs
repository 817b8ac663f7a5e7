//! The same strictness for other programs' configuration: one typed document instead of sections.

use serde::de::DeserializeOwned;

use super::error::{ConfigError, Problem};
use super::hide::Hidden;
use super::substitute::{Sources, substitute};
use super::yaml::{from_node, parse};

/// Reads a whole document as `T`, after substituting `${env:NAME}` and `${file:/path}` in its scalars.
/// `file` is the name used in errors.
///
/// # Errors
/// The text is not YAML, a substitution fails, or the document is not a `T`, with the line.
pub fn read_document<T: DeserializeOwned>(
    file: &str,
    text: &str,
    sources: &dyn Sources,
) -> Result<T, ConfigError> {
    let read = || -> Result<T, Vec<Problem>> {
        let mut root = parse(text).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut hidden = Hidden::default();
        substitute(&mut root, sources, &mut problems, &mut hidden);
        hidden.add_secrets(&root);
        let value = from_node(&root).map_err(|problem| problems.push(problem));
        match value {
            Ok(value) if problems.is_empty() => Ok(value),
            _ => {
                problems.iter_mut().for_each(|problem| hidden.hide(problem));
                Err(problems)
            }
        }
    };
    read().map_err(|problems| ConfigError {
        file: file.to_owned(),
        problems,
    })
}
