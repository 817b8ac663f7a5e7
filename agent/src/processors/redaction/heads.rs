//! Tokens of services, told by how they begin: `npm_...`, `hvs....`, `https://hooks.slack.com/services/...`.
//!
//! Their heads are searched together with the keys, so that many cost no more than few; in any case, and each is looked at as it
//! should be written.

use std::ops::Range;

use super::cards;
use super::commands;
use super::detector::Detector;
use super::edges::begins_word;
use super::escaped;
use super::judged;
use super::keywords::{decodes_to_pair, is_alphanumeric, is_base64, is_word, run};
use super::network;
use super::sql;
use super::work;

/// Where the secret stands in a text that has a head at the range.
type Decide = fn(&[u8], Range<usize>) -> Option<Range<usize>>;

/// What a token looks like behind its head.
enum Tail {
    /// At least so many letters and digits.
    Letters(usize),
    /// At least so many letters, digits, `_` and `-`.
    Word(usize),
    /// The same with points.
    Points(usize),
    /// Exactly so many hexadecimal digits.
    Hex(usize),
    Base64(usize),
    Other(Decide),
}

use Tail::{Base64, Hex, Letters, Other, Points, Word};

const SERVICE: Detector = Detector::ServiceToken;

#[rustfmt::skip]
const HEADS: &[(&str, Detector, Tail)] = &[
    ("xapp-", Detector::Slack, Word(20)),
    ("xoxe.xox", Detector::Slack, Word(20)),
    ("hooks.slack.com/", Detector::Slack, Other(slack_hook)),
    ("gldt-", Detector::Gitlab, Word(20)),
    ("glrt-", Detector::Gitlab, Word(20)),
    ("glptt-", Detector::Gitlab, Word(20)),
    ("glcbt-", Detector::Gitlab, Word(20)),
    ("glft-", Detector::Gitlab, Word(20)),
    ("glsoat-", Detector::Gitlab, Word(20)),
    ("glimt-", Detector::Gitlab, Word(20)),
    ("glagent-", Detector::Gitlab, Word(20)),
    ("gloas-", Detector::Gitlab, Word(20)),
    ("sk-", Detector::Openai, Other(sk)),
    ("/api/webhooks/", SERVICE, Other(discord_hook)),
    ("webhook.office.com/", SERVICE, Other(office_hook)),
    ("/bot", SERVICE, Other(telegram_path)),
    (":AA", SERVICE, Other(telegram)),
    ("npm_", SERVICE, Letters(36)),
    ("SG.", SERVICE, Other(sendgrid)),
    ("hvs.", SERVICE, Word(24)),
    ("hvb.", SERVICE, Word(24)),
    ("hvr.", SERVICE, Word(24)),
    ("hf_", SERVICE, Letters(30)),
    ("pypi-", SERVICE, Word(50)),
    ("dop_v1_", SERVICE, Hex(64)),
    ("doo_v1_", SERVICE, Hex(64)),
    ("dor_v1_", SERVICE, Hex(64)),
    ("cfk_", SERVICE, Letters(40)),
    ("cfut_", SERVICE, Letters(40)),
    ("cfat_", SERVICE, Letters(40)),
    ("vcp_", SERVICE, Letters(24)),
    ("vci_", SERVICE, Letters(24)),
    ("vca_", SERVICE, Letters(24)),
    ("vcr_", SERVICE, Letters(24)),
    ("vck_", SERVICE, Letters(24)),
    ("vercel_blob_rw_", SERVICE, Word(24)),
    ("shpat_", SERVICE, Hex(32)),
    ("shpca_", SERVICE, Hex(32)),
    ("shppa_", SERVICE, Hex(32)),
    ("shpss_", SERVICE, Hex(32)),
    ("sq0atp-", SERVICE, Word(22)),
    ("sq0csp-", SERVICE, Word(40)),
    ("dckr_pat_", SERVICE, Word(20)),
    ("rubygems_", SERVICE, Hex(48)),
    ("glsa_", SERVICE, Word(32)),
    ("lin_api_", SERVICE, Letters(32)),
    ("nfp_", SERVICE, Letters(32)),
    ("ntn_", SERVICE, Letters(40)),
    ("gsk_", SERVICE, Letters(40)),
    ("xai-", SERVICE, Letters(60)),
    ("pplx-", SERVICE, Letters(40)),
    ("r8_", SERVICE, Letters(36)),
    ("dapi", SERVICE, Hex(32)),
    ("ATATT3", SERVICE, Base64(50)),
    ("NRAK-", SERVICE, Letters(27)),
    ("pul-", SERVICE, Hex(40)),
    ("pscale_tkn_", SERVICE, Word(32)),
    ("pscale_pw_", SERVICE, Word(32)),
    ("PMAK-", SERVICE, Word(40)),
    ("figd_", SERVICE, Word(30)),
    ("tskey-", SERVICE, Word(20)),
    ("dp.pt.", SERVICE, Letters(40)),
    ("dp.st.", SERVICE, Points(40)),
    ("AGE-SECRET-KEY-1", SERVICE, Letters(50)),
    ("key-", SERVICE, Hex(32)),
    ("sntrys_", SERVICE, Base64(30)),
    ("sntryu_", SERVICE, Hex(64)),
    ("phx_", SERVICE, Letters(30)),
    ("re_", SERVICE, Other(resend)),
    ("1//0", SERVICE, Word(40)),
    ("nvapi-", SERVICE, Word(40)),
    ("ops_eyJ", SERVICE, Base64(30)),
    ("CFPAT-", SERVICE, Word(40)),
    ("GR1348941", Detector::Gitlab, Word(20)),
    ("sk0", SERVICE, Other(twilio)), ("sk1", SERVICE, Other(twilio)), ("sk2", SERVICE, Other(twilio)),
    ("sk3", SERVICE, Other(twilio)), ("sk4", SERVICE, Other(twilio)), ("sk5", SERVICE, Other(twilio)),
    ("sk6", SERVICE, Other(twilio)), ("sk7", SERVICE, Other(twilio)), ("sk8", SERVICE, Other(twilio)),
    ("sk9", SERVICE, Other(twilio)), ("ska", SERVICE, Other(twilio)), ("skb", SERVICE, Other(twilio)),
    ("skc", SERVICE, Other(twilio)), ("skd", SERVICE, Other(twilio)), ("ske", SERVICE, Other(twilio)),
    ("skf", SERVICE, Other(twilio)),
    ("auth\"", Detector::Basic, Other(auth)),
    ("auth\\\"", Detector::Basic, Other(auth)),
    ("@tcp(", Detector::Basic, Other(dsn)),
    ("@unix(", Detector::Basic, Other(dsn)),
    ("identified by '", Detector::Basic, Other(sql::identified)),
    ("identified by \"", Detector::Basic, Other(sql::identified)),
    ("identified by ", Detector::Basic, Other(sql::identified_bare)),
    ("set password for ", Detector::Basic, Other(sql::set_password)),
    ("_auth=", Detector::Basic, Other(npm_auth)),
    ("oracle:thin:", Detector::Basic, Other(oracle)),
    ("auth plain ", Detector::Basic, Other(|t, head| behind(t, head, is_base64, 8))),
    ("requirepass ", Detector::Basic, Other(|t, head| behind(t, head, is_graphic, 1))),
    ("masterauth ", Detector::Basic, Other(|t, head| behind(t, head, is_graphic, 1))),
    ("ldapsearch ", Detector::Basic, Other(commands::ldap)),
    ("ldapmodify ", Detector::Basic, Other(commands::ldap)),
    ("ldapadd ", Detector::Basic, Other(commands::ldap)),
    ("az login", Detector::Basic, Other(commands::docker)),
    ("docker login", Detector::Basic, Other(commands::docker)),
    ("curl ", Detector::Basic, Other(commands::curl)),
    ("curl\"", Detector::Basic, Other(commands::curl)),
    ("curl'", Detector::Basic, Other(commands::curl)),
    ("mysql ", Detector::Basic, Other(commands::glued)),
    ("mysqldump ", Detector::Basic, Other(commands::glued)),
    ("mysqladmin ", Detector::Basic, Other(commands::glued)),
    ("mariadb ", Detector::Basic, Other(commands::glued)),
    ("sshpass ", Detector::Basic, Other(commands::sshpass)),
    ("redis-cli ", Detector::Basic, Other(commands::redis)),
    ("&nbsp;", Detector::CreditCard, Other(cards::spaced)),
    ("\\u00a0", Detector::CreditCard, Other(cards::spaced)),
    ("hooks.slack.com%2f", Detector::Slack, Other(slack_hook)),
    ("%3a%2f%2f", Detector::Basic, Other(escaped::user_info)),
    ("%253a%252f%252f", Detector::Basic, Other(escaped::user_info)),
    ("-----begin%20", Detector::PrivateKey, Other(escaped::private_key)),
    ("-----begin+", Detector::PrivateKey, Other(escaped::private_key)),
    ("ls0tls1crudjti", Detector::PrivateKey, Other(escaped::private_key_in_base64)),
    ("\"d\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"d\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"p\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"p\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"q\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"q\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"dp\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"dp\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"dq\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"dq\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"qi\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"qi\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"k\":\"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("\"k\": \"", Detector::PrivateKey, Other(escaped::of_jwk)),
    ("%2b", Detector::Phone, Other(network::escaped_phone)),
    ("---- BEGIN SSH2 ", Detector::PrivateKey, Other(ssh2)),
    ("PuTTY-User-Key-File-", Detector::PrivateKey, Other(putty)),
    ("Private-Lines:", Detector::PrivateKey, Other(putty)),
];

