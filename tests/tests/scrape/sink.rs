//! A small OTLP/gRPC collector that keeps the last sample of every series until a marker ends it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tonic::transport::{Server, server::TcpIncoming};
use vervet_wire::otlp::{MetricData, NumberPoint, PROMETHEUS_SCOPE, for_each_metric};
use vervet_wire::{Accepted, BODY_BYTES_MAX, OtlpRequest, OtlpSink, Refusal, grpc};

use crate::{View, shown};

/// A name and labels.
type Series = (String, BTreeMap<String, String>);

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    known: Known,
}

/// Time and value of the last sample of each series; no value when it has ended.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<HashMap<Series, Last>>>);

type Last = (u64, Option<f64>);

impl OtlpSink for Known {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        let mut known = self.0.lock();
        for_each_metric(&request.body, |_, scope, metric| {
            assert_eq!(scope.name, PROMETHEUS_SCOPE);
            let points = match &metric.data {
                MetricData::Gauge(points) | MetricData::Sum { points, .. } => points,
                other => panic!("{other:?}"),
            };
            for point in points {
                let labels = point.attributes.iter();
                let labels =
                    labels.map(|label| (label.key.to_string(), label.value.to_text().into_owned()));
                let series = (metric.name.to_string(), labels.collect());
                let last = known.entry(series).or_default();
                // Requests may overtake each other.
                if point.time_unix_nano >= last.0 {
                    *last = (point.time_unix_nano, value(point));
                }
            }
        })
        .unwrap();
        Ok(Accepted::default())
    }
}

fn value(point: &NumberPoint<'_>) -> Option<f64> {
    (!point.no_recorded_value()).then(|| point.value.as_f64())
}

impl Sink {
    /// Serves on a free port.
    pub(crate) fn start() -> Self {
        let known = Known::default();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = Server::builder().add_routes(grpc::routes(&known, BODY_BYTES_MAX));
        tokio::spawn(server.serve_with_incoming(incoming));
        Self { address, known }
    }

    /// All series that have not ended.
    pub(crate) fn view(&self) -> View {
        let known = self.known.0.lock();
        let live = known
            .iter()
            .filter_map(|((name, labels), (_, value))| Some((name, labels, (*value)?)));
        live.map(|(name, labels, value)| shown(name, labels, value))
            .collect()
    }
}
