//! Level words as loggers write them, beyond those of [`Severity::from_text`]: abbreviations of consoles, words that only
//! one logger has, and steps above or below a level.

use vervet_model::Severity;

/// The longest word that is looked at here (bytes).
const LONGEST: usize = 9;

/// The severity of a level word: `ERROR`, `wrn`, `SUCCESS`, `WARN+1`.
pub(super) fn of(word: &str) -> Option<Severity> {
    let word = word.trim();
    Severity::from_text(word)
        .filter(|_| word != "verbose")
        .or_else(|| abbreviated(word))
        .or_else(|| stepped(word))
}

/// Serilog's and zerolog's three letters, loguru's success, PostgreSQL's numbered DEBUG, and winston's `verbose`, which ranks above its
/// `debug`; others that write it begin it with a capital and mean the lowest level.
fn abbreviated(word: &str) -> Option<Severity> {
    if word == "verbose" {
        return Some(Severity::from_number(7));
    }
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