/// A head that is searched.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// Its number in the table.
    index: usize,
    pub(super) detector: Detector,
}

impl Head {
    /// Those of the detectors that are on, with their texts.
    pub(super) fn of(
        is_on: impl Fn(Detector) -> bool,
    ) -> impl Iterator<Item = (&'static str, Self)> {
        let known = HEADS.iter().enumerate();
        known.filter_map(move |(index, (text, detector, _))| {
            let detector = *detector;
            is_on(detector).then_some((*text, Self { index, detector }))
        })
    }

    /// Where the secret stands, if the head at `place` announces one.
    pub(super) fn secret(self, text: &[u8], place: Range<usize>) -> Option<Range<usize>> {
        let (head, _, tail) = HEADS.get(self.index)?;
        // What is no token is told before anything is read to a far end, which many such heads would share.
        let plain = |least: usize, is: fn(u8) -> bool| {
            let is_exact = text.get(place.clone()) == Some(head.as_bytes());
            if !is_exact || !begins_word(text, place.start) {
                return None;
            }
            let length = run(text, place.end, is);
            (length >= least).then_some(place.start..place.end + length)
        };
        match tail {
            Letters(least) => plain(*least, is_alphanumeric),
            Word(least) => plain(*least, is_word),
            Points(least) => plain(*least, |byte| is_word(byte) || byte == b'.'),
            Base64(least) => plain(*least, is_base64),
            Hex(exact) => {
                let found = plain(*exact, is_hex)?;
                let is_end = found.len() == place.len() + exact;
                (is_end && !text.get(found.end).is_some_and(u8::is_ascii_alphanumeric))
                    .then_some(found)
            }
            Other(decide) => decide(text, place),
        }
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn is_path(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'/' | b'@' | b'.' | b'%')
}

/// `sk-...` of many services: longer than a word, and not made of words.
fn sk(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 20;
    const LENGTH_JUDGED_MAX: usize = 128;
    if !begins_word(text, head.start) || !text.get(head.start)?.is_ascii_lowercase() {
        return None;
    }
    let near = text.get(..text.len().min(head.end + LENGTH_JUDGED_MAX))?;
    let token = near.get(head.end..head.end + run(near, head.end, is_word))?;
    let is_secret = token.len() >= LENGTH_MIN && judged::looks_secret(token, false);
    is_secret.then(|| head.start..head.end + run(text, head.end, is_word))
}

/// The path behind the kind of the hook: `services/T0/B0/secret`.
fn slack_hook(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 20;
    let kind = run(text, head.end, |byte| byte.is_ascii_alphabetic());
    // Told before the path is read, in which others may begin.
    if kind == 0 {
        return None;
    }
    let slash = match text.get(head.end + kind) {
        Some(b'%') => 3,
        _ => 1,
    };
    let start = head.end + kind + slash;
    let length = run(text, start, is_path);
    (length >= LENGTH_MIN).then_some(start..start + length)
}

/// The token behind the number of the hook.
fn discord_hook(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 40;
    let number = run(text, head.end, |byte| byte.is_ascii_digit());
    let start = head.end + number + 1;
    let length = run(text, start, is_word);
    (number > 0 && text.get(start - 1) == Some(&b'/') && length >= LENGTH_MIN)
        .then_some(start..start + length)
}

fn office_hook(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 40;
    let length = run(text, head.end, is_path);
    (length >= LENGTH_MIN).then_some(head.end..head.end + length)
}

/// `123456789:AA...`, 35 characters behind the colon. `head` is the colon and the letters behind it.
fn telegram(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const DIGITS: Range<usize> = 8..13;
    const LENGTH: usize = 35;
    if text.get(head.clone()) != Some(b":AA") {
        return None;
    }
    let before = text.get(..head.start)?.iter().rev().take(DIGITS.end);
    let digits = before.take_while(|byte| byte.is_ascii_digit()).count();
    let length = run(text, head.start + 1, is_word);
    (DIGITS.contains(&digits) && length == LENGTH)
        .then_some(head.start - digits..head.start + 1 + length)
}

/// `/bot123456789:...`, also of a shape that is not known.
fn telegram_path(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 30;
    let digits = run(text, head.end, |byte| byte.is_ascii_digit());
    let colon = head.end + digits;
    let at = match text.get(colon..)? {
        [b':', ..] => colon + 1,
        [b'%', b'3', b'A' | b'a', ..] => colon + 3,
        _ => return None,
    };
    let length = run(text, at, is_word);
    (digits > 0 && length >= LENGTH_MIN).then_some(head.end..at + length)
}

/// Two parts with a point between.
fn sendgrid(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const PARTS: [usize; 2] = [16, 30];
    if text.get(head.clone()) != Some(b"SG.") || !begins_word(text, head.start) {
        return None;
    }
    let first = run(text, head.end, is_word);
    let point = head.end + first;
    let second = run(text, point + 1, is_word);
    let fits = first >= PARTS[0] && second >= PARTS[1] && text.get(point) == Some(&b'.');
    fits.then_some(head.start..point + 1 + second)
}

/// `re_`, an id and a secret.
fn resend(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const PARTS: [usize; 2] = [6, 16];
    if text.get(head.clone()) != Some(b"re_") || !begins_word(text, head.start) {
        return None;
    }
    let first = run(text, head.end, is_alphanumeric);
    let sign = head.end + first;
    let second = run(text, sign + 1, is_alphanumeric);
    let fits = first >= PARTS[0] && second >= PARTS[1] && text.get(sign) == Some(&b'_');
    fits.then_some(head.start..sign + 1 + second)
}

/// The base64 of `name:password` in npm's settings.
fn npm_auth(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    let place = behind(text, head, is_base64, 8)?;
    decodes_to_pair(text.get(place.clone())?).then_some(place)
}

/// `SK` and 32 hexadecimal digits.
fn twilio(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH: usize = 34;
    let is_kind = text.get(head.start..)?.starts_with(b"SK");
    let digits = if is_kind {
        run(text, head.start + 2, is_hex)
    } else {
        0
    };
    let end = head.start + LENGTH;
    let goes_on = text.get(end).is_some_and(|byte| is_word(*byte));
    (digits + 2 == LENGTH && !goes_on && begins_word(text, head.start)).then_some(head.start..end)
}

/// The base64 of `name:password` that Docker's settings hold.
fn auth(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const GAP_MAX: usize = 12;
    const LENGTH_MIN: usize = 8;
    let rest = text.get(head.end..)?;
    let is_gap = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b':' | b'=' | b'\\' | b'"');
    let gap = rest.iter().take(GAP_MAX).take_while(is_gap).count();
    let start = head.end + gap;
    let length = run(text, start, is_base64);
    let value = text.get(start..start + length)?;
    (gap > 0 && length >= LENGTH_MIN && decodes_to_pair(value)).then_some(start..start + length)
}

