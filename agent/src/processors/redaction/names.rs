//! Names of keys, as people write them: `client_secret`, `client-secret`, `clientSecret`, `ClientSecret`.
//!
//! A name is secret when its last words are those of a key: `db.userPassword` ends in `password`, `password_hint`
//! does not. A number, an `s` or a word such as `value` behind them changes little ([`tail`]). An own key is a whole name, or all behind its last point.

use super::judged;
use super::work;
use super::{KEYS_DEFAULT, KEYS_JUDGED, KEYS_LIKELY};

/// Words that may stand behind a key: `password.value`, `passwordConfirm`; behind a whole key the first of them.
const BEHIND: [&[u8]; 11] = [
    b"value",
    b"confirmation",
    b"confirm",
    b"repeat",
    b"again",
    b"old",
    b"new",
    b"text",
    b"plain",
    b"plaintext",
    b"string",
];
/// The longest of these (bytes).
const BEHIND_BYTES_MAX: usize = 12;
/// The last letters of these.
const ENDS: &[u8] = b"enmtdwg";
/// Digits that may stand behind a key: `password2`.
const DIGITS_MAX: usize = 2;

/// A key whose values go.
#[derive(Debug, Clone)]
pub(super) struct SecretKey {
    /// Its part after the last point, in lower case, with `_` between words.
    pub(super) name: String,
    /// What ends in it is another key.
    pub(super) is_whole: bool,
    pub(super) secrecy: Secrecy,
}

/// What a key says of its value, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Secrecy {
    /// It is secret.
    Always,
    /// It is, unless it says what became of the secret.
    Sure,
    /// It is, unless it says so or is a path: the shell's `PWD`, a key's file.
    Folder,
    /// It is, unless it looks like a count or a state.
    Likely,
    /// It is if it looks so.
    Judged,
    /// It is if it looks so and is no number, which would be a count: `tokens`.
    Counted,
}

impl Secrecy {
    /// The value decides.
    pub(super) fn is_judged(self) -> bool {
        matches!(self, Self::Likely | Self::Judged | Self::Counted)
    }

    /// What the plural of the key says.
    pub(super) fn many(self) -> Self {
        match self {
            Self::Always | Self::Sure | Self::Folder | Self::Likely => Self::Likely,
            Self::Judged | Self::Counted => Self::Counted,
        }
    }
}

/// What stands between a key and the sign behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) length: usize,
    /// It makes a plural.
    pub(super) is_many: bool,
}

/// The tail that a text behind a key begins with: `s`, `2`, `_2`, `.value`, `Value`; of a whole key only `value`.
pub(super) fn tail(text: &[u8], is_whole: bool) -> Tail {
    let mut length = match text.first() {
        Some(byte) if byte.is_ascii_alphanumeric() || b"._-".contains(byte) => 0,
        _ => return Tail::default(),
    };
    // `secretString` is no plural.
    let is_many = !is_whole
        && matches!(text, [b's' | b'S', rest @ ..] if !rest.first().is_some_and(u8::is_ascii_lowercase));
    length += usize::from(is_many);
    let rest = text.get(length..).unwrap_or_default();
    let (word, sign) = match rest {
        [b'.' | b'_' | b'-', word @ ..] => (word, 1),
        _ => (rest, 0),
    };
    let digits_max = if is_whole { 0 } else { DIGITS_MAX };
    let digits = word
        .iter()
        .take(digits_max)
        .take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    if digits > 0 {
        length += sign + digits;
    } else if sign > 0 || word.first().is_some_and(u8::is_ascii_uppercase) {
        let letters = word
            .iter()
            .take(BEHIND_BYTES_MAX + 1)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        work::read(letters);
        let known = word
            .get(..letters)
            .is_some_and(|word| is_behind(word, is_whole));
        length += if known { sign + letters } else { 0 };
    }
    Tail { length, is_many }
}

