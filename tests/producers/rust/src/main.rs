//! Records of tracing-subscriber: its text with colours, its JSON, a panic, and an error that `main` returns.

use std::io;

use anyhow::Context;
use tracing::{Level, debug, error, info, info_span, warn};

fn records() {
    let _span = info_span!("request", id = 7, path = "/cart").entered();
    info!(port = 8080, "listening");
    debug!("not shown at this level");
    warn!(ms = 1204.5, table = "orders", "slow query");
    error!(error = "no such cart", "request failed");
}

fn main() -> anyhow::Result<()> {
    let text = tracing_subscriber::fmt().with_writer(io::stdout).finish();
    tracing::subscriber::with_default(text, records);
    let json = tracing_subscriber::fmt()
        .json()
        .with_max_level(Level::TRACE)
        .with_writer(io::stdout)
        .finish();
    tracing::subscriber::with_default(json, records);
    let panicked = std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(|| Vec::<u8>::new()[3])?
        .join();
    assert!(panicked.is_err());
    std::fs::read("/does/not/exist").context("cannot read the configuration")?;
    Ok(())
}
