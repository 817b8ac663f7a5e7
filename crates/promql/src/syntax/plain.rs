//! The query in the part of the language that `promql-parser` reads.
//!
//! In: the tokens of a query. Out: its text, in which arithmetic on durations is done, `anchored` and `smoothed` are
//! left out, an operator that trims histograms is a comparison, a text in backticks has quotes, and the selector of
//! `info` begins with a matcher of [`INFO_MARK`] (the parser wants one that does not match the empty text). `lower`
//! reads the tokens as they were.

use promql_parser::util::escape_string;

use crate::error::QueryError;
use crate::features::Features;
use crate::syntax::durations::{Arithmetic, is_duration_function};
use crate::syntax::lower::Bounds;
use crate::syntax::tokens::Tokens;
use crate::syntax::{BinaryOp, Edges, parse_error};

/// Words after which an expression begins, so that what follows is no modifier of a selector. After `by` and the like
/// there is a parenthesis, unless a metric is called so.
const OPERATOR_WORDS: [&str; 8] = [
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "group_left",
    "group_right",
    "offset",
];

/// The label of the matcher that is added to the selector of `info`.
pub(crate) const INFO_MARK: &str = "__info__";

#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) text: String,
    /// The tokens `anchored` and `smoothed` that were left out, by index.
    pub(crate) edges: Vec<usize>,
}

/// Rewrites a query.
///
/// # Errors
/// Arithmetic on durations or the modifiers of edges are faulty, or not switched on.
pub(crate) fn plain(
    tokens: &Tokens<'_>,
    bounds: Bounds,
    features: Features,
) -> Result<Plain, QueryError> {
    let mut rewriting = Rewriting {
        tokens,
        bounds,
        features,
        copied: 0,
        label_selectors: Vec::new(),
        plain: Plain {
            text: String::new(),
            edges: Vec::new(),
        },
    };
    let (mut index, mut braces) = (0, 0_usize);
    while index < tokens.len() {
        match tokens.text_at(index) {
            text if text.starts_with('`') => rewriting.raw_text(index),
            "{" => {
                braces += 1;
                rewriting.mark(index);
            }
            "}" => braces = braces.saturating_sub(1),
            _ if braces > 0 => {}
            "[" => index = rewriting.brackets(index)?,
            text if let Some((_, plain)) = BinaryOp::trim(text) => {
                // With `bool` the parser takes numbers too; `lower` has a better reason to refuse them.
                let said = tokens.text_at(index + 1).eq_ignore_ascii_case("bool");
                rewriting.replace(index, index + 1, plain);
                if !said {
                    rewriting.plain.text.push_str("bool ");
                }
            }
            "info" if tokens.text_at(index + 1) == "(" => {
                let second = tokens.second_argument(index + 1);
                rewriting.label_selectors.extend(second);
            }
            word if tokens.follows_selector(index) => {
                if word.eq_ignore_ascii_case("offset") {
                    index = rewriting.offset(index)?;
                } else if Edges::of_word(word).is_some() {
                    rewriting.edges(index)?;
                }
            }
            _ => {}
        }
        index += 1;
    }
    rewriting.copy_to(tokens.query().len());
    Ok(rewriting.plain)
}

struct Rewriting<'t, 'q> {
    tokens: &'t Tokens<'q>,
    bounds: Bounds,
    features: Features,
    /// Bytes of the query that are done.
    copied: usize,
    /// The braces of selectors that `info` takes, by index.
    label_selectors: Vec<usize>,
    plain: Plain,
}

impl Rewriting<'_, '_> {
    fn copy_to(&mut self, offset: usize) {
        let between = self.tokens.query().get(self.copied..offset);
        self.plain.text.push_str(between.unwrap_or_default());
        self.copied = offset;
    }

    /// Adds the matcher to the selector whose brace is a token, if `info` takes it.
    fn mark(&mut self, brace: usize) {
        if self.label_selectors.contains(&brace) {
            self.copy_to(self.tokens.end_of(brace));
            self.plain.text.push_str(INFO_MARK);
            self.plain.text.push_str("=\"1\",");
        }
    }

    /// The parser reads escapes in texts that have none.
    fn raw_text(&mut self, index: usize) {
        let token = self.tokens.text_at(index);
        if let Some(text) = token
            .strip_prefix('`')
            .and_then(|text| text.strip_suffix('`'))
            && text.contains('\\')
        {
            self.replace(index, index + 1, &format!("\"{}\"", escape_string(text)));
        }
    }

