//! What tells failures apart where the function has no name: the message. Lines change with every build.

use std::borrow::Cow;

use crate::message::parameterise;

/// Names of at most so many letters in a bundle are a minifier's.
pub(super) const MINIFIED_LEN_MAX: usize = 2;

/// The message with placeholders; the name of a property that was missing stays, and a variable that a minifier named goes.
pub(super) fn message(text: &str, of_bundle: bool) -> String {
    let text = text.trim_start();
    let text = match of_bundle {
        true => without_minified_name(text),
        false => Cow::Borrowed(text),
    };
    let template = parameterise(&text);
    match missing_property(&text) {
        Some((does, property)) => template.replacen(
            &format!("({does} <quoted>)"),
            &format!("({does} '{property}')"),
            1,
        ),
        None => template.into_owned(),
    }
}

/// V8's `(reading 'total')`: the property is a word of the program.
fn missing_property(text: &str) -> Option<(&'static str, &str)> {
    const PROPERTY_LEN_MAX: usize = 64;
    let (does, rest) = ["reading", "setting"].iter().find_map(|does| {
        let (_, rest) = text.split_once(&format!("({does} '"))?;
        Some((*does, rest))
    })?;
    let (property, _) = rest.split_once("')")?;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let is_name = property.len() <= PROPERTY_LEN_MAX
        && !property.starts_with(|c: char| c.is_ascii_digit())
        && property.chars().all(is_word);
    (is_name && !property.is_empty()).then_some((does, property))
}

/// `e.items is not iterable` and `(0 , r.pay) is not a function` with `<name>` for `e` and `r`.
fn without_minified_name(text: &str) -> Cow<'_, str> {
    const ENDS: [&str; 4] = [".", " is ", "(", "["];
    let lead = match text.strip_prefix("(0 , ") {
        Some(_) => "(0 , ",
        None => "",
    };
    let rest = text.get(lead.len()..).unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    let len = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let tail = rest.get(len..).unwrap_or_default();
    match (1..=MINIFIED_LEN_MAX).contains(&len) && ENDS.iter().any(|end| tail.starts_with(end)) {
        true => Cow::Owned(format!("{lead}<name>{tail}")),
        false => Cow::Borrowed(text),
    }
}
