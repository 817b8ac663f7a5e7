//! Passwords on command lines of tools that take them by a short option: `curl -u name:password`, `mysql -ppassword`.

use std::ops::Range;

use super::work;

/// How much of a command line is looked at (bytes).
const LINE_BYTES_MAX: usize = 512;

/// The words of a command behind its `head`, also those of a list of arguments (`["curl","-u","a:b"]`): up to the end of the
/// line or the next command. The same head again has words of its own.
fn words(text: &[u8], head: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let at = head.end;
    let name = text.get(head).unwrap_or_default();
    let end = text.len().min(at + LINE_BYTES_MAX);
    let is_between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b',' | b'=');
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'|' | b';' | b']' | b')');
    let mut from = at;
    std::iter::from_fn(move || {
        let rest = text.get(from..end)?;
        let start = rest.iter().position(|byte| !is_between(byte))?;
        if rest.get(start).is_some_and(is_end) {
            return None;
        }
        let word = rest.get(start..)?;
        let quoted = start.checked_sub(1).and_then(|before| rest.get(before));
        let length = word.iter().position(|byte| match quoted {
            Some(quote @ (b'"' | b'\'')) => byte == quote || matches!(byte, b'\n'),
            _ => is_end(byte) || matches!(byte, b' ' | b'\t' | b'"' | b'\''),
        });
        let length = length.unwrap_or(word.len());
        work::read(length);
        let place = from + start..from + start + length;
        from = place.end;
        let last = text.get((from + 1).saturating_sub(name.len())..=from);
        let is_head = last.is_some_and(|last| last.eq_ignore_ascii_case(name));
        (length > 0 && !is_head).then_some(place)
    })
}

/// The word behind one of these options, or the rest of the option's word.
fn behind(text: &[u8], head: Range<usize>, options: &[&[u8]]) -> Option<Range<usize>> {
    let mut words = words(text, head);
    while let Some(place) = words.next() {
        let word = text.get(place.clone())?;
        if options.contains(&word) {
            return words.next();
        }
        let glued = options
            .iter()
            .find(|option| option.len() == 2 && word.starts_with(option));
        if let Some(option) = glued {
            return Some(place.start + option.len()..place.end);
        }
        let long = options.iter().find(|option| {
            let rest = word.strip_prefix(**option);
            option.len() > 2 && rest.is_some_and(|rest| rest.starts_with(b"="))
        });
        if let Some(option) = long {
            return Some(place.start + option.len() + 1..place.end);
        }
    }
    None
}

/// A word that is written out: no variable and nothing that stands for a secret.
fn secret(text: &[u8], place: Range<usize>) -> Option<Range<usize>> {
    let first = text.get(place.clone())?.first()?;
    (!matches!(first, b'$' | b'<' | b'-' | b'{' | b'%')).then_some(place)
}

/// `-u name:password`, `--user`, `--proxy-user`: what stands behind the colon.
pub(super) fn curl(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const OPTIONS: [&[u8]; 4] = [b"-u", b"-U", b"--user", b"--proxy-user"];
    let place = secret(text, behind(text, head, &OPTIONS)?)?;
    let pair = text.get(place.clone())?;
    let colon = memchr::memchr(b':', pair)?;
    secret(text, place.start + colon + 1..place.end)
}

/// `-ppassword` of MySQL, without a space: `-p` alone asks for it.
pub(super) fn glued(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    let found = words(text, head).find(|place| {
        let word = text.get(place.clone()).unwrap_or_default();
        word.starts_with(b"-p") && word.len() > 2 && !word.starts_with(b"-port")
    })?;
    secret(text, found.start + 2..found.end)
}

/// `sshpass -p password`
pub(super) fn sshpass(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    secret(text, behind(text, head, &[b"-p"])?)
}

/// `redis-cli -a password`
pub(super) fn redis(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    secret(text, behind(text, head, &[b"-a", b"--pass"])?)
}

/// `ldapsearch -w password`
pub(super) fn ldap(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    secret(text, behind(text, head, &[b"-w"])?)
}

/// `docker login -p password`, `az login -p password`
pub(super) fn docker(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    secret(text, behind(text, head, &[b"-p"])?)
}
