//! The settings in force, defaults included, for people who ask the API: YAML that would be read back as the same.
//! Where alerts go is left out, and names and passwords in addresses are masked.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};
use vervet_store::PromoteKey;
use vervet_store::maintain::Keep;

use super::CollectorConfig;

impl CollectorConfig {
    /// The settings as YAML.
    pub(crate) fn shown(&self) -> String {
        let mut yaml =
            "# alerting is not shown: the addresses of receivers are secret.\n".to_owned();
        write_map(&mut yaml, &self.settings(), 0);
        yaml
    }

    /// The first limit of metrics, in the words of Prometheus's flags.
    pub(crate) fn shown_retention(&self) -> String {
        let keep = self.upkeep.store.retention.metrics;
        let age = keep.age.map(duration);
        let size = keep.bytes.map(|bytes| format!("{bytes}B"));
        let limits: Vec<String> = age.into_iter().chain(size).collect();
        limits.join(" or ")
    }

    fn settings(&self) -> Map<String, Value> {
        let limits = &self.limits;
        let mut all = json!({
            "data_dir": self.data_dir.display().to_string(),
            "environment": self.environment,
            "http": {"listen": self.http.to_string()},
            "otlp": {"grpc": self.otlp_grpc.to_string(), "http": self.otlp_http.to_string()},
            "limits": {
                "request": size(limits.request_bytes as u64), "inflight": size(limits.inflight_bytes as u64),
                "journal": size(limits.journal_bytes), "head": size(limits.head_bytes as u64),
                "head_max": size(limits.head_bytes_max as u64),
                "flush_interval": duration(limits.flush_interval), "series": limits.series,
                "query_memory": size(limits.query_memory_bytes as u64),
                "query_cache": size(limits.query_cache_bytes as u64),
                "query_timeout": duration(limits.query_timeout),
            },
            "promql": {"features": self.features_named()},
            "store": self.store_settings(),
            "rules": {"interval": duration(self.evaluation_interval)},
        });
        let listeners = [self.http, self.otlp_grpc, self.otlp_http];
        if listeners.iter().any(|address| !address.ip().is_loopback()) {
            all["auth"] = json!("disabled");
        }
        if let Some(dir) = &self.rules_dir {
            all["rules"]["dir"] = json!(dir.display().to_string());
        }
        if let Some(url) = &self.external_url {
            all["external_url"] = json!(masked(url));
        }
        if let Some(endpoint) = &self.traces_endpoint {
            all["telemetry"] = json!({"traces": {"endpoint": masked(endpoint)}});
        }
        match all {
            Value::Object(all) => all,
            _ => Map::new(),
        }
    }

    fn features_named(&self) -> Vec<&'static str> {
        let named = [
            (self.promql.duration_expressions, "promql-duration-expr"),
            (
                self.promql.extended_range_selectors,
                "promql-extended-range-selectors",
            ),
        ];
        let on = named.into_iter().filter(|(on, _)| *on);
        on.map(|(_, name)| name).collect()
    }

    fn store_settings(&self) -> Value {
        let (upkeep, promote) = (&self.upkeep.store, &self.promote);
        let (compaction, retention) = (&upkeep.compaction, &upkeep.retention);
        let environments = retention.environments.iter().map(|(name, kept)| {
            let kept = json!({"logs": keep(kept.logs), "traces": keep(kept.traces)});
            (name.clone(), kept)
        });
        json!({
            "promote": {
                "logs": keys(&promote.logs), "spans": keys(&promote.spans),
                "columns": promote.columns_max, "usage_percent": promote.usage_percent,
            },
            "compaction": {
                "file_min": size(compaction.file_bytes_min), "file_max": size(compaction.file_bytes_max),
                "files_min": compaction.files_min, "memory": size(compaction.memory_bytes),
                "rate": size(compaction.bytes_per_second),
            },
            "retention": {
                "logs": keep(retention.logs), "traces": keep(retention.traces), "metrics": keep(retention.metrics),
                "environments": environments.collect::<Map<String, Value>>(),
            },
            "reader_grace": duration(upkeep.reader_grace),
            "unclaimed_max": size(upkeep.unclaimed_bytes_max),
            "upkeep_interval": duration(self.upkeep.interval),
        })
    }
}

