//! `redaction`: takes secrets and personal data out of texts, before they reach the disk.
//!
//! Searched are log bodies, attributes of resources, scopes, records, spans, events, links, points and exemplars, metadata
//! of metrics, nested values and their keys, span, event and scope names, status messages and descriptions of
//! metrics. Whole values go by the name of their key. Not searched: metric names and units, ids, trace state.
//!
//! `drop` removes the attribute, or the entry of a nested value, that holds the secret; a log record whose body is a
//! text that holds one is dropped; names and status messages cannot be left out and are masked.

mod assignments;
mod blocks;
mod cards;
mod commands;
mod detector;
mod edges;
mod email;
mod escaped;
mod heads;
mod iban;
mod judged;
mod keywords;
mod lists;
mod names;
mod network;
mod query;
mod scan;
mod sql;
mod states;
mod user_info;
mod values;
mod work;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use prometheus_client::metrics::counter::Counter;
use regex::{Regex, RegexBuilder};
use ring::hmac;
use serde::Deserialize;
use vervet_wire::otlp::{LogRecord, Metric, Resource, Scope, Span, Value};

use blocks::Blocks;
use detector::Detector;
use names::SecretKey;
use query::QueryParameters;
use scan::{Cover, Scanner};
use values::{Noted, Redactor};

use super::{DropReason, Outcome, StepContext};
use crate::config::Mistakes;
use crate::config::secret::Secret;

/// The rule of values that go because of their key.
const KEY_RULE: &str = "key";
/// Shortest key for hashes (bytes).
const HASH_KEY_BYTES_MIN: usize = 16;
/// Largest compiled form of one pattern (bytes).
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Keys whose values go unless they tell a state, or `keys` says otherwise.
const KEYS_DEFAULT: [&str; 38] = [
    "password",
    "passwd",
    "pwd",
    "pgpassword",
    "dbpassword",
    "userpassword",
    "rootpassword",
    "dbpasswd",
    "passphrase",
    "pass_phrase",
    "passwort",
    "contrasena",
    "contrase\u{f1}a",
    "mot_de_passe",
    "mot de passe",
    "senha",
    "secret",
    "client_secret",
    "secret_key",
    "secret_key_base",
    "authorization",
    "proxy_authorization",
    "cookie",
    "set_cookie",
    "api_key",
    "apikey",
    "x_api_key",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "session_token",
    "private_key",
    "api_token",
    "bot_token",
    "csrf_token",
    "xsrf_token",
    "service_role_key",
];

/// Keys that hold secrets, or tell how many passed: values go that are neither counts nor states unless `keys` says otherwise.
const KEYS_LIKELY: [&str; 8] = [
    "pass",
    "pw",
    "dbpass",
    "userpass",
    "pgpass",
    "keypass",
    "storepass",
    "sshpass",
];

/// Keys that hold secrets and counts, names or states: values that look like secrets go unless `keys` says otherwise.
const KEYS_JUDGED: [&str; 21] = [
    "token",
    "passcode",
    "access_key",
    "account_key",
    "app_key",
    "auth_key",
    "license_key",
    "service_key",
    "shared_key",
    "encryption_key",
    "signing_key",
    "master_key",
    "subscription_key",
    "functions_key",
    "stripe_key",
    "openai_key",
    "anthropic_key",
    "supabase_key",
    "sendgrid_key",
    "mailgun_key",
    "token_hash",
];

/// Parameters whose values go unless `query_parameters` says otherwise.
const PARAMETERS_DEFAULT: [&str; 24] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "id_token_hint",
    "token_hash",
    "auth",
    "api_key",
    "apikey",
    "key",
    "jwt",
    "session",
    "sessionid",
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-goog-signature",
];

/// Parameters whose values go where they look like secrets, unless `query_parameters` is set: of logins, but also of shops and errors.
const PARAMETERS_JUDGED: [&str; 7] = [
    "code",
    "code_verifier",
    "ticket",
    "assertion",
    "samlrequest",
    "samlresponse",
    "hmac",
];

/// What becomes of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `<email:*>` stands in its place.
    #[default]
    Mask,
    /// What holds it goes, too.
    Drop,
    /// `<email:1f3a5b7c9d0e>` stands in its place: keyed, so that it cannot be guessed, and the same for the same
    /// secret.
    Hash,
}

