//! The names that structured metadata has, and which of two values of one name has it.
//!
//! What a record's attributes say was written by a program, often by whoever fills its log lines; what the resource says
//! was told by the agent or the SDK. So an attribute never takes the name of a label, of a property of the record or of an attribute of
//! its resource: it is shown under its name with [`EXTRACTED`] behind, as Loki's users know it from fields of lines.

use std::collections::BTreeMap;

use super::labels::label_column;
use crate::query::search::maps::metadata_name;
use crate::tables::column;

/// Stands behind the name of an attribute whose own name is taken.
pub(super) const EXTRACTED: &str = "_extracted";

/// Properties of a record that are shown beside its attributes.
pub(super) const PROPERTIES: [&str; 6] = [
    column::OBSERVED_TIME,
    column::SEVERITY_NUMBER,
    column::SCOPE_NAME,
    column::EVENT_NAME,
    column::TRACE_ID,
    column::SPAN_ID,
];

/// Whether no attribute may have this name, be there a value or not.
pub(super) fn is_reserved(name: &str) -> bool {
    label_column(name).is_some() || PROPERTIES.contains(&name)
}

/// Attributes of a resource and of a record by their names. Of several of either with one name, the first by key counts.
pub(super) fn named(
    resource: Vec<(String, String)>,
    own: Vec<(String, String)>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for attributes in [resource, own] {
        let (taken, free): (Vec<_>, Vec<_>) = by_name(attributes)
            .into_iter()
            .partition(|(name, _)| is_reserved(name) || all.contains_key(name));
        all.extend(free);
        for (name, value) in taken {
            let mut name = name + EXTRACTED;
            while all.contains_key(&name) {
                name += EXTRACTED;
            }
            all.insert(name, value);
        }
    }
    all
}

fn by_name(mut attributes: Vec<(String, String)>) -> BTreeMap<String, String> {
    attributes.sort_by(|a, b| b.0.cmp(&a.0));
    let named = attributes.into_iter();
    named
        .map(|(key, value)| (metadata_name(&key), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_record_never_hides_what_its_resource_says() {
        let check = |resource: &[(&str, &str)], own: &[(&str, &str)], expected: &[(&str, &str)]| {
            let found: Vec<_> = named(pairs(resource), pairs(own)).into_iter().collect();
            assert_eq!(found, pairs(expected), "{resource:?} {own:?}");
        };
        check(
            &[("log.file.path", "/var/log/a.log")],
            &[("log.file.path", "/forged"), ("order.id", "17")],
            &[
                ("log_file_path", "/var/log/a.log"),
                ("log_file_path_extracted", "/forged"),
                ("order_id", "17"),
            ],
        );
        // Spelled otherwise, it is the same name.
        check(
            &[("log.file.path", "/a")],
            &[("log_file_path", "/b")],
            &[("log_file_path", "/a"), ("log_file_path_extracted", "/b")],
        );
        // Labels and properties are not the record's to set, either.
        check(
            &[],
            &[
                ("k8s.pod.name", "forged"),
                ("trace_id", "abc"),
                ("level", "high"),
            ],
            &[
                ("k8s_pod_name_extracted", "forged"),
                ("level_extracted", "high"),
                ("trace_id_extracted", "abc"),
            ],
        );
        // Nothing is lost.
        check(
            &[("a", "1"), ("level", "x")],
            &[("a", "2"), ("a_extracted", "3"), ("level", "y")],
            &[
                ("a", "1"),
                ("a_extracted", "3"),
                ("a_extracted_extracted", "2"),
                ("level_extracted", "x"),
                ("level_extracted_extracted", "y"),
            ],
        );
        check(&[], &[("a_b", "2"), ("a.b", "1")], &[("a_b", "1")]);
    }
}
