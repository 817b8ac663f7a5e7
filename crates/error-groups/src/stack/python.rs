//! Python tracebacks, chained ones and exception groups; logged by any framework.

use super::paths::{after_last, clean, project_tail};
use super::{Exception, Frame, lines_with_offset};

const TRACEBACK: &str = "Traceback (most recent call last):";
/// Columns before a traceback that is a member of an exception group, not of the chain itself.
const GROUP_INDENT: usize = 4;

/// One traceback while it is read.
#[derive(Default)]
struct Reading {
    exception: Exception,
    /// Column of the word `Traceback`, to which the exception's line comes back.
    indent: usize,
    named: bool,
    /// The message ended at an empty line.
    closed: bool,
}

/// The reported exception and its causes, with the offset where the first traceback begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let start = memchr::memmem::find(text.as_bytes(), TRACEBACK.as_bytes())?;
    let mut read: Vec<Reading> = Vec::new();
    for (_, line) in lines_with_offset(text) {
        if let Some(at) = line.find(TRACEBACK) {
            let indent = line.get(..at).map_or(0, traceback_indent);
            read.push(Reading {
                indent,
                ..Reading::default()
            });
        } else if let Some(last) = read.last_mut() {
            last.read(line);
        }
    }
    read.retain(|one| !one.exception.frames.is_empty());
    let (members, mut chain): (Vec<_>, Vec<_>) =
        read.into_iter().partition(|one| one.indent > GROUP_INDENT);
    chain.reverse();
    let chain: Vec<Exception> = chain
        .into_iter()
        .chain(members)
        .map(|one| one.exception)
        .map(crash_first)
        .collect();
    (!chain.is_empty()).then_some((start, chain))
}

fn crash_first(mut exception: Exception) -> Exception {
    exception.frames.reverse();
    exception
}

/// Log text before the word does not indent the traceback; blanks and a group's rulers do.
fn traceback_indent(before: &str) -> usize {
    let before = before.strip_suffix("Exception Group ").unwrap_or(before);
    if before.bytes().all(is_ruler) {
        before.len()
    } else {
        0
    }
}

fn is_ruler(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'|' | b'+' | b'-')
}

impl Reading {
    fn read(&mut self, line: &str) {
        let indent = line.bytes().take_while(|byte| is_ruler(*byte)).count();
        let content = line.get(indent..).unwrap_or_default().trim_end();
        if self.closed {
            return;
        }
        if content.is_empty() || line.trim_start().starts_with("+-") {
            self.closed = self.named;
        } else if self.named {
            self.exception.message.push('\n');
            self.exception.message.push_str(content);
        } else if let Some(frame) = frame(content) {
            self.exception.frames.push(frame);
        } else if indent <= self.indent && !self.exception.frames.is_empty() {
            let (name, message) = split_header(content);
            self.exception.exception_type = name.to_owned();
            self.exception.message = message.to_owned();
            self.named = true;
        }
    }
}

/// `Type: message`, `Type` alone, or a message that names no type.
fn split_header(line: &str) -> (&str, &str) {
    let (name, message) = line.split_once(':').unwrap_or((line, ""));
    let dotted = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'));
    if !dotted {
        return ("", line);
    }
    let name = name.strip_prefix("__main__.").unwrap_or(name);
    (
        name.strip_prefix("builtins.").unwrap_or(name),
        message.trim(),
    )
}

/// Reads `File "path", line 3, in function`; a syntax error has no function.
fn frame(content: &str) -> Option<Frame> {
    let rest = content.strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let (line, function) = match rest.split_once(", in ") {
        Some((line, function)) => (line, function.trim()),
        None => (rest, ""),
    };
    let (module, in_app) = module(file);
    Some(Frame {
        function: function.to_owned(),
        module,
        file: file.to_owned(),
        line: line.trim().parse().unwrap_or(0),
        column: 0,
        in_app,
    })
}

/// What identifies the file, and whether it may be the application's.
fn module(file: &str) -> (String, bool) {
    if file.starts_with('<') {
        return (file.to_owned(), false);
    }
    let path = clean(file);
    for packages in ["site-packages/", "dist-packages/"] {
        if let Some(tail) = after_last(&path, packages) {
            return (tail.to_owned(), false);
        }
    }
    if let Some(library) = after_last(&path, "/lib/python")
        && let Some((_version, tail)) = library.split_once('/')
    {
        return (format!("python/{tail}"), false);
    }
    (project_tail(&path), true)
}
