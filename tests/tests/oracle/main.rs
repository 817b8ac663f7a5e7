//! The loss oracle: numbered lines with checksums, files that are rotated in every way, an agent that is killed,
//! a network and a collector that misbehave. Afterwards nothing is lost, nothing is there twice, every file's lines
//! are in order, and the agent's books say the same.
//!
//! The agent is the real binary, files are real files, the collector is [`collector`], the network is
//! `vervet_tests::proxy`. Every scenario is one [`scenario::Scenario`]; `make test` runs each briefly, `make soak`
//! (`VERVET_SOAK_KILLS=200`) ten times as long. See `tests/README.md`.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail them by a panic"
)]

mod agent;
mod changes;
mod collector;
mod hostile;
mod judgement;
mod ledger;
mod line;
mod records;
mod reloads;
mod scarce;
mod scenario;
mod setup;
mod shape;
mod site;
mod table;
mod writer;
