//! The same strictness for other programs' configuration: one typed document instead of sections.

use serde::de::DeserializeOwned;

use super::error::{ConfigError, Problem};
use super::faults::read_all;
use super::hide::Hidden;
use super::mistakes::Mistakes;
use super::substitute::{Sources, Unresolved, substitute};
use super::yaml::{from_node, parse};

/// Reads a whole document as `T`, after substituting `${env:NAME}` and `${file:/path}` in its scalars.
/// `file` is the name used in errors.
///
/// # Errors
/// The text is not YAML, a substitution fails, or the document is not a `T`: everything that is wrong, with the lines.
pub fn read_document<T: DeserializeOwned>(
    file: &str,
    text: &str,
    sources: &dyn Sources,
) -> Result<T, ConfigError> {
    read_checked(file, text, sources, Ok::<T, Mistakes>)
}

/// As [`read_document`], for a document that `check` makes something of.
///
/// # Errors
/// As [`read_document`], and what `check` finds wrong.
pub fn read_checked<S: DeserializeOwned, T>(
    file: &str,
    text: &str,
    sources: &dyn Sources,
    check: impl Fn(S) -> Result<T, Mistakes>,
) -> Result<T, ConfigError> {
    let read = || -> Result<T, Vec<Problem>> {
        let mut root = parse(text).map_err(|problem| vec![problem])?;
        let (mut hidden, mut unresolved) = (Hidden::default(), Unresolved::default());
        substitute(&mut root, sources, &mut unresolved, &mut hidden);
        hidden.add_secrets(&root);
        let value = read_all(&root, |root| Ok(check(from_node(root)?)?));
        match value {
            Ok(value) if unresolved.problems.is_empty() => Ok(value),
            failed => {
                let mut problems = failed.err().unwrap_or_default();
                problems.retain(|problem| !unresolved.explains(problem));
                problems.extend(unresolved.problems);
                problems.sort_by_key(|problem| problem.line);
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

/// Reads a document of another program as it stands: nothing is substituted.
///
/// # Errors
/// The text is not YAML, or the document is not a `T`: what is wrong first, with its line.
pub(crate) fn read_plain<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let read = parse(text).and_then(|root| from_node(&root));
    read.map_err(|problem| match problem.line {
        Some(line) => format!("line {line}: {problem}"),
        None => problem.to_string(),
    })
}
