use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use vervet_model::ManualClock;

use super::*;
use crate::notify::{Integration, Notification, NotifyError, Outcome};
use crate::rule_file::{GroupConfig, GroupKind, RuleFile};
use crate::seams::{BoxFuture, QueryFailure, RuleSample, SinkFailure};

const RULES: &str = "
groups:
- name: g
  interval: 1m
  query_offset: 10s
  rules:
  - {alert: Down, expr: down, for: 2m}
  - {record: copy, expr: source}
";

const NOTIFY: &str = "
route: {receiver: hook, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: hook, webhook_configs: [{url: http://hook/}]}]
";

type Answer = Result<Vec<(Labels, f64)>, QueryFailure>;

/// Scripted seams: what queries answer, and what was written and sent.
#[derive(Default)]
struct World {
    answers: Mutex<BTreeMap<String, Answer>>,
    asked_at: Mutex<Vec<i64>>,
    samples: Mutex<Vec<RuleSample>>,
    sent: Mutex<Vec<String>>,
    refusals: Mutex<VecDeque<NotifyError>>,
    document: Mutex<Option<Vec<u8>>>,
    saves: AtomicU64,
}

impl RuleQuery for World {
    fn query<'a>(
        &'a self,
        _kind: GroupKind,
        expr: &'a str,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<(Labels, f64)>, QueryFailure>> {
        self.asked_at.lock().push(at.0);
        let answer = self
            .answers
            .lock()
            .get(expr)
            .cloned()
            .unwrap_or(Ok(Vec::new()));
        Box::pin(async move { answer })
    }
}

impl SampleSink for World {
    fn append(&self, samples: Vec<RuleSample>) -> BoxFuture<'_, Result<(), SinkFailure>> {
        self.samples.lock().extend(samples);
        Box::pin(async { Ok(()) })
    }
}

impl Notifier for World {
    fn send<'a>(
        &'a self,
        integration: &'a Integration,
        message: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        if let Some(refusal) = self.refusals.lock().pop_front() {
            return Box::pin(async move { Err(refusal) });
        }
        let jobs: Vec<String> = message
            .alerts
            .iter()
            .map(|alert| format!("{}:{}", alert.labels["job"], alert.status))
            .collect();
        self.sent.lock().push(format!(
            "{} {} {}",
            integration.receiver,
            message.status,
            jobs.join(" ")
        ));
        Box::pin(async { Ok(()) })
    }
}

impl StateStore for World {
    fn load(&self) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.document.lock().clone())
    }

    fn save(&self, document: &[u8]) -> Result<(), StateError> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        *self.document.lock() = Some(document.to_vec());
        Ok(())
    }
}

struct Stage {
    world: Arc<World>,
    clock: Arc<ManualClock>,
    manager: Arc<Manager>,
}

fn groups(text: &str) -> Vec<GroupConfig> {
    RuleFile::parse("f.yaml", text, &|_, _| Ok(()))
        .expect("valid rules")
        .groups
}

/// As when `f.yaml` cannot be read; `others` is what `g.yaml` holds.
fn refused(others: &str) -> RuleSet {
    let others = RuleFile::parse("g.yaml", others, &|_, _| Ok(())).expect("valid rules");
    RuleSet {
        groups: others.groups,
        refused_files: BTreeSet::from(["f.yaml".to_owned()]),
    }
}

fn saved_rules(world: &World) -> serde_json::Value {
    let document = world.document.lock().clone().expect("saved");
    let mut document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    document["rules"].take()
}

fn notify() -> NotifyConfig {
    let spec: crate::NotifySpec = serde_saphyr::from_str(NOTIFY).expect("valid YAML");
    spec.try_into().expect("valid settings")
}

fn open(
    world: &Arc<World>,
    clock: &Arc<ManualClock>,
    rules: impl Into<RuleSet>,
) -> Result<Arc<Manager>, StateError> {
    let seams = Seams {
        query: Arc::clone(world) as _,
        sink: Arc::clone(world) as _,
        notifier: Arc::clone(world) as _,
        store: Arc::clone(world) as _,
        clock: Arc::clone(clock) as _,
    };
    let settings = ManagerConfig {
        delivery_backoff: Duration::from_millis(1),
        ..ManagerConfig::default()
    };
    Manager::open(seams, settings, rules, notify())
}

