//! Runs the tests of rules that are written in the format of `promtool test rules`.
//!
//! In: a test file and the rule files it names. Out: what passed, and for each failure a text with file, line, what was
//! expected and what came. Each test has its own store in memory: its series are there from the beginning, but what is
//! later than the evaluation is not seen yet. At every evaluation interval all groups are evaluated by what evaluates
//! them in the collector, recorded samples and `ALERTS` go into the store, and the alerts that are to be tested are
//! looked at; expressions are evaluated at the end.
//!
//! Limits: 1,000,000 evaluations a test; 10,000 rule files. Rules over logs are left out: there are no logs in a test.

mod bench;
mod expect;
mod files;
#[cfg(test)]
mod tests;

use std::path::Path;

use regex::Regex;
use vervet_alerting::rule_test::{AlertTest, ExprTest, TestFile, TestGroup};
use vervet_alerting::{GroupConfig, Replay, UnknownKeys};
use vervet_model::{Labels, UnixMillis};
use vervet_promql::Features;

use bench::{Bench, millis};
use expect::Outcome;

const EVALUATIONS_MAX: i64 = 1_000_000;

/// How tests are run and what is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestOptions {
    /// Only tests whose name one of these matches; without any, all of them.
    pub(crate) run: Vec<Regex>,
    pub(crate) unknown: UnknownKeys,
    pub(crate) features: Features,
    /// Tell failures by the lines that differ.
    pub(crate) diff: bool,
    /// Tell what each test had in its store at the end.
    pub(crate) debug: bool,
}

/// What came of a test file.
#[derive(Debug, Default)]
pub(crate) struct FileReport {
    /// Tests that ran.
    pub(crate) tests: usize,
    pub(crate) notes: Vec<String>,
    pub(crate) failures: Vec<String>,
    pub(crate) debug: Vec<String>,
}

/// Runs the tests of a file.
///
/// # Errors
/// The machine has no more resources for a runtime.
pub(crate) fn test_file(path: &Path, options: &TestOptions) -> std::io::Result<FileReport> {
    let mut report = FileReport::default();
    let name = path.display().to_string();
    let file = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{name}: cannot read it: {error}")])
        .and_then(|text| {
            TestFile::parse(&name, &text, options.unknown).map_err(|errors| texts(&errors))
        });
    let file = match file {
        Ok(file) => file,
        Err(failures) => {
            report.failures = failures;
            return Ok(report);
        }
    };
    let is_chosen = |test: &&TestGroup| {
        options.run.is_empty() || options.run.iter().any(|run| run.is_match(&test.name))
    };
    let groups = match files::groups(path, &file, options, &mut report.notes) {
        Ok(groups) => groups,
        // As in promtool it is the tests that fail by it, if there are any.
        Err(_) if !file.tests.iter().any(|test| is_chosen(&test)) => Vec::new(),
        Err(failures) => {
            report.failures = failures;
            return Ok(report);
        }
    };
    // Queries are evaluated on this thread; the runtime is there for their timeout.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    for test in file.tests.iter().filter(is_chosen) {
        report.tests += 1;
        let run = Run {
            file: &file,
            name: &name,
            test,
            options,
        };
        let failures = runtime.block_on(run.run(groups.clone(), &mut report.debug));
        report.failures.extend(failures);
    }
    Ok(report)
}

