//! Log records read back by the Loki API.

use serde_json::Value;

use super::collector::Api;

/// The most that one query may return.
const LIMIT: usize = 5_000;

/// One log record.
#[derive(Debug, Clone)]
pub(crate) struct LogLine {
    pub(crate) line: String,
    /// Stream labels.
    pub(crate) labels: Value,
    /// Structured metadata.
    pub(crate) metadata: Value,
}

impl Api {
    /// All records of a query from `start` to before `end`, in nanoseconds. Ranges that hold more than
    /// one answer may carry are halved.
    pub(crate) async fn logs(&self, query: &str, start: i64, end: i64) -> Vec<LogLine> {
        let mut found = Vec::new();
        let mut ranges = vec![(start, end)];
        while let Some((start, end)) = ranges.pop() {
            let page = self.log_page(query, start, end).await;
            if page.len() < LIMIT {
                found.extend(page);
                continue;
            }
            assert!(
                end - start > 1,
                "more than {LIMIT} records at one nanosecond"
            );
            let middle = start + (end - start) / 2;
            ranges.extend([(middle, end), (start, middle)]);
        }
        found
    }

    async fn log_page(&self, query: &str, start: i64, end: i64) -> Vec<LogLine> {
        let (start, end, limit) = (start.to_string(), end.to_string(), LIMIT.to_string());
        let params = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("limit", &limit),
            ("direction", "forward"),
        ];
        let answer = self.json("/loki/api/v1/query_range", &params).await;
        assert_eq!(answer["data"]["resultType"], "streams", "{answer}");
        let mut lines = Vec::new();
        for stream in answer["data"]["result"].as_array().unwrap() {
            for value in stream["values"].as_array().unwrap() {
                lines.push(LogLine {
                    line: value[1].as_str().unwrap().to_owned(),
                    labels: stream["stream"].clone(),
                    metadata: value[2]["structuredMetadata"].clone(),
                });
            }
        }
        lines
    }
}
