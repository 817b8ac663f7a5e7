//! All mistakes of one section or component, not only the first.
//!
//! serde stops at the first mistake. So what it complains about is taken out and the rest is read again, until nothing is
//! left to complain about. What can be read then is checked, and tells all its [`Mistakes`] at once. A complaint that only
//! follows from what was taken out is left out.

use super::error::Problem;
use super::mistakes::{Mistake, Mistakes};
use super::yaml::{Node, Value};

/// Mistakes told of one component, at most.
const FAULTS_MAX: usize = 32;

/// Why something was not read.
pub(super) enum Unread {
    /// It cannot be: the first of what is wrong.
    Shape(Problem),
    /// It makes no sense: all that is wrong.
    Sense(Mistakes),
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self::Shape(problem)
    }
}

impl From<Mistakes> for Unread {
    fn from(mistakes: Mistakes) -> Self {
        Self::Sense(mistakes)
    }
}

/// Reads `node`, or says everything that is wrong with it.
pub(super) fn read_all<T>(
    node: &Node,
    read: impl Fn(&Node) -> Result<T, Unread>,
) -> Result<T, Vec<Problem>> {
    let mut unread = match read(node) {
        Ok(value) => return Ok(value),
        Err(unread) => unread,
    };
    let mut rest = node.clone();
    let (mut problems, mut taken) = (Vec::new(), Taken::default());
    for _ in 0..FAULTS_MAX {
        let error = match unread {
            Unread::Shape(problem) => problem.or_line(node.line),
            Unread::Sense(mistakes) => {
                let mistakes = mistakes.into_vec().into_iter();
                let own = mistakes.filter(|mistake| !taken.explains_mistake(mistake));
                problems.extend(own.map(|mistake| placed(mistake, node)));
                break;
            }
        };
        let fault = Fault::of(&error);
        if !taken.explains(&fault) && !problems.contains(&error) {
            problems.push(at_its_line(error.clone(), node));
        }
        if !taken.take(&mut rest, &error, fault) {
            break;
        }
        match read(&rest) {
            Ok(_) => break,
            Err(again) => unread = again,
        }
    }
    Err(problems)
}

/// What a problem is about, as its message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    UnknownKey {
        key: String,
        meant: Option<String>,
    },
    MissingKey(String),
    Value,
    /// The component as a whole.
    Whole,
}

impl Fault {
    fn of(problem: &Problem) -> Self {
        let message = problem.message.as_str();
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if message.starts_with("unknown key `") {
            let key = quoted.next().unwrap_or_default();
            let meant = quoted
                .next()
                .filter(|_| message.contains("; did you mean `"));
            return Self::UnknownKey { key, meant };
        }
        if message.starts_with("key `") && message.ends_with("` is missing") {
            return Self::MissingKey(quoted.next().unwrap_or_default());
        }
        match problem.path.is_empty() {
            true => Self::Whole,
            false => Self::Value,
        }
    }
}

/// What has been taken out so far.
#[derive(Debug, Default)]
struct Taken {
    /// Paths of values.
    paths: Vec<Vec<String>>,
    /// Keys that unknown ones were probably meant to be.
    meant: Vec<String>,
}

impl Taken {
    /// Whether the problem is there only because of what is not there any more.
    fn explains(&self, fault: &Fault) -> bool {
        match fault {
            Fault::MissingKey(key) => {
                let mut keys = self.paths.iter().filter_map(|path| path.last());
                keys.any(|taken| taken == key) || self.meant.contains(key)
            }
            Fault::Whole => self.explains_whole(),
            Fault::UnknownKey { .. } | Fault::Value => false,
        }
    }

    fn explains_whole(&self) -> bool {
        !self.paths.is_empty() || !self.meant.is_empty()
    }

    /// Whether one of the settings that a mistake is about was taken out, or one above or below it.
    fn explains_mistake(&self, mistake: &Mistake) -> bool {
        let is_gone = |setting: &Vec<String>| {
            let keys = || setting.iter().filter(|key| key.parse::<usize>().is_err());
            let is_near = |path: &Vec<String>| path.iter().zip(keys()).all(|(a, b)| a == b);
            self.paths.iter().any(is_near) || keys().any(|key| self.meant.contains(key))
        };
        match mistake.settings.as_slice() {
            [] => self.explains_whole(),
            settings => settings.iter().any(is_gone),
        }
    }

    /// Takes the culprit out of `node`; false when that cannot be done.
    fn take(&mut self, node: &mut Node, problem: &Problem, fault: Fault) -> bool {
        let line = problem.line.unwrap_or(node.line);
        match fault {
            Fault::UnknownKey { key, meant } => {
                let path = [problem.path.as_slice(), &[key]].concat();
                // What was meant is there beside it, or is missing now.
                let is_missing = |meant: &String| {
                    let beside = [problem.path.as_slice(), std::slice::from_ref(meant)].concat();
                    find(node, &beside).is_none()
                };
                self.meant.extend(meant.filter(is_missing));
                remove(node, &path, line)
            }
            Fault::Value => {
                self.paths.push(problem.path.clone());
                let quoted = problem.message.split('`').nth(1).unwrap_or_default();
                remove_item(node, &problem.path, line, quoted) || remove(node, &problem.path, line)
            }
            // What it is missing in goes as a whole.
            Fault::MissingKey(_) if !problem.path.is_empty() => {
                self.paths.push(problem.path.clone());
                remove(node, &problem.path, line)
            }
            Fault::MissingKey(_) | Fault::Whole => false,
        }
    }
}

