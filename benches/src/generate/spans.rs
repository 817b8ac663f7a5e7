//! Traces of web requests: eight spans each, two in each of four services, the second a database call.

use vervet_wire::otlp::{KeyValue, Scope, Span, SpanKind, StatusCode, write_resource_spans};

use super::{Pod, Random, START_UNIX_NANO, pods, resource};

/// Services that one trace passes through.
const HOPS: usize = 4;
/// Spans of one trace.
pub const SPANS_PER_TRACE: usize = HOPS * 2;

const ROUTES: [&str; 6] = [
    "/orders/{id}",
    "/customers/{id}",
    "/products/{id}",
    "/baskets/{id}",
    "/payments/{id}",
    "/search",
];
const QUERIES: [&str; 4] = [
    "SELECT id, state, total FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 20",
    "UPDATE baskets SET items = $2, updated_at = now() WHERE id = $1",
    "SELECT name, price FROM products WHERE id = ANY($1)",
    "INSERT INTO payments (order_id, amount, currency) VALUES ($1, $2, $3)",
];

/// What the spans of one trace share.
struct Trace {
    id: [u8; 16],
    /// A server span and a client span of each hop.
    span_ids: [[[u8; 8]; 2]; HOPS],
    start_unix_nano: u64,
    route: &'static str,
    path: String,
    failed: bool,
}

/// Writes traces without end.
#[derive(Debug, Clone)]
pub struct Spans {
    random: Random,
    now_unix_nano: u64,
    pods: Vec<Pod>,
}

impl Spans {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let pods = pods(&mut random);
        Self {
            random,
            now_unix_nano: START_UNIX_NANO,
            pods,
        }
    }

    /// An export request with `traces` whole traces, that is `traces * SPANS_PER_TRACE` spans.
    pub fn request(&mut self, traces: usize) -> Vec<u8> {
        let traces: Vec<Trace> = (0..traces).map(|_| self.trace()).collect();
        let mut out = Vec::with_capacity(traces.len() * SPANS_PER_TRACE * 512);
        let scope = Scope {
            name: "@opentelemetry/instrumentation-http".into(),
            version: "0.210.0".into(),
            ..Scope::default()
        };
        for hop in 0..HOPS {
            let pod = self.pods[self.random.index(self.pods.len())].clone();
            write_resource_spans(&mut out, &resource(&pod), &scope, |writer| {
                for trace in &traces {
                    let duration_nano = self.random.skewed(28) + 1_000;
                    writer.push(&server_span(trace, hop, duration_nano));
                    writer.push(&client_span(
                        trace,
                        hop,
                        duration_nano,
                        self.random.pick(&QUERIES),
                    ));
                }
            });
        }
        out
    }

    fn trace(&mut self) -> Trace {
        let random = &mut self.random;
        self.now_unix_nano += random.skewed(24);
        let route = random.pick(&ROUTES);
        Trace {
            id: random.trace_id(),
            span_ids: std::array::from_fn(|_| [random.span_id(), random.span_id()]),
            start_unix_nano: self.now_unix_nano,
            route,
            path: route.replace("{id}", &random.below(90_000_000).to_string()),
            failed: random.below(50) == 0,
        }
    }
}

fn server_span(trace: &Trace, hop: usize, duration_nano: u64) -> Span<'_> {
    let parent: &[u8] = match hop.checked_sub(1) {
        Some(caller) => &trace.span_ids[caller][0],
        None => &[],
    };
    let start_unix_nano = trace.start_unix_nano + hop as u64 * 40_000;
    Span {
        trace_id: &trace.id,
        span_id: &trace.span_ids[hop][0],
        parent_span_id: parent,
        name: format!("GET {}", trace.route).into(),
        kind: SpanKind::Server,
        start_unix_nano,
        end_unix_nano: start_unix_nano + duration_nano,
        attributes: vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", trace.route),
            KeyValue::new("url.path", trace.path.as_str()),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new(
                "http.response.status_code",
                if trace.failed { 500_i64 } else { 200 },
            ),
            KeyValue::new("server.address", "shop.internal"),
            KeyValue::new("network.protocol.version", "1.1"),
        ],
        status: if trace.failed {
            StatusCode::Error
        } else {
            StatusCode::Unset
        },
        ..Span::default()
    }
}

fn client_span<'t>(
    trace: &'t Trace,
    hop: usize,
    duration_nano: u64,
    query: &'static str,
) -> Span<'t> {
    let start_unix_nano = trace.start_unix_nano + hop as u64 * 40_000 + duration_nano / 4;
    Span {
        trace_id: &trace.id,
        span_id: &trace.span_ids[hop][1],
        parent_span_id: &trace.span_ids[hop][0],
        name: query.split(' ').next().unwrap_or_default().into(),
        kind: SpanKind::Client,
        start_unix_nano,
        end_unix_nano: start_unix_nano + duration_nano / 2,
        attributes: vec![
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.namespace", "shop"),
            KeyValue::new("db.query.text", query),
            KeyValue::new("server.address", "postgres.internal"),
            KeyValue::new("server.port", 5432_i64),
        ],
        ..Span::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use vervet_wire::otlp::for_each_span;

    use super::*;

    #[test]
    fn traces_are_whole() {
        let body = Spans::new(5).request(10);
        let (mut spans, mut parents) = (HashMap::new(), Vec::new());
        for_each_span(&body, |_, _, span| {
            spans.insert(span.span_id.to_vec(), span.trace_id.to_vec());
            if !span.parent_span_id.is_empty() {
                parents.push((span.parent_span_id.to_vec(), span.trace_id.to_vec()));
            }
        })
        .expect("valid");
        assert_eq!(spans.len(), 10 * SPANS_PER_TRACE);
        assert_eq!(parents.len(), 10 * (SPANS_PER_TRACE - 1));
        for (parent, trace) in parents {
            assert_eq!(spans.get(&parent), Some(&trace));
        }
    }
}
