//! Names of keys, as people write them: `client_secret`, `client-secret`, `clientSecret`, `ClientSecret`.
//!
//! A name is secret when its last words are those of a key: `db.userPassword` ends in `password`, `password_hint`
//! does not. A word `value` behind them changes nothing. An own key is a whole name, or all behind its last point.

use super::KEYS_DEFAULT;

/// A word that may stand behind a key: `password.value`.
const VALUE: &[u8] = b"value";

/// A key whose values go.
#[derive(Debug, Clone)]
pub(super) struct SecretKey {
    /// Its part after the last point, in lower case, with `_` between words.
    pub(super) name: String,
    /// What ends in it is another key.
    pub(super) is_whole: bool,
}

impl SecretKey {
    /// One that the defaults have stays as it is there.
    pub(super) fn new(key: &str) -> Self {
        let last = key.rsplit('.').next().unwrap_or_default();
        let name = last.to_ascii_lowercase().replace('-', "_");
        let is_whole = !KEYS_DEFAULT.contains(&name.as_str());
        Self { name, is_whole }
    }
}

/// The keys that are looked for.
pub(super) struct KeyNames {
    /// Letters and digits only, in lower case, and whether it must be a whole name.
    keys: Vec<(Vec<u8>, bool)>,
    /// The last bytes of the keys: most names are told apart by theirs.
    ends: [bool; 256],
}

impl KeyNames {
    pub(super) fn new(keys: &[SecretKey]) -> Self {
        let plain = |key: &SecretKey| -> (Vec<u8>, bool) {
            let bytes = key.name.bytes().filter(u8::is_ascii_alphanumeric);
            let bytes = bytes.map(|byte| byte.to_ascii_lowercase());
            (bytes.collect(), key.is_whole)
        };
        let keys: Vec<_> = keys
            .iter()
            .map(plain)
            .filter(|(key, _)| !key.is_empty())
            .collect();
        let mut ends = [false; 256];
        for end in keys.iter().filter_map(|(key, _)| key.last()) {
            if let Some(slot) = ends.get_mut(usize::from(*end)) {
                *slot = true;
            }
        }
        Self { keys, ends }
    }

    /// Whether the last words of a name are a key.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.ends_in_key(name) || without_value(name).is_some_and(|before| self.ends_in_key(before))
    }

    fn ends_in_key(&self, name: &[u8]) -> bool {
        let last = name.last().map_or(0, u8::to_ascii_lowercase);
        let may = self.ends.get(usize::from(last)).is_some_and(|end| *end);
        let is_key = |(key, is_whole): &(Vec<u8>, bool)| {
            let at = ends_in(name, key);
            at.is_some_and(|at| !is_whole || begins_name(name, at))
        };
        may && self.keys.iter().any(is_key)
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
            assert!(names.matches(name.as_bytes()), "{name}");
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
            assert!(!names.matches(name.as_bytes()), "{name}");
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
            assert!(names.matches(name.as_bytes()), "{name}");
        }
        for name in ["trace_id", "userId", "user-id", "not_my_key", "ids", "id.x"] {
            assert!(!names.matches(name.as_bytes()), "{name}");
        }
    }
}
