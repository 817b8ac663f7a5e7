//! `/federate`: the newest samples in the text exposition format, for a Prometheus that scrapes this collector.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header;
use vervet_model::{Clock, Labels, METRIC_NAME, SystemClock};
use vervet_promql::{Sample, format_message, is_identifier, parse_selector};

use super::{Answer, Params, Shared};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";
/// A series without it gets it empty, so that the scraping server does not put its own there.
const INSTANCE: &str = "instance";

/// The newest sample of each series that one of the `match[]` selects, unless it is stale or older than the lookback.
pub(in crate::api) async fn federate(State(context): State<Shared>, params: Params) -> Answer {
    let selectors = params.all("match[]").map(parse_selector);
    let selectors = selectors.collect::<Result<Vec<_>, _>>()?;
    let now = SystemClock.now().to_millis();
    let mut newest = context.queries.newest(selectors, now).await?;
    newest.sort_by(|(a, _), (b, _)| {
        let names = a.metric_name().cmp(b.metric_name());
        names.then_with(|| a.cmp(b))
    });
    newest.dedup_by(|(a, _), (b, _)| a == b);
    let text = text(&newest);
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// Samples by name; those of series without a name are left out.
fn text(newest: &[(Labels, Sample)]) -> String {
    let mut text = String::new();
    let mut last_name = "";
    for (labels, sample) in newest {
        let name = labels.metric_name();
        if name.is_empty() {
            continue;
        }
        if name != last_name {
            let family = match is_identifier(name, true) {
                true => name.to_owned(),
                false => quoted(name),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# TYPE {family} untyped");
            last_name = name;
        }
        write_sample(&mut text, labels, *sample);
    }
    text
}

fn write_sample(text: &mut String, labels: &Labels, sample: Sample) {
    let name = labels.metric_name();
    // Names of other letters stand in quotes among the labels.
    let quoted_name = match is_identifier(name, true) {
        true => {
            text.push_str(name);
            None
        }
        false => Some(quoted(name)),
    };
    let own = labels.iter().filter(|label| &*label.name != METRIC_NAME);
    let own = own.map(|label| (&*label.name, &*label.value));
    let instance = labels.get(INSTANCE).is_none().then_some((INSTANCE, ""));
    let pairs = own.chain(instance).map(|(name, value)| {
        let value = quoted(value);
        match is_identifier(name, false) {
            true => format!("{name}={value}"),
            false => format!("{}={value}", quoted(name)),
        }
    });
    let inside: Vec<String> = quoted_name.into_iter().chain(pairs).collect();
    let (inside, value) = (inside.join(","), format_message(sample.value));
    let _ = writeln!(text, "{{{inside}}} {value} {}", sample.timestamp);
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', r"\\");
    let text = text.replace('\n', r"\n").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_by_name_in_the_text_format() {
        let sample = |labels: &[(&str, &str)], value| {
            let labels = Labels::from_pairs(labels.iter().copied());
            let timestamp = 1_500;
            (labels, Sample { timestamp, value })
        };
        let newest = [
            sample(&[("instance", "of no metric")], 1.0),
            sample(
                &[("__name__", "a"), ("instance", "x"), ("p", "q\"\\\n")],
                1.0,
            ),
            sample(&[("__name__", "a"), ("z", "é")], 1_234_567.0),
            sample(&[("__name__", "b.c"), ("d.e", "f")], f64::INFINITY),
        ];
        let expected = r##"# TYPE a untyped
a{instance="x",p="q\"\\\n"} 1 1500
a{z="é",instance=""} 1.234567e+06 1500
# TYPE "b.c" untyped
{"b.c","d.e"="f",instance=""} +Inf 1500
"##;
        assert_eq!(text(&newest), expected);
    }
}
