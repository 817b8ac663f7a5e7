//! Labels of targets and of series.

use std::borrow::Cow;
use std::collections::BTreeMap;

use vervet_relabel::{Action, Rule, RuleSpec};

use super::*;
use crate::config::substitute::SystemSources;
use crate::config::{AgentConfig, ReceiverConfig};
use crate::receivers::prometheus::discovery::{Group, LabelMap};
use crate::receivers::prometheus::job::{JobConfig, Limits};
use crate::receivers::prometheus::series::{SeriesError, SeriesRules};
use crate::receivers::prometheus::target::{Origin, Target, Verdict, relabelled};

fn map(labels: &[(&str, &str)]) -> LabelMap {
    let owned = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn config(change: impl FnOnce(&mut ScrapeSpec)) -> Arc<JobConfig> {
    let mut spec = ScrapeSpec {
        job_name: "shop".to_owned(),
        ..ScrapeSpec::default()
    };
    change(&mut spec);
    let spec = PrometheusSpec {
        scrape_configs: vec![spec],
        max_series_per_target: None,
    };
    let config = PrometheusConfig::try_from(spec).expect("valid");
    Arc::new(config.jobs.into_iter().next().expect("a job"))
}

/// What becomes of one discovered target, and its labels before.
fn verdict(
    job: &Arc<JobConfig>,
    group: &[(&str, &str)],
    own: &[(&str, &str)],
) -> (Verdict, LabelMap) {
    let group = Group {
        labels: map(group),
        targets: vec![map(own)],
    };
    let origin = Origin::all(job, &Arc::new(vec![group]))
        .next()
        .expect("a target");
    (relabelled(job, &origin.labels()), origin.labels())
}

fn target(job: &Arc<JobConfig>, group: &[(&str, &str)], own: &[(&str, &str)]) -> Target {
    match verdict(job, group, own) {
        (Verdict::Scrape(target), _) => *target,
        other => panic!("{other:?}"),
    }
}

fn rule(source: &str, regex: &str, target: &str, replacement: &str) -> RuleSpec {
    RuleSpec {
        source_labels: Some(vec![source.to_owned()]),
        regex: Some(regex.to_owned()),
        target_label: Some(target.to_owned()),
        replacement: Some(replacement.to_owned()),
        ..RuleSpec::default()
    }
}

#[test]
fn a_target_has_the_labels_of_its_job_and_of_its_group() {
    let job = config(|spec| {
        spec.params = BTreeMap::from([
            ("module".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
            ("none".to_owned(), Vec::new()),
        ]);
    });
    let group = [
        ("env", "test"),
        ("job", "own"),
        ("__meta_x", "1"),
        ("empty", ""),
    ];
    let own = [("__address__", "h:9100"), ("env", "live")];
    let (_, discovered) = verdict(&job, &group, &own);
    let expected = map(&[
        ("__address__", "h:9100"),
        ("__meta_x", "1"),
        ("__metrics_path__", "/metrics"),
        ("__param_module", "a"),
        ("__scheme__", "http"),
        ("__scrape_interval__", "1m"),
        ("__scrape_timeout__", "10s"),
        ("env", "live"),
        ("job", "own"),
    ]);
    assert_eq!(discovered, expected);
    let target = target(&job, &group, &own);
    assert_eq!(
        target.labels,
        map(&[("env", "live"), ("instance", "h:9100"), ("job", "own")])
    );
    assert_eq!(
        target.url.as_str(),
        "http://h:9100/metrics?module=a&module=b"
    );
}

#[test]
fn rules_change_where_and_how_a_target_is_scraped() {
    let job = config(|spec| {
        spec.params = BTreeMap::from([("target".to_owned(), vec!["x".to_owned(), "y".to_owned()])]);
        spec.relabel_configs = vec![
            rule("__address__", "(.*)", "__param_target", "$1"),
            rule("__address__", "(.*)", "instance", "$1"),
            rule("", "(.*)", "__address__", "prober:9115"),
            rule("", "(.*)", "__scheme__", "https"),
            rule("", "(.*)", "__metrics_path__", "/probe me"),
            rule("", "(.*)", "__scrape_interval__", "5s"),
            rule("", "(.*)", "__scrape_timeout__", "3s"),
            rule("", "(.*)", "__tmp", "kept inside"),
        ];
    });
    let target = target(&job, &[], &[("__address__", "shop.example:80")]);
    assert_eq!(
        target.url.as_str(),
        "https://prober:9115/probe%20me?target=shop.example%3A80&target=y"
    );
    assert_eq!(
        target.labels,
        map(&[("instance", "shop.example:80"), ("job", "shop")])
    );
    assert_eq!(
        (target.interval.as_secs(), target.timeout.as_secs()),
        (5, 3)
    );
}

#[test]
fn targets_are_dropped_and_refused() {
    let dropping = config(|spec| {
        spec.relabel_configs = vec![RuleSpec {
            source_labels: Some(vec!["env".to_owned()]),
            regex: Some("test".to_owned()),
            action: Action::Drop,
            ..RuleSpec::default()
        }];
    });
    let own = [("__address__", "h:1"), ("env", "test")];
    assert_eq!(verdict(&dropping, &[], &own).0, Verdict::Dropped);
    for (name, value) in [
        ("__address__", ""),
        ("__address__", "h/x"),
        ("__address__", "a b"),
        ("__scheme__", "gopher"),
        ("__scrape_interval__", "often"),
        ("__scrape_interval__", "0"),
        ("__scrape_timeout__", "2m"),
    ] {
        let job = config(|spec| spec.relabel_configs = vec![rule("", "(.*)", name, value)]);
        let (verdict, _) = verdict(&job, &[], &[("__address__", "h:1")]);
        assert!(
            matches!(verdict, Verdict::Invalid(_)),
            "{name}={value}: {verdict:?}"
        );
    }
}

#[test]
fn meta_labels_make_no_other_target() {
    let job = config(|_| {});
    let of = |meta: &str, env: &str| {
        let own = [("__address__", "h:1"), ("__meta_x", meta), ("env", env)];
        target(&job, &[], &own).key
    };
    assert_eq!(of("1", "a"), of("2", "a"));
    assert_ne!(of("1", "a"), of("1", "b"));
}

const NO_LIMITS: Limits = Limits {
    body_bytes: usize::MAX,
    samples: usize::MAX,
    labels: usize::MAX,
    label_name_bytes: usize::MAX,
    label_value_bytes: usize::MAX,
    series: usize::MAX,
    targets: usize::MAX,
    dropped_targets: usize::MAX,
};

/// A series as text after the rules.
fn series(rules: &SeriesRules<'_>, own: &[(&str, &str)]) -> Result<Option<String>, SeriesError> {
    let own = own.iter().map(|(name, value)| {
        (
            Cow::Owned((*name).to_owned()),
            Cow::Owned((*value).to_owned()),
        )
    });
    let kept = rules.series(Cow::Borrowed("m"), own.collect())?;
    Ok(kept.map(|(name, labels)| {
        let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{name}{{{}}}", labels.collect::<Vec<_>>().join(","))
    }))
}

#[test]
fn labels_of_the_target_win_unless_the_series_are_honoured() {
    let labels = map(&[("instance", "i"), ("job", "j")]);
    let rules = |honor_labels| SeriesRules {
        labels: &labels,
        honor_labels,
        relabel: &[],
        limits: NO_LIMITS,
    };
    let check = |honor_labels, own: &[(&str, &str)], expected: &str| {
        assert_eq!(
            series(&rules(honor_labels), own).expect("kept").as_deref(),
            Some(expected)
        );
    };
    check(
        false,
        &[("b", "2"), ("a", "1")],
        "m{a=1,b=2,instance=i,job=j}",
    );
    check(
        false,
        &[("job", "own"), ("x", "")],
        "m{exported_job=own,instance=i,job=j}",
    );
    check(
        false,
        &[("job", "own"), ("exported_job", "older")],
        "m{exported_exported_job=own,exported_job=older,instance=i,job=j}",
    );
    check(true, &[("job", "own")], "m{instance=i,job=own}");
    // What a gateway says of itself: that it is not the instance.
    check(true, &[("instance", "")], "m{job=j}");
    check(false, &[("instance", "")], "m{instance=i,job=j}");
}

#[test]
fn series_are_relabelled_with_their_name() {
    let labels = map(&[("job", "j")]);
    let rule = |spec: RuleSpec| Rule::try_from(spec).expect("valid");
    let renamed = [rule(self::rule("__name__", "(.*)", "__name__", "my_$1"))];
    let dropped = [rule(RuleSpec {
        source_labels: Some(vec!["__name__".to_owned(), "le".to_owned()]),
        regex: Some("m;0\\..*".to_owned()),
        action: Action::Drop,
        ..RuleSpec::default()
    })];
    let nameless = [rule(self::rule("", "(.*)", "__name__", ""))];
    let rules = |relabel| SeriesRules {
        labels: &labels,
        honor_labels: false,
        relabel,
        limits: NO_LIMITS,
    };
    assert_eq!(
        series(&rules(&renamed), &[]).expect("kept").as_deref(),
        Some("my_m{job=j}")
    );
    assert_eq!(series(&rules(&dropped), &[("le", "0.5")]), Ok(None));
    assert_eq!(
        series(&rules(&dropped), &[("le", "1")])
            .expect("kept")
            .as_deref(),
        Some("m{job=j,le=1}")
    );
    assert_eq!(series(&rules(&nameless), &[]), Err(SeriesError::NoName));
}

#[test]
fn limits_count_what_is_left_after_relabelling() {
    let labels = map(&[("job", "j")]);
    let checked = |limits: Limits, own: &[(&str, &str)]| {
        let rules = SeriesRules {
            labels: &labels,
            honor_labels: false,
            relabel: &[],
            limits,
        };
        series(&rules, own)
            .map(|_kept| ())
            .map_err(|error| error.to_string())
    };
    let at_most = |labels, label_name_bytes, label_value_bytes| Limits {
        labels,
        label_name_bytes,
        label_value_bytes,
        ..NO_LIMITS
    };
    let own = [("abc", "wxyz")];
    assert_eq!(checked(at_most(3, 8, 4), &own), Ok(()));
    let error = checked(at_most(2, 8, 4), &own).expect_err("too many");
    assert_eq!(
        error,
        "label_limit exceeded: `m` has 3 labels, the limit is 2"
    );
    assert!(
        checked(at_most(3, 7, 4), &own)
            .expect_err("long")
            .contains("label_name_length_limit")
    );
    assert!(
        checked(at_most(3, 8, 3), &own)
            .expect_err("long")
            .contains("4 bytes in `abc`")
    );
}

/// The labels of a pod's target, before relabelling.
const POD: [(&str, &str); 6] = [
    ("__address__", "10.0.0.7:8080"),
    ("__meta_kubernetes_pod_phase", "Running"),
    ("__meta_kubernetes_namespace", "shop"),
    ("__meta_kubernetes_pod_name", "web-1"),
    ("__meta_kubernetes_pod_node_name", "n1"),
    ("__meta_kubernetes_pod_container_init", "false"),
];

#[test]
fn the_shipped_rules_follow_annotations() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/examples/agent-kubernetes.yaml"
    );
    let text = std::fs::read_to_string(path).expect("there");
    let text = text
        .replace("${env:NODE_NAME}", "n1")
        .replace("${env:VERVET_ENVIRONMENT}", "test");
    let config = AgentConfig::parse("f", &text, &SystemSources).expect("valid");
    let Some(ReceiverConfig::Prometheus(config)) = config.receivers.get("annotated") else {
        panic!("a prometheus receiver");
    };
    let job = Arc::new(config.jobs[0].clone());
    let annotated = |annotations: &[(&str, &str)], ip: &str| {
        let names = annotations.iter().map(|(name, value)| {
            (
                format!("__meta_kubernetes_pod_annotation_prometheus_io_{name}"),
                *value,
            )
        });
        let names: Vec<(String, &str)> = names.collect();
        let mut own: Vec<(&str, &str)> = POD.to_vec();
        own.push(("__meta_kubernetes_pod_ip", ip));
        own.extend(names.iter().map(|(name, value)| (name.as_str(), *value)));
        verdict(&job, &[], &own).0
    };
    let url = |verdict: Verdict| match verdict {
        Verdict::Scrape(target) => target.url.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(annotated(&[], "10.0.0.7"), Verdict::Dropped);
    assert_eq!(
        annotated(&[("scrape", "false")], "10.0.0.7"),
        Verdict::Dropped
    );
    assert_eq!(
        url(annotated(&[("scrape", "true")], "10.0.0.7")),
        "http://10.0.0.7:8080/metrics"
    );
    let all = [
        ("scrape", "true"),
        ("port", "9102"),
        ("path", "/m"),
        ("scheme", "https"),
    ];
    assert_eq!(url(annotated(&all, "10.0.0.7")), "https://10.0.0.7:9102/m");
    assert_eq!(url(annotated(&all, "fd00::7")), "https://[fd00::7]:9102/m");
    let Verdict::Scrape(target) = annotated(&all, "10.0.0.7") else {
        panic!("a target");
    };
    let expected = [
        ("instance", "10.0.0.7:9102"),
        ("job", "pods"),
        ("namespace", "shop"),
        ("node", "n1"),
        ("pod", "web-1"),
    ];
    assert_eq!(target.labels, map(&expected));
}
