//! From a pod to resource attributes.
//!
//! `service.*` follow OpenTelemetry's "Specify resource attributes using Kubernetes annotations": annotation, then
//! well-known label, then the workload from the outermost inwards.

use std::borrow::Cow;

use vervet_wire::otlp::{KeyValue, Resource, Value, find};

use super::K8sAttributesStep;
use crate::kubernetes::{Container, Key, Pod, RESOURCE_ANNOTATION};
use crate::processors::Origin;

const SERVICE_NAME: &str = "service.name";
const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
const LABEL_NAME: &str = "app.kubernetes.io/name";
const LABEL_VERSION: &str = "app.kubernetes.io/version";
/// What SDKs call a service that nobody named, alone or followed by `:` and the program's name.
const UNNAMED: &str = "unknown_service";
/// Where telemetry comes from is not for a pod's author to say.
const ORIGIN: [&str; 4] = ["k8s.", "container.", "host.", "log."];

/// Adds what is known. True when something was added.
pub(super) fn add(step: &K8sAttributesStep, resource: &mut Resource<'_>, origin: Origin) -> bool {
    let mut target = Target {
        resource,
        origin,
        changed: false,
    };
    let pod = step.pods.find(&keys(target.resource)).ok();
    if let Some(pod) = &pod {
        target.pod(step, pod);
    }
    target.service_of_names();
    target.changed
}

