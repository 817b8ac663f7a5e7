//! Series selectors: the `match[]` parameters and the matchers inside queries.

use promql_parser::label::{MatchOp as ParsedOp, Matchers};
use promql_parser::parser::{Expr, VectorSelector, parse};
use vervet_model::{METRIC_NAME, MatchOp, Matcher};

use crate::error::QueryError;
use crate::features::Features;
use crate::stack::with_room;
use crate::syntax::lower::Bounds;
use crate::syntax::plain::plain;
use crate::syntax::tokens::Tokens;

/// The matchers of a series selector such as `up{job="api"}`, for `match[]` parameters.
///
/// # Errors
/// The text is no selector, has a range, offset or `@`, or an invalid regular expression.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    with_room(text, || parse_shallow(text))
}

fn parse_shallow(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let tokens = Tokens::scan(text)?;
    let nothing = Bounds {
        start: 0,
        end: 0,
        step: 0,
    };
    let plain = plain(&tokens, nothing, Features::default())?;
    match parse(&plain.text).map_err(|message| tokens.explain(message))? {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => {
            matchers_of(&selector)
        }
        _ => Err(QueryError::Parse {
            message: "expected a series selector such as up{job=\"api\"}".to_owned(),
            position: None,
        }),
    }
}

/// The matchers of a parsed selector, its metric name among them.
pub(crate) fn matchers_of(selector: &VectorSelector) -> Result<Vec<Matcher>, QueryError> {
    let Matchers {
        matchers,
        or_matchers,
    } = &selector.matchers;
    if !or_matchers.is_empty() {
        return Err(QueryError::Unsupported {
            what: "`or` between label matchers".to_owned(),
            position: None,
        });
    }
    let mut all = Vec::with_capacity(matchers.len() + 1);
    if let Some(name) = &selector.name {
        all.push(Matcher::equal(METRIC_NAME, name));
    }
    for matcher in matchers {
        let op = match matcher.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Regex,
            ParsedOp::NotRe(_) => MatchOp::NotRegex,
        };
        all.push(Matcher::new(&*matcher.name, op, &*matcher.value)?);
    }
    Ok(all)
}
