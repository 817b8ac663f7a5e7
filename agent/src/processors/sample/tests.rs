use vervet_wire::otlp::{KeyValue, Scope};

use super::super::Chain;
use super::super::tests::{chain, try_chain};
use super::*;

fn sample(signal: Signal, settings: &str) -> Chain {
    chain(signal, &format!("  thin: {{type: sample, {settings}}}"))
}

fn keeps_log(chain: &Chain, record: &LogRecord<'_>) -> bool {
    let mut record = record.clone();
    chain
        .log(&Resource::default(), &Scope::default(), &mut record)
        .is_ok()
}

fn keeps_span(chain: &Chain, span: &Span<'_>) -> bool {
    let mut span = span.clone();
    chain
        .span(&Resource::default(), &Scope::default(), &mut span)
        .is_ok()
}

/// A trace id with this randomness.
fn id(random: u64) -> [u8; 16] {
    let mut id = [1; 16];
    id[8..].copy_from_slice(&random.to_be_bytes());
    id[8] = 0xff;
    id
}

#[test]
fn a_trace_is_kept_by_the_last_56_bits_of_its_id() {
    let half = sample(Signal::Traces, "ratio: 0.5");
    let keeps = |random: u64| {
        keeps_span(
            &half,
            &Span {
                trace_id: &id(random),
                ..Span::default()
            },
        )
    };
    // The threshold of one half is 80000000000000, in 56 bits.
    assert!(!keeps(0) && !keeps((1 << 55) - 1));
    assert!(keeps(1 << 55) && keeps((1 << 56) - 1));
    let quarter = sample(Signal::Traces, "ratio: 0.25");
    for random in (0..1 << 56).step_by(1 << 50) {
        let trace_id = id(random);
        let span = Span {
            trace_id: &trace_id,
            ..Span::default()
        };
        assert!(
            !keeps_span(&quarter, &span) || keeps_span(&half, &span),
            "{random}"
        );
    }
}

#[test]
fn logs_and_spans_of_a_trace_go_the_same_way() {
    let (logs, spans) = (
        sample(Signal::Logs, "ratio: 0.3"),
        sample(Signal::Traces, "ratio: 0.3"),
    );
    let mut kept = 0;
    for random in (0..1_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
        let trace_id = id(random);
        let span = keeps_span(
            &spans,
            &Span {
                trace_id: &trace_id,
                ..Span::default()
            },
        );
        let log = keeps_log(
            &logs,
            &LogRecord {
                trace_id: &trace_id,
                ..LogRecord::default()
            },
        );
        assert_eq!(span, log);
        kept += usize::from(span);
    }
    assert!((250..350).contains(&kept), "{kept}");
}

#[test]
fn the_randomness_of_the_trace_state_wins() {
    let half = sample(Signal::Traces, "ratio: 0.5");
    let keeps = |state: &'static str| {
        keeps_span(
            &half,
            &Span {
                trace_id: &id(0),
                trace_state: state.into(),
                ..Span::default()
            },
        )
    };
    assert!(keeps("x=1, ot=th:0;rv:ffffffffffffff"));
    assert!(!keeps("ot=rv:00000000000000"));
    assert!(!keeps("ot=rv:fff"), "not 14 digits");
}

#[test]
fn errors_are_kept_unless_told_otherwise() {
    let error_log = LogRecord {
        severity_number: 17,
        ..LogRecord::default()
    };
    let error_span = Span {
        status: StatusCode::Error,
        trace_id: &[1; 16],
        ..Span::default()
    };
    assert!(keeps_log(&sample(Signal::Logs, "ratio: 0"), &error_log));
    assert!(keeps_span(&sample(Signal::Traces, "ratio: 0"), &error_span));
    assert!(!keeps_log(
        &sample(Signal::Logs, "ratio: 0, keep_errors: false"),
        &error_log
    ));
    assert!(!keeps_span(
        &sample(Signal::Traces, "ratio: 0, keep_errors: false"),
        &error_span
    ));
    assert!(!keeps_log(
        &sample(Signal::Logs, "ratio: 0"),
        &LogRecord::default()
    ));
    assert!(keeps_log(
        &sample(Signal::Logs, "ratio: 1"),
        &LogRecord::default()
    ));
}

#[test]
fn logs_without_trace_go_by_their_key_or_a_seeded_sequence() {
    let by_user = || sample(Signal::Logs, "ratio: 0.5, key: user.id");
    let (one, other) = (by_user(), by_user());
    let mut kept = 0;
    for user in 0..400_i64 {
        let record = LogRecord {
            attributes: vec![KeyValue::new("user.id", user)],
            ..LogRecord::default()
        };
        let decision = keeps_log(&one, &record);
        assert_eq!(decision, keeps_log(&one, &record));
        assert_eq!(decision, keeps_log(&other, &record));
        kept += usize::from(decision);
    }
    assert!((150..250).contains(&kept), "{kept}");
    let drawn = |seed: u32| -> Vec<bool> {
        let chain = sample(Signal::Logs, &format!("ratio: 0.5, seed: {seed}"));
        (0..200)
            .map(|_| keeps_log(&chain, &LogRecord::default()))
            .collect()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let kept = drawn(3).into_iter().filter(|kept| *kept).count();
    assert!((70..130).contains(&kept), "{kept}");
}

#[test]
fn mistakes_are_told() {
    for (signal, settings, expected) in [
        (Signal::Logs, "ratio: 1.5", "between 0 and 1"),
        (Signal::Logs, "ratio: nan", "between 0 and 1"),
        (Signal::Logs, "keep_errors: true", "`ratio` is missing"),
        (Signal::Metrics, "ratio: 0.5", "metrics cannot be sampled"),
    ] {
        let error = try_chain(signal, &format!("  thin: {{type: sample, {settings}}}"));
        let error = error.expect_err(settings);
        assert!(error.contains(expected), "{error}");
    }
}
