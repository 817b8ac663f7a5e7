//! Which word of a text is its level.

use vervet_model::Severity;

use super::super::{Settings, level};

/// How far into the text a level word is looked for (bytes after the time).
const LEVEL_WITHIN: usize = 80;

/// The first level word: in capitals, in brackets, after `level=`, at the beginning before a colon, or in any case where a
/// logger writes it: behind the time.
pub(in crate::formats) fn find_level<'t>(
    settings: &Settings,
    text: &'t str,
    from: usize,
) -> Option<(Severity, &'t str)> {
    let bytes = text.as_bytes();
    let end = bytes.len().min(from + LEVEL_WITHIN);
    let first_line_end = memchr::memchr(b'\n', bytes.get(from..end)?).map_or(end, |at| from + at);
    let is_mapped = !settings.roles.levels.is_empty();
    let mut place = Place {
        is_timed: from > 0,
        ..Place::default()
    };
    let mut at = from;
    while at < first_line_end {
        let window = bytes.get(at..first_line_end)?;
        let skip = window.iter().position(u8::is_ascii_alphabetic)?;
        place.pass(window.get(..skip)?);
        let start = at + skip;
        let letters = bytes
            .get(start..)?
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let stop = start + letters;
        let word = Word::new(text, start, stop);
        if !is_mapped && place.in_message && word.is_plain() {
            at = stop;
            continue;
        }
        let found = word.level(place);
        if found.is_some() && !is_mapped {
            return found;
        }
        if is_mapped && let Some(found) = word.mapped(settings, place, found) {
            return Some(found);
        }
        place.pass_word();
        at = stop.max(start + 1);
    }
    None
}

/// What has been passed on the way to a word.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// A time.
    is_timed: bool,
    /// A bracket that is still open.
    in_bracket: bool,
    has_words: bool,
    /// A word outside of brackets: from here on it is the message.
    in_message: bool,
}

impl Place {
    /// Passes over what stands between words.
    #[inline]
    fn pass(&mut self, gap: &[u8]) {
        if self.in_message || gap.is_empty() {
            return;
        }
        let colons = |gap: &[u8]| gap.iter().filter(|byte| **byte == b':').count();
        // A clock, `03:04:05`, in front of all words.
        self.is_timed |= !self.has_words && gap.len() > 7 && colons(gap) == 2;
        let brackets = |byte: &&u8| matches!(**byte, b'[' | b']');
        if let Some(bracket) = gap.iter().rev().find(brackets) {
            self.in_bracket = *bracket == b'[';
        }
    }

    #[inline]
    fn pass_word(&mut self) {
        self.has_words = true;
        self.in_message |= !self.in_bracket;
    }
}

/// A word of letters in a text.
#[derive(Debug, Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    start: usize,
    stop: usize,
    /// The bytes on both sides.
    before: Option<u8>,
    after: Option<u8>,
}

impl<'t> Word<'t> {
    #[inline]
    fn new(text: &'t str, start: usize, stop: usize) -> Self {
        let byte = |at: usize| text.as_bytes().get(at).copied();
        Self {
            text,
            start,
            stop,
            before: start.checked_sub(1).and_then(byte),
            after: byte(stop),
        }
    }

