//! Values that running text gives to secret keys: `password=hunter2`, `"api_key": "abc"`, `Authorization: Basic eA==`.
//!
//! A structured line without a message is kept whole as the body, so what its keys hide must be found there, too. Linear
//! time: one search for all keys, then one look behind each.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

/// White space that may stand around the sign (bytes).
const SPACE_BYTES_MAX: usize = 4;
/// Words that tell how the secret after them is meant.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"digest", b"token", b"apikey"];

/// The search for values of keys.
pub(super) struct Assignments {
    search: AhoCorasick,
}

impl Assignments {
    /// `None` without keys.
    ///
    /// # Errors
    /// The search cannot be built.
    pub(super) fn new(keys: &[String]) -> Result<Option<Self>, String> {
        if keys.is_empty() {
            return Ok(None);
        }
        let forms = keys
            .iter()
            .flat_map(|key| [key.clone(), key.replace('_', "-")]);
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms)
            .map_err(|error| error.to_string())?;
        Ok(Some(Self { search }))
    }

    /// Calls `found` for each value.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut floor = 0;
        for key in self.search.find_iter(text) {
            let before = key.start().checked_sub(1).and_then(|at| text.get(at));
            if key.start() < floor || before.is_some_and(u8::is_ascii_alphanumeric) {
                continue;
            }
            if let Some(value) = value_after(text, key.end()) {
                floor = value.end;
                found(value);
            }
        }
    }
}

/// The value that is assigned to the key that ends at `at`.
fn value_after(text: &[u8], at: usize) -> Option<Range<usize>> {
    let at = skip(text, at, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b']'));
    let at = skip(text, at, |byte| byte == b' ');
    let sign = text.get(at).filter(|byte| matches!(byte, b'=' | b':'))?;
    let mut at = at + 1;
    // `=>`
    if *sign == b'=' && text.get(at) == Some(&b'>') {
        at += 1;
    }
    let at = skip(text, at, |byte| byte == b' ');
    let mark_at = skip(text, at, |byte| byte == b'\\');
    let mark = text
        .get(mark_at)
        .filter(|mark| matches!(mark, b'"' | b'\''));
    let (start, end) = match mark {
        Some(mark) => (
            mark_at + 1,
            quoted_end(text, *mark, mark_at > at, mark_at + 1),
        ),
        None => bare(text, at),
    };
    let value = text.get(start..end)?;
    let is_nothing = matches!(value, b"" | b"null" | b"nil" | b"None" | b"true" | b"false");
    (!is_nothing && !value.starts_with(b"<")).then_some(start..end)
}

/// Passes over at most a few bytes of a kind.
fn skip(text: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let passed = rest.iter().take(SPACE_BYTES_MAX);
    from + passed.take_while(|byte| wanted(**byte)).count()
}

/// The end of a value in quotes that begins at `start`. Within a quoted text the quotes themselves are escaped.
fn quoted_end(text: &[u8], mark: u8, is_nested: bool, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let slashes_before = |at: usize| {
        let before = rest.get(..at).unwrap_or_default().iter().rev();
        before.take_while(|byte| **byte == b'\\').count()
    };
    let is_end = |at: &usize| is_nested || slashes_before(*at).is_multiple_of(2);
    let end = memchr::memchr_iter(mark, rest).find(is_end);
    match end {
        Some(end) if is_nested => start + end - slashes_before(end),
        Some(end) => start + end,
        None => text.len(),
    }
}

/// A value without quotes: a word, or the one after a word such as `Bearer`.
fn bare(text: &[u8], start: usize) -> (usize, usize) {
    let is_end = |byte: u8| {
        let ends = b",;&|\"'\\})]";
        byte <= b' ' || ends.contains(&byte)
    };
    let word_end = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| !is_end(**byte)).count()
    };
    let end = word_end(start);
    let word = text.get(start..end).unwrap_or_default();
    let next = skip(text, end, |byte| byte == b' ');
    let after_scheme = SCHEMES.iter().find_map(|scheme| {
        let (head, rest) = word.split_at_checked(scheme.len())?;
        match rest {
            _ if !head.eq_ignore_ascii_case(scheme) => None,
            b"" => Some(next),
            [b'%', b'2', b'0', ..] => Some(start + scheme.len() + 3),
            _ => None,
        }
    });
    match after_scheme.filter(|next| word_end(*next) > *next) {
        Some(next) => (next, word_end(next)),
        None => (start, end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_keys_are_found_however_they_are_written() {
        let keys = ["password", "api_key", "authorization"].map(str::to_owned);
        let assignments = Assignments::new(&keys).expect("built").expect("keys");
        let check = |text: &str, expected: &str| {
            let mut covered = text.as_bytes().to_vec();
            assignments.find(text.as_bytes(), |place| covered[place].fill(b'*'));
            assert_eq!(String::from_utf8_lossy(&covered), expected, "{text}");
        };
        check(
            "level=info password=hunter2 user=bob",
            "level=info password=******* user=bob",
        );
        check(
            r#"{"password":"hunter2","user":"bob"}"#,
            r#"{"password":"*******","user":"bob"}"#,
        );
        check(
            r#"{"password": "a \" b","x":1}"#,
            r#"{"password": "******","x":1}"#,
        );
        check(
            r#"{"in":"{\"password\":\"hunter2\",\"x\":1}"}"#,
            r#"{"in":"{\"password\":\"*******\",\"x\":1}"}"#,
        );
        check("Api-Key: abc, next", "Api-Key: ***, next");
        check(
            "authorization: Bearer abc.def ok",
            "authorization: Bearer ******* ok",
        );
        check(
            "login failed PASSWORD='a b' for bob",
            "login failed PASSWORD='***' for bob",
        );
        check("password=>x", "password=>*");
        check("db.password=x db_password=y", "db.password=* db_password=*");
        check(
            "password reset asked for, nopassword=1",
            "password reset asked for, nopassword=1",
        );
        check(
            r#"{"password":null,"api_key":""}"#,
            r#"{"password":null,"api_key":""}"#,
        );
        check("password=<key:*>", "password=<key:*>");
        check("password=", "password=");
    }
}