impl Stage {
    fn new() -> Self {
        let world = Arc::new(World::default());
        let clock = Arc::new(ManualClock::new(UnixMillis(1_700_000_000_000).to_nanos()));
        let manager = open(&world, &clock, groups(RULES)).expect("opens");
        Self {
            world,
            clock,
            manager,
        }
    }

    /// A new manager on the same state, as after a restart.
    fn restart(&mut self, down: Duration) {
        self.clock.advance(down);
        self.manager = open(&self.world, &self.clock, groups(RULES)).expect("opens");
    }

    fn restart_with(&mut self, rules: RuleSet) {
        self.clock.advance(Duration::from_secs(60));
        self.manager = open(&self.world, &self.clock, rules).expect("opens");
    }

    fn down(&self, jobs: &[&str]) {
        let rows = jobs
            .iter()
            .map(|job| (Labels::from_pairs([("job", job)]), 1.0))
            .collect();
        self.world
            .answers
            .lock()
            .insert("down".to_owned(), Ok(rows));
    }

    /// Lets time pass in steps of ten seconds.
    async fn pass(&self, minutes: u64) {
        for _ in 0..minutes * 6 {
            self.clock.advance(Duration::from_secs(10));
            self.manager.evaluate_due().await;
            self.manager.flush_due().await;
        }
    }

    fn states(&self) -> Vec<String> {
        let alerts = self.manager.alerts();
        alerts
            .iter()
            .map(|a| format!("{}:{}", a.labels["job"], a.state.as_str()))
            .collect()
    }

    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.world.sent.lock())
    }
}

#[tokio::test]
async fn an_alert_fires_once_and_resolves_once() {
    let stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(2).await;
    assert_eq!(stage.states(), ["api:pending"]);
    stage.pass(2).await;
    assert_eq!(stage.states(), ["api:firing"]);
    assert_eq!(stage.sent(), ["hook firing api:firing"]);
    stage.pass(30).await;
    assert_eq!(stage.sent(), [""; 0]);
    stage.down(&[]);
    stage.pass(30).await;
    assert_eq!(stage.sent(), ["hook resolved api:resolved"]);
    assert!(stage.manager.alert_groups().is_empty());
}