    fn as_str(self) -> &'t str {
        self.text.get(self.start..self.stop).unwrap_or_default()
    }

    fn head(self) -> &'t str {
        self.text.get(..self.start).unwrap_or_default()
    }

    /// The first byte behind that is no blank.
    fn next(self) -> Option<u8> {
        let behind = self.text.as_bytes().get(self.stop..)?;
        behind.iter().copied().find(|byte| *byte != b' ')
    }

    /// Nothing but letters says that it could be a level, and they are not capitals.
    #[inline]
    fn is_plain(self) -> bool {
        let second = self.text.as_bytes().get(self.start + 1);
        let is_capital = second.is_some_and(u8::is_ascii_uppercase);
        let marks = matches!(self.before, Some(b'[' | b'<' | b'(' | b'='));
        !is_capital && !marks && self.after != Some(b':')
    }

    fn is_capitals(self) -> bool {
        self.as_str().bytes().all(|byte| byte.is_ascii_uppercase())
    }

    /// Part of a longer word, such as an identifier or a path. Levels may be: monolog's `app.ERROR: `, celery's
    /// `: ERROR/MainProcess]`, `[Server thread/ERROR]`.
    fn is_part(self) -> bool {
        let joins =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
        match (self.before, self.after) {
            (Some(b'.'), Some(b':')) => false,
            (Some(b'/'), Some(b']')) => !self.is_capitals(),
            (_, Some(b'/')) => !(self.is_capitals() && self.head().ends_with(": ")),
            (before, after) => before.is_some_and(joins) || after.is_some_and(joins),
        }
    }

    /// Whether punctuation marks it as a level.
    fn is_marked(self) -> bool {
        let (before, after) = (self.before, self.after);
        // `[error]`, structlog's `[warning  ]`
        let bracketed = match before {
            Some(b'[') => matches!(after, Some(b']' | b'>' | b')' | b' ')) && self.closes(),
            Some(b'<' | b'(') => matches!(after, Some(b']' | b'>' | b')')),
            _ => false,
        };
        let head = || self.head();
        // `error: ...`, `PHP Warning:  ...`, and monolog's `[...] app.ERROR: ...`
        let leads = after == Some(b':') && (self.start == 0 || head().ends_with("PHP "));
        // Node's `console.trace` begins with this what it prints.
        let is_trace = self.as_str() == "Trace";
        let assigned =
            before == Some(b'=') && (head().ends_with("level=") || head().ends_with("lvl="));
        bracketed || assigned || (leads && !is_trace)
    }

    /// `[core:error]`, behind the name of a module.
    fn is_of_apache(self) -> bool {
        let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let module = || {
            let head = self.head().strip_suffix(':')?;
            let (_, module) = head.rsplit_once('[')?;
            Some(module.bytes().all(|byte| in_name(&byte)))
        };
        (self.before, self.after) == (Some(b':'), Some(b']')) && module() == Some(true)
    }

    fn closes(self) -> bool {
        matches!(self.next(), Some(b']' | b'>' | b')'))
    }

    /// Whether it stands where loggers write the level: behind a time, as the first word or, with brackets in between, in front
    /// of `:` or `|`.
    fn is_placed(self, place: Place) -> bool {
        if !place.is_timed || place.in_message {
            return false;
        }
        match self.next() {
            Some(b'|') => true,
            // `http: ` and `log: ` name packages of Go.
            Some(b':') => !matches!(self.as_str(), "http" | "log" | "fine"),
            _ => {
                let is_apart = matches!(self.after, None | Some(b' ' | b'\t' | b']'));
                !place.has_words && is_apart && is_unmistakable(self.as_str())
            }
        }
    }

    fn level(self, place: Place) -> Option<(Severity, &'t str)> {
        const SHORTEST_WORD: usize = 3;
        let word = self.as_str();
        if word.len() < SHORTEST_WORD || self.is_part() {
            return None;
        }
        // `[TypeError: boom] { code: 'X' }`, as Node prints an error without a stack.
        if self.before == Some(b'[') && self.after == Some(b':') && word.ends_with("Error") {
            return Some((Severity::ERROR, ""));
        }
        let is_capitals = self.is_capitals();
        let is_marked = || self.is_marked() || self.is_of_apache();
        if !is_capitals && !is_marked() && !self.is_placed(place) {
            return None;
        }
        let is_monolog = self.before == Some(b'.') && self.after == Some(b':');
        let severity = match is_monolog || self.is_of_apache() {
            true => Severity::from_syslog_text(word)?,
            false => level::of(word)?,
        };
        // These are ordinary words unless punctuation marks them as levels.
        let is_ambiguous = is_capitals
            && matches!(
                word,
                "LOG" | "HTTP" | "FINE" | "CONFIG" | "ALERT" | "SUCCESS"
            )
            && self.after != Some(b':');
        (!is_ambiguous || self.is_marked() || self.is_placed(place)).then_some((severity, word))
    }

    /// With a configured word, which may have digits: `found`, or what the configuration makes of the word.
    fn mapped(
        self,
        settings: &Settings,
        place: Place,
        found: Option<(Severity, &'t str)>,
    ) -> Option<(Severity, &'t str)> {
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let rest = self.text.as_bytes().get(self.start..)?;
        let bytes = rest.iter().take_while(|byte| in_word(byte)).count();
        let whole = Self::new(self.text, self.start, self.start + bytes);
        let word = whole.as_str();
        let is_placed = || !place.in_message || whole.is_capitals() || whole.is_marked();
        match settings.roles.level(word) {
            Some(severity) if !whole.is_part() && is_placed() => Some((severity, word)),
            _ => found,
        }
    }
}

/// Whether a word in front of a message is a level without any mark; others, such as `log`, begin sentences.
fn is_unmistakable(word: &str) -> bool {
    // Nest's, in capitals only.
    if word == "LOG" {
        return true;
    }
    let words: &[&str] = match word.len() {
        3 => &["err", "wrn", "inf", "dbg", "trc", "ftl"],
        4 => &["info", "warn", "crit"],
        5 => &["error", "debug", "trace", "fatal"],
        7 => &["warning", "verbose"],
        8 => &["critical"],
        11 => &["information"],
        _ => return false,
    };
    words.iter().any(|level| word.eq_ignore_ascii_case(level))
}
