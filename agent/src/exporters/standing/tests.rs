use vervet_model::ManualClock;

use super::super::retry::{Reach, Verdict};
use super::*;

fn failure(status: &str, message: &str) -> Failure {
    Failure {
        verdict: Verdict::Rejected,
        reach: Reach::Answered,
        status: status.to_owned(),
        message: message.to_owned(),
    }
}

fn standing() -> (Arc<ManualClock>, Standing) {
    let clock = Arc::new(ManualClock::new(UnixNanos(1_000_000_000_000)));
    let standing = Standing::new(Arc::clone(&clock) as Arc<dyn Clock>);
    (clock, standing)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_exporter_retries_from_its_first_failure_until_the_last_request_is_answered() {
    let (clock, standing) = standing();
    standing.tries(7);
    assert_eq!(standing.now().state, ExporterState::Ok);
    clock.advance(SECOND);
    standing.failed(7, &failure("Unavailable", "refused"), SECOND * 3, None);
    let now = standing.now();
    assert_eq!(
        (now.state, now.attempts, now.for_seconds),
        (ExporterState::Retrying, 1, 0)
    );
    assert_eq!(now.next_attempt.as_deref(), Some("1970-01-01T00:16:44Z"));
    clock.advance(SECOND * 2);
    let now = standing.now();
    assert_eq!(
        (now.for_seconds, now.next_attempt_in_seconds),
        (2, Some(1.0))
    );
    let trouble = now.trouble().expect("not well");
    assert_eq!(
        trouble,
        "retrying for 2 s, 1 failed attempts, the next in 1.0 s: Unavailable: refused"
    );
    standing.failed(8, &failure("Unavailable", "no route"), SECOND, None);
    standing.tries(7);
    assert_eq!(standing.now().next_attempt, None, "one is under way");
    standing.answered(7);
    let now = standing.now();
    assert_eq!(
        (now.state, now.attempts),
        (ExporterState::Retrying, 1),
        "the other goes on"
    );
    clock.advance(SECOND);
    standing.answered(8);
    clock.advance(SECOND * 5);
    let now = standing.now();
    assert_eq!(
        (now.state, now.for_seconds, now.trouble()),
        (ExporterState::Ok, 5, None)
    );
    let error = now.last_error.expect("kept");
    assert_eq!((error.ago_seconds, error.message.as_str()), (6, "no route"));
}

#[test]
fn a_pause_that_the_destination_asks_for_holds_for_all() {
    let (clock, standing) = standing();
    standing.failed(
        1,
        &failure("Unavailable", "later"),
        SECOND,
        Some(SECOND * 30),
    );
    standing.failed(2, &failure("Unavailable", "later"), SECOND, None);
    assert_eq!(standing.now().next_attempt_in_seconds, Some(30.0));
    // Also of those whose own pause is over, and which wait for leave to be sent.
    clock.advance(SECOND);
    standing.tries(2);
    let now = standing.now();
    assert_eq!(now.next_attempt_in_seconds, Some(29.0));
    let trouble = now.trouble().expect("not well");
    assert_eq!(
        trouble,
        "retrying for 1 s, 2 failed attempts, waits until 1970-01-01T00:17:10Z as the destination asked: Unavailable: later"
    );
    clock.advance(SECOND * 29);
    let now = standing.now();
    assert!(
        !now.waits_as_asked && now.next_attempt.is_none(),
        "under way"
    );
}

#[test]
fn refusals_count_for_a_minute_after_the_last_and_retries_come_first() {
    let (clock, standing) = standing();
    standing.refused(&failure("InvalidArgument", "bad"), true);
    clock.advance(SECOND * 59);
    standing.refused(&failure("InvalidArgument", "worse"), true);
    let now = standing.now();
    assert_eq!((now.state, now.for_seconds), (ExporterState::Rejecting, 59));
    standing.failed(3, &failure("Unavailable", "gone"), SECOND, None);
    assert_eq!(standing.now().state, ExporterState::Retrying);
    standing.answered(3);
    clock.advance(SECOND * 59);
    assert_eq!(standing.now().state, ExporterState::Rejecting);
    clock.advance(SECOND * 11);
    let now = standing.now();
    assert_eq!((now.state, now.for_seconds), (ExporterState::Ok, 10));
    standing.drains();
    assert_eq!(standing.now().state, ExporterState::Draining);
}

#[test]
fn what_a_destination_left_out_is_told_apart_from_what_became_dead_letters() {
    let (clock, standing) = standing();
    let partial = failure("partial success", "too old");
    standing.left_out(3, &partial);
    clock.advance(SECOND * 10);
    standing.left_out(4, &partial);
    let now = standing.now();
    assert_eq!((now.state, now.for_seconds), (ExporterState::Rejecting, 10));
    let trouble = now.trouble().expect("not well");
    assert_eq!(
        trouble,
        "the destination left out 7 records of requests it took, the last at 1970-01-01T00:16:50Z; it does not say \
         which, so they are in no dead letter: too old"
    );
    standing.refused(&failure("InvalidArgument", "bad"), true);
    let trouble = standing.now().trouble().expect("not well");
    assert!(
        trouble.starts_with(
            "records refused for good since 1970-01-01T00:16:40Z, see the dead letters: InvalidArgument: bad; the"
        ),
        "{trouble}"
    );
    clock.advance(SECOND * 60);
    let now = standing.now();
    assert_eq!((now.state, now.trouble()), (ExporterState::Ok, None));
    let left_out = now.left_out.expect("remembered");
    assert_eq!(
        (left_out.records, left_out.ago_seconds, &*left_out.message),
        (7, 60, "too old")
    );
}

#[test]
fn what_was_refused_is_told_for_an_hour() {
    let (clock, standing) = standing();
    let bad = failure("InvalidArgument", "bad");
    standing.refused(&bad, true);
    standing.refused(&bad, false);
    standing.left_out(2, &failure("partial success", "too old"));
    assert_eq!(standing.now().past_rejections, [""; 0]);
    for seconds in [60, 3_599 - 60] {
        clock.advance(SECOND * seconds);
        let told = standing.now().past_rejections;
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(
            told[..2],
            [
                "records were refused for good, the last at 1970-01-01T00:16:40Z, see the dead letters: InvalidArgument: bad",
                "records were refused for good that could not be put aside and are lost, the last at 1970-01-01T00:16:40Z: \
                 InvalidArgument: bad"
            ]
        );
    }
    clock.advance(SECOND);
    assert_eq!(standing.now().past_rejections, [""; 0]);
}

#[test]
fn errors_hold_no_secrets_and_are_bounded() {
    let known = ["s3cr3t-token".to_owned(), String::new()];
    for (message, hidden) in [
        ("invalid key s3cr3t-token", "s3cr3t-token"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        (
            "dial https://admin:hunter2@collector:4317/x failed",
            "hunter2",
        ),
        ("GET /?token=verysecretvalue 401", "verysecretvalue"),
        ("password=hunter2 is wrong", "hunter2"),
    ] {
        let shown = shown(message, &known);
        assert!(!shown.contains(hidden), "{shown}");
    }
    let kept = "transport error: tcp connect error: 10.0.0.7:4317 refused (os error 111)";
    assert_eq!(shown(kept, &known), kept);
    assert_eq!(shown("a\u{1b}[31m\nb", &known), "a [31m b");
    let long = shown(&"ä".repeat(2_000), &known);
    assert!(long.len() <= ERROR_BYTES_MAX + 3 && long.ends_with("..."));
}

#[test]
fn metrics_tell_the_same() {
    let (clock, _) = standing();
    let standings = Standings::default();
    let main = standings.open("main", Arc::clone(&clock) as Arc<dyn Clock>);
    standings.open("other", clock);
    main.left_out(1, &failure("partial success", "too old"));
    main.failed(1, &failure("Unavailable", "refused"), SECOND, None);
    let metrics = crate::metrics::AgentMetrics::default();
    metrics.register(|registry| {
        registry.register_collector(Box::new(StandingsCollector(standings.clone())));
    });
    let text = metrics.encode_text();
    for line in [
        "exporter_state{exporter=\"main\",state=\"retrying\"} 1.0",
        "exporter_state{exporter=\"main\",state=\"ok\"} 0.0",
        "exporter_state{exporter=\"other\",state=\"ok\"} 1.0",
        "exporter_state_timestamp_seconds{exporter=\"main\"} 1000.0",
        "exporter_failed_attempts{exporter=\"main\"} 1.0",
        "exporter_next_attempt_timestamp_seconds{exporter=\"main\"} 1001.0",
        "exporter_last_error_timestamp_seconds{exporter=\"main\",error=\"Unavailable: refused\"} 1000.0",
        "exporter_last_left_out_timestamp_seconds{exporter=\"main\",message=\"too old\"} 1000.0",
    ] {
        assert!(
            text.contains(&format!("vervet_agent_{line}\n")),
            "{line} in {text}"
        );
    }
    standings.remove("main");
    assert!(!metrics.encode_text().contains("\"main\""));
}

#[test]
fn what_is_refused_as_a_whole_is_no_dead_letter_yet_and_what_could_not_be_kept_none_at_all() {
    let (_clock, standing) = standing();
    standing.noted(&failure("413", "too large"));
    let now = standing.now();
    assert_eq!((now.state, now.trouble()), (ExporterState::Ok, None));
    assert_eq!(now.last_error.expect("kept").status, "413");
    standing.refused(&failure("400", "bad"), false);
    let trouble = standing.now().trouble().expect("not well");
    assert_eq!(
        trouble,
        "records refused for good since 1970-01-01T00:16:40Z could not be put aside and are lost: 400: bad"
    );
}
