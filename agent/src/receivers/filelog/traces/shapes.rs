//! What single lines of stack traces look like.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The longest line that is looked at for its shape (bytes).
const SHAPE_BYTES_MAX: usize = 4096;
/// How far into a line the name of an error is looked for (bytes).
const REPORT_BYTES_MAX: usize = 256;
/// How .NET's console logger indents what belongs to a record.
pub(super) const DOTNET_INDENT: &[u8] = b"      ";

/// A line, and what it looks like from afar.
pub(super) struct Shape<'l> {
    pub(super) line: &'l [u8],
    /// Without the white space in front.
    pub(super) text: &'l [u8],
    pub(super) blank: bool,
    pub(super) indented: bool,
}

impl Shape<'_> {
    /// Indented as what belongs to a trace is, by two columns at least (Next.js indents all its lines by one), and no record
    /// of its own.
    pub(super) fn is_part(&self) -> bool {
        let is_deep = self.line.starts_with(b"  ") || self.line.first() == Some(&b'\t');
        // What an error holds may begin with a brace, JSON begins with this.
        let is_record = match self.text.first() {
            Some(b'{') => self.text.starts_with(b"{\""),
            _ => begins_record(self.text),
        };
        is_deep && !self.blank && !is_record
    }
}

/// Text that a logger begins a record with.
#[inline]
pub(super) fn begins_record(line: &[u8]) -> bool {
    let date = || {
        let year = line
            .get(..4)
            .is_some_and(|year| year.iter().all(u8::is_ascii_digit));
        year && matches!(line.get(4), Some(b'-' | b'/')) && line.get(7) == line.get(4)
    };
    match line.first() {
        Some(b'{') => true,
        Some(byte) => byte.is_ascii_digit() && date(),
        None => false,
    }
}

/// A level in front, as loggers without a time write it.
#[inline]
pub(super) fn begins_level(line: &[u8]) -> bool {
    let Some(head) = line.first_chunk::<4>() else {
        return false;
    };
    matches!(
        head,
        b"INFO" | b"WARN" | b"ERRO" | b"DEBU" | b"TRAC" | b"FATA" | b"NOTI" | b"info" | b"warn"
    ) || matches!(head, b"erro" | b"debu" | b"trac" | b"fata" | b"noti")
}

/// `-----BEGIN RSA PRIVATE KEY-----`, alone or behind what a logger puts before it.
pub(super) fn begins_key_block(line: &[u8]) -> bool {
    line.ends_with(b"PRIVATE KEY-----") && has(line, b"-----BEGIN ")
}

pub(super) fn ends_key_block(text: &[u8]) -> bool {
    text.starts_with(b"-----END ")
}

/// A line of base64, or one of the lines about encryption above them.
pub(super) fn in_key_block(text: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.iter().all(is_base64) || starts_with_any(text, &[b"Proc-Type: ", b"DEK-Info: "])
}

/// `at f (file.js:1:2)`, `at com.example.A.b(A.java:1)`, `... 12 more`
pub(super) fn is_frame(text: &[u8]) -> bool {
    text.starts_with(b"at ") || (text.starts_with(b"... ") && text.ends_with(b" more"))
}

/// `java.io.IOException: gone`, `System.NullReferenceException`, `TypeError: x`
pub(super) fn is_exception_header(line: &[u8]) -> bool {
    let name = take_name(line);
    let ends = matches!(line.get(name.len()), None | Some(b':'));
    let is_error = [&b"Exception"[..], b"Error", b"Throwable"]
        .iter()
        .any(|end| name.ends_with(end));
    ends && is_error
}

/// Whether the exception in a line has its package in front.
pub(super) fn is_qualified(line: &[u8]) -> bool {
    take_name(line).contains(&b'.')
}

