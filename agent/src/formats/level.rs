//! Level words as loggers write them, beyond those of [`Severity::from_text`]: abbreviations of consoles, words that only
//! one logger has, and steps above or below a level.

use vervet_model::Severity;

/// The longest word that is looked at here (bytes).
const LONGEST: usize = 9;
/// Levels of java.util.logging.
pub(crate) const JUL_LEVELS: [&str; 7] = [
    "SEVERE", "WARNING", "INFO", "CONFIG", "FINE", "FINER", "FINEST",
];
/// winston's `verbose` ranks above its `debug`; others that write the word begin it with a capital and mean the lowest level.
const VERBOSE_NUMBER: i32 = 7;

/// The severity of a level word: `ERROR`, `wrn`, `SUCCESS`, `WARN+1`.
pub(super) fn of(word: &str) -> Option<Severity> {
    match Severity::from_text(word) {
        Some(_) if word == "verbose" => Some(Severity::from_number(VERBOSE_NUMBER)),
        Some(severity) => Some(severity),
        None => of_few(word.trim()),
    }
}

/// Whether a word may be one that [`of`] knows, of three letters and more: most others are ruled out by length, first letter
/// and last.
#[inline]
pub(super) fn may_be(word: &str) -> bool {
    let bytes = word.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    match (first | 0x20, last | 0x20) {
        (b't', b'e') => matches!(bytes.len(), 4 | 5),
        (b't', b'c') => matches!(bytes.len(), 3 | 4),
        (b'f', b'l') => matches!(bytes.len(), 3..=5),
        (b'f', b'e' | b'a') => bytes.len() == 4,
        (b'f', b'r') | (b's', b'y') => bytes.len() == 5,
        (b'f', b't') | (b's' | b'n', b'e') | (b'd', b'c') | (b'c', b'g') => bytes.len() == 6,
        (b's', b's') | (b'v', b'e') => bytes.len() == 7,
        (b'v', b'b') | (b'i', b'f') | (b'l', b'g') => bytes.len() == 3,
        (b'd', b'g') => matches!(bytes.len(), 3..=5),
        (b'd', b'u') | (b'i' | b'e', b'o') | (b'h', b'p') | (b'c', b't') => bytes.len() == 4,
        (b'i', b'n') => bytes.len() == 11,
        (b'i', b'l') => bytes.len() == 13,
        (b'w', b'n') => matches!(bytes.len(), 3 | 4),
        (b'w', b'g') => bytes.len() == 7,
        (b'e', b'r') => matches!(bytes.len(), 3 | 5),
        (b'e', b'g') | (b'a', b't') | (b'p', b'c') => bytes.len() == 5,
        (b'e', b'y') => bytes.len() == 9,
        (b'c', b'l') => bytes.len() == 8,
        (b'p', b'i') => bytes.len() == 4,
        _ => false,
    }
}

/// By length, first letter and last first: most words of a text are ruled out by them.
#[inline]
fn of_few(word: &str) -> Option<Severity> {
    let bytes = word.as_bytes();
    match (bytes.first()? | 0x20, bytes.last()?) {
        (b'd' | b'i' | b'w' | b'e', b'0'..=b'9') => abbreviated(word).or_else(|| stepped(word)),
        (b'v' | b't' | b'i' | b'w' | b'f', _) if bytes.len() == 3 => abbreviated(word),
        (b's', _) if bytes.len() == 7 => abbreviated(word),
        (b't' | b'd' | b'e' | b'f' | b'p', _) if bytes.len() == 4 => of_logrus(word),
        // Of java.util.logging, which ranks it above `FINE`; in other cases it is an ordinary word.
        (b'c', b'G') if word == "CONFIG" => Some(Severity::from_number(7)),
        _ => None,
    }
}

/// Serilog's and zerolog's three letters, loguru's success, PostgreSQL's numbered DEBUG.
fn abbreviated(word: &str) -> Option<Severity> {
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"vrb" | b"trc" => Severity::TRACE,
        b"debug1" | b"debug2" | b"debug3" | b"debug4" | b"debug5" => Severity::DEBUG,
        b"inf" => Severity::INFO,
        b"success" => Severity::from_number(10),
        b"wrn" => Severity::WARN,
        b"ftl" => Severity::FATAL,
        _ => return None,
    })
}

/// logrus on a terminal: `ERRO[0012] message`.
fn of_logrus(word: &str) -> Option<Severity> {
    Some(match word {
        "TRAC" => Severity::TRACE,
        "DEBU" => Severity::DEBUG,
        "ERRO" => Severity::ERROR,
        "FATA" | "PANI" => Severity::FATAL,
        _ => return None,
    })
}

/// Go's slog: `ERROR+2`, `DEBUG-4`. Its levels are four apart, as OpenTelemetry's are.
fn stepped(word: &str) -> Option<Severity> {
    let at = word.find(['+', '-'])?;
    let (name, steps) = word.split_at_checked(at)?;
    let base = match name {
        "DEBUG" => Severity::DEBUG,
        "INFO" => Severity::INFO,
        "WARN" => Severity::WARN,
        "ERROR" => Severity::ERROR,
        _ => return None,
    };
    let steps: i32 = steps.parse().ok().filter(|steps: &i32| steps.abs() < 100)?;
    Some(Severity::from_number((base.number() + steps).clamp(1, 24)))
}