fn is_behind(word: &[u8], is_whole: bool) -> bool {
    let known = if is_whole { &BEHIND[..1] } else { &BEHIND };
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

impl SecretKey {
    /// One that the defaults have stays as it is there.
    pub(super) fn new(key: &str) -> Self {
        let last = key.rsplit('.').next().unwrap_or_default();
        let name = last.to_ascii_lowercase().replace('-', "_");
        let is_whole = !KEYS_DEFAULT.contains(&name.as_str());
        Self {
            name,
            is_whole,
            secrecy: Secrecy::Always,
        }
    }

    /// Those that are looked for by default.
    pub(super) fn defaults() -> Vec<Self> {
        let of = |names: &[&str], secrecy| {
            let keys = names.iter().map(|name| Self {
                name: (*name).to_owned(),
                is_whole: false,
                secrecy,
            });
            keys.collect::<Vec<_>>()
        };
        let secrecy = |key: &str| match key {
            "pwd" | "private_key" => Secrecy::Folder,
            _ => Secrecy::Sure,
        };
        let sure = KEYS_DEFAULT.iter().map(|key| Self {
            secrecy: secrecy(key),
            ..Self::new(key)
        });
        sure.chain(of(&KEYS_LIKELY, Secrecy::Likely))
            .chain(of(&KEYS_JUDGED, Secrecy::Judged))
            .collect()
    }
}

/// The keys that are looked for.
pub(super) struct KeyNames {
    /// By their last byte: most names are told apart by theirs.
    by_end: Vec<Vec<PlainKey>>,
}

struct PlainKey {
    /// Letters and digits only, in lower case.
    name: Vec<u8>,
    /// The last but one: most names of that end are told apart by theirs.
    last_but_one: Option<u8>,
    is_whole: bool,
    secrecy: Secrecy,
}

impl KeyNames {
    pub(super) fn new(keys: &[SecretKey]) -> Self {
        let plain = |key: &SecretKey| {
            let bytes = key.name.bytes().filter(u8::is_ascii_alphanumeric);
            let name: Vec<u8> = bytes.map(|byte| byte.to_ascii_lowercase()).collect();
            PlainKey {
                last_but_one: name.iter().nth_back(1).copied(),
                name,
                is_whole: key.is_whole,
                secrecy: key.secrecy,
            }
        };
        let mut by_end: Vec<Vec<PlainKey>> = Vec::new();
        by_end.resize_with(1 + usize::from(u8::MAX), Vec::new);
        for key in keys.iter().map(plain) {
            let end = key.name.last().map(|end| usize::from(*end));
            if let Some(keys) = end.and_then(|end| by_end.get_mut(end)) {
                keys.push(key);
            }
        }
        Self { by_end }
    }

    /// What the last words of a name say of its value; `None` when they are no key.
    pub(super) fn secrecy(&self, name: &[u8]) -> Option<Secrecy> {
        // `user[password]`, as forms write it.
        let name = match name {
            [rest @ .., b'[', b']'] | [rest @ .., b']'] => rest.strip_suffix(b"]").unwrap_or(rest),
            _ => name,
        };
        let found = self.of_end(name, true);
        found.or_else(|| {
            let (name, tail) = without_tail(name)?;
            let secrecy = self.of_end(name, tail == Behind::Value)?;
            Some(if tail == Behind::Many {
                secrecy.many()
            } else {
                secrecy
            })
        })
    }

    fn of_end(&self, name: &[u8], may_be_whole: bool) -> Option<Secrecy> {
        let last = name.last()?.to_ascii_lowercase();
        let mut letters = name
            .iter()
            .rev()
            .filter(|byte| byte.is_ascii_alphanumeric());
        let last_but_one = letters.nth(1).map(u8::to_ascii_lowercase);
        let mut found = None;
        for key in self.by_end.get(usize::from(last))? {
            if key.last_but_one.is_some() && key.last_but_one != last_but_one {
                continue;
            }
            let Some(at) = ends_in(name, &key.name) else {
                continue;
            };
            if key.is_whole && !(may_be_whole && begins_name(name, at)) {
                continue;
            }
            if key.secrecy == Secrecy::Always {
                return Some(Secrecy::Always);
            }
            let before = name.get(..at).unwrap_or_default();
            if !key.secrecy.is_judged() || !judged::is_of_something_else(before) {
                found = Some(found.map_or(key.secrecy, |found: Secrecy| found.min(key.secrecy)));
            }
        }
        found
    }
}

/// What stands behind a key in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A word `value`.
    Value,
    /// The letter of a plural.
    Many,
    /// A number, or one of the other words.
    Other,
}

/// The name before its [`tail`].
fn without_tail(name: &[u8]) -> Option<(&[u8], Behind)> {
    let (end, tail) = match name.last()? {
        byte if byte.is_ascii_digit() => {
            let digits = name.iter().rev().take(DIGITS_MAX);
            let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
            (name.len() - digits, Behind::Other)
        }
        b's' | b'S' => (name.len() - 1, Behind::Many),
        // Most last words are none of these, by their last letter.
        last if ENDS.contains(&last.to_ascii_lowercase()) => {
            let last = last.to_ascii_lowercase();
            let before = name.iter().nth_back(1)?.to_ascii_lowercase();
            let fits = |word: &&&[u8]| match **word {
                [.., a, b] if *b == last && *a == before => {
                    let at = name.len().checked_sub(word.len());
                    at.is_some_and(|at| {
                        let end = name.get(at..).unwrap_or_default();
                        end.eq_ignore_ascii_case(word) && begins_word(name, at)
                    })
                }
                _ => false,
            };
            let word = *BEHIND.iter().find(fits)?;
            let is_value = word == BEHIND[0];
            let tail = if is_value {
                Behind::Value
            } else {
                Behind::Other
            };
            (name.len() - word.len(), tail)
        }
        _ => return None,
    };
    let front = name.get(..end)?;
    let letters = front.iter().rposition(u8::is_ascii_alphanumeric)? + 1;
    // What ends in a sign and an `s` is no plural.
    (tail != Behind::Many || letters == end).then_some((front.get(..letters)?, tail))
}

