//! Go panics: `goroutine 1 [running]:`, then pairs of lines, call and place. Such pairs alone are what zap writes, in a field
//! or below the line of its console.

use super::paths::{after_last, project_tail};
use super::{Exception, Frame, lines_with_offset, split_location};

/// The panic, with the offset where it begins. Only the first goroutine is read.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let Some(goroutine) = goroutine_start(text) else {
        return parse_pairs(text);
    };
    let before = text.get(..goroutine).unwrap_or_default();
    let (start, exception_type, message) = header(before).unwrap_or((goroutine, "", ""));
    let mut frames: Vec<Frame> = Vec::new();
    let mut call = None;
    for (_, line) in lines_with_offset(text.get(goroutine..)?).skip(1) {
        if line.is_empty() || line.starts_with("goroutine ") {
            break;
        }
        match (call.take(), line.strip_prefix('\t')) {
            (Some(function), Some(place)) => {
                // The frames up to the call of panic are the runtime's own.
                if is_panic(function) {
                    frames.clear();
                } else {
                    frames.push(frame(function, place));
                }
            }
            (_, None) => call = Some(line),
            (None, Some(_)) => {}
        }
    }
    (!frames.is_empty()).then(|| {
        let exception = Exception {
            exception_type: exception_type.to_owned(),
            message: message.trim().to_owned(),
            frames,
        };
        (start, vec![exception])
    })
}

/// Pairs of a function and its place, with the line above them.
fn parse_pairs(text: &str) -> Option<(usize, Vec<Exception>)> {
    memchr::memmem::find(text.as_bytes(), b".go:")?;
    let lines: Vec<(usize, &str)> = lines_with_offset(text).collect();
    let pair = |at: usize| {
        let ((_, name), (_, place)) = (lines.get(at)?, lines.get(at + 1)?);
        let place = place.strip_prefix('\t').filter(|place| is_place(place))?;
        is_function(name).then(|| frame(name, place))
    };
    let first = (0..lines.len()).find(|at| pair(*at).is_some())?;
    let frames = (first..lines.len()).step_by(2).map_while(pair).collect();
    let (start, _) = lines.get(first)?;
    let above = first.checked_sub(1).and_then(|at| lines.get(at));
    let exception = Exception {
        exception_type: String::new(),
        message: console_message(above.map_or("", |(_, line)| line)).to_owned(),
        frames,
    };
    Some((*start, vec![exception]))
}

/// `main.run`, `github.com/acme/shop/orders.(*Store).Get`
fn is_function(line: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "._-/()*[]{}~".contains(c);
    line.contains('.')
        && line.starts_with(|c: char| c.is_ascii_alphabetic())
        && line.chars().all(in_name)
}

/// `/app/main.go:10`
fn is_place(place: &str) -> bool {
    let (file, line, column) = split_location(place);
    file.ends_with(".go") && file.contains('/') && line > 0 && column == 0
}

/// What zap's console says behind the caller: `<time>\tERROR\tapp/main.go:10\tmessage\t{...}`.
fn console_message(line: &str) -> &str {
    let mut columns = line.split('\t').skip_while(|column| !is_place(column));
    columns.nth(1).unwrap_or(line)
}

fn goroutine_start(text: &str) -> Option<usize> {
    memchr::memmem::find_iter(text.as_bytes(), b"goroutine ")
        .take(8)
        .find(|at| {
            let rest = text.get(*at..).unwrap_or_default();
            rest.lines()
                .next()
                .is_some_and(|line| line.contains(" [") && line.ends_with("]:"))
        })
}

fn header(before: &str) -> Option<(usize, &str, &str)> {
    ["panic: ", "fatal error: "].iter().find_map(|mark| {
        let at = before.rfind(mark)?;
        let message = before.get(at + mark.len()..)?;
        let line = message.lines().next().unwrap_or_default();
        let line = line
            .split_once(" [recovered")
            .map_or(line, |(line, _)| line);
        Some((at, mark.trim_end_matches(": "), line))
    })
}

fn is_panic(call: &str) -> bool {
    call.starts_with("panic(") || call.starts_with("runtime.gopanic(")
}

fn frame(call: &str, place: &str) -> Frame {
    let call = call.strip_prefix("created by ").unwrap_or(call);
    let call = call
        .split_once(" in goroutine ")
        .map_or(call, |(call, _)| call);
    let name = match call.strip_suffix(')') {
        Some(open) => open
            .rfind('(')
            .and_then(|at| open.get(..at))
            .unwrap_or(open),
        None => call
            .rfind("(0x")
            .and_then(|at| call.get(..at))
            .unwrap_or(call),
    };
    // The package path may hold dots before its last slash, as in github.com/x/y.Func.
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let dot = name
        .get(last..)
        .and_then(|tail| tail.find('.'))
        .map(|at| last + at);
    let (package, function) = match dot {
        Some(at) => (
            name.get(..at).unwrap_or_default(),
            name.get(at + 1..).unwrap_or_default(),
        ),
        None => ("", name),
    };
    let place = place.split_once(" +0x").map_or(place, |(place, _)| place);
    let (file, line, _) = split_location(place.trim());
    let library = ["/pkg/mod/", "/go/src/", "/vendor/", "/usr/lib/go"]
        .iter()
        .any(|part| after_last(file, part).is_some());
    let module = if package.is_empty() {
        project_tail(file)
    } else {
        package.to_owned()
    };
    Frame {
        function: function.to_owned(),
        module,
        file: file.to_owned(),
        line,
        column: 0,
        in_app: !library && !package.starts_with("runtime"),
    }
}
