//! .NET stacks: `at Shop.Cart.Add(Item i) in /src/Cart.cs:line 42`, inner exceptions behind ` ---> `.
//!
//! All headers stand first, the reported exception's in front; the frames of the innermost follow, and a line ends those of
//! each inner exception.

use super::header;
use super::{Exception, Frame, lines_with_offset};

/// Namespaces that are never the application's.
const LIBRARIES: [&str; 18] = [
    "System.",
    "Microsoft.",
    "Npgsql.",
    "MySqlConnector.",
    "StackExchange.",
    "Newtonsoft.",
    "Serilog.",
    "NLog.",
    "Grpc.",
    "MediatR.",
    "Polly.",
    "Dapper.",
    "Quartz.",
    "Hangfire.",
    "Castle.",
    "AutoMapper.",
    "MassTransit.",
    "Azure.",
];
const INNER: &str = " ---> ";

/// The reported exception and its causes, with the offset where the exception begins.
pub(super) fn parse(text: &str) -> Option<(usize, Vec<Exception>)> {
    let mut found: Option<(usize, Vec<Exception>)> = None;
    // The exception that frames belong to.
    let mut current = 0;
    let mut has_place = false;
    for (offset, line) in lines_with_offset(text) {
        let line = line.trim();
        if let Some(frame) = frame(line) {
            has_place |= frame.line > 0;
            let (_, chain) = found.get_or_insert_with(|| {
                let read = headers(text.get(..offset).unwrap_or_default());
                current = read.1.len() - 1;
                read
            });
            if let Some(exception) = chain.get_mut(current) {
                exception.frames.push(frame);
            }
        } else if found.is_some() && line.starts_with("--- End of inner exception stack trace") {
            current = current.saturating_sub(1);
        } else if found.is_some() && line.starts_with("---> (Inner Exception ") {
            // What an AggregateException holds comes again behind its own frames.
            break;
        }
    }
    let (start, chain) = found?;
    // A call in prose looks like a frame, too.
    let is_named = || {
        chain
            .first()
            .is_some_and(|first| first.exception_type.contains('.'))
    };
    if !has_place && !is_named() {
        return None;
    }
    // One that was made and not thrown has no frames.
    let thrown = chain.into_iter().skip_while(|one| one.frames.is_empty());
    Some((start, thrown.collect()))
}

/// The exceptions that stand above the first frame.
fn headers(before: &str) -> (usize, Vec<Exception>) {
    let mut parts = before.split(INNER);
    let reported = header::find(parts.next().unwrap_or_default());
    let start = reported.start;
    let inner = parts.map(header::find);
    let chain = std::iter::once(reported)
        .chain(inner)
        .map(|found| Exception {
            exception_type: found.exception_type,
            message: found.message,
            frames: Vec::new(),
        });
    (start, chain.collect())
}

fn frame(line: &str) -> Option<Frame> {
    let rest = line.strip_prefix("at ")?;
    let (call, file, line) = match rest.rsplit_once(":line ") {
        Some((place, number)) => {
            let (call, file) = place.split_once(") in ")?;
            (call, file, number.parse().ok()?)
        }
        None => (rest.strip_suffix(')')?, "", 0),
    };
    let (name, arguments) = call.split_once('(')?;
    if !is_name(name) || !are_arguments(arguments) {
        return None;
    }
    let (class, method) = split_name(name);
    Some(Frame {
        function: method,
        in_app: !LIBRARIES
            .iter()
            .any(|namespace| class.starts_with(namespace)),
        module: class,
        file: file.to_owned(),
        line,
        column: 0,
    })
}

/// `Shop.Cart.Add`, also of generated code.
fn is_name(name: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || "._<>`|$[],+=".contains(c);
    name.contains('.')
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(in_name)
}

/// Nothing, or a type and a name each; other languages print values or places.
fn are_arguments(arguments: &str) -> bool {
    let is_one = |one: &str| one.contains(' ') && !one.contains(['"', '/']);
    match arguments {
        "" => true,
        "Native Method" | "Unknown Source" => false,
        _ => arguments.split(", ").all(is_one),
    }
}

/// Class and method, without what the compiler makes of lambdas, local functions, iterators and asynchronous methods:
/// `Shop.Cart.<AddAsync>d__5.MoveNext` is `AddAsync` of `Shop.Cart`.
fn split_name(name: &str) -> (String, String) {
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    let mut parts: Vec<&str> = Vec::new();
    let mut is_generated = false;
    for part in name.split('.').filter(|part| !part.is_empty()) {
        let Some(inside) = part.strip_prefix('<') else {
            parts.push(part.split_once('`').map_or(part, |(part, _)| part));
            continue;
        };
        is_generated = true;
        if let Some(method) = method_of(inside) {
            parts.push(method);
        }
    }
    if is_generated && parts.last() == Some(&"MoveNext") {
        parts.pop();
    }
    let method = parts.pop().unwrap_or_default().to_owned();
    (parts.join("."), method)
}

/// The method in what the compiler named, behind its first `<`: `AddAsync>d__5`, `Main>b__0_1`, `<Main>$>g__Run|0_0`; none in
/// the class of a lambda, `>c__DisplayClass5_0`.
fn method_of(inside: &str) -> Option<&str> {
    if let Some((_, local)) = inside.split_once(">g__") {
        return local.split_once('|').map(|(name, _)| name);
    }
    let name = inside.trim_start_matches('<').split_once('>')?.0;
    (!name.is_empty()).then_some(name)
}
