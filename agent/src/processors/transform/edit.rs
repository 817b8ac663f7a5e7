//! The functions that change something, by OTTL's names.

use std::borrow::Cow;

use globset::Glob;
use regex::Regex;
use vervet_wire::otlp::{KeyValue, Value};

use super::target::Target;
use crate::config::unknown;
use crate::processors::expr::{
    Ast, AstKind, Checker, Context, EvalError, Expr, ExprError, Path, Type,
};

/// What a statement does, compiled.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    Set(Path, Expr),
    DeleteKey(Path, String),
    RenameKey(Path, String, String),
    DeleteMatchingKeys(Path, Regex),
    KeepMatchingKeys(Path, Regex),
    KeepKeys(Path, Vec<String>),
    ReplacePattern(Path, Regex, String),
    /// The whole text, where the pattern is anchored to both its ends.
    ReplaceMatch(Path, Regex, String),
    ReplaceAllPatterns(Path, Side, Regex, String),
    ReplaceAllMatches(Path, Regex, String),
    TruncateAll(Path, usize),
    Limit(Path, usize, Vec<String>),
    MergeMaps(Path, Expr, Strategy),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Key,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Insert,
    Update,
    Upsert,
}

const NAMES: [(&str, &str); 13] = [
    ("set", "a field and a value"),
    ("delete_key", "a map and a key"),
    ("rename_key", "a map, the old and the new key"),
    ("delete_matching_keys", "a map and a pattern"),
    ("keep_matching_keys", "a map and a pattern"),
    ("keep_keys", "a map and a list of keys"),
    ("replace_pattern", "a field, a pattern and a text"),
    ("replace_match", "a field, a glob and a text"),
    (
        "replace_all_patterns",
        "a map, \"key\" or \"value\", a pattern and a text",
    ),
    ("replace_all_matches", "a map, a glob and a text"),
    ("truncate_all", "a map and a number of bytes"),
    ("limit", "a map, a number and a list of keys"),
    (
        "merge_maps",
        "a map, another, and \"insert\", \"update\" or \"upsert\"",
    ),
];

/// The field that a call changes: its first argument.
pub(super) fn target(call: &Ast) -> Result<&Ast, ExprError> {
    let AstKind::Call { name, arguments } = &call.kind else {
        return Err(ExprError::new(call.at, "a statement calls a function"));
    };
    let Some((_, takes)) = NAMES.iter().find(|(known, _)| known == name) else {
        let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
        let message = if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            format!("{name} gives a value and changes nothing; use set(field, {name}(...))")
        } else {
            unknown("function", name, &known)
        };
        return Err(ExprError::new(call.at, message));
    };
    let missing = || ExprError::new(call.at, format!("{name} takes {takes}"));
    arguments.first().ok_or_else(missing)
}

impl Edit {
    /// Compiles a call.
    ///
    /// # Errors
    /// The function is not known, or its arguments do not fit.
    pub(super) fn compile(checker: Checker, call: &Ast) -> Result<Self, ExprError> {
        let first = target(call)?;
        let AstKind::Call { name, arguments } = &call.kind else {
            return Err(ExprError::new(call.at, "a statement calls a function"));
        };
        let (path, kind, settable) = checker.path(first)?;
        if !settable {
            return Err(ExprError::new(first.at, "this field cannot be changed"));
        }
        let takes = |wanted: Type| {
            if kind.fits(wanted) {
                return Ok(());
            }
            let message = format!("this is {kind}; {name} needs {wanted}");
            Err(ExprError::new(first.at, message))
        };
        let edit = match (name.as_str(), arguments.get(1..).unwrap_or_default()) {
            ("set", [value]) => Self::Set(path, checker.of_type(value, kind)?),
            ("merge_maps", [source, strategy]) => {
                takes(Type::Map)?;
                let source = checker.of_type(source, Type::Map)?;
                Self::MergeMaps(path, source, one_of(strategy, &STRATEGIES)?)
            }
            ("replace_pattern", [pattern, with]) => {
                takes(Type::Text)?;
                Self::ReplacePattern(path, checker.regex(pattern)?, text(with)?)
            }
            ("replace_match", [pattern, with]) => {
                takes(Type::Text)?;
                Self::ReplaceMatch(path, glob(pattern)?, text(with)?)
            }
            (_, rest) => {
                takes(Type::Map)?;
                return Self::of_map(checker, path, name, rest).unwrap_or_else(|| {
                    let takes = NAMES.iter().find(|(known, _)| known == name);
                    let takes = takes.map_or("", |(_, takes)| takes);
                    Err(ExprError::new(call.at, format!("{name} takes {takes}")))
                });
            }
        };
        Ok(edit)
    }

