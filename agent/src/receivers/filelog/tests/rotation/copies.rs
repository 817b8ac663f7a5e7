//! Stops while the rest of a deleted file stands in a copy beside it.

use super::*;

#[tokio::test]
async fn a_stop_does_not_lose_what_stands_in_a_copy_that_the_globs_name() {
    let (_directory, path) = directory();
    let mut running = start_waiting(&path, true).await;
    let text = numbered(0..1_000);
    append(&path, &text);
    until_known(&running, &path, text.len()).await;
    fs::copy(&path, beside(&path, "app.log.1")).expect("copied");
    fs::remove_file(&path).expect("removed");
    let progress = running.metrics.filelog.progress.clone();
    let waiting = async {
        while progress.snapshot().totals["files"].gone == 0 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.expect("the deletion is seen");
    running.shutdown.cancel();
    (&mut running.task).await.expect("ended");
    let metrics = running.metrics.encode_text();
    assert!(!metrics.contains("deleted_at_stop"), "{metrics}");
}

#[tokio::test]
async fn a_copy_that_ends_otherwise_or_is_not_looked_for_saves_nothing() {
    for (name, end) in [("app.log.1", "other\n"), ("elsewhere", "")] {
        let (_directory, path) = directory();
        let mut running = start_waiting(&path, true).await;
        let text = numbered(0..1_000);
        append(&path, &text);
        until_known(&running, &path, text.len()).await;
        let kept = text.len() - end.len();
        fs::write(beside(&path, name), format!("{}{end}", &text[..kept])).expect("written");
        fs::remove_file(&path).expect("removed");
        running.shutdown.cancel();
        (&mut running.task).await.expect("ended");
        assert!(running.metric(&format!(
            "vervet_agent_filelog_lost_bytes_total{{receiver=\"files\",reason=\"deleted_at_stop\"}} {}",
            text.len()
        )));
    }
}
