//! PHP stacks: `#0 /app/index.php(9): Shop\Cart->add(Object(Item))`, as PHP writes them to its log and as Monolog does.
//!
//! A numbered line tells where a function was called, so the place of the exception stands in its header, and each function
//! belongs to the place one line up. Of a chain the first printed is the innermost.

use super::header;
use super::paths::{after_last, clean, project_tail};
use super::{Exception, Frame, lines_with_offset, split_location};

const FIRST: &str = "#0 ";

/// The exception whose frames are read.
struct Reading {
    exception: Exception,
    /// Where the function in the next line was called from.
    file: String,
    line: u32,
    /// The number of the next frame.
    number: usize,
}

/// What stands above the first frame of an exception.
struct Head<'t> {
    /// Byte offset of the type within the text.
    start: usize,
    exception_type: &'t str,
    message: &'t str,
    place: &'t str,
}

/// The reported exception and its causes, with the offset where the first one begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let mut read: Vec<Reading> = Vec::new();
    let (mut start, mut behind, mut of_monolog) = (0, 0, false);
    for (offset, line) in lines_with_offset(text) {
        let content = line.trim();
        if content.starts_with(FIRST) && is_frame(content) {
            let before = text.get(behind..offset).unwrap_or_default();
            let monolog = monolog(before);
            if read.is_empty() {
                of_monolog = monolog.is_some();
            }
            let head = monolog.unwrap_or_else(|| printed(before));
            if read.is_empty() {
                start = behind + head.start;
            }
            read.push(Reading::new(&head));
        }
        if read.last_mut().is_some_and(|last| last.read(content)) {
            behind = offset + line.len();
        }
    }
    // Monolog writes the reported exception first, PHP the innermost.
    if !of_monolog {
        read.reverse();
    }
    let chain = read.into_iter().map(|one| one.exception);
    let chain: Vec<Exception> = chain.filter(|one| !one.frames.is_empty()).collect();
    (!chain.is_empty()).then_some((start, chain))
}

impl Reading {
    fn new(head: &Head<'_>) -> Self {
        let (file, line, _) = split_location(head.place);
        Self {
            exception: Exception {
                exception_type: unescaped(head.exception_type),
                message: head.message.to_owned(),
                frames: Vec::new(),
            },
            file: file.to_owned(),
            line,
            number: 0,
        }
    }

    /// Takes a numbered line in its turn.
    fn read(&mut self, line: &str) -> bool {
        let Some(call) = numbered(line, self.number) else {
            return false;
        };
        self.number += 1;
        let (place, function) = call.split_once(": ").unwrap_or((call, ""));
        let frame = frame(function_name(function), &self.file, self.line);
        self.exception.frames.extend(frame);
        let (file, line) = place_of(place).unwrap_or_default();
        (self.file, self.line) = (file.to_owned(), line);
        true
    }
}

/// Monolog's `"[object] (Type(code: 0): message at /app/x.php:5)`.
fn monolog(before: &str) -> Option<Head<'_>> {
    const MARK: &str = "[object] (";
    let start = before.rfind(MARK)? + MARK.len();
    let (exception_type, rest) = before.get(start..)?.split_once("(code: ")?;
    let (_, rest) = rest.split_once("): ")?;
    let rest = rest.trim_end().trim_end_matches("[stacktrace]");
    let (message, place) = rest.trim_end().trim_end_matches(')').rsplit_once(" at ")?;
    Some(Head {
        start,
        exception_type,
        message,
        place,
    })
}

/// `Uncaught Type: message in /app/x.php:5`, or without the word in front.
fn printed(before: &str) -> Head<'_> {
    let head = before
        .trim_end()
        .trim_end_matches("Stack trace:")
        .trim_end();
    let marked = ["Uncaught ", "\nNext "].iter().find_map(|mark| {
        let at = head.rfind(mark)?;
        Some(at + mark.len())
    });
    let start = marked.unwrap_or_else(|| header::find(head).start);
    let what = head.get(start..).unwrap_or_default();
    let (what, place) = match what.rsplit_once(" in ") {
        Some((what, place)) if split_location(place).1 > 0 => (what, place),
        _ => (what, ""),
    };
    let (exception_type, message) = match what.split_once(": ") {
        Some((name, message)) if !name.contains(char::is_whitespace) => (name, message),
        None if marked.is_some() => (what, ""),
        _ => ("", what),
    };
    Head {
        start,
        exception_type,
        message,
        place,
    }
}

/// Monolog's backslashes are those of JSON.
fn unescaped(name: &str) -> String {
    name.replace("\\\\", "\\")
}

/// What stands behind `#<number> `.
fn numbered(line: &str, number: usize) -> Option<&str> {
    let (found, call) = line.strip_prefix('#')?.split_once(' ')?;
    (found.parse() == Ok(number)).then_some(call)
}

fn is_frame(line: &str) -> bool {
    let call = numbered(line, 0).unwrap_or_default();
    let place = call.split_once(": ").map_or(call, |(place, _)| place);
    matches!(place, "{main}" | "[internal function]") || place_of(place).is_some()
}

/// `/app/index.php(9)`
fn place_of(place: &str) -> Option<(&str, u32)> {
    let (file, line) = place.strip_suffix(')')?.rsplit_once('(')?;
    let is_file = file.contains(['/', '\\']) || file.ends_with(".php");
    Some((file, line.parse().ok()?)).filter(|_| is_file)
}

/// The function without arguments; a closure without the place where it is written.
fn function_name(call: &str) -> &str {
    let end = call.find("{closure").map(|at| at + "{closure".len());
    match end.or_else(|| call.find('(')) {
        Some(end) => call.get(..end).unwrap_or(call),
        None => call,
    }
}

fn frame(function: &str, file: &str, line: u32) -> Option<Frame> {
    if file.is_empty() {
        return None;
    }
    let path = clean(file);
    let vendor = after_last(&path, "/vendor/");
    Some(Frame {
        function: unescaped(function),
        in_app: vendor.is_none() && line > 0,
        module: vendor.map_or_else(|| project_tail(&path), str::to_owned),
        file: file.to_owned(),
        line,
        column: 0,
    })
}