    /// The functions on maps; `None` when there are too few or too many arguments.
    fn of_map(
        checker: Checker,
        path: Path,
        name: &str,
        arguments: &[Ast],
    ) -> Option<Result<Self, ExprError>> {
        let compiled = || -> Result<Option<Self>, ExprError> {
            Ok(Some(match (name, arguments) {
                ("delete_key", [key]) => Self::DeleteKey(path, text(key)?),
                ("rename_key", [old, new]) => Self::RenameKey(path, text(old)?, text(new)?),
                ("delete_matching_keys", [pattern]) => {
                    Self::DeleteMatchingKeys(path, checker.regex(pattern)?)
                }
                ("keep_matching_keys", [pattern]) => {
                    Self::KeepMatchingKeys(path, checker.regex(pattern)?)
                }
                ("keep_keys", [keys]) => Self::KeepKeys(path, texts(keys)?),
                ("replace_all_patterns", [side, pattern, with]) => {
                    let (regex, with) = (checker.regex(pattern)?, text(with)?);
                    Self::ReplaceAllPatterns(path, one_of(side, &SIDES)?, regex, with)
                }
                ("replace_all_matches", [pattern, with]) => {
                    Self::ReplaceAllMatches(path, glob(pattern)?, text(with)?)
                }
                ("truncate_all", [limit]) => Self::TruncateAll(path, count(limit)?),
                ("limit", [limit, keys]) => Self::Limit(path, count(limit)?, texts(keys)?),
                _ => return Ok(None),
            }))
        };
        compiled().transpose()
    }