/// What the resource can be told by, the surest first.
fn keys<'r>(resource: &'r Resource<'_>) -> Vec<Key<'r>> {
    let text = |key| Some(resource.str(key)).filter(|text| !text.is_empty());
    [
        text("k8s.pod.uid").map(Key::Uid),
        text("container.id").map(Key::Container),
        text("k8s.pod.ip").and_then(Key::ip),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Target<'r, 'a> {
    resource: &'r mut Resource<'a>,
    origin: Origin,
    changed: bool,
}

impl<'r, 'a> Target<'r, 'a> {
    fn pod(&mut self, step: &K8sAttributesStep, pod: &Pod) {
        let container = self.container(pod);
        self.add("k8s.namespace.name", &pod.namespace);
        self.add("k8s.pod.name", &pod.name);
        self.add("k8s.pod.uid", &pod.uid);
        self.add_some("k8s.node.name", pod.node.as_deref());
        self.add_some("k8s.pod.start_time", pod.start_time.as_deref());
        let ip = pod.ips.first().map(ToString::to_string);
        self.add_some("k8s.pod.ip", ip.as_deref());
        for (key, name) in pod.workload.attributes() {
            self.add(key, name);
        }
        if let Some(container) = container {
            self.container_attributes(container);
        }
        self.chosen(step, pod);
        // Annotations before what is derived: they come first in the rule.
        self.annotated(pod);
        self.service(step, pod, container);
    }

    fn container<'p>(&self, pod: &'p Pod) -> Option<&'p Container> {
        let (name, id) = (
            self.resource.str("k8s.container.name"),
            self.resource.str("container.id"),
        );
        match (name, id) {
            ("", "") => pod.only_container(),
            ("", id) => pod.container_of_id(id),
            (name, _) => pod.container(name),
        }
    }

    fn container_attributes(&mut self, container: &Container) {
        self.add("k8s.container.name", &container.name);
        let restarts = find(&self.resource.attributes, "k8s.container.restart_count");
        let restarts = match restarts {
            Some(Value::Int(restarts)) => Some(*restarts),
            _ => None,
        };
        self.add_some("container.id", container.id(restarts));
        self.add("container.image.name", &container.image.name);
        if let Some(tag) = &container.image.tag {
            let tags = Value::Array(vec![Value::from(tag.clone())]);
            self.add_value("container.image.tags".into(), tags);
        }
    }

    fn chosen(&mut self, step: &K8sAttributesStep, pod: &Pod) {
        for (key, value) in &pod.labels {
            if step.labels.is_match(key) {
                self.add(format!("k8s.pod.label.{key}"), value);
            }
        }
        for (key, value) in &pod.annotations {
            if step.annotations.is_match(key) {
                self.add(format!("k8s.pod.annotation.{key}"), value);
            }
        }
    }

    /// `resource.opentelemetry.io/<attribute>`. It replaces what the agent put on a file's records, and nothing
    /// that a sender said, be it of a file.
    fn annotated(&mut self, pod: &Pod) {
        for (key, value) in &pod.annotations {
            let Some(key) = key.strip_prefix(RESOURCE_ANNOTATION) else {
                continue;
            };
            let is_origin = ORIGIN.iter().any(|origin| key.starts_with(origin));
            if key.is_empty() || value.is_empty() || is_origin {
                continue;
            }
            let is_file = matches!(self.origin, Origin::File { .. });
            if is_file || (key == SERVICE_NAME && self.service_is_guessed()) {
                self.set(key, value);
            } else {
                self.add(key.to_owned(), value);
            }
        }
    }

    fn service(&mut self, step: &K8sAttributesStep, pod: &Pod, container: Option<&Container>) {
        let label = |key| {
            let label = pod.labels.get(key).filter(|value| !value.is_empty());
            label.filter(|_| step.well_known_labels).map(String::as_str)
        };
        let is_annotated = pod
            .annotations
            .get(&format!("{RESOURCE_ANNOTATION}{SERVICE_NAME}"))
            .is_some_and(|name| !name.is_empty());
        if self.service_is_guessed() && !is_annotated {
            let owner = pod.workload.attributes().next().map(|(_, name)| name);
            let name = label(LABEL_INSTANCE)
                .or_else(|| label(LABEL_NAME))
                .or(owner)
                .unwrap_or(&pod.name);
            self.set(SERVICE_NAME, name);
        }
        let version = label(LABEL_VERSION).map(str::to_owned);
        let version = version.or_else(|| container?.image.version());
        self.add_some("service.version", version.as_deref());
    }

    /// Whether the service's name is missing, the SDK's substitute, or the container's name that was taken from
    /// the path of a file. A process that calls itself like its container has said so.
    fn service_is_guessed(&self) -> bool {
        let name = self.resource.str(SERVICE_NAME);
        let unnamed = name.strip_prefix(UNNAMED);
        let is_guess = matches!(
            self.origin,
            Origin::File {
                service_is_guess: true
            }
        );
        name.is_empty()
            || unnamed.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            || is_guess && name == self.resource.str("k8s.container.name")
    }

    /// What follows from the names alone, with or without a source of pods.
    fn service_of_names(&mut self) {
        let [namespace, pod, container] =
            ["k8s.namespace.name", "k8s.pod.name", "k8s.container.name"]
                .map(|key| self.resource.str(key).to_owned());
        self.add("service.namespace", &namespace);
        if [&namespace, &pod, &container]
            .iter()
            .all(|name| !name.is_empty())
        {
            let instance = format!("{namespace}.{pod}.{container}");
            self.add("service.instance.id", &instance);
        }
    }

    fn add_some(&mut self, key: &'static str, value: Option<&str>) {
        self.add(key, value.unwrap_or_default());
    }

    fn add(&mut self, key: impl Into<Cow<'a, str>>, value: &str) {
        if !value.is_empty() {
            self.add_value(key.into(), value.to_owned().into());
        }
    }

    /// Adds an attribute that is not there yet.
    fn add_value(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        if find(&self.resource.attributes, &key).is_none() {
            self.resource.attributes.push(KeyValue { key, value });
            self.changed = true;
        }
    }

    /// Adds an attribute or replaces it.
    fn set(&mut self, key: &str, value: &str) {
        let attributes = &mut self.resource.attributes;
        match attributes.iter_mut().find(|known| known.key == key) {
            Some(known) if known.value.as_str() == Some(value) => return,
            Some(known) => known.value = value.to_owned().into(),
            None => attributes.push(KeyValue::new(key.to_owned(), value.to_owned())),
        }
        self.changed = true;
    }
}
