//! What the benches share: telemetry from a seed, and the load bench over the real programs.
//!
//! [`generate`] makes the inputs of every bench. [`load`] starts the collector and the agent as processes,
//! feeds them and turns what it reads from `/proc` and from the data folder into [`report::Figure`]s.
//! [`micro`] reads what the criterion benches left.

pub mod generate;
pub mod load;
pub mod micro;
pub mod report;
pub mod sink;
