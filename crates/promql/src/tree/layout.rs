//! Expressions in several lines: what does not fit into one is broken at its operator, parentheses or arguments.

use std::fmt::{self, Write};

use super::text::Operator;
use super::{Aggregate, Tree};

/// The longest expression that stays in one line, without what it is indented by (bytes).
const LINE_BYTES_MAX: usize = 100;

pub(super) fn layout(tree: &Tree) -> String {
    let mut lines = Lines(String::new());
    lines.expression(tree, 0);
    lines.0
}

struct Lines(String);

impl Lines {
    /// An expression that begins with a line.
    fn expression(&mut self, tree: &Tree, level: usize) {
        // Prometheus does not indent a subquery of one line.
        if !matches!(tree, Tree::Subquery { .. }) || !fits(tree) {
            self.indent(level);
        }
        self.rest(tree, level);
    }

    /// An expression after what its first line is indented by.
    fn rest(&mut self, tree: &Tree, level: usize) {
        match tree {
            Tree::Number(_) | Tree::Text(_) | Tree::Selector(_) => self.show(tree),
            _ if fits(tree) => self.show(tree),
            Tree::Subquery { inner, .. } => {
                self.rest(inner, level);
                written(tree.write_suffix(&mut self.0));
            }
            Tree::Call { name, args } => {
                self.0.push_str(name);
                self.parentheses(args.iter(), level);
            }
            Tree::Aggregate(aggregate) => {
                let Aggregate { param, inner, .. } = &**aggregate;
                self.0.push_str(&aggregate.head());
                self.parentheses(param.iter().chain([inner]), level);
            }
            Tree::Binary(binary) => {
                // The left side goes one level deeper than where the line is.
                self.indent(1);
                self.rest(&binary.left, level + 1);
                self.0.push('\n');
                self.indent(level);
                self.show(Operator(binary));
                self.0.push('\n');
                self.expression(&binary.right, level + 1);
            }
            Tree::Unary { sign, inner } => {
                self.0.push_str(sign);
                self.unary(inner, level);
            }
            Tree::Paren(inner) => self.parentheses([&**inner].into_iter(), level),
        }
    }

    /// What a sign stands before: its first line is not indented.
    fn unary(&mut self, inner: &Tree, level: usize) {
        let start = self.0.len();
        self.rest(inner, level);
        let spaces = self
            .0
            .get(start..)
            .map_or(0, |text| text.len() - text.trim_start().len());
        self.0.replace_range(start..start + spaces, "");
    }

    /// Arguments, each in lines of its own.
    fn parentheses<'a>(&mut self, args: impl Iterator<Item = &'a Tree>, level: usize) {
        self.0.push_str("(\n");
        for (index, arg) in args.enumerate() {
            if index > 0 {
                self.0.push_str(",\n");
            }
            self.expression(arg, level + 1);
        }
        self.0.push('\n');
        self.indent(level);
        self.0.push(')');
    }

    fn indent(&mut self, level: usize) {
        self.0.extend(std::iter::repeat_n("  ", level));
    }

    fn show(&mut self, what: impl fmt::Display) {
        written(write!(self.0, "{what}"));
    }
}

/// There is always room in a string.
fn written(result: fmt::Result) {
    debug_assert!(result.is_ok());
}

fn fits(tree: &Tree) -> bool {
    write!(Room(LINE_BYTES_MAX), "{tree}").is_ok()
}

/// Takes so many bytes and no more, so that a long expression is not written out at each of its levels.
struct Room(usize);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}
