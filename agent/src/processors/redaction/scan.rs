//! From a text to the same text without its secrets.
//!
//! Each rule searches the whole text in linear time, most of it by vectorised or skipping searches; a text without
//! candidates is not copied. Found places that overlap become one. The result is searched again, as taking one
//! secret out may show another, at most [`PASSES_MAX`] times.

use std::fmt::Write as _;
use std::ops::Range;

use regex::Regex;
use ring::hmac;

use super::KEY_RULE;
use super::assignments::Assignments;
use super::blocks::key_line;
use super::cards;
use super::detector::Detector;
use super::keywords::Keywords;
use super::names::SecretKey;
use super::query::QueryParameters;
use super::{email, iban, network};

const PASSES_MAX: usize = 4;
/// Bytes of a hash that are shown, as two hexadecimal digits each: fewer digits than a card number has.
const HASH_BYTES_SHOWN: usize = 6;
/// Nothing that is looked for by default is shorter (bytes).
const TEXT_BYTES_MIN: usize = 6;

/// What stands in the place of a secret.
#[derive(Clone)]
pub(super) enum Cover {
    /// `<email:*>`
    Mask,
    /// `<email:1f3a...>`: equal secrets have equal hashes under one key.
    Hash(hmac::Key),
}

/// A place in a text, of whole characters, and the rule that found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    place: Range<usize>,
    rule: usize,
}

impl Found {
    /// A finder that stops at a bound may stop within a character, which then belongs to the place.
    pub(super) fn new(text: &str, place: Range<usize>, rule: usize) -> Self {
        let start = text.floor_char_boundary(place.start);
        let end = text.ceil_char_boundary(place.end.max(start));
        Self {
            place: start..end,
            rule,
        }
    }
}

/// The rules of one processor. A rule's number is its index in `names`.
pub(super) struct Scanner {
    pub(super) names: Vec<String>,
    /// The rule of each detector that is on, by the detector's number.
    detectors: [Option<usize>; Detector::ALL.len()],
    keywords: Option<Keywords>,
    query: QueryParameters,
    assignments: Option<Assignments>,
    patterns: Vec<(usize, Regex)>,
    cover: Cover,
    text_bytes_min: usize,
}

/// A text after its secrets were covered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) text: String,
    /// The rule of each place that was covered.
    pub(super) rules: Vec<usize>,
}

impl Covered {
    pub(super) fn into_bytes(self) -> (Vec<u8>, Vec<usize>) {
        (self.text.into_bytes(), self.rules)
    }
}