fn keys(keys: &[PromoteKey]) -> Value {
    let key = |key: &PromoteKey| match key.kind {
        Some(kind) => json!({"key": key.key, "type": format!("{kind:?}").to_lowercase()}),
        None => json!({"key": key.key}),
    };
    keys.iter().map(key).collect()
}

fn keep(keep: Keep) -> Value {
    let mut limits = Map::new();
    if let Some(age) = keep.age {
        limits.insert("age".to_owned(), json!(duration(age)));
    }
    if let Some(bytes) = keep.bytes {
        limits.insert("size".to_owned(), size(bytes));
    }
    Value::Object(limits)
}

fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis % 1000 {
        0 => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

fn size(bytes: u64) -> Value {
    const MIB: u64 = 1 << 20;
    match bytes % MIB {
        0 if bytes > 0 => json!(format!("{}MiB", bytes / MIB)),
        _ => json!(format!("{bytes}B")),
    }
}

/// An address without the name and password that may be in it, and without what follows a question mark.
fn masked(address: &str) -> String {
    const SECRET: &str = "secret";
    let Ok(mut url) = reqwest::Url::parse(address) else {
        return SECRET.to_owned();
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !has_user && url.query().is_none() {
        return address.to_owned();
    }
    if has_user {
        // An address without a host has no user either.
        let _ = url.set_password(None);
        let _ = url.set_username(SECRET);
    }
    if url.query().is_some() {
        url.set_query(Some(SECRET));
    }
    url.to_string()
}

/// A map in block style; what is in lists, and what is empty, in flow style, which is JSON.
fn write_map(yaml: &mut String, map: &Map<String, Value>, level: usize) {
    for (key, value) in map {
        let is_word = key
            .chars()
            .all(|next| next.is_ascii_alphanumeric() || next == '_');
        let key = if is_word {
            key.clone()
        } else {
            json!(key).to_string()
        };
        yaml.extend(std::iter::repeat_n("  ", level));
        // There is always room in a string.
        let written = match value {
            Value::Object(inner) if !inner.is_empty() => {
                let written = writeln!(yaml, "{key}:");
                write_map(yaml, inner, level + 1);
                written
            }
            other => writeln!(yaml, "{key}: {other}"),
        };
        debug_assert!(written.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back_as_the_same_without_secrets() {
        let text = "
data_dir: /data
environment: 'it''s: production'
external_url: https://user:hunter2@vervet.example.org/
telemetry: {traces: {endpoint: 'http://127.0.0.1:4317/?token=hunter2'}}
promql: {features: [promql-duration-expr]}
limits: {query_timeout: 1500ms, request: 1000}
store:
  promote: {logs: [{key: http.response.status_code, type: integer}, {key: a b}]}
  retention: {metrics: {age: 1d, size: 1GiB}, environments: {'e: 1': {logs: {age: 1h}}}}
alerting:
  route: {receiver: team}
  receivers: [{name: team, webhook_configs: [{url: 'http://127.0.0.1:9000/hunter2'}]}]
";
        let config = CollectorConfig::parse("given", text).expect("valid");
        let shown = config.shown();
        assert!(!shown.contains("hunter2"), "{shown}");
        for line in [
            "  query_timeout: \"1500ms\"\n",
            "  request: \"1000B\"\n",
            "external_url: \"https://secret@vervet.example.org/\"\n",
            "      age: \"86400s\"\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        let again = CollectorConfig::parse("shown", &shown).expect("valid");
        assert_eq!(again.shown(), shown);
        assert_eq!(config.shown_retention(), "86400s or 1073741824B");
    }
}