/// Whether a line names an error behind which its message stands, at the beginning or behind what a program puts in front:
/// `Error: x`, `failed: Error: x`, `Error [ZodError]: x`, `[api] [TypeError: x] {`, `System.Exception: x`.
pub(super) fn reports_error(line: &[u8]) -> bool {
    // Made once: to make them takes longer than to search a line.
    static KINDS: LazyLock<[Finder<'_>; 2]> =
        LazyLock::new(|| [Finder::new(b"Error"), Finder::new(b"Exception")]);
    let head = line.get(..line.len().min(REPORT_BYTES_MAX));
    let head = head.unwrap_or(line);
    KINDS.iter().any(|kind| {
        let mut found = kind
            .find_iter(head)
            .map(|at| (at, at + kind.needle().len()));
        found.any(|(at, end)| {
            let behind = head.get(end..).unwrap_or_default();
            let ends = matches!(behind, [b':'] | [b':', b' ', ..] | [b' ', b'[', ..]);
            ends && is_type_name(head.get(..at).unwrap_or_default())
        })
    })
}

/// Whether the name that `head` ends in the middle of is that of a type: it begins with a capital, or is of a package.
fn is_type_name(head: &[u8]) -> bool {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
    let begin = head
        .iter()
        .rposition(|byte| !in_name(byte))
        .map_or(0, |at| at + 1);
    let name = head.get(begin..).unwrap_or_default();
    let in_package = || name.contains(&b'.');
    name.first().is_none_or(u8::is_ascii_uppercase) || in_package()
}

/// The name of a type at the beginning of a line.
fn take_name(line: &[u8]) -> &[u8] {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
    let end = line.iter().position(|byte| !in_name(byte));
    let name = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    let begins = name
        .first()
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    if begins { name } else { b"" }
}

/// `fail: Shop.Cart[0]`
pub(super) fn is_dotnet_console(line: &[u8]) -> bool {
    let levels: [&[u8]; 6] = [b"trce", b"dbug", b"info", b"warn", b"fail", b"crit"];
    let is_level = line.get(..4).is_some_and(|level| levels.contains(&level));
    let behind = line.get(4..).map(uncoloured).unwrap_or_default();
    is_level && behind.starts_with(b": ") && line.ends_with(b"]")
}

/// The same behind a time: `03:04:05 fail: Shop.Cart[0]`, `[2024-01-02 03:04:05] fail: Shop.Cart[0]`
pub(super) fn is_timed_dotnet_console(line: &[u8]) -> bool {
    const TIME_BYTES_MAX: usize = 40;
    let head = line.get(..line.len().min(TIME_BYTES_MAX));
    let colon = head.and_then(|head| memchr::memmem::find(head, b": "));
    let Some(level_at) = colon.and_then(|colon| colon.checked_sub(4)) else {
        return false;
    };
    let (time, rest) = line.split_at_checked(level_at).unwrap_or_default();
    let is_time = time.ends_with(b" ") && time.iter().filter(|byte| **byte == b':').count() >= 2;
    let is_category = || rest.iter().filter(|byte| **byte == b' ').count() == 1;
    is_time && is_dotnet_console(rest) && is_category()
}

pub(super) fn is_python_header(line: &[u8]) -> bool {
    line.starts_with(b"Traceback (most recent call last):")
        || line.starts_with(b"  + Exception Group Traceback (most recent call last):")
}

/// `KeyError: 'x'`, `app.errors.Gone`, `KeyboardInterrupt`
pub(super) fn is_python_exception(line: &[u8]) -> bool {
    let name = take_name(line);
    // loguru colours the name.
    !name.is_empty() && matches!(line.get(name.len()), None | Some(b':' | 0x1b))
}

/// pydantic's `pydantic_core.ValidationError: 2 validation errors for Order`, below which each field has a line of its own.
pub(super) fn is_pydantic(line: &[u8]) -> bool {
    has(line, b" validation error")
}

/// Without the escape sequences that colour its beginning.
#[inline]
pub(super) fn uncoloured(line: &[u8]) -> &[u8] {
    match line.first() {
        Some(0x1b) => behind_colours(line),
        _ => line,
    }
}

#[cold]
fn behind_colours(line: &[u8]) -> &[u8] {
    let mut rest = line;
    while let Some(sequence) = rest.strip_prefix(b"\x1b[") {
        let Some(end) = sequence.iter().position(u8::is_ascii_alphabetic) else {
            return rest;
        };
        rest = sequence.get(end + 1..).unwrap_or_default();
    }
    rest
}

pub(super) fn is_goroutine(line: &[u8]) -> bool {
    line.starts_with(b"goroutine ") && line.ends_with(b"]:")
}

/// `E0102 03:04:05.678901`
pub(super) fn is_klog(line: &[u8]) -> bool {
    let date = line.get(1..5);
    matches!(line.first(), Some(b'I' | b'W' | b'E' | b'F'))
        && date.is_some_and(|date| date.iter().all(u8::is_ascii_digit))
}

/// The line of klog's `Fatal`, behind which the goroutines are written.
pub(super) fn is_klog_fatal(line: &[u8]) -> bool {
    line.first() == Some(&b'F') && is_klog(line)
}

/// `Jan 2, 2024 3:04:05 AM org.shop.Cart add`, behind which java.util.logging writes the message.
pub(super) fn is_jul_head(line: &[u8]) -> bool {
    let is_date =
        line.get(3) == Some(&b' ') && matches!(line.get(5..7), Some([b',', _] | [_, b',']));
    if !is_date || line.len() > SHAPE_BYTES_MAX {
        return false;
    }
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$.<>".contains(byte);
    let is_name = |word: &[u8]| !word.is_empty() && word.iter().all(in_name);
    let mut words = line.rsplitn(3, |byte| *byte == b' ');
    let (method, class, time) = (words.next(), words.next(), words.next());
    let is_time = time.is_some_and(|time| time.iter().filter(|byte| **byte == b':').count() == 2);
    is_time && method.is_some_and(is_name) && class.is_some_and(is_name)
}

/// `SEVERE: message`
pub(super) fn begins_jul_message(line: &[u8]) -> bool {
    crate::formats::JUL_LEVELS.iter().any(|level| {
        let rest = line.strip_prefix(level.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&b':'))
    })
}

