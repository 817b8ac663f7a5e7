use prost::Message;
use vervet_model::Signal;

use super::super::tests::requests::{LogsRequest, MetricsRequest, logs, metrics, traces};
use super::super::tests::{chain, try_chain};

#[test]
fn logs_are_dropped_and_kept_by_conditions() {
    let check = |settings: &str, expected: &[i32], reasons: &[(&str, u64)]| {
        let chain = chain(
            Signal::Logs,
            &format!("  noise: {{type: filter, {settings}}}"),
        );
        let body = logs().encode_to_vec();
        let length = body.len();
        let out = chain.request(Signal::Logs, body.into()).expect("valid");
        let kept = LogsRequest::decode(out.payload.clone()).expect("valid");
        let groups = kept
            .resource_logs
            .iter()
            .flat_map(|group| &group.scope_logs);
        let severities: Vec<i32> = groups
            .flat_map(|scope| &scope.log_records)
            .map(|record| record.severity_number)
            .collect();
        assert_eq!(severities, expected, "{settings}");
        assert_eq!(out.records, expected.len() as u64);
        let drops: Vec<_> = out
            .drops
            .iter()
            .map(|(r, amount)| (r.as_str(), amount.records))
            .collect();
        assert_eq!(drops, reasons, "{settings}");
        let bytes: u64 = out.drops.iter().map(|(_, amount)| amount.bytes).sum();
        assert!(
            out.payload.len() as u64 + bytes <= length as u64,
            "{settings}"
        );
    };
    check(
        "drop: ['severity_number == 9']",
        &[17, -3],
        &[("noise:drop", 1)],
    );
    check(
        "drop: ['false', 'severity_number < 10']",
        &[17],
        &[("noise:drop", 2)],
    );
    check(
        "keep: ['severity_number > 9']",
        &[17],
        &[("noise:not_kept", 2)],
    );
    check(
        "drop: ['severity_number == 17'], keep: ['body == \"hello\"', 'severity_number == 17']",
        &[9],
        &[("noise:drop", 1), ("noise:not_kept", 1)],
    );
    check(
        "drop: ['resource.attributes[\"service.name\"] == \"shop\"']",
        &[-3],
        &[("noise:drop", 2)],
    );
    check(
        "drop: ['attributes[\"http.route\"] == \"/pay\"']",
        &[],
        &[("noise:drop", 3)],
    );
    // What has no body has no JSON in it; what is not JSON cannot be judged.
    check(
        "drop: ['ParseJSON(body) == nil']",
        &[9, 17],
        &[("noise:drop", 1)],
    );
}

#[test]
fn what_is_left_of_a_request_is_as_it_was() {
    let chain = chain(
        Signal::Logs,
        "  noise: {type: filter, drop: ['severity_number == 17']}",
    );
    let mut expected = logs();
    expected.resource_logs[0].scope_logs[0]
        .log_records
        .remove(1);
    let out = chain
        .request(Signal::Logs, logs().encode_to_vec().into())
        .expect("valid");
    assert_eq!(&out.payload[..], &expected.encode_to_vec()[..]);
}

#[test]
fn points_are_judged_one_by_one() {
    let check = |condition: &str, names: &[usize]| {
        let chain = chain(
            Signal::Metrics,
            &format!("  noise: {{type: filter, drop: ['{condition}']}}"),
        );
        let body = metrics().encode_to_vec();
        let length = body.len() as u64;
        let out = chain.request(Signal::Metrics, body.into()).expect("valid");
        let kept = MetricsRequest::decode(out.payload.clone()).expect("valid");
        let count: usize = kept
            .resource_metrics
            .iter()
            .flat_map(|r| &r.scope_metrics)
            .map(|s| s.metrics.len())
            .sum();
        let dropped = out.drops.records();
        assert_eq!(
            [count, usize::try_from(out.records).expect("small")],
            names,
            "{condition}"
        );
        assert_eq!(out.records + dropped, 6, "{condition}");
        let bytes: u64 = out.drops.iter().map(|(_, amount)| amount.bytes).sum();
        assert!(out.payload.len() as u64 + bytes <= length);
    };
    check("type == \"gauge\" and value == 0", &[5, 5]);
    check("type == \"gauge\"", &[4, 4]);
    check("attributes[\"route\"] == \"/\"", &[0, 0]);
    check("name == \"other\"", &[5, 6]);
}

#[test]
fn spans_are_judged_too() {
    let chain = chain(
        Signal::Traces,
        "  noise: {type: filter, keep: ['status.code == STATUS_CODE_ERROR']}",
    );
    let out = chain
        .request(Signal::Traces, traces().encode_to_vec().into())
        .expect("valid");
    assert_eq!((out.records, out.drops.records()), (1, 1));
}

#[test]
fn mistakes_name_the_line_and_the_place() {
    let error = |settings: &str| {
        try_chain(Signal::Logs, &format!("  a:\n    type: filter\n{settings}")).expect_err(settings)
    };
    let text = error("    drop:\n      - 'true'\n      - 'severty_number == 1 and'\n");
    assert!(text.starts_with("agent.yaml:6: processors.a: column 24: a value is missing at the end\n    severty_number"), "{text}");
    let text = error("    drop:\n      - 'severty_number == 1'\n");
    assert!(text.contains("did you mean `severity_number`?"), "{text}");
    let text = error("    keep: []\n");
    assert!(
        text.contains("say what to `drop` or what to `keep`"),
        "{text}"
    );
}