/// What the configuration says of one `redaction` processor.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactionSpec {
    /// Default: all but `email`, `ip` and `phone`.
    #[serde(default)]
    pub detect: Option<Vec<Detector>>,
    /// Own regular expressions, by the name that stands in the mask.
    #[serde(default)]
    pub patterns: BTreeMap<String, String>,
    /// Keys whose values go whole: those whose last words are one of these, in any case, however they are put together
    /// (`db_password`, `dbPassword`, `db.password`). One that the defaults do not have must be the whole key, or all behind its
    /// last point: `id` is `user.id` but not `trace_id`.
    /// So do the values that running text gives to them (`password=...`, `"password": "..."`).
    /// Default: `password`, `authorization`, `cookie` and the like, and `token` and the like where the value looks like a
    /// secret.
    #[serde(default)]
    pub keys: Option<Vec<String>>,
    /// Parameters of URLs and forms whose values go (detector `url_query`). Default: `token`, `password` and the like.
    #[serde(default)]
    pub query_parameters: Option<Vec<String>>,
    /// Attribute keys that are left alone, such as `k8s.pod.ip`.
    #[serde(default)]
    pub except: Vec<String>,
    /// Default `mask`.
    #[serde(default)]
    pub action: Action,
    /// The key of the hashes: at least 16 bytes, from a file or variable.
    #[serde(default)]
    pub key: Option<Secret>,
}

/// The settings of a `redaction` processor, checked.
#[derive(Clone)]
pub struct RedactionConfig {
    detectors: Vec<Detector>,
    patterns: Vec<(String, Regex)>,
    keys: Vec<SecretKey>,
    query: QueryParameters,
    except: Vec<String>,
    drop: bool,
    cover: Cover,
}

impl TryFrom<RedactionSpec> for RedactionConfig {
    type Error = Mistakes;

    fn try_from(spec: RedactionSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let detectors = spec.detect.unwrap_or_else(|| {
            let default = Detector::ALL.into_iter().filter(|d| d.is_default());
            default.collect()
        });
        let mut patterns = Vec::new();
        for (name, text) in &spec.patterns {
            let read = pattern(name, text);
            patterns.extend(mistakes.note(&[&format!("patterns.{name}")], read));
        }
        let cover = cover(spec.action, spec.key.as_ref().map(Secret::reveal));
        let cover = mistakes.note(&["key", "action"], cover);
        let keys = match &spec.keys {
            Some(keys) => keys.iter().map(|key| SecretKey::new(key)).collect(),
            None => SecretKey::defaults(),
        };
        let query = spec.query_parameters.map(QueryParameters::new);
        mistakes.or(cover.map(|cover| Self {
            detectors,
            patterns,
            keys,
            query: query.unwrap_or_else(QueryParameters::defaults),
            except: spec.except,
            drop: spec.action == Action::Drop,
            cover,
        }))
    }
}

fn pattern(name: &str, text: &str) -> Result<(String, Regex), String> {
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if name.is_empty() || !name.bytes().all(valid) {
        return Err(format!(
            "pattern `{name}`: its name is made of a-z, 0-9 and _"
        ));
    }
    if name == KEY_RULE || Detector::ALL.iter().any(|known| known.as_str() == name) {
        return Err(format!("pattern `{name}` has the name of a detector"));
    }
    let regex = RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    let regex = regex.map_err(|error| format!("pattern `{name}`: {error}"))?;
    if regex.is_match("") {
        return Err(format!("pattern `{name}` matches the empty text"));
    }
    Ok((name.to_owned(), regex))
}

fn cover(action: Action, key: Option<&str>) -> Result<Cover, String> {
    match (action, key) {
        (Action::Hash, Some(key)) if key.len() >= HASH_KEY_BYTES_MIN => Ok(Cover::Hash(
            hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
        )),
        (Action::Hash, _) => Err(format!(
            "`action: hash` needs a `key` of at least {HASH_KEY_BYTES_MIN} bytes, such as ${{file:/path}}"
        )),
        (_, Some(_)) => Err("`key` is only used with `action: hash`".to_owned()),
        (_, None) => Ok(Cover::Mask),
    }
}

impl RedactionConfig {
    fn redactor(&self) -> Result<Redactor, String> {
        let scanner = Scanner::new(
            &self.detectors,
            self.query.clone(),
            &self.keys,
            &self.patterns,
            self.cover.clone(),
        )?;
        Ok(Redactor::new(scanner, &self.keys, &self.except, self.drop))
    }

    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<RedactionStep, String> {
        let redactor = self.redactor()?;
        let rules = redactor.rule_names();
        Ok(RedactionStep {
            reasons: rules
                .iter()
                .map(|rule| DropReason::new(context.name, rule))
                .collect(),
            counters: rules
                .iter()
                .map(|rule| context.metrics.processors.redactions(context.name, rule))
                .collect(),
            blocks: Blocks::new(context.clock.clone()),
            redactor,
        })
    }
}

