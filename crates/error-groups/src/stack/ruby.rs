//! Ruby stacks: `/app/a.rb:3:in 'Shop#run': boom (RuntimeError)` and the frames below, or frames alone below the line of a
//! logger or of Rails.

use super::header;
use super::paths::{after_last, clean, project_tail};
use super::{Exception, Frame, lines_with_offset, split_location};

/// Files that Ruby runs.
const ENDS: [&str; 5] = [".rb", ".rake", ".erb", ".ru", ">"];

/// The reported exception and its causes, with the offset where the exception begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    memchr::memmem::find(text.as_bytes(), b":in ")?;
    let mut chain: Vec<Exception> = Vec::new();
    let mut start = 0;
    for (offset, line) in lines_with_offset(text) {
        let content = untagged(line);
        let Some((frame, said)) = frame(content) else {
            if let Some(last) = chain.last_mut() {
                go_on(last, content);
            }
            continue;
        };
        match said.strip_prefix(": ") {
            Some(said) => {
                if chain.is_empty() {
                    start = offset + (line.len() - content.len());
                }
                let (message, exception_type) = split_class(said).unwrap_or((said, ""));
                chain.push(exception(exception_type, message));
            }
            None if chain.is_empty() => {
                let (at, above) = above(text.get(..offset).unwrap_or_default());
                start = at;
                chain.push(above);
            }
            None => {}
        }
        if let Some(last) = chain.last_mut() {
            last.frames.push(frame);
        }
    }
    (!chain.is_empty()).then_some((start, chain))
}

fn exception(exception_type: &str, message: &str) -> Exception {
    Exception {
        exception_type: exception_type.to_owned(),
        message: message.to_owned(),
        frames: Vec::new(),
    }
}

/// A message goes on below its first line until the class is told.
fn go_on(exception: &mut Exception, line: &str) {
    if !exception.exception_type.is_empty() || exception.frames.len() != 1 {
        return;
    }
    let (more, class) = split_class(line).unwrap_or((line, ""));
    exception.message.push('\n');
    exception.message.push_str(more);
    exception.exception_type.push_str(class);
}

/// The exception that the line above the frames tells, and where it begins: `<logger>: boom (RuntimeError)`, or Rails'
/// `NoMethodError (undefined method 'x' for nil):`.
fn above(before: &str) -> (usize, Exception) {
    let mut before = before.trim_end();
    let mut line_at = line_start(before);
    // Rails writes its tags on empty lines, too.
    while line_at > 0 && untagged(before.get(line_at..).unwrap_or_default()).is_empty() {
        before = before.get(..line_at).unwrap_or_default().trim_end();
        line_at = line_start(before);
    }
    let line = before.get(line_at..).unwrap_or_default();
    let content = untagged(line);
    let at = line_at + (line.len() - content.len());
    let rails = content
        .strip_suffix("):")
        .and_then(|text| text.split_once(" ("));
    if let Some((class, message)) = rails.filter(|(class, _)| is_class(class)) {
        return (at, exception(class, message));
    }
    match split_class(content) {
        Some((message, class)) => {
            let said = said_by_logger(message);
            (at + (message.len() - said.len()), exception(class, said))
        }
        None => {
            let found = header::find(before);
            (
                found.start,
                exception(&found.exception_type, &found.message),
            )
        }
    }
}

fn line_start(text: &str) -> usize {
    text.rfind('\n').map_or(0, |at| at + 1)
}

/// What stands behind `E, [2024-01-02T03:04:05.678901 #12] ERROR -- program: `.
fn said_by_logger(line: &str) -> &str {
    let behind = line
        .split_once(" -- ")
        .and_then(|(_, rest)| rest.split_once(": "));
    behind.map_or(line, |(_, said)| said)
}

/// `boom (RuntimeError)` apart.
fn split_class(text: &str) -> Option<(&str, &str)> {
    let (message, class) = text.strip_suffix(')')?.rsplit_once('(')?;
    is_class(class).then(|| (message.trim_end(), class))
}

fn is_class(name: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(in_name)
}

/// Without blanks and the tags in front that Rails repeats on each line.
fn untagged(line: &str) -> &str {
    let mut rest = line.trim();
    while let Some((_, behind)) = rest.strip_prefix('[').and_then(|tag| tag.split_once(']')) {
        rest = behind.trim_start();
    }
    rest
}

/// A frame, and what follows it in its line.
fn frame(line: &str) -> Option<(Frame, &str)> {
    let line = line.strip_prefix("from ").unwrap_or(line);
    let (place, rest) = line.split_once(":in ")?;
    let (name, said) = rest.strip_prefix(['\'', '`'])?.split_once('\'')?;
    let (file, line, _) = split_location(place);
    let is_file = ENDS.iter().any(|end| file.ends_with(end)) && !file.contains(' ');
    if line == 0 || !is_file {
        return None;
    }
    let (module, in_app) = module(file);
    let frame = Frame {
        // A block belongs to its method.
        function: name
            .rsplit_once(" in ")
            .map_or(name, |(_, name)| name)
            .to_owned(),
        module,
        file: file.to_owned(),
        line,
        column: 0,
        in_app,
    };
    Some((frame, said))
}

/// What identifies the file, and whether it may be the application's.
fn module(file: &str) -> (String, bool) {
    if file.starts_with('<') {
        return (file.to_owned(), false);
    }
    let path = clean(file);
    if let Some((gem, tail)) = after_last(&path, "/gems/").and_then(|tail| tail.split_once('/')) {
        let name = gem.rsplit_once('-').map_or(gem, |(name, _version)| name);
        return (format!("{name}/{tail}"), false);
    }
    if let Some(library) = after_last(&path, "/lib/ruby/")
        && let Some((_version, tail)) = library.split_once('/')
    {
        return (format!("ruby/{tail}"), false);
    }
    (project_tail(&path), true)
}