fn texts(errors: &[vervet_alerting::RuleFileError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// One test of a file.
struct Run<'a> {
    file: &'a TestFile,
    /// Of the file.
    name: &'a str,
    test: &'a TestGroup,
    options: &'a TestOptions,
}

impl Run<'_> {
    /// Runs it; what failed.
    async fn run(&self, groups: Vec<GroupConfig>, debug: &mut Vec<String>) -> Vec<String> {
        let bench = match Bench::new(self.file, self.test, self.options.features) {
            Ok(bench) => bench,
            Err((line, reason)) => return vec![self.failure(line, &reason)],
        };
        let settings = vervet_alerting::ManagerConfig {
            external_url: self.test.external_url.clone(),
            external_labels: Labels::from_pairs(&self.test.external_labels),
            ..vervet_alerting::ManagerConfig::default()
        };
        let replay = Replay::new(groups, bench.clone(), bench.clone(), settings);
        let mut failures = match self.evaluate(&bench, &replay).await {
            Ok(failures) => failures,
            Err(failures) => return failures,
        };
        let exprs = self.test.expr_tests.iter();
        failures.extend(exprs.filter_map(|expr| self.check_expr(&bench, expr)));
        if self.options.debug {
            let title = format!("{}, all data at the end of it:", self.title(self.test.line));
            debug.push(format!("{title}\n{}", bench.dump()));
        }
        failures
    }

    /// Evaluates the rules over the whole time and looks at alerts on the way. A rule that fails ends the test.
    async fn evaluate(&self, bench: &Bench, replay: &Replay) -> Result<Vec<String>, Vec<String>> {
        let test = self.test;
        let interval = millis(self.file.evaluation_interval);
        let alert_times = test.alert_tests.iter().map(|alert| alert.eval_time);
        let times = alert_times.chain(test.expr_tests.iter().map(|expr| expr.eval_time));
        let steps = times.map(millis).max().unwrap_or(0) / interval;
        if steps > EVALUATIONS_MAX {
            let reason = format!("it takes more than {EVALUATIONS_MAX} evaluations");
            return Err(vec![self.failure(test.line, &reason)]);
        }
        let mut failures = Vec::new();
        for step in 0..=steps {
            let since = step * interval;
            let at = UnixMillis(test.start.0.saturating_add(since));
            bench.reach(at);
            let failed = replay.evaluate(at).await;
            if !failed.is_empty() {
                let text = |failure: vervet_alerting::RuleFailure| {
                    let reason = format!(
                        "rule: {}, time: {}, err: {}",
                        failure.rule,
                        bench::duration(since),
                        failure.error
                    );
                    self.failure(test.line, &reason)
                };
                failures.extend(failed.into_iter().map(text));
                return Err(failures);
            }
            let due = since..since + interval;
            let due = test
                .alert_tests
                .iter()
                .filter(|alert| due.contains(&millis(alert.eval_time)));
            failures.extend(due.filter_map(|alert| self.check_alerts(replay, alert)));
        }
        Ok(failures)
    }

    fn check_alerts(&self, replay: &Replay, alert: &AlertTest) -> Option<String> {
        let outcome = Outcome::of_alerts(alert, replay.firing(&alert.alertname));
        let text = outcome.difference(self.options.diff)?;
        let head = format!(
            "alertname: {}, time: {}",
            alert.alertname,
            bench::duration(millis(alert.eval_time))
        );
        Some(self.failure(alert.line, &format!("{head}\n{text}")))
    }

    fn check_expr(&self, bench: &Bench, expr: &ExprTest) -> Option<String> {
        let since = millis(expr.eval_time);
        let head = format!("expr: {:?}, time: {}", expr.expr, bench::duration(since));
        let at = UnixMillis(self.test.start.0.saturating_add(since));
        let got = bench.samples(&expr.expr, at);
        let outcome = got.and_then(|got| Outcome::of_samples(expr, got, self.file.fuzzy_compare));
        let text = match outcome {
            Ok(outcome) => format!("{head}\n{}", outcome.difference(self.options.diff)?),
            Err(reason) => format!("{head}, err: {reason}"),
        };
        Some(self.failure(expr.line, &text))
    }

    fn failure(&self, line: u64, text: &str) -> String {
        format!("{}: {text}", self.title(line))
    }

    fn title(&self, line: u64) -> String {
        match self.test.name.as_str() {
            "" => format!("{}:{line}", self.name),
            name => format!("{}:{line}: {name:?}", self.name),
        }
    }
}