    /// Puts a text in the place of some tokens.
    fn replace(&mut self, first: usize, end: usize, text: &str) {
        self.copy_to(self.tokens.start_of(first));
        self.plain.text.push(' ');
        self.plain.text.push_str(text);
        self.plain.text.push(' ');
        self.copied = self.tokens.end_of(end.saturating_sub(1));
    }

    /// Rewrites what is between brackets, of which the first is a token, and returns the last token that is done.
    fn brackets(&mut self, open: usize) -> Result<usize, QueryError> {
        let mut ends = (open..self.tokens.len()).filter(|at| self.tokens.text_at(*at) == "]");
        let Some(close) = ends.next() else {
            return Ok(open);
        };
        let colon = (open..close).find(|at| self.tokens.text_at(*at) == ":");
        let range_end = colon.unwrap_or(close);
        self.duration(open + 1, range_end)?;
        if let Some(colon) = colon {
            self.duration(colon + 1, close)?;
        }
        Ok(close)
    }

    /// Does the arithmetic of a range or step; a single token is left to the parser.
    fn duration(&mut self, first: usize, end: usize) -> Result<(), QueryError> {
        if end.saturating_sub(first) < 2 {
            return Ok(());
        }
        self.check_arithmetic(first)?;
        let millis = Arithmetic::new(self.tokens, self.bounds, first, end).whole()?;
        self.replace(first, end, &duration_text(millis));
        Ok(())
    }

    /// Does the arithmetic of an offset, whose keyword is a token, and returns the last token that is done.
    fn offset(&mut self, keyword: usize) -> Result<usize, QueryError> {
        let first = keyword + 1;
        let signed = matches!(self.tokens.text_at(first), "+" | "-");
        let operand = first + usize::from(signed);
        let word = self.tokens.text_at(operand);
        let call = is_duration_function(word) && self.tokens.text_at(operand + 1) == "(";
        if word != "(" && !call {
            return Ok(keyword);
        }
        self.check_arithmetic(first)?;
        let arithmetic = Arithmetic::new(self.tokens, self.bounds, first, self.tokens.len());
        let (millis, end) = arithmetic.offset()?;
        self.replace(first, end, &duration_text(millis));
        Ok(end.saturating_sub(1))
    }

    fn check_arithmetic(&self, first: usize) -> Result<(), QueryError> {
        if self.features.duration_expressions {
            return Ok(());
        }
        Err(parse_error(
            "experimental duration expression is not enabled",
            self.tokens.position_at(first),
        ))
    }

    fn edges(&mut self, index: usize) -> Result<(), QueryError> {
        let word = self.tokens.text_at(index).to_ascii_lowercase();
        let position = self.tokens.position_at(index);
        if !self.features.extended_range_selectors {
            let message = format!("{word} modifier is experimental and not enabled");
            return Err(parse_error(&message, position));
        }
        if self.tokens.text_at(index + 1) == "[" {
            let message = format!("no {word} modifier allowed before range");
            return Err(parse_error(&message, position));
        }
        self.replace(index, index + 1, "");
        self.plain.edges.push(index);
        Ok(())
    }
}

impl Tokens<'_> {
    /// The first token of the second argument of the call whose parenthesis is a token.
    fn second_argument(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for index in open..self.len() {
            match self.text_at(index) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "," if depth == 1 => return Some(index + 1),
                _ => {}
            }
            if depth == 0 {
                return None;
            }
        }
        None
    }

    /// Whether the token at an index comes where a selector has just ended.
    fn follows_selector(&self, index: usize) -> bool {
        let Some(previous) = index.checked_sub(1).map(|index| self.text_at(index)) else {
            return false;
        };
        let word = previous.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_');
        let operator = OPERATOR_WORDS
            .iter()
            .any(|operator| previous.eq_ignore_ascii_case(operator));
        matches!(previous, "]" | "}" | ")") || (word && !operator)
    }
}

/// A duration as the parser reads it whatever its length.
fn duration_text(millis: i64) -> String {
    const DAY: u64 = 86_400_000;
    let size = millis.unsigned_abs();
    if size == 0 {
        return "0".to_owned();
    }
    let mut text = if millis < 0 { "-" } else { "" }.to_owned();
    let parts = [
        (size / DAY, "d"),
        (size % DAY / 1000, "s"),
        (size % 1000, "ms"),
    ];
    for (count, unit) in parts.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&count.to_string());
        text.push_str(unit);
    }
    text
}
