//! Secrets that announce themselves: a fixed text stands in or before them.
//!
//! One vectorised search finds all these texts; what is around each decides. Each decision reads on at most to the
//! end of the secret, and those that could read far over the same bytes again stop at a bound.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::detector::Detector;
use super::edges::begins_word;
use super::email;
use super::user_info::user_info;
use super::work;

/// Decides whether the keyword at the range is part of a secret, and where that stands.
type Decide = fn(&[u8], Range<usize>) -> Option<Range<usize>>;

/// Keywords, what they may announce, and how that is decided.
const KEYWORDS: &[(&str, Detector, Decide)] = &[
    ("eyJ", Detector::Jwt, jwt),
    ("earer", Detector::Bearer, bearer),
    ("EARER", Detector::Bearer, bearer),
    ("asic", Detector::Basic, basic),
    ("ASIC", Detector::Basic, basic),
    ("://", Detector::Basic, user_info),
    (":\\/\\/", Detector::Basic, user_info),
    ("AKIA", Detector::Aws, aws_id),
    ("ASIA", Detector::Aws, aws_id),
    ("ecretAccessKey", Detector::Aws, aws_secret),
    ("ecret_access_key", Detector::Aws, aws_secret),
    ("SECRET_ACCESS_KEY", Detector::Aws, aws_secret),
    ("AIza", Detector::Gcp, |t, k| token(t, k, 35, is_word)),
    ("ya29.", Detector::Gcp, |t, k| token(t, k, 20, is_word)),
    ("GOCSPX-", Detector::Gcp, |t, k| token(t, k, 20, is_word)),
    ("k_live_", Detector::Stripe, stripe),
    ("k_test_", Detector::Stripe, stripe),
    ("whsec_", Detector::Stripe, |t, k| {
        token(t, k, 16, is_base64)
    }),
    ("sbp_", Detector::Supabase, |t, k| {
        token(t, k, 32, is_alphanumeric)
    }),
    ("sb_secret_", Detector::Supabase, |t, k| {
        token(t, k, 16, is_word)
    }),
    ("ghp_", Detector::Github, github),
    ("gho_", Detector::Github, github),
    ("ghu_", Detector::Github, github),
    ("ghs_", Detector::Github, github),
    ("ghr_", Detector::Github, github),
    ("github_pat_", Detector::Github, |t, k| {
        token(t, k, 22, is_word)
    }),
    ("xox", Detector::Slack, slack),
    ("glpat-", Detector::Gitlab, |t, k| token(t, k, 20, is_word)),
    ("sk-proj-", Detector::Openai, |t, k| {
        token(t, k, 20, is_word)
    }),
    ("-----BEGIN ", Detector::PrivateKey, private_key),
    ("%40", Detector::Email, email::around_escaped),
];

/// The keywords of the detectors that are on.
#[derive(Debug)]
pub(super) struct Keywords {
    search: AhoCorasick,
    decide: Vec<(Detector, Decide)>,
}

impl Keywords {
    /// `None` when none of the detectors has keywords, or the search cannot be built.
    pub(super) fn new(is_on: impl Fn(Detector) -> bool) -> Result<Option<Self>, String> {
        let chosen = || KEYWORDS.iter().filter(|(_, detector, _)| is_on(*detector));
        let decide: Vec<_> = chosen()
            .map(|(_, detector, decide)| (*detector, *decide))
            .collect();
        if decide.is_empty() {
            return Ok(None);
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(chosen().map(|(keyword, ..)| keyword))
            .map_err(|error| error.to_string())?;
        Ok(Some(Self { search, decide }))
    }

    /// Calls `found` for every secret, in the order of the keywords in the text.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Detector, Range<usize>)) {
        let (mut done, mut barren) = (0, 0);
        for hit in self.search.find_iter(text) {
            // A keyword inside a secret that was found announces nothing new.
            if hit.start() < done {
                continue;
            }
            let Some((detector, decide)) = self.decide.get(hit.pattern().as_usize()) else {
                continue;
            };
            // All tokens that could begin within one word end where it ends: what failed once fails for all of them.
            if *detector == Detector::Jwt && hit.start() < barren {
                continue;
            }
            if let Some(secret) = decide(text, hit.start()..hit.end()) {
                done = secret.end;
                found(*detector, secret);
            } else if *detector == Detector::Jwt && may_begin_jwt(text, hit.start()) {
                barren = hit.start() + run(text, hit.start(), is_word);
            }
        }
    }
}

pub(super) fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

fn is_token68(byte: u8) -> bool {
    is_base64(byte) || matches!(byte, b'.' | b'~')
}

/// How many bytes from `at` on are of a kind.
pub(super) fn run(text: &[u8], at: usize, is: fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| is(**byte)).count();
    work::read(length);
    length
}

/// The keyword and at least `least` bytes of a kind after it.
fn token(
    text: &[u8],
    keyword: Range<usize>,
    least: usize,
    is: fn(u8) -> bool,
) -> Option<Range<usize>> {
    if !begins_word(text, keyword.start) {
        return None;
    }
    let length = run(text, keyword.end, is);
    (length >= least).then_some(keyword.start..keyword.end + length)
}

fn github(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    token(text, keyword, 36, is_alphanumeric)
}

/// `xoxb-`, `xoxp-` and the like: two numbers or more and letters.
fn slack(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    let kind = text.get(keyword.end..keyword.end + 2)?;
    let is_token = matches!(kind, [b'a'..=b'e' | b'p' | b'r' | b's', b'-']);
    // Cookies are escaped.
    if kind == b"d-" {
        return token(text, keyword.start..keyword.end + 2, 10, |byte| {
            is_base64(byte) || byte == b'%'
        });
    }
    is_token.then(|| token(text, keyword.start..keyword.end + 2, 10, is_word))?
}