impl Scanner {
    /// # Errors
    /// The keyword search cannot be built.
    pub(super) fn new(
        detectors: &[Detector],
        query: QueryParameters,
        keys: &[SecretKey],
        patterns: &[(String, Regex)],
        cover: Cover,
    ) -> Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        let mut of_detector = [None; Detector::ALL.len()];
        for (slot, detector) in of_detector.iter_mut().zip(Detector::ALL) {
            if detectors.contains(&detector) {
                *slot = Some(names.len());
                names.push(detector.as_str().to_owned());
            }
        }
        let patterns: Vec<_> = patterns
            .iter()
            .map(|(name, regex)| {
                names.push(name.clone());
                (names.len() - 1, regex.clone())
            })
            .collect();
        let text_bytes_min = if patterns.is_empty() {
            TEXT_BYTES_MIN
        } else {
            1
        };
        Ok(Self {
            names,
            detectors: of_detector,
            keywords: Keywords::new(|detector| detectors.contains(&detector))?,
            query,
            assignments: Assignments::new(keys, |detector| detectors.contains(&detector))?,
            patterns,
            cover,
            text_bytes_min,
        })
    }

    /// The rule of values that go because of their key: the one after the named ones.
    pub(super) fn key_rule(&self) -> usize {
        self.names.len()
    }

    pub(super) fn rule(&self, detector: Detector) -> Option<usize> {
        self.detectors.get(detector as usize).copied().flatten()
    }

    /// Whether a whole number is a secret, and by which rule.
    pub(super) fn number(&self, number: u64) -> Option<usize> {
        self.rule(Detector::CreditCard)
            .filter(|_| cards::is_card_number(number))
    }

    /// The text with its secrets covered; `None` when it has none.
    pub(super) fn text(&self, text: &str) -> Option<Covered> {
        let mut found = self.find(text);
        if found.is_empty() {
            return None;
        }
        let mut covered = Covered {
            text: self.cover_all(text, &found),
            rules: found.iter().map(|found| found.rule).collect(),
        };
        for _ in 1..PASSES_MAX {
            found = self.find(&covered.text);
            if found.is_empty() {
                break;
            }
            covered.rules.extend(found.iter().map(|found| found.rule));
            covered.text = self.cover_all(&covered.text, &found);
        }
        Some(covered)
    }

    /// The text with each place of a secret covered that stands behind a key elsewhere; `None` where it has none.
    pub(super) fn cover_each(&self, text: &str, secret: &str) -> Option<String> {
        let places = text.match_indices(secret);
        let places = places.map(|(at, secret)| Found {
            place: at..at + secret.len(),
            rule: self.key_rule(),
        });
        let found: Vec<Found> = places
            .filter(|found| !self.is_cover(text, &found.place))
            .collect();
        (!found.is_empty()).then(|| self.cover_all(text, &found))
    }

    /// The places of secrets, in order, none overlapping.
    fn find(&self, text: &str) -> Vec<Found> {
        let bytes = text.as_bytes();
        let mut found: Vec<Found> = Vec::new();
        if bytes.len() < self.text_bytes_min {
            return found;
        }
        let mut add = |rule: usize, place: Range<usize>| found.push(Found::new(text, place, rule));
        if let Some(keywords) = &self.keywords {
            keywords.find(bytes, |detector, place| {
                if let Some(rule) = self.rule(detector) {
                    add(rule, place);
                }
            });
        }
        if let Some(rule) = self.rule(Detector::PrivateKey)
            && let Some(place) = key_line(bytes)
        {
            add(rule, place);
        }
        if let Some(rule) = self.rule(Detector::CreditCard) {
            cards::find(bytes, |place| add(rule, place));
        }
        if let Some(rule) = self.rule(Detector::Iban) {
            iban::find(bytes, |place| add(rule, place));
        }
        if let Some(rule) = self.rule(Detector::Email) {
            email::find(bytes, |place| add(rule, place));
        }
        if let Some(rule) = self.rule(Detector::Ip) {
            network::find_ipv4(bytes, |place| add(rule, place));
            network::find_ipv6(bytes, |place| add(rule, place));
        }
        if let Some(rule) = self.rule(Detector::Phone) {
            network::find_phone(bytes, |place| add(rule, place));
        }
        if let Some(rule) = self.rule(Detector::UrlQuery) {
            self.query.find(bytes, |place| add(rule, place));
        }
        if let Some(assignments) = &self.assignments {
            assignments.find(bytes, &self.query, |detector, place| {
                let rule = detector.and_then(|detector| self.rule(detector));
                add(rule.unwrap_or(self.key_rule()), place);
            });
        }
        for (rule, regex) in &self.patterns {
            for hit in regex.find_iter(text) {
                if !hit.is_empty() {
                    add(*rule, hit.range());
                }
            }
        }
        found.retain(|found| !self.is_cover(text, &found.place));
        merge(found)
    }

    /// Whether a place lies inside of something that stands for a secret already.
    fn is_cover(&self, text: &str, place: &Range<usize>) -> bool {
        const LOOK: usize = 80;
        let bytes = text.as_bytes();
        let before = bytes.get(place.start.saturating_sub(LOOK)..place.start + 1);
        let after = bytes.get(place.end.saturating_sub(1)..bytes.len().min(place.end + LOOK));
        let open = before
            .and_then(|before| memchr::memrchr(b'<', before).map(|at| (before.len() - at, at)));
        let close = after.and_then(|after| memchr::memchr(b'>', after));
        let (Some((back, _)), Some(close)) = (open, close) else {
            return false;
        };
        let (start, end) = (place.start + 1 - back, place.end + close);
        text.get(start..end)
            .is_some_and(|text| self.is_cover_text(text))
    }

    /// Whether a text is nothing but `<rule:*>` or `<rule:hash>`.
    pub(super) fn is_cover_text(&self, text: &str) -> bool {
        let inner = text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'));
        let Some((name, shown)) = inner.and_then(|inner| inner.split_once(':')) else {
            return false;
        };
        let is_hash = shown.len() == 2 * HASH_BYTES_SHOWN
            && shown
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (shown == "*" || is_hash)
            && (name == KEY_RULE || self.names.iter().any(|known| known == name))
    }

    /// The text with these places covered, which are in order and do not overlap. What is outside of them stays.
    pub(super) fn cover_all(&self, text: &str, found: &[Found]) -> String {
        let mut out = String::with_capacity(text.len() + found.len() * 8);
        let mut done = 0;
        for Found { place, rule } in found {
            out.push_str(text.get(done..place.start).unwrap_or_default());
            let name = self.names.get(*rule).map_or(KEY_RULE, String::as_str);
            let secret = text.get(place.clone()).unwrap_or_default();
            let quotes = quotes_for(text, place);
            out.push_str(quotes);
            self.cover(name, secret, &mut out);
            out.push_str(quotes);
            done = place.end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }

    /// Appends what stands in the place of `secret`.
    pub(super) fn cover(&self, rule: &str, secret: &str, out: &mut String) {
        out.push('<');
        out.push_str(rule);
        out.push(':');
        match &self.cover {
            Cover::Mask => out.push('*'),
            Cover::Hash(key) => {
                let tag = hmac::sign(key, canonical(rule, secret).as_bytes());
                for byte in tag.as_ref().iter().take(HASH_BYTES_SHOWN) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{byte:02x}");
                }
            }
        }
        out.push('>');
    }
}

