//! The detectors that are built in.

use serde::Deserialize;

/// What is looked for in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// 13 to 19 digits that begin like a card number and pass the Luhn check, with or without separators.
    CreditCard,
    /// Upper-case, of the length its country uses, with or without spaces, checked modulo 97.
    Iban,
    Jwt,
    /// What follows the word `Bearer`.
    Bearer,
    /// What follows the word `Basic` and decodes to `name:password`; `name:password@` in addresses.
    Basic,
    /// Access key ids, and secret keys where their name stands before them.
    Aws,
    Gcp,
    Stripe,
    Supabase,
    Github,
    Slack,
    Gitlab,
    /// Keys that begin with `sk-`, which others have taken over.
    Openai,
    /// Tokens and webhooks of other services by their beginnings.
    ServiceToken,
    /// PEM blocks, from BEGIN to END or to the end of the text.
    PrivateKey,
    Email,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// `+` and 8 to 15 digits, `(555) 123-4567`.
    Phone,
    /// Values of the parameters that `query_parameters` lists.
    UrlQuery,
}

impl Detector {
    pub(super) const ALL: [Self; 19] = [
        Self::CreditCard,
        Self::Iban,
        Self::Jwt,
        Self::Bearer,
        Self::Basic,
        Self::Aws,
        Self::Gcp,
        Self::Stripe,
        Self::Supabase,
        Self::Github,
        Self::Slack,
        Self::Gitlab,
        Self::Openai,
        Self::ServiceToken,
        Self::PrivateKey,
        Self::Email,
        Self::Ip,
        Self::Phone,
        Self::UrlQuery,
    ];

    /// Those that are on unless `detect` says otherwise: secrets and payment data. Addresses and phone numbers are
    /// often what a log is read for.
    pub(super) fn is_default(self) -> bool {
        !matches!(self, Self::Email | Self::Ip | Self::Phone)
    }

    /// The word in the configuration, in masks and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreditCard => "credit_card",
            Self::Iban => "iban",
            Self::Jwt => "jwt",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Stripe => "stripe",
            Self::Supabase => "supabase",
            Self::Github => "github",
            Self::Slack => "slack",
            Self::Gitlab => "gitlab",
            Self::Openai => "openai",
            Self::ServiceToken => "service_token",
            Self::PrivateKey => "private_key",
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Phone => "phone",
            Self::UrlQuery => "url_query",
        }
    }
}
