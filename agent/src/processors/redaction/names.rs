//! Names of keys, as people write them: `client_secret`, `client-secret`, `clientSecret`, `ClientSecret`.
//!
//! A name is secret when its last words are those of a key: `db.userPassword` ends in `password`, `password_hint`
//! does not. A word `value` behind them changes nothing. An own key is a whole name, or all behind its last point.

use super::judged;
use super::{KEYS_DEFAULT, KEYS_JUDGED};

/// A word that may stand behind a key: `password.value`.
const VALUE: &[u8] = b"value";

/// A key whose values go.
#[derive(Debug, Clone)]
pub(super) struct SecretKey {
    /// Its part after the last point, in lower case, with `_` between words.
    pub(super) name: String,
    /// What ends in it is another key.
    pub(super) is_whole: bool,
    /// Only values that look like secrets go.
    pub(super) is_judged: bool,
}

/// What a key says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It is secret.
    Always,
    /// It is if it looks so.
    Judged,
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
            is_judged: false,
        }
    }

    /// Those that are looked for by default.
    pub(super) fn defaults() -> Vec<Self> {
        let judged = KEYS_JUDGED.iter().map(|name| Self {
            name: (*name).to_owned(),
            is_whole: false,
            is_judged: true,
        });
        KEYS_DEFAULT
            .iter()
            .map(|key| Self::new(key))
            .chain(judged)
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
    is_whole: bool,
    is_judged: bool,
}

impl KeyNames {
    pub(super) fn new(keys: &[SecretKey]) -> Self {
        let plain = |key: &SecretKey| {
            let bytes = key.name.bytes().filter(u8::is_ascii_alphanumeric);
            let bytes = bytes.map(|byte| byte.to_ascii_lowercase());
            PlainKey {
                name: bytes.collect(),
                is_whole: key.is_whole,
                is_judged: key.is_judged,
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
        let found = self.of_end(name);
        found.or_else(|| self.of_end(without_value(name)?))
    }

    fn of_end(&self, name: &[u8]) -> Option<Secrecy> {
        let last = name.last()?.to_ascii_lowercase();
        let mut found = None;
        for key in self.by_end.get(usize::from(last))? {
            let Some(at) = ends_in(name, &key.name) else {
                continue;
            };
            if key.is_whole && !begins_name(name, at) {
                continue;
            }
            if !key.is_judged {
                return Some(Secrecy::Always);
            }
            let before = name.get(..at).unwrap_or_default();
            if !judged::is_of_something_else(before) {
                found = Some(Secrecy::Judged);
            }
        }
        found
    }
}

/// The name before a last word `value`.
fn without_value(name: &[u8]) -> Option<&[u8]> {
    let (before, word) = name.split_at_checked(name.len().checked_sub(VALUE.len())?)?;
    let fits = word.eq_ignore_ascii_case(VALUE) && begins_word(name, before.len());
    let letters = before.iter().rposition(u8::is_ascii_alphanumeric)?;
    before.get(..=letters).filter(|_| fits)
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
            "max_tokens",
            "nopassword",
            "password_hint",
            "secret_name",
            "token",
            "keypi",
            "key",
            "validaccesstoken",
            "passwordvalue",
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
            assert_eq!(secrecy(name), Some(Secrecy::Always), "{name}");
        }
        for name in [
            "tokens",
            "max_tokens",
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