/// Whether a name begins at `at`: behind a point, which stands between a name and what it is of, or with the text.
fn begins_name(text: &[u8], at: usize) -> bool {
    at == 0 || text.get(at - 1) == Some(&b'.')
}

/// Where the last words of a name begin that are, put together, `key`.
fn ends_in(name: &[u8], key: &[u8]) -> Option<usize> {
    let mut at = name.len();
    let mut key = key.iter().rev();
    let mut wanted = key.next()?;
    for (index, byte) in name.iter().enumerate().rev() {
        if !byte.is_ascii_alphanumeric() {
            // What ends in a sign is no word.
            if at == name.len() {
                return None;
            }
            continue;
        }
        if byte.to_ascii_lowercase() != *wanted {
            return None;
        }
        at = index;
        match key.next() {
            Some(next) => wanted = next,
            None => return begins_word(name, at).then_some(at),
        }
    }
    None
}

/// Whether a word of a name begins at `at`: no letter or digit before it, or a capital that begins a word: `dbPassword`,
/// `DBPassword`.
pub(super) fn begins_word(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|at| text.get(at)) else {
        return true;
    };
    if !before.is_ascii_alphanumeric() {
        return true;
    }
    let is = |at: usize, kind: fn(&u8) -> bool| text.get(at).is_some_and(kind);
    is(at, u8::is_ascii_uppercase)
        && (!before.is_ascii_uppercase() || is(at + 1, u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_by_their_last_words() {
        let keys = [
            "password",
            "secret",
            "access_token",
            "api_key",
            "session_id",
        ];
        let keys = keys.map(|key| SecretKey {
            is_whole: false,
            ..SecretKey::new(key)
        });
        let names = KeyNames::new(&keys);
        for name in [
            "password",
            "PASSWORD",
            "db_password",
            "dbPassword",
            "DBPassword",
            "user-password",
            "a.b.userPassword",
            "db2Password",
            "password.value",
            "passwordValue",
            "PASSWORD_VALUE",
            "password2",
            "password_2",
            "passwords",
            "apiKeys",
            "password_confirmation",
            "newPasswordConfirm",
            "clientSecret",
            "accessToken",
            "access-token",
            "x_access_token",
            "APIKey",
            "x-api-key",
            "apikey",
            "sessionid",
            "sessionId",
            "user[password",
            "user[password]",
            "user[password][]",
            "secretString",
        ] {
            assert!(names.secrecy(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "",
            "value",
            "_value",
            "token_count",
            "secretary",
            "passwordless",
            "nopassword",
            "password_hint",
            "secret_name",
            "token",
            "keypi",
            "key",
            "validaccesstoken",
            "passwordvalue",
            "password_confirmations",
            "password_strength",
            "password123",
            "password_",
            "ord",
        ] {
            assert!(names.secrecy(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn own_keys_are_whole_names() {
        let names = KeyNames::new(&["id", "my-key", "password"].map(SecretKey::new));
        for name in [
            "id",
            "ID",
            "user.id",
            "my_key",
            "myKey",
            "a.b.my-key",
            "id.value",
            "db_password",
        ] {
            assert!(names.secrecy(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["trace_id", "userId", "user-id", "not_my_key", "ids", "id.x"] {
            assert!(names.secrecy(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn names_that_hold_secrets_and_counts_are_judged() {
        let names = KeyNames::new(&SecretKey::defaults());
        let secrecy = |name: &str| names.secrecy(name.as_bytes());
        for name in [
            "token",
            "X-Vault-Token",
            "resetToken",
            "NPM_TOKEN",
            "SharedAccessKey",
        ] {
            assert_eq!(secrecy(name), Some(Secrecy::Judged), "{name}");
        }
        for name in ["access_token", "X-Auth-Token", "botToken"] {
            assert_eq!(secrecy(name), Some(Secrecy::Sure), "{name}");
        }
        for name in ["tokens", "max_tokens", "resetTokens"] {
            assert_eq!(secrecy(name), Some(Secrecy::Counted), "{name}");
        }
        for name in ["pass", "DB_PASS", "smtpPass", "passwords", "client_secrets"] {
            assert_eq!(secrecy(name), Some(Secrecy::Likely), "{name}");
        }
        for name in [
            "bypass",
            "compass",
            "passed",
            "pass_count",
            "token_type",
            "nextPageToken",
            "next_token",
            "continuation-token",
            "unexpected token",
            "accessKeyId",
        ] {
            assert_eq!(secrecy(name), None, "{name}");
        }
        let own = KeyNames::new(&[SecretKey::new("token")]);
        assert_eq!(own.secrecy(b"token"), Some(Secrecy::Always));
        assert_eq!(own.secrecy(b"reset_token"), None);
    }
}
