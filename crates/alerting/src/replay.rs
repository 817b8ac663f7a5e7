//! Rules evaluated at moments that the caller names, for tests of rules: no schedule, no notifications, no saved state.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use vervet_model::{Clock, Labels, SystemClock, UnixMillis};

use crate::group::{Evaluation, Group};
use crate::manager::ManagerConfig;
use crate::rule_file::{GroupConfig, TextMap};
use crate::seams::{RuleQuery, SampleSink};

/// Groups in the order in which they are evaluated.
pub struct Replay {
    groups: Vec<Group>,
    query: Arc<dyn RuleQuery>,
    sink: Arc<dyn SampleSink>,
    clock: Arc<dyn Clock>,
    settings: ManagerConfig,
}

/// A rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    pub rule: String,
    pub error: String,
}

/// A firing alert.
#[derive(Debug, Clone, PartialEq)]
pub struct FiringAlert {
    /// With those of the rule, and `alertname`.
    pub labels: Labels,
    pub annotations: TextMap,
}

impl Replay {
    pub fn new(
        groups: Vec<GroupConfig>,
        query: Arc<dyn RuleQuery>,
        sink: Arc<dyn SampleSink>,
        settings: ManagerConfig,
    ) -> Self {
        let group = |config| Group::new(config, &settings, UnixMillis(0));
        Self {
            groups: groups.into_iter().map(group).collect(),
            query,
            sink,
            clock: Arc::new(SystemClock),
            settings,
        }
    }

    /// Evaluates every group at `ts`; which rules failed. It needs a runtime with time, for the timeout of queries.
    pub async fn evaluate(&self, ts: UnixMillis) -> Vec<RuleFailure> {
        let mut failures = Vec::new();
        for group in &self.groups {
            let with = Evaluation {
                query: &*self.query,
                sink: &*self.sink,
                clock: &*self.clock,
                settings: &self.settings,
            };
            group.evaluate(ts, with).await;
            let failed = group.failures().into_iter();
            failures.extend(failed.map(|(rule, error)| RuleFailure { rule, error }));
        }
        failures
    }

    /// The alerts of this name that fire since the last evaluation.
    pub fn firing(&self, alertname: &str) -> Vec<FiringAlert> {
        let alerts = self.groups.iter().flat_map(|group| group.firing(alertname));
        let alert = |(labels, annotations)| FiringAlert {
            labels,
            annotations,
        };
        alerts.map(alert).collect()
    }
}
