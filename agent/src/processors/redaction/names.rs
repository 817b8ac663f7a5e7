//! Names of keys, as people write them: `client_secret`, `client-secret`, `clientSecret`, `ClientSecret`.
//!
//! A name is secret when its last words are those of a key: `db.userPassword` ends in `password`, `password_hint`
//! does not. A word `value` behind them changes nothing.

/// A word that may stand behind a key: `password.value`.
const VALUE: &[u8] = b"value";

/// The keys that are looked for.
pub(super) struct KeyNames {
    /// Letters and digits only, in lower case.
    keys: Vec<Vec<u8>>,
    /// The last bytes of the keys: most names are told apart by theirs.
    ends: [bool; 256],
}

impl KeyNames {
    pub(super) fn new(keys: &[String]) -> Self {
        let plain = |key: &String| -> Vec<u8> {
            let bytes = key.bytes().filter(u8::is_ascii_alphanumeric);
            bytes.map(|byte| byte.to_ascii_lowercase()).collect()
        };
        let keys: Vec<_> = keys
            .iter()
            .map(plain)
            .filter(|key| !key.is_empty())
            .collect();
        let mut ends = [false; 256];
        for end in keys.iter().filter_map(|key| key.last()) {
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
        may && self.keys.iter().any(|key| ends_in(name, key))
    }
}

/// The name before a last word `value`.
fn without_value(name: &[u8]) -> Option<&[u8]> {
    let (before, word) = name.split_at_checked(name.len().checked_sub(VALUE.len())?)?;
    let fits = word.eq_ignore_ascii_case(VALUE) && begins_word(name, before.len());
    let letters = before.iter().rposition(u8::is_ascii_alphanumeric)?;
    before.get(..=letters).filter(|_| fits)
}

/// Whether the last words of a name, put together, are `key`.
fn ends_in(name: &[u8], key: &[u8]) -> bool {
    let mut at = name.len();
    let mut key = key.iter().rev();
    let Some(mut wanted) = key.next() else {
        return false;
    };
    for (index, byte) in name.iter().enumerate().rev() {
        if !byte.is_ascii_alphanumeric() {
            // What ends in a sign is no word.
            if at == name.len() {
                return false;
            }
            continue;
        }
        if byte.to_ascii_lowercase() != *wanted {
            return false;
        }
        at = index;
        match key.next() {
            Some(next) => wanted = next,
            None => return begins_word(name, at),
        }
    }
    false
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
        let names = KeyNames::new(&keys.map(str::to_owned));
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
}