    /// Computes what is needed before anything changes.
    pub(super) fn prepare(
        &self,
        context: &Context<'_>,
    ) -> Result<Option<Value<'static>>, EvalError> {
        match self {
            Self::Set(_, value) | Self::MergeMaps(_, value, _) => {
                Ok(value.eval(context)?.into_value())
            }
            _ => Ok(None),
        }
    }

    /// Changes the target; true when something is different now.
    pub(super) fn apply(
        &self,
        target: &mut Target<'_, '_>,
        value: Option<Value<'static>>,
    ) -> Result<bool, EvalError> {
        match self {
            Self::Set(path, _) => {
                // As in OTTL, nil is nothing to set.
                let Some(value) = value else { return Ok(false) };
                let place = target.place(path, true)?;
                place.map_or(Err(EvalError("there is no such place")), |place| {
                    place.set(value, path.keys.len())
                })
            }
            Self::ReplacePattern(path, regex, with) => {
                let text = target.place(path, false)?.and_then(|place| place.text());
                Ok(text.is_some_and(|text| replace_in(text, regex, with)))
            }
            Self::ReplaceMatch(path, regex, with) => {
                let text = target.place(path, false)?.and_then(|place| place.text());
                Ok(text.is_some_and(|text| replace_whole(text, regex, with)))
            }
            Self::MergeMaps(path, _, strategy) => {
                let Some(Value::Map(source)) = value else {
                    return match value {
                        None => Ok(false),
                        Some(_) => Err(EvalError("merge_maps needs a map")),
                    };
                };
                let depth = path.keys.len();
                let source: Vec<_> = source
                    .into_iter()
                    .filter(|entry| {
                        depth + crate::processors::expr::depth_of(&entry.value)
                            < vervet_wire::NESTING_MAX - 1
                    })
                    .collect();
                let Some(place) = target.place(path, true)? else {
                    return Ok(false);
                };
                let entries = match place {
                    super::target::Place::Value(slot @ Value::Empty) => {
                        *slot = Value::Map(Vec::new());
                        super::target::Place::Value(slot).entries()?
                    }
                    place => place.entries()?,
                };
                Ok(entries.is_some_and(|entries| merge(entries, source, *strategy)))
            }
            _ => self.apply_to_map(target),
        }
    }

    fn apply_to_map(&self, target: &mut Target<'_, '_>) -> Result<bool, EvalError> {
        let (Self::DeleteKey(path, _)
        | Self::RenameKey(path, ..)
        | Self::DeleteMatchingKeys(path, _)
        | Self::KeepMatchingKeys(path, _)
        | Self::KeepKeys(path, _)
        | Self::ReplaceAllPatterns(path, ..)
        | Self::ReplaceAllMatches(path, ..)
        | Self::TruncateAll(path, _)
        | Self::Limit(path, ..)
        | Self::Set(path, _)
        | Self::ReplacePattern(path, ..)
        | Self::ReplaceMatch(path, ..)
        | Self::MergeMaps(path, ..)) = self;
        let Some(place) = target.place(path, false)? else {
            return Ok(false);
        };
        let Some(entries) = place.entries()? else {
            return Ok(false);
        };
        let before = entries.len();
        Ok(match self {
            Self::DeleteKey(_, key) => {
                entries.retain(|entry| entry.key != key.as_str());
                entries.len() != before
            }
            Self::RenameKey(_, old, new) => rename(entries, old, new),
            Self::DeleteMatchingKeys(_, regex) => {
                entries.retain(|entry| !regex.is_match(&entry.key));
                entries.len() != before
            }
            Self::KeepMatchingKeys(_, regex) => {
                entries.retain(|entry| regex.is_match(&entry.key));
                entries.len() != before
            }
            Self::KeepKeys(_, keys) => {
                entries.retain(|entry| keys.iter().any(|key| entry.key == key.as_str()));
                entries.len() != before
            }
            Self::ReplaceAllPatterns(_, Side::Key, regex, with) => {
                entries.iter_mut().fold(false, |changed, e| {
                    replace_in(&mut e.key, regex, with) | changed
                })
            }
            Self::ReplaceAllPatterns(_, Side::Value, regex, with) => {
                each_text(entries, |text| replace_in(text, regex, with))
            }
            Self::ReplaceAllMatches(_, regex, with) => {
                each_text(entries, |text| replace_whole(text, regex, with))
            }
            Self::TruncateAll(_, limit) => each_text(entries, |text| truncate(text, *limit)),
            Self::Limit(_, limit, first) => keep_at_most(entries, *limit, first),
            Self::Set(..)
            | Self::ReplacePattern(..)
            | Self::ReplaceMatch(..)
            | Self::MergeMaps(..) => false,
        })
    }
}

const STRATEGIES: [(&str, Strategy); 3] = [
    ("insert", Strategy::Insert),
    ("update", Strategy::Update),
    ("upsert", Strategy::Upsert),
];
const SIDES: [(&str, Side); 2] = [("key", Side::Key), ("value", Side::Value)];

fn text(ast: &Ast) -> Result<String, ExprError> {
    match &ast.kind {
        AstKind::Text(text) => Ok(text.clone()),
        _ => Err(ExprError::new(ast.at, "a text in quotes is needed here")),
    }
}

fn texts(ast: &Ast) -> Result<Vec<String>, ExprError> {
    match &ast.kind {
        AstKind::List(items) => items.iter().map(text).collect(),
        _ => Err(ExprError::new(
            ast.at,
            "a list of texts is needed here, such as [\"a\", \"b\"]",
        )),
    }
}

