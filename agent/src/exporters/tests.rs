//! Exporters between a real journal and real servers, over sockets.

mod authority;
mod delivery;
mod destination;
mod ending;
mod evictions;
mod hints;
mod proxy;
mod refusals;
mod rig;
mod tls;

use std::time::Duration;

use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_secs(60);

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The numbers of the lines that should be there, as texts.
fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("line {number:06}")).collect()
}