/// `name:password` before `@tcp(`, as Go's drivers of MySQL take it.
fn dsn(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const BYTES_MAX: usize = 256;
    let before = text.get(..head.start)?;
    let is_end =
        |byte: &u8| *byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`' | b'=' | b'<' | b'>');
    let near = before.iter().rev().take(BYTES_MAX);
    let far = near.clone().position(is_end).unwrap_or(near.len());
    let pair = before.get(head.start - far..)?;
    let colon = memchr::memchr(b':', pair)?;
    // Words of a language without spaces may stand right before the name.
    let name = pair.get(..colon)?.iter().rev();
    let name = name.take_while(|byte| byte.is_ascii()).count();
    let start = head.start - far + colon - name;
    (colon + 1 < pair.len()).then_some(start..head.start)
}

/// The password behind the `/` of `oracle:thin:name/password@host`.
fn oracle(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const BYTES_MAX: usize = 256;
    let text = text.get(..text.len().min(head.end + BYTES_MAX))?;
    let pair = run(text, head.end, |byte| {
        byte > b' ' && !b"\"'@".contains(&byte)
    });
    let end = head.end + pair;
    let slash = memchr::memchr(b'/', text.get(head.end..end)?)?;
    let start = head.end + slash + 1;
    (text.get(end) == Some(&b'@') && start < end).then_some(start..end)
}

/// At least so many bytes of a kind behind the head.
fn behind(
    text: &[u8],
    head: Range<usize>,
    is: fn(u8) -> bool,
    least: usize,
) -> Option<Range<usize>> {
    let length = run(text, head.end, is);
    let is_covered = text.get(head.end) == Some(&b'<');
    (length >= least && !is_covered).then_some(head.end..head.end + length)
}

fn is_graphic(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"'
}

/// To the line that ends the key, or the end of the text.
fn ssh2(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LABEL_MAX: usize = 40;
    let label = text.get(head.end..text.len().min(head.end + LABEL_MAX))?;
    memchr::memmem::find(label, b"PRIVATE KEY")?;
    let rest = text.get(head.end..)?;
    let end = memchr::memmem::find(rest, b"---- END ").and_then(|at| {
        let behind = rest.get(at + 9..)?;
        let behind = behind.get(..behind.len().min(LABEL_MAX))?;
        let dashes = memchr::memmem::find(behind, b"----")?;
        Some(head.end + at + 9 + dashes + 4)
    });
    let end = end.unwrap_or(text.len());
    work::read(end - head.start);
    Some(head.start..end)
}

/// To the check behind the key, or the end of the text.
fn putty(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const CHECK: &[u8] = b"Private-MAC:";
    let rest = text.get(head.end..)?;
    let end = memchr::memmem::find(rest, CHECK).map(|at| {
        let check = head.end + at + CHECK.len();
        let gap = run(text, check, |byte| byte == b' ');
        check + gap + run(text, check + gap, is_hex)
    });
    let end = end.unwrap_or(text.len());
    work::read(end - head.start);
    Some(head.start..end)
}