/// Removes the item `text` from the list at `path`, so that the other items are read.
fn remove_item(node: &mut Node, path: &[String], line: usize, text: &str) -> bool {
    let Some((first, rest)) = path.split_first() else {
        let Value::List(items) = &mut node.value else {
            return false;
        };
        let is_it = |item: &Node| {
            let value = matches!(&item.value, Value::Scalar { text: own, .. } if own == text);
            value && item.line == line
        };
        let found = items.iter().position(is_it);
        return found.map(|at| items.remove(at)).is_some();
    };
    match &mut node.value {
        Value::Scalar { .. } => false,
        Value::List(items) => items
            .iter_mut()
            .any(|item| reaches(item, line) && remove_item(item, path, line, text)),
        Value::Map(entries) => entries
            .iter_mut()
            .find(|(key, _)| key.name == *first)
            .is_some_and(|(_, value)| remove_item(value, rest, line, text)),
    }
}

/// Removes the entry at `path` that stands on `line` or reaches over it. Lists are not part of paths.
fn remove(node: &mut Node, path: &[String], line: usize) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    match &mut node.value {
        Value::Scalar { .. } => false,
        Value::List(items) => items
            .iter_mut()
            .any(|item| reaches(item, line) && remove(item, path, line)),
        Value::Map(entries) => {
            let found = entries.iter().position(|(key, _)| key.name == *first);
            let Some(index) = found else { return false };
            if rest.is_empty() {
                entries.remove(index);
                return true;
            }
            entries
                .get_mut(index)
                .is_some_and(|(_, value)| remove(value, rest, line))
        }
    }
}

fn reaches(node: &Node, line: usize) -> bool {
    (node.line..=last_line(node)).contains(&line)
}

fn last_line(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => node.line,
        Value::List(items) => items.iter().map(last_line).fold(node.line, usize::max),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| key.line.max(last_line(value)))
            .fold(node.line, usize::max),
    }
}

/// A mistake stands where the first of its settings does that is there, or where a value is that it quotes of that.
fn placed(mistake: Mistake, node: &Node) -> Problem {
    let Mistake { settings, problem } = mistake;
    let is_known = problem.line.is_some();
    let found = settings.iter().find_map(|setting| find(node, setting));
    let (line, own) = found.unwrap_or((node.line, node));
    let mut problem = at_its_line(problem.or_line(own.line), own);
    if !is_known && problem.line == Some(own.line) {
        problem.line = Some(line);
    }
    problem
}

/// The line of the key at the end of a path, and its value. A number is a place in a list.
fn find<'n>(node: &'n Node, path: &[String]) -> Option<(usize, &'n Node)> {
    let (mut line, mut own) = (node.line, node);
    for step in path {
        match &own.value {
            Value::Map(entries) => {
                let (key, value) = entries.iter().find(|(key, _)| key.name == *step)?;
                (line, own) = (key.line, value);
            }
            Value::List(items) => {
                let item = step.parse().ok().and_then(|at: usize| items.get(at))?;
                (line, own) = (item.line, item);
            }
            Value::Scalar { .. } => return None,
        }
    }
    Some((line, own))
}

/// A problem of a component as a whole names what it is about: its line is the one where that stands.
fn at_its_line(mut problem: Problem, node: &Node) -> Problem {
    let lines = problem.message.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    // A caret says nothing but below the line it points into.
    let points = lines.last() == Some(&"^");
    let message = match points {
        true => problem.message.clone(),
        false => lines
            .into_iter()
            .filter(|line| *line != "^")
            .collect::<Vec<_>>()
            .join("; "),
    };
    if problem.line == Some(node.line) {
        let quoted = ['`', '"'].into_iter().flat_map(|quote| {
            let parts: Vec<&str> = problem.message.split(quote).collect();
            parts.into_iter().skip(1).step_by(2)
        });
        if let Some(line) = quoted.filter_map(|text| line_of(node, text)).next() {
            problem.line = Some(line);
        }
    }
    Problem { message, ..problem }
}

/// Where a scalar or a key `text` stands.
fn line_of(node: &Node, text: &str) -> Option<usize> {
    match &node.value {
        Value::Scalar { text: scalar, .. } => (scalar == text).then_some(node.line),
        Value::List(items) => items.iter().find_map(|item| line_of(item, text)),
        Value::Map(entries) => entries.iter().find_map(|(key, value)| {
            let below = line_of(value, text);
            below.or_else(|| (key.name == text).then_some(key.line))
        }),
    }
}
