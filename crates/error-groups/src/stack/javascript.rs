//! V8 stacks: Node.js, Next.js on the server, and browsers that print `    at f (file:1:2)`.

use super::header;
use super::paths::{after_last, clean, project_tail, without_build_hash, without_versions};
use super::{Exception, Frame, lines_with_offset, split_location};

/// Parts of a path that mark a bundler's or framework's own code.
const RUNTIME_PARTS: [&str; 9] = [
    "/vendor-chunks/",
    "webpack-runtime",
    "webpack/runtime/",
    "webpack/bootstrap",
    "next/dist/",
    "chunks/framework-",
    "chunks/webpack-",
    "chunks/polyfills-",
    "chunks/main-",
];
/// Hosts and schemes whose scripts are never the application's.
const FOREIGN: [&str; 8] = [
    "//cdn.jsdelivr.net/",
    "//unpkg.com/",
    "//cdnjs.cloudflare.com/",
    "//www.googletagmanager.com/",
    "//www.google-analytics.com/",
    "//js.stripe.com/",
    "chrome-extension://",
    "moz-extension://",
];

/// The reported error and its causes, with the offset where the error begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let mut chain: Vec<Exception> = Vec::new();
    let mut start = 0;
    let mut cause_header: Option<String> = None;
    let mut collecting = true;
    for (offset, line) in lines_with_offset(text) {
        if let Some(frame) = frame(line) {
            if chain.is_empty() {
                let found = header::find(text.get(..offset).unwrap_or_default());
                start = found.start;
                chain.push(exception(found));
            } else if let Some(text) = cause_header.take() {
                chain.push(exception(header::find(&text)));
            }
            if let Some(last) = chain.last_mut().filter(|_| collecting) {
                last.frames.push(frame);
            }
        } else if chain.is_empty() || is_elision(line) {
            continue;
        } else if let Some(header) = cause(line) {
            cause_header = Some(header.to_owned());
            collecting = true;
        } else if let Some(header) = cause_header.as_mut() {
            header.push('\n');
            header.push_str(line);
        } else {
            collecting = false;
        }
    }
    (!chain.is_empty()).then_some((start, chain))
}

fn exception(found: header::Header) -> Exception {
    Exception {
        exception_type: found.exception_type,
        message: found.message,
        frames: Vec::new(),
    }
}

/// `... 4 lines matching cause stack trace ...`
fn is_elision(line: &str) -> bool {
    line.trim_start().starts_with("... ")
}

/// The text after a marker that says that a cause follows.
fn cause(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ["[cause]: ", "caused by: ", "Caused by: "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
}

/// Reads `at f (location)`, `at async f (location)`, `at new F (location)` or `at location`.
fn frame(line: &str) -> Option<Frame> {
    let rest = line.trim().strip_prefix("at ")?;
    let rest = rest.strip_suffix(" {").unwrap_or(rest).trim();
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let Some((function, location)) = call(rest) else {
        return is_location(rest).then(|| located("", rest));
    };
    if !is_location(location) && !is_native(location) {
        return None;
    }
    Some(located(function, location))
}

/// Splits `f [as g] (location)`; the location of `eval` code holds parentheses itself.
fn call(rest: &str) -> Option<(&str, &str)> {
    let inner = rest.strip_suffix(')')?;
    let (function, location) = inner.split_once(" (")?;
    let function = match function.split_once(" [as ") {
        Some((name, _alias)) => name,
        None => function,
    };
    // webpack-internal:///(rsc)/./x has no space before its parenthesis, so the first one counts.
    Some((function.trim(), location))
}

/// V8 always prints line and column; `at 12:30:45` in prose has no path before them.
fn is_location(text: &str) -> bool {
    let (file, line, column) = split_location(text);
    let is_file = file.contains(['/', '\\', '.']) || file == "<anonymous>";
    let is_named = file.starts_with("node:") || file.starts_with("webpack");
    let is_clock = file.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (line > 0 && column > 0 && (is_file || is_named) && !is_clock) || text.starts_with("eval at ")
}

fn is_native(text: &str) -> bool {
    text == "<anonymous>" || text == "native" || text.starts_with("index ")
}

fn located(function: &str, location: &str) -> Frame {
    let (file, line, column) = if is_native(location) {
        (location, 0, 0)
    } else if location.starts_with("eval at ") {
        eval_origin(location)
    } else {
        split_location(location)
    };
    let (module, in_app) = module(file);
    Frame {
        function: function_name(function).to_owned(),
        module,
        file: file.to_owned(),
        line,
        column,
        in_app: in_app && line > 0,
    }
}

/// The place in a file that called `eval`: the innermost parenthesis.
fn eval_origin(location: &str) -> (&str, u32, u32) {
    let inner = location
        .rsplit_once(" (")
        .map_or(location, |(_, inner)| inner);
    split_location(inner.split_once(')').map_or(inner, |(origin, _)| origin))
}

/// The name without the receiver that V8 adds and without its words for "no name".
fn function_name(function: &str) -> &str {
    let name = ["Object.", "Module.", "exports.", "Function."]
        .iter()
        .find_map(|receiver| function.strip_prefix(receiver))
        .unwrap_or(function);
    match name {
        "<anonymous>" | "anonymous" | "eval" | "?" => "",
        other => other.strip_suffix(".<anonymous>").unwrap_or(other),
    }
}

/// Whether a bundler wrote the file, as far as its name tells: names of functions in it, lines and columns may be others
/// in the next build.
pub(crate) fn is_bundle(file: &str) -> bool {
    const PARTS: [&str; 5] = ["/_next/", ".next/", "/assets/", "/static/", ".min."];
    let is_served = file.starts_with("http://") || file.starts_with("https://");
    is_served || file.ends_with("js") && PARTS.iter().any(|part| file.contains(part))
}

/// What identifies the file, and whether it may be the application's.
fn module(file: &str) -> (String, bool) {
    if file.starts_with("node:") || file.starts_with("internal/") || is_native(file) {
        return (file.to_owned(), false);
    }
    let path = clean(file);
    if let Some(tail) = after_last(&path, "node_modules/") {
        return (tail.to_owned(), false);
    }
    let foreign = FOREIGN.iter().any(|part| file.contains(part));
    let runtime = RUNTIME_PARTS.iter().any(|part| path.contains(part));
    // Old Node.js prints its own files without a folder and without a scheme.
    let bundled = path
        .rfind("/_next/")
        .and_then(|at| path.get(at + 1..))
        .or_else(|| path.rfind(".next/").and_then(|at| path.get(at..)));
    let module = match bundled {
        Some(tail) => without_build_hash(tail),
        None if is_bundle(file) => without_build_hash(&project_tail(&without_versions(&path))),
        None => project_tail(&path),
    };
    (module, !foreign && !runtime && path.contains('/'))
}
