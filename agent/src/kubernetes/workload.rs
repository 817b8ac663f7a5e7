//! Which workload a pod belongs to, by its owner and its labels alone.
//!
//! A Deployment's ReplicaSet is named after it with the pod template's hash behind, and its pods carry that hash
//! as a label: so the name less the hash is the Deployment, and a ReplicaSet that stands alone is not mistaken for
//! one. A CronJob's Job is named after it with the minute it was scheduled for behind (Unix time in minutes): a
//! number there that lies shortly before the pod's creation is taken for that minute.

use super::document::Metadata;

const TEMPLATE_HASH: &str = "pod-template-hash";
const SECONDS_PER_MINUTE: i64 = 60;
/// A Job's pod may be created this much before the minute in its name: clocks differ.
const EARLY_MINUTES_MAX: i64 = 10;
/// A Job's pod may be created this much after that minute: starting deadlines, retries.
const LATE_MINUTES_MAX: i64 = 7 * 24 * 60;

/// What a pod belongs to, from the nearest owner to the farthest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) replicaset: Option<String>,
    pub(crate) deployment: Option<String>,
    pub(crate) statefulset: Option<String>,
    pub(crate) daemonset: Option<String>,
    pub(crate) job: Option<String>,
    pub(crate) cronjob: Option<String>,
    pub(crate) replication_controller: Option<String>,
}

impl Workload {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let mut workload = Self::default();
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let owner = owners.iter().find(|owner| owner.controller == Some(true));
        let Some((kind, name)) =
            owner.and_then(|owner| Some((owner.kind.as_deref()?, owner.name.as_deref()?)))
        else {
            return workload;
        };
        let name = name.to_owned();
        match kind {
            "ReplicaSet" => {
                workload.deployment = deployment_of(&name, metadata);
                workload.replicaset = Some(name);
            }
            "StatefulSet" => workload.statefulset = Some(name),
            "DaemonSet" => workload.daemonset = Some(name),
            "Job" => {
                workload.cronjob = cronjob_of(&name, metadata);
                workload.job = Some(name);
            }
            "ReplicationController" => workload.replication_controller = Some(name),
            // A Node owns its static pods; what other controllers mean by a pod is not known.
            _ => {}
        }
        workload
    }

    /// Attribute names and values.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("k8s.deployment.name", &self.deployment),
            ("k8s.replicaset.name", &self.replicaset),
            ("k8s.statefulset.name", &self.statefulset),
            ("k8s.daemonset.name", &self.daemonset),
            ("k8s.cronjob.name", &self.cronjob),
            ("k8s.job.name", &self.job),
            (
                "k8s.replicationcontroller.name",
                &self.replication_controller,
            ),
        ]
        .into_iter()
        .filter_map(|(key, name)| Some((key, name.as_deref()?)))
    }
}

fn deployment_of(replicaset: &str, metadata: &Metadata) -> Option<String> {
    let hash = metadata.labels.as_ref()?.get(TEMPLATE_HASH)?;
    let name = replicaset.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    (!name.is_empty() && !hash.is_empty()).then(|| name.to_owned())
}

fn cronjob_of(job: &str, metadata: &Metadata) -> Option<String> {
    let (name, minute) = job.rsplit_once('-')?;
    let scheduled: i64 = minute.parse().ok()?;
    let created: jiff::Timestamp = metadata.creation_timestamp.as_deref()?.parse().ok()?;
    let age = (created.as_second() / SECONDS_PER_MINUTE).checked_sub(scheduled)?;
    let fits = (-EARLY_MINUTES_MAX..=LATE_MINUTES_MAX).contains(&age);
    (fits && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::document::OwnerReference;
    use super::*;

    fn check(kind: &str, name: &str, hash: Option<&str>, expected: &[(&str, &str)]) {
        let owner = OwnerReference {
            kind: Some(kind.to_owned()),
            name: Some(name.to_owned()),
            controller: Some(true),
        };
        let labels = hash.map(|hash| [(TEMPLATE_HASH.to_owned(), hash.to_owned())].into());
        let metadata = Metadata {
            owner_references: Some(vec![OwnerReference::default(), owner]),
            // 29,402,916 minutes and a half after the epoch.
            creation_timestamp: Some("2025-11-26T16:36:30Z".to_owned()),
            labels,
            ..Metadata::default()
        };
        let workload = Workload::of(&metadata);
        assert_eq!(
            workload.attributes().collect::<Vec<_>>(),
            expected,
            "{name}"
        );
    }

    #[test]
    fn a_deployment_is_its_replicaset_less_the_hash() {
        check(
            "ReplicaSet",
            "web-api-7d4b9c",
            Some("7d4b9c"),
            &[
                ("k8s.deployment.name", "web-api"),
                ("k8s.replicaset.name", "web-api-7d4b9c"),
            ],
        );
        // Alone, of another controller, or with nothing left.
        let alone = [("k8s.replicaset.name", "web-api")];
        check("ReplicaSet", "web-api", None, &alone);
        check("ReplicaSet", "web-api", Some("7d4b9c"), &alone);
        check("ReplicaSet", "web-api", Some(""), &alone);
        check(
            "ReplicaSet",
            "-x",
            Some("x"),
            &[("k8s.replicaset.name", "-x")],
        );
        check(
            "ReplicaSet",
            "webx",
            Some("x"),
            &[("k8s.replicaset.name", "webx")],
        );
    }

    #[test]
    fn a_cronjob_is_its_job_less_the_minute() {
        for (job, cronjob) in [
            ("backup-29402916", Some("backup")),
            ("backup-db-29402910", Some("backup-db")),
            // A retry a day later, and one that is too late.
            ("backup-29401476", Some("backup")),
            ("backup-29390000", None),
            // Later than the pod: no minute of a schedule.
            ("backup-29403000", None),
            ("migrate-42", None),
            ("migrate-9223372036854775808", None),
            ("migrate--9223372036854775808", None),
            ("-29402916", None),
            ("migrate", None),
        ] {
            let mut expected = vec![("k8s.job.name", job)];
            expected.splice(0..0, cronjob.map(|name| ("k8s.cronjob.name", name)));
            check("Job", job, None, &expected);
        }
    }

    #[test]
    fn other_owners_are_named_as_they_are() {
        check("StatefulSet", "db", None, &[("k8s.statefulset.name", "db")]);
        check(
            "DaemonSet",
            "proxy",
            None,
            &[("k8s.daemonset.name", "proxy")],
        );
        check("Node", "n1", None, &[]);
        let metadata = Metadata {
            owner_references: Some(vec![OwnerReference {
                kind: Some("StatefulSet".to_owned()),
                name: Some("db".to_owned()),
                controller: None,
            }]),
            ..Metadata::default()
        };
        assert_eq!(Workload::of(&metadata), Workload::default());
    }
}