/// A `redaction` processor at work.
pub(super) struct RedactionStep {
    redactor: Redactor,
    /// By rule.
    reasons: Vec<DropReason>,
    counters: Vec<Counter>,
    blocks: Blocks,
}

impl RedactionStep {
    pub(super) fn resource(&self, resource: &mut Resource<'_>) -> bool {
        let mut noted = Noted::default();
        self.redactor
            .attributes(&mut resource.attributes, &mut noted);
        self.count(&noted.rules)
    }

    pub(super) fn scope(&self, scope: &mut Scope<'_>) -> bool {
        let mut noted = Noted::default();
        self.redactor.scope(scope, &mut noted);
        self.count(&noted.rules)
    }

    pub(super) fn log(&self, resource: &Resource<'_>, record: &mut LogRecord<'_>) -> Outcome {
        let mut noted = Noted::default();
        let private_key = self.redactor.rule(Detector::PrivateKey);
        let cut = private_key.and_then(|rule| self.cut_key(resource, record, rule, &mut noted));
        // A borrowed text outlives its covering, so that only what holds a key is looked at.
        let (text, opening) = match (&record.body, private_key) {
            (Value::String(Cow::Borrowed(text)), Some(_)) => (Some(*text), None),
            (Value::String(Cow::Owned(text)), Some(_)) => (None, blocks::opening(text)),
            _ => (None, None),
        };
        let dropped_by = cut.or(self.redactor.log(record, &mut noted));
        let text = text.filter(|_| private_key.is_some_and(|rule| noted.rules.contains(&rule)));
        if let Some(opening) = opening.or_else(|| text.and_then(blocks::opening)) {
            self.blocks.open(resource, opening);
        }
        let changed = self.count(&noted.rules);
        match dropped_by.and_then(|rule| self.reasons.get(rule)) {
            Some(reason) => Err(reason.clone()),
            None => Ok(changed),
        }
    }

    /// Covers what belongs to a private key that earlier records of the stream began. Gives the rule if the record must be
    /// dropped because of it.
    fn cut_key(
        &self,
        resource: &Resource<'_>,
        record: &mut LogRecord<'_>,
        rule: usize,
        noted: &mut Noted,
    ) -> Option<usize> {
        let Value::String(text) = &record.body else {
            return None;
        };
        let place = self.blocks.rest(resource, text)?;
        self.redactor.cut(&mut record.body, place, rule, noted)
    }

    pub(super) fn span(&self, span: &mut Span<'_>) -> Outcome {
        let mut noted = Noted::default();
        self.redactor.span(span, &mut noted);
        Ok(self.count(&noted.rules))
    }

    pub(super) fn metric(&self, metric: &mut Metric<'_>) -> Outcome {
        let mut noted = Noted::default();
        self.redactor.metric(metric, &mut noted);
        Ok(self.count(&noted.rules))
    }

    /// The rules that find something in a field, by its path and its text before.
    pub(super) fn rule_for(&self, path: &str, before: Option<&str>) -> String {
        self.redactor.rules_for(path, before).join(", ")
    }

    /// What may be shown of a field at `path` that held `text`.
    pub(super) fn conceal(&self, path: &str, text: &str) -> String {
        self.redactor.conceal(path, text)
    }

    /// Counts what each rule found; true when there was anything.
    fn count(&self, rules: &[usize]) -> bool {
        for rule in rules {
            if let Some(counter) = self.counters.get(*rule) {
                counter.inc();
            }
        }
        !rules.is_empty()
    }
}

/// A text of the agent's own, an error for example, without the secrets that are found by default.
pub(crate) fn mask_secrets(text: &str) -> String {
    static REDACTOR: LazyLock<Option<Redactor>> = LazyLock::new(|| {
        let config = RedactionConfig::try_from(RedactionSpec::default()).ok()?;
        config.redactor().ok()
    });
    match &*REDACTOR {
        Some(redactor) => redactor.cover_text(text.to_owned()),
        None => "(not shown)".to_owned(),
    }
}

impl fmt::Debug for RedactionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactionStep").finish_non_exhaustive()
    }
}

impl fmt::Debug for RedactionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactionConfig")
            .field("detectors", &self.detectors)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