/// Rails' `F, [2024-01-02T03:04:05.678901 #12] FATAL -- : `, which the exception stands below.
pub(super) fn is_rails_fatal(line: &[u8]) -> bool {
    line.starts_with(b"F, [") && has(line, b"FATAL -- :")
}

/// Without the tags that Rails repeats on each line: `[1f3a] [10.0.0.1] `.
pub(super) fn untagged(line: &[u8]) -> &[u8] {
    let mut rest = line.trim_ascii_start();
    while let Some(tag) = rest.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', tag) else {
            return rest;
        };
        rest = tag.get(end + 1..).unwrap_or_default().trim_ascii_start();
    }
    rest
}

/// `NoMethodError (undefined method 'x' for nil):`, `ActiveRecord::RecordNotFound (gone):`
pub(super) fn is_rails_exception(text: &[u8]) -> bool {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    let end = text.iter().position(|byte| !in_name(byte));
    let behind = text.get(end.unwrap_or(text.len())..).unwrap_or_default();
    text.first().is_some_and(u8::is_ascii_uppercase) && behind.starts_with(b" (")
}

/// pino-pretty's `[03:04:05.678] ERROR (12): message`, with its colours or without.
pub(super) fn is_pino_pretty(line: &[u8]) -> bool {
    let process = || {
        let at = memchr::memchr(b'(', line)?;
        let behind = line.get(at + 1..)?;
        let end = memchr::memmem::find(behind, b"):")?;
        behind
            .get(..end)?
            .last()
            .is_some_and(u8::is_ascii_alphanumeric)
            .then_some(())
    };
    line.first() == Some(&b'[') && process().is_some()
}

/// `    err: {`, `    user: "x"`: what pino-pretty writes below a message.
pub(super) fn is_pino_field(line: &[u8]) -> bool {
    let Some(text) = line.strip_prefix(b"    ") else {
        return false;
    };
    let is_key = text
        .first()
        .is_some_and(|byte| !matches!(byte, b' ' | b'\t'));
    is_key && (has(text, b": ") || text.ends_with(b":"))
}

/// `> 5 |   foo();`, the line of source that a bundler points to.
pub(super) fn is_source_line(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"> ") else {
        return false;
    };
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0
        && rest
            .get(digits..)
            .is_some_and(|rest| rest.starts_with(b" |"))
}

/// `main.(*T).run(0x1, {0x2, 0x3})`, `panic({0x4, 0x5})`
pub(super) fn is_go_function(text: &[u8]) -> bool {
    let Some(open) = memchr::memchr(b'(', text) else {
        return false;
    };
    let name = text.get(..open).unwrap_or_default();
    let is_name = !name.is_empty() && !name.contains(&b' ');
    text.ends_with(b")") && is_name && (name.contains(&b'.') || name == b"panic")
}