/// The quotes that a mask needs where numbers stood bare in JSON, so that it stays JSON: those of the name before them.
fn quotes_for<'t>(text: &'t str, place: &Range<usize>) -> &'t str {
    let secret = text.get(place.clone()).unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_digit() || b"-+.eE, ".contains(&byte);
    let begins = secret.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    if !begins || !secret.bytes().all(is_part) {
        return "";
    }
    let blank = |sign: char| sign == ' ';
    let before = text.get(..place.start).unwrap_or_default();
    let before = before.trim_end_matches(blank);
    let before = before.strip_suffix('[').unwrap_or(before);
    let name = before.trim_end_matches(blank).strip_suffix(':');
    let Some(front) = name.and_then(|name| name.strip_suffix('"')) else {
        return "";
    };
    let after = text.get(place.end..).unwrap_or_default();
    let after = after.trim_start_matches(blank);
    let is_end = after.starts_with([',', '}', ']', '\n', '\r']) || after.is_empty();
    let plain = front.trim_end_matches('\\').len();
    match is_end {
        true => text.get(plain..=front.len()).unwrap_or_default(),
        false => "",
    }
}

/// The form of a secret that is hashed: one card or account number has one hash however it is grouped.
fn canonical(rule: &str, secret: &str) -> String {
    let plain = secret.replace("%20", "").replace("%40", "@");
    match rule {
        "credit_card" | "phone" => plain.chars().filter(char::is_ascii_digit).collect(),
        "iban" => plain.chars().filter(char::is_ascii_alphanumeric).collect(),
        "email" => plain.to_lowercase(),
        _ => secret.to_owned(),
    }
}

fn merge(mut found: Vec<Found>) -> Vec<Found> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|found| (found.place.start, std::cmp::Reverse(found.place.end)));
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.place.start < last.place.end => {
                last.place.end = last.place.end.max(next.place.end);
            }
            _ => merged.push(next),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
