//! Names a failure: the same failure has the same fingerprint wherever and however it was seen.
//!
//! Version 1: a built-in rule if one fits; else the type and up to [`FRAMES_COUNTED_MAX`] in-app
//! frames from the crash outwards, each as module and function; without in-app frames, all frames
//! but the runtime's; without a stack, the type and the message with placeholders, and for a
//! failure without a type its logger. Lines, columns, path prefixes and build hashes never count;
//! a function that calls itself counts once.
//!
//! Where the frame nearest the crash has no function, or one that a minifier named, its file counts, of the frames behind
//! it those with functions and, in a file that no bundler wrote, the message with placeholders. The message counts too
//! where no frame has a function, and where all are the runtime's.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::message::parameterise;
use crate::occurrence::Occurrence;
use crate::stack::{Frame, Language, ParsedStack, is_bundle};

mod nameless;
mod rules;

#[cfg(test)]
mod tests;

/// The version of the algorithm; part of every hash.
pub const FINGERPRINT_VERSION: u32 = 1;
/// The most frames that count.
pub const FRAMES_COUNTED_MAX: usize = 20;

/// One part of what a fingerprint was made of, for a view that explains the grouping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `rule`, `type`, `frame`, `message`, `logger` or `transaction`.
    pub kind: String,
    pub value: String,
}

impl Component {
    fn new(kind: &str, value: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            value: value.into(),
        }
    }
}

/// The identity of a failure, hashes as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub version: u32,
    /// What groups: a rule, type and frames, or type and message.
    pub full: String,
    /// Type and the counted frame nearest the crash; equals `message` when there is no stack.
    pub top_frame: String,
    /// Type and message with placeholders.
    pub message: String,
    /// The exception type after choosing between the field and the stack.
    pub exception_type: String,
    /// What went into `full`, in order.
    pub components: Vec<Component>,
}

/// The fingerprint of `occurrence`, whose stack was parsed to `stack`.
pub fn fingerprint(occurrence: &Occurrence, stack: Option<&ParsedStack>) -> Fingerprint {
    let exception_type = exception_type(occurrence, stack);
    let text = message_of(occurrence, stack);
    let type_part = Component::new("type", exception_type.as_str());
    let message_part = Component::new("message", parameterise(text));
    let by_message = vec![type_part.clone(), message_part];
    let message = hash(&by_message);
    let by_frames = stack.and_then(|stack| by_frames(stack, &type_part, text));
    let top_frame = match &by_frames {
        Some((_, top)) => hash(&[type_part, top.clone()]),
        None => message.clone(),
    };
    let components = match (
        rules::built_in(occurrence, &exception_type, text),
        by_frames,
    ) {
        (Some(components), _) => components,
        (None, Some((components, _))) => components,
        (None, None) => with_logger(by_message, &exception_type, &occurrence.logger),
    };
    Fingerprint {
        version: FINGERPRINT_VERSION,
        full: hash(&components),
        top_frame,
        message,
        exception_type,
        components,
    }
}

/// The message of the occurrence, or else of its stack.
pub(crate) fn message_of<'a>(
    occurrence: &'a Occurrence,
    stack: Option<&'a ParsedStack>,
) -> &'a str {
    match stack {
        Some(stack) if occurrence.message.is_empty() => &stack.message,
        _ => &occurrence.message,
    }
}

/// The logger tells messages without a type apart; with a type it would part a span event, which
/// has no logger, from the log record of the same failure.
fn with_logger(mut parts: Vec<Component>, exception_type: &str, logger: &str) -> Vec<Component> {
    if exception_type.is_empty() && !logger.is_empty() {
        parts.push(Component::new("logger", logger));
    }
    parts
}

/// The type that the stack names, except where that is a bare `Error` or missing: class names set
/// after the stack was taken, and error codes given as type, differ between the sources.
fn exception_type(occurrence: &Occurrence, stack: Option<&ParsedStack>) -> String {
    let given = occurrence.exception_type.trim();
    let given = given.strip_prefix("__main__.").unwrap_or(given);
    let given = given.strip_prefix("builtins.").unwrap_or(given);
    let printed = stack.map_or("", |stack| stack.exception_type.as_str());
    let is_class = given.contains(|c: char| c.is_ascii_lowercase());
    let chosen = match printed {
        "" => given,
        "Error" if is_class => given,
        printed => printed,
    };
    crate::occurrence::truncated(chosen, crate::occurrence::FIELD_BYTES_MAX).into_owned()
}

