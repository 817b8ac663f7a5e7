//! Expressions in one line, in Prometheus's spelling.

use std::fmt::{self, Display, Formatter, Write};

use super::{Aggregate, At, Binary, Matcher, Matching, Number, Selector, Shift, Span, Tree};
use crate::format::{format_message, format_plain, is_identifier};
use crate::syntax::{Cardinality, Edges};

impl Display for Tree {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Selector(selector) => selector.fmt(f),
            Self::Subquery { inner, .. } => {
                inner.fmt(f)?;
                self.write_suffix(f)
            }
            Self::Call { name, args } => write!(f, "{name}({})", Listed(args)),
            Self::Aggregate(aggregate) => {
                write!(f, "{}(", aggregate.head())?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.inner)
            }
            Self::Binary(binary) => {
                write!(f, "{} {} {}", binary.left, Operator(binary), binary.right)
            }
            Self::Unary { sign, inner } => write!(f, "{sign}{inner}"),
            Self::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Tree {
    /// What a subquery adds to the expression in it.
    pub(super) fn write_suffix(&self, f: &mut impl Write) -> fmt::Result {
        let Self::Subquery {
            range, step, shift, ..
        } = self
        else {
            return Ok(());
        };
        write!(f, "[{}:", Range(range))?;
        if let Some(step) = step {
            write!(f, "{}", Range(step))?;
        }
        write!(f, "]{}{}", shift.at(), shift.offset())
    }
}

/// Items with a comma and a space between them.
struct Listed<'a, T>(&'a [T]);

impl<T: Display> Display for Listed<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.duration {
            true => f.write_str(&duration_text(self.value)),
            false => f.write_str(&format_plain(self.value)),
        }
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let mut matchers: Vec<String> = self.matchers.iter().map(Matcher::to_string).collect();
        matchers.sort_unstable();
        if !matchers.is_empty() {
            write!(f, "{{{}}}", matchers.join(","))?;
        }
        let edges = match self.edges {
            Edges::Sampled => String::new(),
            edges => format!(" {}", edges.as_str()),
        };
        let (at, offset) = (self.shift.at(), self.shift.offset());
        match &self.range {
            Some(range) => write!(f, "[{}]{edges}{at}{offset}", Range(range)),
            None => write!(f, "{at}{edges}{offset}"),
        }
    }
}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            label_text(&self.name),
            self.op.as_str(),
            quoted(&self.value)
        )
    }
}

impl Shift {
    fn at(&self) -> String {
        match self.at {
            None => String::new(),
            Some(At::Start) => " @ start()".to_owned(),
            Some(At::End) => " @ end()".to_owned(),
            Some(At::Time(millis)) => format!(" @ {:.3}", millis as f64 / 1000.0),
        }
    }

    fn offset(&self) -> String {
        match &self.offset {
            None => String::new(),
            Some(span) => format!(" offset {}", Range(span)),
        }
    }
}

/// A duration where the language wants one: a number alone is one of seconds.
struct Range<'a>(&'a Span);

impl Display for Range<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Span::Number(number) => f.write_str(&duration_text(number.value)),
            span => span.fmt(f),
        }
    }
}

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Call { name, args } => write!(f, "{name}({})", Listed(args)),
            Self::Negative(inner) => write!(f, "-{inner}"),
            Self::Wrapped(inner) => write!(f, "({inner})"),
            Self::Binary(binary) => {
                let (left, sign, right) = &**binary;
                write!(f, "{left} {sign} {right}")
            }
        }
    }
}

impl Aggregate {
    /// All before the parenthesis.
    pub(super) fn head(&self) -> String {
        let op = self.op.as_str();
        match (self.without, self.labels.is_empty()) {
            (true, _) => format!("{op} without ({}) ", labels_text(&self.labels)),
            (false, false) => format!("{op} by ({}) ", labels_text(&self.labels)),
            (false, true) => op.to_owned(),
        }
    }
}

/// An operator with what it says of matching.
pub(super) struct Operator<'a>(pub(super) &'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        self.0
            .matching
            .as_ref()
            .map_or(Ok(()), |matching| matching.fmt(f))
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::OneToOne => None,
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            let word = if self.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", labels_text(&self.labels))?;
        }
        if let Some(group) = group {
            write!(f, " {group} ({})", labels_text(&self.include))?;
        }
        let sides = match self.fill.both {
            true => [("fill", self.fill.left), ("", None)],
            false => [
                ("fill_left", self.fill.left),
                ("fill_right", self.fill.right),
            ],
        };
        for (word, value) in sides {
            if let Some(value) = value {
                write!(f, " {word} ({})", format_message(value))?;
            }
        }
        Ok(())
    }
}

fn labels_text(labels: &[String]) -> String {
    let labels: Vec<String> = labels.iter().map(|label| label_text(label)).collect();
    labels.join(", ")
}

/// In quotes where it is no word.
fn label_text(label: &str) -> String {
    if is_identifier(label, false) {
        label.to_owned()
    } else {
        quoted(label)
    }
}

/// A text in double quotes, with what cannot be seen escaped as Go does it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for next in text.chars() {
        match next {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => quoted.push_str(&format!("\\x{:02x}", u32::from(next))),
            _ if is_visible(next) => quoted.push(next),
            '\u{10000}'.. => quoted.push_str(&format!("\\U{:08x}", u32::from(next))),
            _ => quoted.push_str(&format!("\\u{:04x}", u32::from(next))),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a character is shown as it is; a mark that goes onto the letter before it is.
fn is_visible(next: char) -> bool {
    next.is_ascii() || !format!("a{next}").escape_debug().any(|shown| shown == '\\')
}

/// Seconds with units, the largest first; years and weeks only where nothing is left over.
pub(super) fn duration_text(seconds: f64) -> String {
    const UNITS: [(&str, u64, bool); 7] = [
        ("y", 31_536_000_000, true),
        ("w", 604_800_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1_000, false),
        ("ms", 1, false),
    ];
    let millis = millis(seconds);
    let mut rest = millis.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = if millis < 0 { "-" } else { "" }.to_owned();
    for (unit, size, exactly) in UNITS {
        if rest >= size && (!exactly || rest.is_multiple_of(size)) {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "durations in a query are far within 64 bits of milliseconds"
)]
pub(super) fn millis(seconds: f64) -> i64 {
    // Thousandths such as 0.009 are not exact, and parts of a nanosecond do not count.
    ((seconds * 1e9).round() / 1e6) as i64
}
