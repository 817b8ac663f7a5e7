//! Rust panics, with or without `stack backtrace:`.

use super::paths::{after_last, project_tail};
use super::{Exception, Frame, lines_with_offset, split_location};

/// Crates that are never the application's.
const LIBRARIES: [&str; 10] = [
    "std::", "core::", "alloc::", "tokio::", "hyper::", "tower::", "futures", "axum::", "rayon::",
    "test::",
];
/// Symbols of the panic machinery and of the start of a program.
const MACHINERY: [&str; 7] = [
    "rust_begin_unwind",
    "__rust",
    "rust_panic",
    "_start",
    "main",
    "__libc_start",
    "clone",
];

/// The panic, with the offset where it begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let panicked = memchr::memmem::find(text.as_bytes(), b"panicked at ")?;
    let before = text.get(..panicked)?;
    let start = before.rfind("thread '")?;
    let mut lines = lines_with_offset(text.get(panicked + 12..)?).map(|(_, line)| line);
    let place = lines.next()?;
    let (message, location) = match place
        .strip_prefix('\'')
        .and_then(|old| old.rsplit_once("', "))
    {
        Some((message, location)) => (message.to_owned(), location),
        None => (
            lines.next().unwrap_or_default().trim().to_owned(),
            place.trim_end_matches(':'),
        ),
    };
    let mut frames: Vec<Frame> = Vec::new();
    for line in lines {
        let line = line.trim();
        if let Some(location) = line.strip_prefix("at ") {
            if let Some(last) = frames.last_mut() {
                set_place(last, location);
            }
        } else if let Some(function) = symbol(line) {
            frames.push(frame(function));
        }
    }
    if frames.is_empty() {
        let mut only = Frame {
            in_app: true,
            ..Frame::default()
        };
        set_place(&mut only, location);
        if only.line == 0 {
            return None;
        }
        frames.push(only);
    }
    let exception = Exception {
        exception_type: "panic".to_owned(),
        message,
        frames,
    };
    Some((start, vec![exception]))
}

/// The function of `  12: path::to::function::h0123456789abcdef`.
fn symbol(line: &str) -> Option<&str> {
    let (number, name) = line.split_once(": ")?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let name = name.trim();
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(path)
        }
        _ => Some(name),
    }
}

fn frame(function: &str) -> Frame {
    let path = function.trim_start_matches(['<', '&']);
    let library = LIBRARIES.iter().any(|name| path.starts_with(name));
    let machinery = MACHINERY
        .iter()
        .any(|name| path == *name || path.starts_with("__"));
    let (module, name) = function.rsplit_once("::").unwrap_or(("", function));
    Frame {
        function: name.to_owned(),
        module: module.to_owned(),
        in_app: !library && !machinery,
        ..Frame::default()
    }
}

fn set_place(frame: &mut Frame, location: &str) {
    let (file, line, column) = split_location(location.trim());
    frame.file = file.to_owned();
    frame.line = line;
    frame.column = column;
    let library = file.starts_with("/rustc/")
        || ["/registry/src/", "/.rustup/", "/git/checkouts/"]
            .iter()
            .any(|part| after_last(file, part).is_some());
    frame.in_app &= !library;
    if frame.module.is_empty() {
        frame.module = project_tail(file);
    }
}