fn count(ast: &Ast) -> Result<usize, ExprError> {
    let number = match ast.kind {
        AstKind::Int(number) => usize::try_from(number).ok(),
        _ => None,
    };
    number.ok_or_else(|| ExprError::new(ast.at, "a whole number is needed here"))
}

fn one_of<T: Copy>(ast: &Ast, words: &[(&'static str, T)]) -> Result<T, ExprError> {
    let word = text(ast)?;
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        ExprError::new(ast.at, unknown("word", &word, &known))
    })
}

/// A glob as a pattern of the whole text.
fn glob(ast: &Ast) -> Result<Regex, ExprError> {
    let bad = |error: String| ExprError::new(ast.at, error);
    let glob = Glob::new(&text(ast)?).map_err(|error| bad(error.to_string()))?;
    // What globset writes is for bytes, which are all UTF-8 here.
    let pattern = glob.regex().replace("(?-u)", "(?s)");
    Regex::new(&pattern).map_err(|error| bad(error.to_string()))
}

fn replace_in(text: &mut Cow<'_, str>, regex: &Regex, with: &str) -> bool {
    let replaced = match regex.replace_all(text, with) {
        Cow::Borrowed(_) => return false,
        Cow::Owned(replaced) => replaced,
    };
    let changed = *text != replaced;
    *text = Cow::Owned(replaced);
    changed
}

fn replace_whole(text: &mut Cow<'_, str>, regex: &Regex, with: &str) -> bool {
    let changed = regex.is_match(text) && *text != with;
    if changed {
        *text = Cow::Owned(with.to_owned());
    }
    changed
}

/// Cuts a text to at most `limit` bytes, between two characters.
fn truncate(text: &mut Cow<'_, str>, limit: usize) -> bool {
    if text.len() <= limit {
        return false;
    }
    let end = text.floor_char_boundary(limit);
    *text = Cow::Owned(text.get(..end).unwrap_or_default().to_owned());
    true
}

fn each_text(
    entries: &mut [KeyValue<'_>],
    mut change: impl FnMut(&mut Cow<'_, str>) -> bool,
) -> bool {
    entries
        .iter_mut()
        .fold(false, |changed, entry| match &mut entry.value {
            Value::String(text) => change(text) | changed,
            _ => changed,
        })
}

fn rename(entries: &mut Vec<KeyValue<'_>>, old: &str, new: &str) -> bool {
    if old == new || !entries.iter().any(|entry| entry.key == old) {
        return false;
    }
    entries.retain(|entry| entry.key != new);
    for entry in entries.iter_mut().filter(|entry| entry.key == old) {
        entry.key = Cow::Owned(new.to_owned());
    }
    true
}

fn merge<'a>(
    entries: &mut Vec<KeyValue<'a>>,
    source: Vec<KeyValue<'static>>,
    strategy: Strategy,
) -> bool {
    let mut changed = false;
    for new in source {
        let old = entries.iter_mut().find(|entry| entry.key == new.key);
        match (old, strategy) {
            (Some(old), Strategy::Update | Strategy::Upsert) => {
                changed |= old.value != new.value;
                old.value = new.value;
            }
            (None, Strategy::Insert | Strategy::Upsert) => {
                changed = true;
                entries.push(new);
            }
            (Some(_), Strategy::Insert) | (None, Strategy::Update) => {}
        }
    }
    changed
}

/// Keeps `limit` entries: those of `first`, then others in their order.
fn keep_at_most(entries: &mut Vec<KeyValue<'_>>, limit: usize, first: &[String]) -> bool {
    if entries.len() <= limit {
        return false;
    }
    let is_first = |entry: &KeyValue<'_>| first.iter().any(|key| entry.key == key.as_str());
    let kept_first = entries
        .iter()
        .filter(|entry| is_first(entry))
        .count()
        .min(limit);
    let (mut firsts, mut others) = (kept_first, limit - kept_first);
    entries.retain(|entry| {
        let left = if is_first(entry) {
            &mut firsts
        } else {
            &mut others
        };
        let kept = *left > 0;
        *left = left.saturating_sub(1);
        kept
    });
    true
}
