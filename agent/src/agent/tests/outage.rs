//! What an agent tells of itself while its destination is away, or refuses.

use super::*;
use crate::admin::ExporterStatus;

fn main_exporter(agent: &RunningAgent) -> ExporterStatus {
    agent.status().exporters.remove(0)
}

async fn ready(agent: &RunningAgent) -> u16 {
    let url = format!("http://{}/readyz", agent.addresses()["admin"]);
    let answer = reqwest::get(url).await.expect("answers");
    answer.status().as_u16()
}

async fn wait_for(agent: &RunningAgent, state: ExporterState) {
    let what = format!("exporter {}", state.as_str());
    wait_until(&what, || main_exporter(agent).state == Some(state)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_its_end_are_told_at_once_with_the_reason() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    let agent = agent(dir.path(), &collector.endpoint()).await;
    let idle = agent.status();
    assert_eq!((idle.complaints, idle.warnings), (vec![], vec![]));
    collector.die();
    send(&agent, "kept").await.expect("stored");
    wait_for(&agent, ExporterState::Retrying).await;
    let status = agent.status();
    let exporter = &status.exporters[0];
    let error = exporter.last_error.as_ref().expect("an error");
    assert_eq!(error.status, "Unavailable");
    assert!(error.message.contains("refused"), "{}", error.message);
    assert!(exporter.attempts > 0 && exporter.since.is_some());
    assert!(exporter.oldest_age_seconds.is_some() && exporter.unanswered_seconds.is_some());
    let complaint = status.complaints.first().expect("a complaint");
    assert!(
        complaint.starts_with("exporter main: retrying") && complaint.contains("refused"),
        "{complaint}"
    );
    assert_eq!(ready(&agent).await, 503);
    let metrics = agent.metrics_text();
    for part in [
        "exporter_state{exporter=\"main\",state=\"retrying\"} 1.0",
        "exporter_last_error_timestamp_seconds{exporter=\"main\",error=\"Unavailable: ",
    ] {
        assert!(
            metrics.contains(&format!("vervet_agent_{part}")),
            "{metrics}"
        );
    }
    collector.come_back();
    wait_for(&agent, ExporterState::Ok).await;
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    let status = agent.status();
    assert_eq!(status.complaints, [""; 0]);
    assert!(status.exporters[0].last_error.is_some(), "it is remembered");
    assert_eq!(status.exporters[0].attempts, 0);
    assert_eq!(ready(&agent).await, 200);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_a_warning_and_the_agent_stays_ready() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let agent = agent(dir.path(), &collector.endpoint()).await;
    send(&agent, POISON).await.expect("stored");
    wait_for(&agent, ExporterState::Rejecting).await;
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    let status = agent.status();
    assert_eq!(status.complaints, [""; 0]);
    let warning = status.warnings.first().expect("a warning");
    assert!(
        warning.contains("records refused for good since"),
        "{warning}"
    );
    assert_eq!(ready(&agent).await, 200);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partial_success_left_out_is_told_without_a_word_of_dead_letters_to_look_at() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let first = agent(dir.path(), &collector.endpoint()).await;
    collector.will_answer([Answer::RejectOne]);
    send(&first, "partly").await.expect("stored");
    wait_for(&first, ExporterState::Rejecting).await;
    wait_until("settled", || logs_book(&first).held.is_zero()).await;
    let status = first.status();
    let warning = status.warnings.first().expect("a warning");
    assert!(
        warning.starts_with("exporter main: the destination left out 1 records")
            && warning.ends_with("they are in no dead letter: too old"),
        "{warning}"
    );
    assert_eq!(status.dead_letters, None);
    let exporter = &status.exporters[0];
    assert_eq!(exporter.left_out_records, 1);
    let last = exporter.left_out.as_ref().expect("told");
    assert_eq!((last.records, &*last.message), (1, "too old"));
    first.shutdown(DEADLINE).await;
    let again = agent(dir.path(), &collector.endpoint()).await;
    let exporter = main_exporter(&again);
    assert_eq!((exporter.left_out_records, exporter.left_out), (1, None));
    again.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reload_stays_in_the_status_until_one_succeeds() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let mut agent = agent(dir.path(), &collector.endpoint()).await;
    let started = agent.status().config;
    assert!(
        started.successful && started.errors.is_empty(),
        "{started:?}"
    );
    let gauge = |agent: &RunningAgent, value: &str| {
        let line = format!("vervet_agent_config_last_reload_successful {value}\n");
        agent.metrics_text().contains(&line)
    };
    assert!(gauge(&agent, "1.0"));
    agent.reload_refused([
        "agent.yaml:3: one".to_owned(),
        "agent.yaml:9: two".to_owned(),
    ]);
    let status = agent.status();
    assert!(!status.config.successful && gauge(&agent, "0.0"));
    assert_eq!(status.config.errors.len(), 2);
    assert_eq!(status.config.in_use_since, started.in_use_since);
    assert!(status.warnings[0].contains("agent.yaml:3: one (and 1 more)"));
    // One that can be read and cannot be started counts as well, with its causes.
    let other = config(&dir.path().join("other"), &collector.endpoint());
    agent.reload(other).await.expect_err("another folder");
    let errors = agent.status().config.errors;
    assert!(
        errors[0].contains("data_dir cannot be changed"),
        "{errors:?}"
    );
    let same = config(dir.path(), &collector.endpoint());
    agent.reload(same).await.expect("taken over");
    let status = agent.status();
    assert!(status.config.successful && gauge(&agent, "1.0"));
    assert_eq!(status.config.changes.as_deref(), Some("nothing changed"));
    assert_eq!(status.config.in_use_since, started.in_use_since);
    assert_eq!(status.warnings, [""; 0]);
    agent.shutdown(DEADLINE).await;
}