/// What a stack groups by, and the frame nearest the crash; `None` when it has no frames.
fn by_frames(
    stack: &ParsedStack,
    type_part: &Component,
    message: &str,
) -> Option<(Vec<Component>, Component)> {
    let frame_part = |key: String| Component::new("frame", key);
    let (chosen, are_noise) = counted_frames(stack);
    let top = *chosen.first()?;
    let named = chosen.iter().filter(|frame| name_of(frame).is_some());
    let mut components = vec![type_part.clone()];
    let of_bundle = is_bundle(&top.file);
    // In a bundle nearly every function is nameless; its callers with names are enough.
    let is_nameless = name_of(top).is_none() && !of_bundle;
    if are_noise || is_nameless || named.clone().next().is_none() {
        let template = nameless::message(message, of_bundle);
        components.push(Component::new("message", template));
    }
    let mut keys: Vec<String> = match name_of(top) {
        Some(_) => chosen.iter().map(|frame| frame_key(frame)).collect(),
        None => {
            let callers = named.map(|frame| frame_key(frame));
            std::iter::once(top.module.clone()).chain(callers).collect()
        }
    };
    keys.dedup();
    keys.truncate(FRAMES_COUNTED_MAX);
    components.extend(keys.into_iter().map(frame_part));
    Some((components, frame_part(frame_key(top))))
}

/// The frames that count, from the crash outwards, and whether they are only the runtime's.
fn counted_frames(stack: &ParsedStack) -> (Vec<&Frame>, bool) {
    let frames = || stack.frames.iter();
    let in_app: Vec<&Frame> = frames().filter(|frame| frame.in_app).collect();
    if !in_app.is_empty() {
        return (in_app, false);
    }
    let quiet = |frame: &&Frame| !is_runtime_noise(stack.language, frame);
    let foreign: Vec<&Frame> = frames().filter(quiet).collect();
    match foreign.is_empty() {
        true => (frames().collect(), true),
        false => (foreign, false),
    }
}

/// `module function`, without what a minifier chose.
fn frame_key(frame: &Frame) -> String {
    match name_of(frame) {
        Some(function) => format!("{} {function}", frame.module),
        None => frame.module.clone(),
    }
}

/// The function, unless it has no name or one that a minifier gave it.
fn name_of(frame: &Frame) -> Option<&str> {
    let last = frame.function.rsplit('.').next().unwrap_or_default();
    let is_minified = last.len() <= nameless::MINIFIED_LEN_MAX && is_bundle(&frame.file);
    (!frame.function.is_empty() && !is_minified).then_some(frame.function.as_str())
}

/// Frames of the language itself, which tell nothing about a failure in a library.
fn is_runtime_noise(language: Language, frame: &Frame) -> bool {
    let begins = |names: &[&str]| names.iter().any(|name| frame.module.starts_with(name));
    match language {
        Language::Javascript => {
            begins(&["node:", "internal/", "index ", "native", "<anonymous>"])
                || frame.module.is_empty()
        }
        Language::Python => begins(&["python/", "<"]),
        Language::Java => begins(&["java.", "jdk.", "sun."]),
        Language::Go => begins(&["runtime"]),
        Language::Rust => begins(&["std::", "core::", "alloc::"]) || frame.module.is_empty(),
        Language::Dotnet => begins(&["System."]),
        Language::Php => false,
        Language::Ruby => begins(&["ruby/", "<"]),
    }
}

fn hash(parts: &[Component]) -> String {
    let mut bytes = FINGERPRINT_VERSION.to_le_bytes().to_vec();
    for part in parts {
        bytes.extend_from_slice(part.kind.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(part.value.as_bytes());
        bytes.push(0);
    }
    hex::encode(xxh3_128(&bytes).to_be_bytes())
}

/// The identifier of a group: the first 16 digits of a hash over service and fingerprint.
pub(crate) fn group_id(service_name: &str, fingerprint: &str) -> String {
    let parts = [
        Component::new("service", service_name),
        Component::new("full", fingerprint),
    ];
    let mut id = hash(&parts);
    id.truncate(16);
    id
}
