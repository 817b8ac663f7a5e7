//! What is wrong with a configuration, with the file and the line.

use std::fmt;

use serde::de;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// Keys from the outermost to the one concerned.
    pub path: Vec<String>,
    pub message: String,
}

/// A configuration that cannot be used, with every mistake that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's name as it was given.
    pub file: String,
    pub problems: Vec<Problem>,
}

impl Problem {
    pub(crate) fn at(line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            path: Vec::new(),
            message: message.into(),
        }
    }

    pub(crate) fn or_line(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    pub(crate) fn inside(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }
}

/// Says that `name` is not known, and which known name is nearest.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let mut message = format!("unknown {what} `{name}`");
    let lower = name.to_lowercase();
    let nearest = known
        .iter()
        .map(|candidate| {
            let known = candidate.to_lowercase();
            (strsim::damerau_levenshtein(&lower, &known), candidate)
        })
        .min();
    match nearest {
        // Of further ones most letters are others.
        Some((distance, candidate)) if distance <= name.len().max(candidate.len()) / 3 => {
            message.push_str(&format!("; did you mean `{candidate}`?"));
        }
        _ => {}
    }
    if known.is_empty() {
        message.push_str("; none is known here");
    } else {
        message.push_str(&format!(" (known: {})", known.join(", ")));
    }
    message
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        de::Error::custom(message)
    }
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            line: None,
            path: Vec::new(),
            message: message.to_string(),
        }
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match unexpected {
            de::Unexpected::Unit | de::Unexpected::Option => {
                Self::custom(format_args!("the value is empty, expected {expected}"))
            }
            _ => Self::custom(format_args!(
                "invalid type: {unexpected}, expected {expected}"
            )),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(unknown("key", field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(unknown("value", variant, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("key `{field}` is missing"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("."))?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                Some(line) => write!(f, "{}:{line}: {problem}", self.file)?,
                None => write!(f, "{}: {problem}", self.file)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for ConfigError {}