#[tokio::test]
async fn a_new_alert_joins_its_group_at_the_next_interval_and_repeats_come_after_four_hours() {
    let stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(4).await;
    stage.down(&["api", "web"]);
    stage.pass(10).await;
    assert_eq!(
        stage.sent(),
        [
            "hook firing api:firing",
            "hook firing api:firing web:firing"
        ]
    );
    stage.pass(230).await;
    assert_eq!(stage.sent(), [""; 0]);
    stage.pass(20).await;
    assert_eq!(stage.sent(), ["hook firing api:firing web:firing"]);
    let reasons: Vec<String> = stage
        .manager
        .ledger()
        .into_iter()
        .map(|e| e.reason)
        .collect();
    assert!(
        reasons.contains(&"new alerts in the group".to_owned()),
        "{reasons:?}"
    );
    assert!(
        reasons.contains(&"repeat_interval has passed".to_owned()),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn evaluations_are_slotted_and_query_in_the_past() {
    let stage = Stage::new();
    stage.pass(3).await;
    let asked = stage.world.asked_at.lock().clone();
    assert_eq!(asked.len(), 6, "two rules, three slots: {asked:?}");
    assert_eq!(asked[2] - asked[0], 60_000);
    let view = stage.manager.snapshot();
    let ts: jiff::Timestamp = view.groups[0].last_evaluation.parse().expect("a time");
    assert_eq!(ts.as_millisecond() - asked[4], 10_000);
}

#[tokio::test]
async fn a_failed_query_keeps_the_alert_and_shows_the_error() {
    let stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(4).await;
    assert_eq!(stage.sent().len(), 1);
    let failure = QueryFailure {
        message: "out of memory".to_owned(),
    };
    stage
        .world
        .answers
        .lock()
        .insert("down".to_owned(), Err(failure));
    stage.pass(20).await;
    assert_eq!(stage.states(), ["api:firing"]);
    assert_eq!(stage.sent(), [""; 0]);
    let json = serde_json::to_value(stage.manager.snapshot()).expect("serialises");
    assert_eq!(json["groups"][0]["rules"][0]["health"], "err");
    assert_eq!(json["groups"][0]["rules"][0]["lastError"], "out of memory");
    assert_eq!(json["groups"][0]["rules"][1]["health"], "ok");
}

#[tokio::test]
async fn pending_time_continues_after_a_restart() {
    let mut stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(1).await;
    let before = stage.manager.alerts();
    stage.restart(Duration::from_secs(60));
    assert_eq!(stage.manager.alerts(), before);
    stage.pass(1).await;
    assert_eq!(stage.states(), ["api:firing"]);
}

#[tokio::test]
async fn firing_alerts_are_not_notified_again_after_a_restart_and_resolve_once() {
    let mut stage = Stage::new();
    stage.down(&["api", "web"]);
    stage.pass(4).await;
    assert_eq!(stage.sent(), ["hook firing api:firing web:firing"]);
    stage.restart(Duration::from_secs(120));
    stage.pass(21).await;
    assert_eq!(stage.states(), ["api:firing", "web:firing"]);
    assert_eq!(stage.sent(), [""; 0]);
    stage.down(&[]);
    // Between two ticks of the group: the transition is saved, the notification not yet sent.
    stage.pass(1).await;
    assert_eq!(stage.sent(), [""; 0]);
    stage.restart(Duration::from_secs(60));
    stage.pass(20).await;
    assert_eq!(stage.sent(), ["hook resolved api:resolved web:resolved"]);
    stage.restart(Duration::from_secs(60));
    stage.pass(20).await;
    assert_eq!(stage.sent(), [""; 0]);
}

#[tokio::test]
async fn state_is_saved_only_when_something_changed() {
    let stage = Stage::new();
    stage.pass(5).await;
    assert_eq!(stage.world.saves.load(Ordering::SeqCst), 0);
    stage.down(&["api"]);
    stage.pass(10).await;
    // Pending, firing, and the notification.
    assert_eq!(stage.world.saves.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_document_of_another_version_is_refused() {
    let stage = Stage::new();
    *stage.world.document.lock() = Some(br#"{"version": 2, "alerts": {}}"#.to_vec());
    let error = open(&stage.world, &stage.clock, groups(RULES))
        .err()
        .expect("refused");
    assert!(matches!(error, StateError::Version { found: 2 }), "{error}");
}

#[tokio::test]
async fn delivery_is_retried_until_it_works_and_given_up_when_it_cannot() {
    let stage = Stage::new();
    stage.down(&["api"]);
    let refuse = |retryable| NotifyError {
        message: "no".to_owned(),
        retryable,
    };
    stage
        .world
        .refusals
        .lock()
        .extend([refuse(false), refuse(true), refuse(true)]);
    stage.pass(10).await;
    // The first flush fails for good; the next, five minutes later, works at the third attempt.
    assert_eq!(stage.sent(), ["hook firing api:firing"]);
    let ledger = stage.manager.ledger();
    let outcomes: Vec<_> = ledger
        .iter()
        .map(|entry| (entry.outcome, entry.attempts))
        .collect();
    assert_eq!(outcomes, [(Outcome::Failed, 1), (Outcome::Sent, 3)]);
    assert_eq!(ledger[0].error.as_deref(), Some("no"));
}

#[tokio::test]
async fn a_reload_keeps_unchanged_rules_and_ends_removed_ones() {
    let stage = Stage::new();
    stage.down(&["api"]);
    let source = vec![(Labels::from_pairs([("job", "x")]), 1.0)];
    stage
        .world
        .answers
        .lock()
        .insert("source".to_owned(), Ok(source));
    stage.pass(4).await;
    assert_eq!(stage.sent().len(), 1);
    let before = stage.manager.alerts();
    stage.manager.reload(groups(RULES), notify()).await;
    assert_eq!(stage.manager.alerts(), before);
    stage.pass(10).await;
    assert_eq!(stage.sent(), [""; 0]);

    stage.world.samples.lock().clear();
    stage.manager.reload(Vec::new(), notify()).await;
    let stale: Vec<String> = stage
        .world
        .samples
        .lock()
        .iter()
        .map(|s| s.labels.metric_name().to_owned())
        .collect();
    assert_eq!(stale, ["ALERTS", "ALERTS_FOR_STATE", "copy"]);
    stage.pass(10).await;
    assert_eq!(stage.sent(), ["hook resolved api:resolved"]);
}

#[tokio::test]
async fn run_evaluates_and_stops_on_shutdown() {
    let stage = Stage::new();
    stage.down(&["api"]);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(Arc::clone(&stage.manager).run(shutdown.clone()));
    stage.clock.advance(Duration::from_secs(60));
    let evaluated = async {
        while stage.manager.alerts().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), evaluated)
        .await
        .expect("evaluates in time");
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), task)
        .await
        .expect("stops")
        .expect("no panic");
    assert!(stage.world.document.lock().is_some());
}

#[tokio::test]
async fn a_changed_expression_keeps_the_alerts_of_its_rule_only() {
    let two = "
groups:
- name: g
  rules:
  - {alert: Down, expr: first}
  - {alert: Down, expr: down}
";
    let stage = Stage::new();
    stage.manager.reload(groups(two), notify()).await;
    stage.down(&["api"]);
    stage.pass(2).await;
    let changed = two.replace("expr: first", "expr: changed");
    stage.manager.reload(groups(&changed), notify()).await;
    let json = serde_json::to_value(stage.manager.snapshot()).expect("serialises");
    let rules = &json["groups"][0]["rules"];
    assert_eq!(
        rules[0]["alerts"].as_array().map(Vec::len),
        Some(0),
        "{rules}"
    );
    assert_eq!(rules[1]["alerts"][0]["state"], "firing");
    assert_eq!(rules[1]["alerts"][0]["value"], "1e+00");
}

#[tokio::test]
async fn rules_and_alerts_have_the_json_of_prometheus() {
    let stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(4).await;
    let json = serde_json::json!({
        "rules": stage.manager.snapshot(),
        "alerts": stage.manager.alerts(),
        "groups": stage.manager.alert_groups(),
        "ledger": stage.manager.ledger(),
    });
    insta::assert_json_snapshot!(json);
}

#[tokio::test]
async fn a_target_without_send_resolved_hears_only_of_firing_alerts() {
    let stage = Stage::new();
    let yaml = NOTIFY.replace(
        "url: http://hook/",
        "url: http://hook/, send_resolved: false",
    );
    let spec: crate::NotifySpec = serde_saphyr::from_str(&yaml).expect("valid YAML");
    let settings = NotifyConfig::try_from(spec).expect("valid settings");
    stage.manager.reload(groups(RULES), settings).await;
    stage.down(&["api"]);
    stage.pass(5).await;
    stage.down(&[]);
    stage.pass(10).await;
    stage.down(&["api"]);
    stage.pass(10).await;
    assert_eq!(
        stage.sent(),
        ["hook firing api:firing", "hook firing api:firing"]
    );
    let outcomes: Vec<Outcome> = stage.manager.ledger().iter().map(|e| e.outcome).collect();
    assert!(outcomes.contains(&Outcome::NoTarget), "{outcomes:?}");
}

#[tokio::test]
async fn exceeding_the_limit_shows_an_error_and_lets_old_news_expire() {
    let stage = Stage::new();
    stage
        .manager
        .reload(
            groups(&RULES.replace("query_offset", "limit: 1\n  query_offset")),
            notify(),
        )
        .await;
    stage.down(&["api"]);
    stage.pass(4).await;
    assert_eq!(stage.sent(), ["hook firing api:firing"]);
    stage.down(&["api", "web"]);
    stage.pass(2).await;
    assert_eq!(stage.states(), [""; 0]);
    assert_eq!(stage.sent(), [""; 0]);
    // News about a firing alert holds for four intervals.
    stage.pass(10).await;
    assert_eq!(stage.sent(), ["hook resolved api:resolved"]);
    assert!(stage.manager.stats().rule_failures > 5);
}

#[tokio::test]
async fn an_alert_links_to_its_expression_and_an_alert_over_logs_to_the_alerts() {
    let rules = "
groups:
- name: metrics
  rules: [{alert: High, expr: 'rate(errors[5m]) > 0'}]
- name: logs
  type: logs
  rules: [{alert: Logged, expr: down}]
";
    let stage = Stage::new();
    stage.manager.reload(groups(rules), notify()).await;
    stage.down(&["api"]);
    let rows = vec![(Labels::from_pairs([("job", "web")]), 1.0)];
    (stage.world.answers.lock()).insert("rate(errors[5m]) > 0".to_owned(), Ok(rows));
    stage.pass(2).await;
    let held = stage.manager.alert_groups();
    let urls: BTreeSet<&str> = held
        .iter()
        .flat_map(|group| &group.alerts)
        .map(|alert| alert.generator_url.as_str())
        .collect();
    let expected = [
        "http://localhost:7420/alerts",
        "http://localhost:7420/metrics?expr=rate%28errors%5B5m%5D%29%20%3E%200",
    ];
    assert_eq!(urls, BTreeSet::from(expected));
}

/// An alert that shares the group of the others by its name.
const OTHER: &str = "
groups:
- name: other
  interval: 1m
  rules: [{alert: Down, expr: other}]
";

#[tokio::test]
async fn a_refused_file_neither_resolves_nor_repeats_its_alerts() {
    let mut stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(4).await;
    assert_eq!(stage.sent(), ["hook firing api:firing"]);
    let before = saved_rules(&stage.world);

    stage.restart_with(refused("groups: []"));
    // Longer than the repeat interval, and than the notification log keeps entries.
    stage.pass(600).await;
    assert_eq!(stage.sent(), [""; 0]);
    stage.manager.dirty.store(true, Ordering::Release);
    stage.manager.save().await;
    assert_eq!(saved_rules(&stage.world), before);

    stage.down(&[]);
    stage.restart_with(groups(RULES).into());
    assert_eq!(stage.states(), ["api:firing"]);
    stage.pass(10).await;
    assert_eq!(stage.sent(), ["hook resolved api:resolved"]);
}

#[tokio::test]
async fn a_file_that_loads_again_goes_on_firing_without_a_second_notification() {
    let mut stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(4).await;
    stage.sent();
    stage.restart_with(refused(OTHER));
    let web = vec![(Labels::from_pairs([("job", "web")]), 1.0)];
    (stage.world.answers.lock()).insert("other".to_owned(), Ok(web));
    stage.pass(10).await;
    assert_eq!(stage.sent(), ["hook firing web:firing"]);

    let both = || {
        let mut both = refused(OTHER).groups;
        both.extend(groups(RULES));
        both
    };
    stage.restart_with(both().into());
    stage.pass(30).await;
    assert_eq!(stage.states(), ["web:firing", "api:firing"]);
    assert_eq!(stage.sent(), [""; 0]);

    // The same by a reload.
    stage.manager.reload(refused(OTHER), notify()).await;
    stage.pass(30).await;
    assert_eq!(stage.states(), ["web:firing"]);
    stage.manager.reload(both(), notify()).await;
    assert_eq!(stage.states(), ["web:firing", "api:firing"]);
    stage.pass(30).await;
    assert_eq!(stage.sent(), [""; 0]);
}

#[tokio::test]
async fn a_refused_file_that_disappears_ends_its_alerts() {
    let mut stage = Stage::new();
    stage.down(&["api"]);
    stage.pass(4).await;
    stage.sent();
    stage.restart_with(refused("groups: []"));
    stage.pass(10).await;
    assert_eq!(stage.sent(), [""; 0]);
    stage.restart_with(RuleSet::default());
    stage.pass(10).await;
    assert_eq!(stage.sent(), ["hook resolved api:resolved"]);
    assert_eq!(saved_rules(&stage.world), serde_json::json!([]));
}
