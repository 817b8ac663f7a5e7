//! Failures whose stack and message say nothing about their cause.

use super::Component;
use crate::occurrence::Occurrence;

/// A browser or server that asks for a chunk of a build which is gone.
const CHUNK_LOAD: [&str; 6] = [
    "Loading chunk ",
    "Loading CSS chunk ",
    "Failed to load chunk ",
    "Failed to fetch dynamically imported module",
    "error loading dynamically imported module",
    "Importing a module script failed",
];
/// React found other markup than the server sent.
const HYDRATION: [&str; 11] = [
    "Hydration failed because",
    "There was an error while hydrating",
    "Text content does not match server-rendered HTML",
    "Text content did not match",
    "Expected server HTML to contain",
    "This Suspense boundary received an update before it finished hydrating",
    "Minified React error #418",
    "Minified React error #422",
    "Minified React error #423",
    "Minified React error #425",
    "A tree hydrated but some attributes",
];

/// The components of the rule that fits, if one does.
pub(super) fn built_in(
    occurrence: &Occurrence,
    exception_type: &str,
    message: &str,
) -> Option<Vec<Component>> {
    let message = message.trim_start();
    let says = |texts: &[&str]| texts.iter().any(|text| message.starts_with(text));
    if exception_type == "ChunkLoadError" || says(&CHUNK_LOAD) {
        return Some(vec![Component::new("rule", "bundler chunk load failure")]);
    }
    if says(&HYDRATION) {
        let mut parts = vec![Component::new("rule", "react hydration mismatch")];
        let route = occurrence
            .attribute("http.route")
            .or_else(|| occurrence.attribute("next.route"));
        parts.extend(route.map(|route| Component::new("transaction", route)));
        return Some(parts);
    }
    None
}
