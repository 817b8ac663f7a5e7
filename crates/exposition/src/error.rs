//! What is wrong with a body, in Prometheus's words.

use std::fmt;

/// Of what is cited from the body (bytes).
const CITED_BYTES_MAX: usize = 160;

/// The body is not what it was said to be. The scrape has failed; the next one may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Lines count from 1; the one where the statement begins.
    #[error("line {line}: {message}")]
    Line { line: u64, message: String },
    /// Messages count from 1.
    #[error("message {message}: {reason}")]
    Message { message: u64, reason: String },
    /// The text does not end as OpenMetrics has it. It was cut off, or is of the other format.
    #[error("data does not end with # EOF")]
    NoEof,
    #[error("line {line}: unexpected data after # EOF")]
    AfterEof { line: u64 },
    #[error("line {line} is longer than {max} bytes")]
    LineTooLong { line: u64, max: usize },
    #[error("message {message} is longer than {max} bytes")]
    MessageTooLong { message: u64, max: usize },
    /// The body ends inside of a protobuf message.
    #[error("unexpected EOF in message {message}")]
    MessageCutOff { message: u64 },
}

/// Why a statement was not taken.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A quote is open at the end of the line; the statement may go on in the next one.
    OpenQuote,
    AfterEof,
    Malformed(String),
}

impl Fault {
    /// A token other than the expected one begins at `at`.
    #[cold]
    pub(crate) fn expected(expected: &str, statement: &[u8], at: usize) -> Self {
        let got = statement.get(at..).unwrap_or_default();
        let until = got.iter().position(|byte| b" \t{}=,\"\n".contains(byte));
        let got = got
            .get(..until.unwrap_or(got.len()).max(1))
            .unwrap_or(b"\n");
        let got = Cited(got);
        let message = format!("{expected}, got {got} while parsing: {}", Cited(statement));
        Self::Malformed(message)
    }

    /// Something else is wrong in the statement.
    #[cold]
    pub(crate) fn while_parsing(error: &dyn fmt::Display, statement: &[u8]) -> Self {
        Self::Malformed(format!("{error} while parsing: {}", Cited(statement)))
    }
}

/// Bytes in quotes, not too many of them.
pub(crate) struct Cited<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Cited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cited = self.0.get(..CITED_BYTES_MAX);
        let text = String::from_utf8_lossy(cited.unwrap_or(self.0));
        write!(f, "{text:?}")?;
        match cited {
            Some(cited) if cited.len() < self.0.len() => f.write_str("..."),
            _ => Ok(()),
        }
    }
}
