//! Reads a query from left to right, without backtracking.

use std::time::Duration;

use vervet_model::matcher::REGEX_SIZE_BYTES_MAX;
use vervet_model::{MatchOp, Matcher};
use vervet_store::{GroupBy, LineFilter, LineFilterOp};

use super::{
    LogqlError, MetricQuery, QUERY_BYTES_MAX, Query, RangeAggregation, RangeFunction, Selector,
    grouping, stand_in,
};

/// # Errors
/// The text is not a LogQL query, or uses a part of the language that is not supported.
pub(crate) fn parse(text: &str) -> Result<Query, LogqlError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(LogqlError {
            position: 0,
            message: format!("the query is longer than {QUERY_BYTES_MAX} bytes"),
        });
    }
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    if cursor.peek() == Some('{') {
        let selector = cursor.selector()?;
        cursor.skip_space();
        return match cursor.peek() {
            None => Ok(Query::Logs(selector)),
            Some(_) => Err(cursor.error("unexpected text after the log query")),
        };
    }
    metric_query(cursor)
}

fn metric_query(mut cursor: Cursor<'_>) -> Result<Query, LogqlError> {
    let mut query = MetricQuery {
        promql: String::new(),
        aggregations: Vec::new(),
    };
    while let Some(next) = cursor.peek() {
        let start = cursor.at;
        if next == '"' || next == '`' {
            cursor.quoted()?;
        } else if next == '{' {
            return Err(cursor.error(
                "a log query must stand inside a range aggregation such as count_over_time",
            ));
        } else if next.is_ascii_alphabetic() || next == '_' {
            let name = cursor.identifier();
            if let Some(function) = RangeFunction::from_name(name) {
                let mut aggregation = cursor.range_aggregation(function)?;
                aggregation.group_by = grouping::around(&query.promql, cursor.rest());
                query.promql.push_str(&stand_in(query.aggregations.len()));
                query.aggregations.push(aggregation);
                continue;
            }
        } else {
            cursor.at += next.len_utf8();
        }
        query
            .promql
            .push_str(cursor.text.get(start..cursor.at).unwrap_or_default());
    }
    if query.promql.trim().is_empty() {
        return Err(cursor.error("the query is empty"));
    }
    Ok(Query::Metric(query))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, message: impl Into<String>) -> LogqlError {
        LogqlError {
            position: self.at,
            message: message.into(),
        }
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Skips white space and then `token`, if it stands there.
    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), LogqlError> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.error(format!("expected {token:?}")))
        }
    }

    /// Letters, digits, `_`, and `.` or `:`, which some label names hold.
    fn identifier(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':')))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// `{a="b", c=~"d"} |= "x" != "y"`
    fn selector(&mut self) -> Result<Selector, LogqlError> {
        let mut selector = Selector::default();
        self.expect("{")?;
        while !self.eat("}") {
            selector.matchers.push(self.matcher()?);
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        loop {
            if let Some(filter) = self.line_filter()? {
                selector.filters.push(filter);
            } else if let Some(matcher) = self.label_filter()? {
                selector.metadata.push(matcher);
            } else {
                break;
            }
        }
        Ok(selector)
    }

    fn matcher(&mut self) -> Result<Matcher, LogqlError> {
        self.skip_space();
        let name = self.identifier();
        if name.is_empty() {
            return Err(self.error("expected a label name"));
        }
        let operators = [
            ("=~", MatchOp::Regex),
            ("!~", MatchOp::NotRegex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ];
        let Some(op) = operators
            .into_iter()
            .find_map(|(token, op)| self.eat(token).then_some(op))
        else {
            return Err(self.error("expected one of =, !=, =~, !~"));
        };
        self.skip_space();
        let at = self.at;
        let value = self.quoted()?;
        Matcher::new(name, op, value).map_err(|error| LogqlError {
            position: at,
            message: error.to_string(),
        })
    }

    /// `| name="value"`; any other stage is named as unsupported.
    fn label_filter(&mut self) -> Result<Option<Matcher>, LogqlError> {
        self.skip_space();
        let stage = self.error(
            "only the line filters |=, !=, |~, !~ and label filters such as | trace_id=\"...\" are supported here",
        );
        if !self.eat("|") {
            return Ok(None);
        }
        self.skip_space();
        let rest = self
            .rest()
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !rest.trim_start().starts_with(['=', '!']) {
            return Err(stage);
        }
        self.matcher().map(Some)
    }

    fn line_filter(&mut self) -> Result<Option<LineFilter>, LogqlError> {
        let operators = [
            ("|=", LineFilterOp::Contains),
            ("!=", LineFilterOp::NotContains),
            ("|~", LineFilterOp::Regex),
            ("!~", LineFilterOp::NotRegex),
        ];
        let Some(op) = operators
            .into_iter()
            .find_map(|(token, op)| self.eat(token).then_some(op))
        else {
            return Ok(None);
        };
        self.skip_space();
        let at = self.at;
        let text = self.quoted()?;
        if matches!(op, LineFilterOp::Regex | LineFilterOp::NotRegex) {
            let regex = regex::RegexBuilder::new(&text)
                .size_limit(REGEX_SIZE_BYTES_MAX)
                .build();
            regex.map_err(|error| LogqlError {
                position: at,
                message: error.to_string(),
            })?;
        }
        Ok(Some(LineFilter { op, text }))
    }

    /// The argument list of a range aggregation, up to its closing parenthesis.
    fn range_aggregation(
        &mut self,
        function: RangeFunction,
    ) -> Result<RangeAggregation, LogqlError> {
        self.expect("(")?;
        self.skip_space();
        let selector = self.selector()?;
        self.expect("[")?;
        let range = self.duration()?;
        self.expect("]")?;
        self.expect(")")?;
        Ok(RangeAggregation {
            function,
            selector,
            range,
            group_by: GroupBy::All,
        })
    }

    fn duration(&mut self) -> Result<Duration, LogqlError> {
        self.skip_space();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let duration = crate::time::parse_duration(text).filter(|duration| !duration.is_zero());
        let duration =
            duration.ok_or_else(|| self.error(format!("{text:?} is not a duration such as 5m")))?;
        self.at += end;
        Ok(duration)
    }

    /// A string in double quotes (with escapes) or backticks (without).
    fn quoted(&mut self) -> Result<String, LogqlError> {
        let unterminated = self.error("expected a string in double quotes or backticks");
        let quote = self
            .peek()
            .filter(|c| matches!(c, '"' | '`'))
            .ok_or_else(|| unterminated.clone())?;
        self.at += 1;
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((index, c)) = chars.next() {
            if c == quote {
                self.at += index + 1;
                return Ok(out);
            }
            if c != '\\' || quote == '`' {
                out.push(c);
                continue;
            }
            let (_, escaped) = chars.next().ok_or_else(|| unterminated.clone())?;
            match escaped {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                '"' | '\\' | '\'' => out.push(escaped),
                // Go would refuse it; a regular expression's own escape is what the user meant.
                other => out.extend(['\\', other]),
            }
        }
        Err(unterminated)
    }
}
