//! What a resource adds to the series of its metrics: `job`, `instance`, promoted attributes and
//! `target_info`.

use vervet_wire::otlp::Resource;

use super::DecodeOptions;
use super::attributes::attribute_text;
use super::labels::LabelBuffer;
use super::names::label_name;

/// The attributes that make up `job` and `instance`, and are not repeated in `target_info`.
const IDENTIFYING: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

pub(super) struct Target {
    pub(super) promoted: Vec<(String, String)>,
    job: String,
    instance: String,
    info: Vec<(String, String)>,
    /// The latest of its points, milliseconds.
    pub(super) latest_ms: Option<i64>,
}

impl Target {
    pub(super) fn new(resource: &Resource<'_>, options: &DecodeOptions) -> Self {
        let attributes = &resource.attributes;
        let name = attribute_text(attributes, "service.name");
        let namespace = attribute_text(attributes, "service.namespace");
        let job = match (&*namespace, &*name) {
            (_, "") => String::new(),
            ("", name) => name.to_owned(),
            (namespace, name) => format!("{namespace}/{name}"),
        };
        let promoted = options
            .promote
            .iter()
            .map(|key| {
                (
                    label_name(key).into_owned(),
                    attribute_text(attributes, key),
                )
            })
            .filter(|(_name, value)| !value.is_empty())
            .map(|(name, value)| (name, value.into_owned()))
            .collect();
        let info = attributes
            .iter()
            .filter(|attribute| !IDENTIFYING.contains(&&*attribute.key))
            .map(|attribute| {
                (
                    label_name(&attribute.key).into_owned(),
                    attribute.value.to_text().into_owned(),
                )
            })
            .collect();
        Self {
            promoted,
            job,
            instance: attribute_text(attributes, "service.instance.id").into_owned(),
            info,
            latest_ms: None,
        }
    }

    /// Sets `job` and `instance`, where the resource has them.
    pub(super) fn identify(&self, labels: &mut LabelBuffer) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if !value.is_empty() {
                labels.set(name, value);
            }
        }
    }

    /// Sets the labels of `target_info`. `false` for resources that do not name their service.
    pub(super) fn info_labels(&self, labels: &mut LabelBuffer) -> bool {
        if self.job.is_empty() || self.info.is_empty() {
            return false;
        }
        labels.clear();
        for (name, value) in &self.info {
            labels.set(name, value);
        }
        self.identify(labels);
        true
    }
}
