use parking_lot::Mutex;

use super::*;
use crate::rule_file::{GroupKind, RuleFile};
use crate::seams::{BoxFuture, QueryFailure, RuleSample, SinkFailure};

/// Answers `one` with one element and `topk(1, one)` too, refuses all else; keeps what is written or refuses it.
#[derive(Default)]
struct World {
    written: Mutex<Vec<RuleSample>>,
    asked: Mutex<Vec<(String, i64)>>,
    is_full: bool,
}

impl RuleQuery for World {
    fn query<'a>(
        &'a self,
        _kind: GroupKind,
        expr: &'a str,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<(Labels, f64)>, QueryFailure>> {
        self.asked.lock().push((expr.to_owned(), at.0));
        let answer = match expr {
            "one" | "topk(1, one)" => Ok(vec![(Labels::from_pairs([("job", "a")]), 1.0)]),
            other => Err(QueryFailure {
                message: format!("no {other}"),
            }),
        };
        Box::pin(std::future::ready(answer))
    }
}

impl SampleSink for World {
    fn append(&self, samples: Vec<RuleSample>) -> BoxFuture<'_, Result<(), SinkFailure>> {
        let mut answer = Err(SinkFailure {
            message: "full".to_owned(),
        });
        if !self.is_full {
            self.written.lock().extend(samples);
            answer = Ok(());
        }
        Box::pin(std::future::ready(answer))
    }
}

fn replay(rules: &str, world: &Arc<World>) -> Replay {
    let file = RuleFile::parse("f", rules, &|_, _| Ok(())).expect("valid rules");
    let (query, sink) = (Arc::clone(world), Arc::clone(world));
    Replay::new(file.groups, query, sink, ManagerConfig::default())
}

const MINUTE: i64 = 60_000;

#[tokio::test]
async fn samples_are_written_at_the_time_that_was_asked_for_and_alerts_go_by_the_evaluation() {
    let world = Arc::new(World::default());
    let rules = "
groups:
- name: g
  query_offset: 10s
  rules:
  - {record: r, expr: one}
  - {alert: A, expr: one, for: 1m}
";
    let replay = replay(rules, &world);
    assert_eq!(replay.evaluate(UnixMillis(MINUTE)).await, []);
    assert_eq!(replay.firing("A"), []);
    assert_eq!(replay.evaluate(UnixMillis(2 * MINUTE)).await, []);
    let firing = replay.firing("A");
    let labels = Labels::from_pairs([("alertname", "A"), ("job", "a")]);
    assert_eq!(
        firing.iter().map(|alert| &alert.labels).collect::<Vec<_>>(),
        [&labels]
    );
    let written = world.written.lock();
    let times: std::collections::BTreeSet<i64> = written.iter().map(|sample| sample.at.0).collect();
    assert_eq!(
        times.into_iter().collect::<Vec<_>>(),
        [MINUTE - 10_000, 2 * MINUTE - 10_000]
    );
    let since = written
        .iter()
        .find(|sample| sample.labels.metric_name() == "ALERTS_FOR_STATE");
    assert_eq!(since.map(|sample| sample.value), Some(60.0));
}

#[tokio::test]
async fn templates_ask_at_the_time_of_the_evaluation_and_each_question_once() {
    let world = Arc::new(World::default());
    let rules = r#"
groups:
- name: g
  query_offset: 10s
  rules:
  - alert: A
    expr: one
    labels: {top: '{{ (query "topk(1, one)" | first).Labels.job }}'}
    annotations:
      again: '{{ query "topk(1, one)" | first | value }}'
      next: '{{ with query "topk(1, one)" }}{{ query (print "x" (len .)) }}{{ end }}'
"#;
    let replay = replay(rules, &world);
    assert_eq!(replay.evaluate(UnixMillis(MINUTE)).await, []);
    let [alert] = &replay.firing("A")[..] else {
        panic!("not one alert")
    };
    assert_eq!(alert.labels.get("top"), Some("a"));
    assert_eq!(alert.annotations["again"], "1");
    assert_eq!(
        alert.annotations["next"],
        "<error expanding template: query: no x1>"
    );
    let asked = world.asked.lock();
    let asked: Vec<_> = asked
        .iter()
        .map(|(query, at)| (query.as_str(), *at))
        .collect();
    assert_eq!(
        asked,
        [
            ("one", MINUTE - 10_000),
            ("topk(1, one)", MINUTE),
            ("x1", MINUTE)
        ]
    );
}

#[tokio::test]
async fn samples_that_cannot_be_written_are_a_failure_also_when_an_alert_comes() {
    let world = Arc::new(World {
        is_full: true,
        ..World::default()
    });
    let rules =
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: one}\n  - {record: r, expr: none}\n";
    let replay = replay(rules, &world);
    let failures = replay.evaluate(UnixMillis(MINUTE)).await;
    let failures: Vec<_> = failures
        .iter()
        .map(|it| (it.rule.as_str(), it.error.as_str()))
        .collect();
    assert_eq!(
        failures,
        [("A", "cannot write the samples: full"), ("r", "no none")]
    );
    assert_eq!(replay.firing("A").len(), 1);
}
