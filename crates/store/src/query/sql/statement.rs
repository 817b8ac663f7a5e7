//! What is looked at before a statement is parsed: a plan is walked recursively, so its depth must be bounded.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::StoreError;

/// Longest text (bytes).
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Operators and set operations, each of which may make the plan one deeper. Values of a list are no such.
const OPERATORS_MAX: usize = 1_000;

/// # Errors
/// [`StoreError::QueryTooLarge`], or [`StoreError::Invalid`] when the text is no SQL at all.
pub(super) fn check(query: &str) -> Result<(), StoreError> {
    if query.len() > TEXT_BYTES_MAX {
        return Err(StoreError::QueryTooLarge {
            what: "bytes of text",
            limit: TEXT_BYTES_MAX as u64,
        });
    }
    let tokens = Tokenizer::new(&GenericDialect {}, query)
        .tokenize()
        .map_err(|error| StoreError::Invalid {
            reason: format!("SQL error: {error}"),
        })?;
    let operators = tokens.iter().filter(|token| is_operator(token)).count();
    if operators > OPERATORS_MAX {
        return Err(StoreError::QueryTooLarge {
            what: "operators",
            limit: OPERATORS_MAX as u64,
        });
    }
    Ok(())
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::COLLATE
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::WITH
                | Keyword::SELECT
        ),
        Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Comma
        | Token::Period
        | Token::RParen
        | Token::RBracket
        | Token::SemiColon
        | Token::EOF => false,
        // Calls, indexes and everything that stands between two values.
        _ => true,
    }
}
