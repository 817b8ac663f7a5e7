//! The state of each kind of trace after its next line.

use super::shapes::{
    Shape, begins_level, has_error_level, is_caret, is_exception_header, is_frame, is_go_function,
    is_goroutine, is_pydantic, is_python_exception, is_python_header, is_rails_exception,
    is_ruby_frame, is_source_line, reports_error, starts_with_any, untagged,
};
use super::values::may_open;
use super::{MESSAGE_LINES_MAX, Trace};

impl Trace {
    pub(super) fn next_node(self, shape: &Shape<'_>) -> Option<Self> {
        match self {
            Self::NodeSource => Some(Self::NodeCaret),
            Self::NodeCaret => is_caret(shape.text).then_some(Self::NodeMessage),
            _ if shape.blank => Some(self),
            _ => Some(Self::NodeThrown),
        }
    }

    /// A line between an error's first line and its stack, or the stack.
    pub(super) fn next_message(self, shape: &Shape<'_>) -> Option<Self> {
        if shape.indented && is_frame(shape.text) {
            return Some(Self::Frames);
        }
        if shape.text == b"Caused by:" {
            return Some(Self::RustCauses);
        }
        let Self::Message(count) = self else {
            return None;
        };
        let may_be = count < MESSAGE_LINES_MAX && (shape.blank || Self::is_message(shape));
        may_be.then_some(Self::Message(count + 1))
    }

    /// Whether a line may go on with a message: it is not what loggers write, and no other trace begins with it.
    pub(super) fn is_message(shape: &Shape<'_>) -> bool {
        let line = shape.line;
        // Source in a message may open what it does not close.
        let is_source = shape.indented || !line.first().is_some_and(u8::is_ascii);
        let begins = match may_open(line) {
            true => !is_source,
            false => Self::begin(line) != Self::None,
        };
        let is_logged = || line.starts_with(b"[") || begins_level(line) || has_error_level(line);
        !begins && !is_logged() && !is_exception_header(line) && !reports_error(line)
    }

    pub(super) fn next_frame(self, shape: &Shape<'_>) -> Option<Self> {
        let text = shape.text;
        let is_bracket = matches!(text, b"}" | b"]" | b"},");
        if self != Self::Header && is_source_line(shape.line) {
            return Some(Self::Frames);
        }
        let belongs = shape.indented && (is_frame(text) || is_bracket)
            || starts_with_any(text, &[b"Caused by: ", b"Node.js v", b"(Use `node "]);
        if belongs || (self == Self::Header && shape.is_part()) {
            return Some(Self::Frames);
        }
        match self {
            Self::Frames | Self::FramesBlank if shape.blank => Some(Self::FramesBlank),
            // What an error holds ends at the margin.
            Self::Frames | Self::FramesBlank if is_bracket => Some(Self::FramesBlank),
            Self::Frames if shape.is_part() => Some(Self::Frames),
            _ => None,
        }
    }

    pub(super) fn next_python(self, shape: &Shape<'_>) -> Option<Self> {
        if is_python_header(shape.line) && self != Self::PythonFrames {
            return Some(Self::PythonFrames);
        }
        match self {
            Self::PythonFrames if shape.blank || shape.indented => Some(self),
            // loguru marks the frame that caught.
            Self::PythonFrames if shape.line.starts_with(b"> File ") => Some(self),
            Self::PythonFrames if is_pydantic(shape.line) => {
                is_python_exception(shape.line).then_some(Self::PythonDetails)
            }
            Self::PythonFrames => is_python_exception(shape.line).then_some(Self::PythonDone),
            Self::PythonDone if shape.is_part() => Some(self),
            Self::PythonChained if shape.blank => Some(self),
            Self::PythonDone | Self::PythonBlank if shape.blank => Some(Self::PythonBlank),
            _ => {
                let chained: [&[u8]; 2] = [
                    b"During handling of the above ",
                    b"The above exception was ",
                ];
                starts_with_any(shape.text, &chained).then_some(Self::PythonChained)
            }
        }
    }

    /// Below pydantic's exception line: names of fields, and what is indented below each.
    pub(super) fn next_detail(self, shape: &Shape<'_>) -> Option<Self> {
        if shape.is_part() {
            return Some(Self::PythonDetails);
        }
        let is_name = !shape.blank && !shape.text.contains(&b' ');
        match self {
            Self::PythonDetails if is_name => Some(Self::PythonField),
            Self::PythonDetails => Self::PythonDone.next_python(shape),
            _ => None,
        }
    }

    /// Behind the closing mark other values may follow, in the same line.
    pub(super) fn next_klog(line: &[u8]) -> Option<Self> {
        if line.first() == Some(&b'\t') {
            return Some(Self::KlogValue);
        }
        let state = match line.ends_with(b"=<") {
            true => Self::KlogValue,
            false => Self::None,
        };
        line.starts_with(b" >").then_some(state)
    }

    pub(super) fn next_rails(line: &[u8]) -> Option<Self> {
        let text = untagged(line);
        let belongs = text.is_empty()
            || is_ruby_frame(text)
            || is_rails_exception(text)
            || text == b"Causes:";
        belongs.then_some(Self::Rails)
    }

    pub(super) fn next_go(self, shape: &Shape<'_>) -> Option<Self> {
        let text = shape.text;
        if is_goroutine(text) || text.starts_with(b"runtime stack:") {
            return Some(Self::GoFrames);
        }
        let tail: [&[u8]; 2] = [b"exit status ", b"..."];
        if self == Self::GoPanic {
            let begins: [&[u8]; 4] = [b"[signal ", b"panic: ", b"runtime: ", b"goroutine "];
            let belongs = shape.blank || shape.indented || starts_with_any(text, &begins);
            return (belongs || starts_with_any(text, &tail)).then_some(self);
        }
        if shape.blank {
            return Some(Self::GoBlank);
        }
        let in_frames = shape.indented || is_go_function(text) || text.starts_with(b"created by ");
        let belongs = (self == Self::GoFrames && in_frames) || starts_with_any(text, &tail);
        belongs.then_some(Self::GoFrames)
    }

    pub(super) fn next_rust(self, shape: &Shape<'_>) -> Option<Self> {
        let text = shape.text;
        match self {
            Self::RustMessage => Some(Self::RustDone),
            Self::RustDone => {
                let tail: [&[u8]; 2] = [b"note: ", b"stack backtrace:"];
                (shape.is_part() || starts_with_any(text, &tail)).then_some(self)
            }
            Self::RustError if shape.indented && is_frame(text) => Some(Self::Frames),
            Self::RustError if text == b"Caused by:" => Some(Self::RustCauses),
            Self::RustError => shape.blank.then_some(self),
            _ => {
                let tail: [&[u8]; 2] = [b"Stack backtrace:", b"Location:"];
                let belongs = shape.blank || shape.is_part() || starts_with_any(text, &tail);
                belongs.then_some(self)
            }
        }
    }

    pub(super) fn next_ruby(self, shape: &Shape<'_>) -> Option<Self> {
        // A message behind the place is the beginning of another trace.
        let is_header = !shape.indented && shape.line.ends_with(b")");
        match self {
            _ if is_ruby_frame(shape.text) && !is_header => Some(Self::RubyFrames),
            Self::RubyHeader if shape.blank => Some(Self::RubySource),
            Self::RubySource => Some(Self::RubyCaret),
            Self::RubyCaret => is_caret(shape.text).then_some(Self::RubyFrames),
            _ => None,
        }
    }
}
