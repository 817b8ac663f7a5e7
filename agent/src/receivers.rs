//! Where telemetry enters. Each kind is a struct with `new(config, context)` and `async fn run(self)`.

pub mod filelog;
pub mod hostmetrics;
pub mod otlp;
pub mod prometheus;
