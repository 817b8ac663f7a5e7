//! What a file's path tells of where its lines come from.

use std::path::Path;

use vervet_wire::otlp::{KeyValue, Resource, Value};

use super::docker::Container;
use super::pod_roots::PodPath;
use super::rotated::bare;
use crate::processors::Origin;

/// The resource of a file's records: configured attributes, then what the path tells; `pod` is the one it names.
pub(super) fn of_file(
    path: &str,
    pod: Option<PodPath<'_>>,
    configured: &[(String, String)],
    service_name: Option<&str>,
) -> Resource<'static> {
    let mut attributes: Vec<KeyValue<'static>> = Vec::new();
    let mut put = |key: &str, value: &str| {
        if !configured.iter().any(|(known, _)| known == key) {
            attributes.push(KeyValue::new(key.to_owned(), value.to_owned()));
        }
    };
    let name = Path::new(path)
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let container = match pod {
        Some(_) => None,
        None => Container::of(Path::new(path)),
    };
    let service = service_name
        .or(pod.map(|pod| pod.container))
        .or(container.as_ref().map(Container::service))
        .unwrap_or_else(|| stem(&name));
    put("service.name", service);
    put("log.file.path", path);
    put("log.file.name", &name);
    if let Some(container) = &container {
        for (key, value) in [
            ("container.id", &container.id),
            ("container.name", &container.name),
            ("container.image.name", &container.image),
            ("service.namespace", &container.project),
        ] {
            if !value.is_empty() {
                put(key, value);
            }
        }
    }
    if let Some(pod) = pod {
        put("k8s.namespace.name", pod.namespace);
        put("k8s.pod.name", pod.pod);
        put("k8s.pod.uid", pod.uid);
        put("k8s.container.name", pod.container);
    }
    if let Some(restarts) = pod.and_then(|pod| pod.restarts) {
        attributes.push(KeyValue::new(
            "k8s.container.restart_count",
            Value::Int(restarts),
        ));
    }
    let configured = configured
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource {
        attributes: configured.chain(attributes).collect(),
    }
}

/// Who says what stands on the resource of a file's records, and whether anybody named the service.
pub(super) fn origin(configured: &[(String, String)], service_name: Option<&str>) -> Origin {
    let is_named = configured.iter().any(|(key, _)| key == "service.name");
    Origin::File {
        service_is_guess: service_name.is_none() && !is_named,
    }
}

/// Characters of a date, at least: shorter numbers tell replicas apart.
const DATE_CHARS: usize = 8;
const SEPARATORS: [char; 2] = ['-', '_'];
const EXTENSIONS: [&str; 8] = ["log", "txt", "json", "jsonl", "ndjson", "out", "err", "old"];

/// A file's name without extension and without what rotation adds: `app` for `app.log`, `app.log.1`, `app.log.2.gz`,
/// `app.2024-01-02.log`, `app-20240102.log` and `2024-01-02-app.log`.
fn stem(name: &str) -> &str {
    let mut stem = bare(name);
    while let Some(shorter) = without_extension(stem).or_else(|| without_date(stem)) {
        stem = shorter;
    }
    stem
}

fn in_date(c: char) -> bool {
    c.is_ascii_digit() || SEPARATORS.contains(&c)
}

fn without_extension(name: &str) -> Option<&str> {
    let (head, extension) = name.rsplit_once('.')?;
    let is_counter = !extension.is_empty() && extension.chars().all(in_date);
    (!head.is_empty() && (is_counter || EXTENSIONS.contains(&extension))).then_some(head)
}

/// Without a date behind or before it.
fn without_date(name: &str) -> Option<&str> {
    let (before, behind) = (
        name.trim_end_matches(in_date),
        name.trim_start_matches(in_date),
    );
    let is_date = |rest: &str, date: &str| {
        !rest.is_empty() && date.trim_matches(SEPARATORS).len() >= DATE_CHARS
    };
    let last = name.get(before.len()..)?;
    if last.starts_with(SEPARATORS) && is_date(before, last) {
        return Some(before);
    }
    let first = name.get(..name.len() - behind.len())?;
    (first.ends_with(SEPARATORS) && is_date(behind, first)).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::filelog::pod_roots::PodRoots;

    #[test]
    fn pod_paths_tell_the_container() {
        let path = "/var/log/pods/shop_web-7d4b9c_0f-1a/next/3.log";
        let pod = PodRoots::default().pod_of(path);
        let resource = of_file(
            path,
            pod,
            &[("host.name".to_owned(), "n1".to_owned())],
            None,
        );
        let expected = [
            ("host.name", "n1"),
            ("service.name", "next"),
            ("log.file.path", path),
            ("log.file.name", "3.log"),
            ("k8s.namespace.name", "shop"),
            ("k8s.pod.name", "web-7d4b9c"),
            ("k8s.pod.uid", "0f-1a"),
            ("k8s.container.name", "next"),
        ];
        for (key, value) in expected {
            assert_eq!(resource.str(key), value, "{key}");
        }
        let restarts = vervet_wire::otlp::find(&resource.attributes, "k8s.container.restart_count");
        assert_eq!(restarts, Some(&Value::Int(3)));
    }

    #[test]
    fn docker_files_tell_the_container() {
        let root = tempfile::tempdir().expect("folder");
        let id = "ab".repeat(32);
        let folder = root.path().join(&id);
        std::fs::create_dir(&folder).expect("created");
        let settings = r#"{"Name":"/web","Config":{"Image":"shop/web:1.4"}}"#;
        std::fs::write(folder.join("config.v2.json"), settings).expect("written");
        let path = folder.join(format!("{id}-json.log"));
        let resource = of_file(&path.display().to_string(), None, &[], None);
        for (key, value) in [
            ("service.name", "web"),
            ("container.id", &id),
            ("container.name", "web"),
            ("container.image.name", "shop/web:1.4"),
            ("service.namespace", ""),
        ] {
            assert_eq!(resource.str(key), value, "{key}");
        }
    }

    #[test]
    fn configuration_wins_over_the_path() {
        let configured = [("service.name".to_owned(), "mine".to_owned())];
        assert_eq!(
            of_file("/x/app.log", None, &configured, None).str("service.name"),
            "mine"
        );
        assert_eq!(
            of_file("/x/app.log", None, &[], Some("named")).str("service.name"),
            "named"
        );
        assert_eq!(
            of_file("/x/app.log", None, &configured, None)
                .attributes
                .len(),
            3
        );
    }

    #[test]
    fn rotation_suffixes_do_not_change_the_service() {
        for (name, expected) in [
            ("app.log", "app"),
            ("app.log.1", "app"),
            ("app.2024-01-02.log", "app"),
            ("app-20240102.log", "app"),
            ("app.log.2.gz", "app"),
            ("app-2026-11-28.log.gz", "app"),
            ("app.log-20261128.gz", "app"),
            ("app.log.bak", "app"),
            ("app.log~", "app"),
            ("app__2026-11-28_00-00-00.log", "app"),
            ("2026-11-28-app.log", "app"),
            ("2026-11-28.log", "2026-11-28"),
            ("worker-12.log", "worker-12"),
            ("app-2.log", "app-2"),
            ("syslog", "syslog"),
            (".log", ".log"),
            ("access.api.log", "access.api"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
