//! Receivers that no pipeline takes anything from.

use super::reload::{Log, Setup, change, filelog};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_filelog_keeps_its_places_until_a_pipeline_takes_its_lines_again() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let used = Setup::new(dir.path(), &collector.endpoint());
    let other = dir.path().join("other");
    let also = format!(
        "  other: {{type: filelog, include: ['{}']}}\n",
        other.display()
    );
    let unused = Setup {
        receivers: filelog(dir.path(), "auto") + &also,
        pipelines: "  logs: {from: [other], to: [main]}\n".to_owned(),
        ..Setup::new(dir.path(), &collector.endpoint())
    };
    let mut log = Log::create(dir.path());
    let mut agent = used.start().await;
    log.write(5);
    wait_until("first lines", || collector.lines().len() == 5).await;
    change(&mut agent, &unused).await;
    let warnings = agent.status().warnings;
    let told = "configuration: receivers.files: no pipeline uses it, it is not started";
    assert!(
        warnings.iter().any(|warning| warning == told),
        "{warnings:?}"
    );
    log.write(5);
    // The one that is used reads meanwhile.
    std::fs::write(&other, "else\n").expect("written");
    wait_until("else", || collector.lines().len() == 6).await;
    // Also over a start.
    agent.shutdown(DEADLINE).await;
    let mut agent = unused.start().await;
    let reads = || agent.status().files.totals.into_keys().collect::<Vec<_>>();
    wait_until("the other one reads", || !reads().is_empty()).await;
    assert_eq!(reads(), ["other"]);
    change(&mut agent, &used).await;
    wait_until("all lines", || collector.lines().len() == 11).await;
    let mut lines = collector.lines();
    lines.retain(|line| line.starts_with("line"));
    assert_eq!(lines, texts(0..10));
    let receivers = agent.status().receivers;
    assert!(
        receivers.iter().all(|line| line.dropped.is_empty()),
        "{receivers:?}"
    );
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_otlp_receiver_listens_only_while_a_pipeline_takes_from_it() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let mut setup = Setup::new(dir.path(), &collector.endpoint());
    setup.receivers += "  otlp: {type: otlp, grpc: 127.0.0.1:0}\n";
    let mut agent = setup.start().await;
    assert_eq!(agent.addresses().keys().collect::<Vec<_>>(), ["admin"]);
    setup.pipelines = "  logs: {from: [files, otlp], to: [main]}\n".to_owned();
    change(&mut agent, &setup).await;
    send(&agent, "sent").await.expect("stored");
    // A filelog makes no traces.
    setup.pipelines = "  traces: {from: [files, otlp], to: [main]}\n".to_owned();
    change(&mut agent, &setup).await;
    assert_eq!(agent.addresses().len(), 2);
    // Until the receiver has ended, it may have something to tell.
    wait_until("only that is told", || {
        agent.status().warnings
            == [
                "configuration: receivers.files: `files` makes logs, which none of its pipelines takes; it is not started",
            ]
    })
    .await;
    assert!(agent.status().files.totals.is_empty());
    agent.shutdown(DEADLINE).await;
}