/// `main.main`, `net/http.(*conn).serve`
pub(super) fn is_go_symbol(line: &[u8]) -> bool {
    let in_symbol = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'.' | b'/' | b'_' | b'-' | b'(' | b')' | b'*' | b'[' | b']'
            )
    };
    line.len() < SHAPE_BYTES_MAX
        && line.first().is_some_and(u8::is_ascii_alphabetic)
        && line.iter().all(in_symbol)
        && line.contains(&b'.')
}

/// A line of zap's console, which names its caller between tabs.
pub(super) fn is_zap(line: &[u8]) -> bool {
    has(line, b".go:") && line.contains(&b'\t')
}

/// `/app/server.js:10`, which Node writes above the source of an uncaught error.
pub(super) fn is_node_location(line: &[u8]) -> bool {
    const LONGEST: usize = 512;
    let digits = line
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let Some(path) = line
        .get(..line.len() - digits)
        .and_then(|path| path.strip_suffix(b":"))
    else {
        return false;
    };
    let is_script = [&b".js"[..], b".mjs", b".cjs", b".ts"]
        .iter()
        .any(|end| path.ends_with(end));
    let is_path =
        path.starts_with(b"/") || path.starts_with(b"file:") || path.get(1) == Some(&b':');
    digits > 0 && line.len() < LONGEST && (is_script && is_path || path.starts_with(b"node:"))
}

/// `/app/a.rb:3:in 'run'`, with `from ` in front or a message behind.
pub(super) fn is_ruby_frame(text: &[u8]) -> bool {
    let head = text.get(..text.len().min(SHAPE_BYTES_MAX)).unwrap_or(text);
    // Made once: to make it takes longer than to search a line.
    static IN: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b":in "));
    let Some(at) = IN.find(head) else {
        return false;
    };
    let place = head.get(..at).unwrap_or_default();
    let digits = place
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_digit())
        .count();
    let file = place.get(..place.len() - digits).unwrap_or_default();
    digits > 0
        && matches!(head.get(at + 4), Some(b'\'' | b'`'))
        && (file.ends_with(b".rb:") || file.ends_with(b">:"))
}

/// `#3 /app/a.php(9): f()` and what stands between and below frames.
pub(super) fn is_php_frame(text: &[u8]) -> bool {
    let beginnings: [&[u8]; 8] = [
        b"Stack trace:",
        b"[stacktrace]",
        b"[previous exception]",
        b"Next ",
        b"thrown in ",
        b"\"}",
        b"\"] ",
        b"{main}",
    ];
    let numbered = || {
        let digits = text.iter().skip(1).take_while(|b| b.is_ascii_digit());
        let digits = digits.count();
        digits > 0 && text.get(1 + digits) == Some(&b' ')
    };
    (text.first() == Some(&b'#') && numbered()) || starts_with_any(text, &beginnings)
}

/// `    ^^^~~~`, below the place in a line of source.
pub(super) fn is_caret(text: &[u8]) -> bool {
    text.first() == Some(&b'^') && text.iter().all(|byte| matches!(byte, b'^' | b'~' | b' '))
}

/// A line that reports something wrong.
pub(super) fn has_error_word(line: &[u8]) -> bool {
    let words: [&[u8]; 5] = [b"rror", b"xception", b"CRITICAL", b"WARNING", b"anic"];
    has_error_level(line) || words.iter().any(|word| has(line, word))
}

/// A line whose level tells that something is wrong.
pub(super) fn has_error_level(line: &[u8]) -> bool {
    let words: [&[u8]; 8] = [
        b"ERROR", b"FATAL", b"SEVERE", b"WARN", b"CRIT", b"[error]", b"ERR]", b"FTL]",
    ];
    words.iter().any(|word| has(line, word))
}

pub(super) fn has(line: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(line, word).is_some()
}

pub(super) fn starts_with_any(text: &[u8], beginnings: &[&[u8]]) -> bool {
    beginnings
        .iter()
        .any(|beginning| text.starts_with(beginning))
}
