//! JVM stacks: `at package.Class.method(File.java:12)`, `Caused by:`, `... 12 more`.

use super::header;
use super::{Exception, Frame, lines_with_offset, split_location};

/// Packages that are never the application's.
const LIBRARIES: [&str; 24] = [
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "clojure.",
    "org.springframework.",
    "org.apache.",
    "org.hibernate.",
    "org.eclipse.",
    "org.jboss.",
    "org.postgresql.",
    "io.netty.",
    "io.grpc.",
    "io.opentelemetry.",
    "reactor.",
    "com.zaxxer.",
    "com.fasterxml.",
    "org.junit.",
];

/// How a place without a line number ends.
const WITHOUT_LINE: [&str; 6] = [
    "Native Method",
    "Unknown Source",
    ".java",
    ".kt",
    ".scala",
    "<generated>",
];

/// The reported exception and its causes, with the offset where the exception begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let mut chain: Vec<Exception> = Vec::new();
    let mut start = 0;
    let mut collecting = true;
    for (offset, line) in lines_with_offset(text) {
        let line = line.trim();
        if let Some(frame) = frame(line) {
            if chain.is_empty() {
                let found = header::find(text.get(..offset).unwrap_or_default());
                start = found.start;
                chain.push(exception(found));
            }
            if let Some(last) = chain.last_mut().filter(|_| collecting) {
                last.frames.push(frame);
            }
        } else if chain.is_empty() || line.starts_with("... ") {
            continue;
        } else if let Some(cause) = line.strip_prefix("Caused by: ") {
            chain.push(exception(header::find(cause)));
            collecting = true;
        } else if line.starts_with("Suppressed: ") {
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

fn frame(line: &str) -> Option<Frame> {
    let (call, location) = without_packaging(line.strip_prefix("at ")?)
        .strip_suffix(')')?
        .split_once('(')?;
    // V8 prints a blank before the parenthesis, the JVM never does.
    if call.is_empty() || call.contains(' ') {
        return None;
    }
    // Loader and module names come before a slash: app//com.x.Y.f, java.base/java.lang.Thread.run.
    let call = call
        .rsplit_once('/')
        .filter(|_| !call.contains("$$Lambda"))
        .map_or(call, |x| x.1);
    let (class, method) = call.rsplit_once('.')?;
    let (file, line, _) = split_location(location);
    if line == 0 && !WITHOUT_LINE.iter().any(|end| location.ends_with(end)) {
        return None;
    }
    let class = stable_class(class);
    Some(Frame {
        function: stable_method(method).to_owned(),
        in_app: !LIBRARIES.iter().any(|package| class.starts_with(package)),
        module: class.to_owned(),
        file: file.to_owned(),
        line,
        column: 0,
    })
}

/// A frame without the archive it came from, which Logback and Log4j add: `~[app.jar!/:1.0]`, `[classes/:na]`.
fn without_packaging(frame: &str) -> &str {
    let Some((head, packaging)) = frame.rsplit_once(") ") else {
        return frame;
    };
    let packaging = packaging.strip_prefix('~').unwrap_or(packaging);
    let is_packaging = packaging.starts_with('[') && packaging.ends_with(']');
    frame
        .get(..=head.len())
        .filter(|_| is_packaging)
        .unwrap_or(frame)
}

/// The class without the suffix of generated lambda and proxy classes.
fn stable_class(class: &str) -> &str {
    class
        .split_once("$$")
        .map_or(class, |(class, _generated)| class)
}

/// The method without the number of a lambda.
fn stable_method(method: &str) -> &str {
    match method.rsplit_once('$') {
        Some((name, number)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => method,
    }
}