/// `sk_` and `rk_` are secret, `pk_` is made to be seen.
fn stripe(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    let start = keyword.start.checked_sub(1)?;
    let secret = matches!(text.get(start)?, b's' | b'r');
    secret.then(|| token(text, start..keyword.end, 10, is_alphanumeric))?
}

fn aws_id(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    const LENGTH: usize = 16;
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let end = keyword.end + LENGTH;
    let exact = text
        .get(keyword.end..end)?
        .iter()
        .all(|byte| is_part(*byte));
    let goes_on = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (exact && !goes_on && begins_word(text, keyword.start)).then_some(keyword.start..end)
}

/// A key of 40 characters some quotes, spaces or signs after its name.
fn aws_secret(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    const LENGTH: usize = 40;
    const GAP_MAX: usize = 10;
    let is_gap = |byte: u8| {
        matches!(
            byte,
            b' ' | b'"' | b'\'' | b':' | b'=' | b'\\' | b'>' | b'\t'
        )
    };
    let rest = text.get(keyword.end..)?;
    let gap = rest.iter().take(GAP_MAX).take_while(|byte| is_gap(**byte));
    let start = keyword.end + gap.count();
    let secret = text.get(start..start + LENGTH)?;
    let goes_on = text
        .get(start + LENGTH)
        .is_some_and(|byte| is_base64(*byte));
    let fits = start > keyword.end && !goes_on && secret.iter().all(|byte| is_base64(*byte));
    fits.then_some(start..start + LENGTH)
}

fn may_begin_jwt(text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    !before.is_some_and(|byte| is_word(*byte)) || begins_word(text, at)
}

/// Three parts of base64url with points between them (five when encrypted); the last may be empty.
fn jwt(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    const PARTS_MAX: usize = 5;
    const HEADER_MIN: usize = 8;
    const CLAIMS_MIN: usize = 2;
    if !may_begin_jwt(text, keyword.start) {
        return None;
    }
    let header = run(text, keyword.start, is_word);
    let mut end = keyword.start + header;
    let claims_at = end + 1;
    if header < HEADER_MIN || text.get(end) != Some(&b'.') {
        return None;
    }
    let claims = run(text, claims_at, is_word);
    end = claims_at + claims;
    if claims < CLAIMS_MIN || text.get(end) != Some(&b'.') {
        return None;
    }
    for _ in 2..PARTS_MAX {
        if text.get(end) != Some(&b'.') {
            break;
        }
        end += 1 + run(text, end + 1, is_word);
    }
    Some(keyword.start..end)
}

/// Where the credentials after `Bearer` or `Basic` begin: the word's first letter stands before the keyword.
/// `gap` is what may stand between, besides spaces.
fn credentials_at(text: &[u8], keyword: &Range<usize>, gap: &[u8]) -> Option<usize> {
    const SPACES_MAX: usize = 8;
    let start = keyword.start.checked_sub(1)?;
    if !matches!(text.get(start)?, b'b' | b'B') || !begins_word(text, start) {
        return None;
    }
    let mut at = keyword.end;
    for _ in 0..SPACES_MAX {
        match text.get(at..)? {
            [byte, ..] if matches!(byte, b' ' | b'\t') || gap.contains(byte) => at += 1,
            [b'%', b'2', b'0', ..] => at += 3,
            _ => break,
        }
    }
    (at > keyword.end).then_some(at)
}

fn bearer(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    const LONG: usize = 20;
    const SHORT: usize = 6;
    let start = credentials_at(text, &keyword, b":+=\"'")?;
    let length = run(text, start, is_token68);
    let token = text.get(start..start + length)?;
    // A word of the language has no digits and is not so long.
    let secret = length >= LONG || (length >= SHORT && token.iter().any(u8::is_ascii_digit));
    secret.then_some(start..start + length)
}

fn basic(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 4;
    // Nothing that base64 has, too: the same bytes would be read again for every word `Basic` in them.
    let start = credentials_at(text, &keyword, b":\"'")?;
    let length = run(text, start, is_base64);
    let token = text.get(start..start + length)?;
    (length >= LENGTH_MIN && decodes_to_pair(token)).then_some(start..start + length)
}

/// Whether base64 text decodes to something with a colon in it and without control characters.
pub(super) fn decodes_to_pair(token: &[u8]) -> bool {
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut colon = false;
    for byte in token.iter().take_while(|byte| **byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let decoded = bits >> held & 0xff;
            bits &= (1 << held) - 1;
            if decoded < 0x20 || decoded == 0x7f {
                return false;
            }
            colon |= decoded == u32::from(b':');
        }
    }
    colon
}

fn private_key(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    const LABEL_MAX: usize = 40;
    const KEY: &[u8] = b"PRIVATE KEY";
    const END: &[u8] = b"-----END ";
    let label = text.get(keyword.end..text.len().min(keyword.end + LABEL_MAX))?;
    let dashes = memchr::memmem::find(label, b"-----")?;
    memchr::memmem::find(label.get(..dashes)?, KEY)?;
    let rest = text.get(keyword.end..)?;
    let end = memchr::memmem::find(rest, END).and_then(|at| {
        let after = rest.get(at + END.len()..)?;
        let label = after.get(..after.len().min(LABEL_MAX + 5))?;
        let dashes = memchr::memmem::find(label, b"-----")?;
        Some(keyword.end + at + END.len() + dashes + 5)
    });
    let end = end.unwrap_or(text.len());
    work::read(end - keyword.start);
    Some(keyword.start..end)
}
