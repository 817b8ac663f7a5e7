//! Where telemetry leaves: each exporter reads the journal through its own cursor, so a dead one costs disk and
//! never holds up another.

pub(crate) mod otlp;
pub(crate) mod rejected;
