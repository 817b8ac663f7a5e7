//! `vervet-collector rules`: what `promtool` does for rule files and their tests, with its exit codes.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use regex::Regex;
use vervet_agent::printable::{printable, printable_lines};
use vervet_alerting::{RuleFile, RuleFileError, UnknownKeys};
use vervet_promql::Features;

use super::{CliError, EXIT_FAILURE, say};
use crate::rules::check_expr;
use crate::rules::testing::{TestOptions, test_file};

/// Nothing is wrong but what `--lint` finds, and `--lint-fatal` is given.
const EXIT_LINT: u8 = 3;
const FILE_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Check rule files: exit code 0 when all are valid, 1 when not, 3 for duplicates with --lint-fatal.
    Check(CheckArgs),
    /// Run unit tests of rules: exit code 0 when all pass, 1 when not.
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Rule files; standard input when there are none.
    files: Vec<PathBuf>,
    /// What to look for beyond mistakes: duplicate-rules, all or none.
    #[arg(long, default_value = "duplicate-rules", value_delimiter = ',')]
    lint: Vec<String>,
    /// Exit with 3 when that finds something.
    #[arg(long)]
    lint_fatal: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct TestArgs {
    /// Test files, in the format of `promtool test rules`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only tests whose name matches this regular expression; may be given several times.
    #[arg(long)]
    run: Vec<Regex>,
    /// Show failures as the lines that differ.
    #[arg(long)]
    diff: bool,
    /// Show all samples that each test had at its end.
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Read files of newer versions: leave out keys that are not known.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Experimental parts of PromQL, by the names of Prometheus's flags, as `promql.features` of the configuration.
    #[arg(long, value_delimiter = ',')]
    enable_feature: Vec<String>,
}

impl CommonArgs {
    fn unknown(&self) -> UnknownKeys {
        match self.ignore_unknown_fields {
            true => UnknownKeys::Ignore,
            false => UnknownKeys::Refuse,
        }
    }

    fn features(&self) -> Features {
        let mut features = Features::default();
        for flag in &self.enable_feature {
            if !features.enable(flag) {
                warn(&format!("no feature of PromQL is called {flag}"));
            }
        }
        features
    }
}

pub(super) fn run(args: &RulesArgs) -> Result<ExitCode, CliError> {
    let code = match &args.command {
        RulesCommand::Check(args) => check(args)?,
        RulesCommand::Test(args) => test(args)?,
    };
    Ok(ExitCode::from(code))
}

fn check(args: &CheckArgs) -> Result<u8, CliError> {
    let lints_duplicates = lints_duplicates(&args.lint);
    let (mut is_invalid, mut is_linted) = (false, false);
    let features = args.common.features();
    let mut checked = |name: String, text: io::Result<String>| -> io::Result<()> {
        say(&format!("Checking {}\n", printable(&name)))?;
        let file = text
            .map_err(|error| vec![format!("{name}: cannot read it: {error}")])
            .and_then(|text| {
                let check = check_expr(features);
                let file = RuleFile::parse_with(&name, &text, args.common.unknown(), &check);
                file.map_err(|errors| errors.iter().map(RuleFileError::to_string).collect())
            });
        match file {
            Ok(file) => {
                let duplicates = match lints_duplicates {
                    true => duplicates(&name, &file),
                    false => Vec::new(),
                };
                is_linted |= !duplicates.is_empty();
                if args.lint_fatal && !duplicates.is_empty() {
                    fail(&duplicates);
                } else {
                    tell(&duplicates);
                    say(&format!("  SUCCESS: {} rules found\n", file.rule_count()))?;
                }
            }
            Err(failures) => {
                is_invalid = true;
                fail(&failures);
            }
        }
        say("\n")
    };
    if args.files.is_empty() {
        checked("standard input".to_owned(), read(io::stdin().lock()))?;
    }
    for path in &args.files {
        let text = std::fs::File::open(path).and_then(read);
        checked(path.display().to_string(), text)?;
    }
    Ok(match (is_invalid, is_linted && args.lint_fatal) {
        (true, _) => EXIT_FAILURE,
        (false, true) => EXIT_LINT,
        (false, false) => 0,
    })
}

/// More than a rule file may have is cut off, and refused for its length.
fn read(from: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn lints_duplicates(lints: &[String]) -> bool {
    let mut found = false;
    for lint in lints {
        match lint.as_str() {
            "all" | "duplicate-rules" => found = true,
            "none" => {}
            other => warn(&format!("unknown lint option {other}")),
        }
    }
    found && !lints.iter().any(|lint| lint == "none")
}

fn duplicates(name: &str, file: &RuleFile) -> Vec<String> {
    let text = |duplicate: &vervet_alerting::Duplicate| {
        let labels = duplicate.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        format!(
            "{name}:{}: duplicate rule: {:?} with the labels {{{}}} is there already, which might mix up what both give",
            duplicate.line,
            duplicate.name,
            labels.join(", ")
        )
    };
    file.duplicates.iter().map(text).collect()
}

fn test(args: &TestArgs) -> Result<u8, CliError> {
    let options = TestOptions {
        run: args.run.clone(),
        unknown: args.common.unknown(),
        features: args.common.features(),
        diff: args.diff,
        debug: args.debug,
    };
    let mut is_failed = false;
    for path in &args.files {
        say(&format!(
            "Unit Testing: {}\n",
            printable(&path.display().to_string())
        ))?;
        let report = test_file(path, &options).context("no test can be run")?;
        for note in &report.notes {
            warn(note);
        }
        tell(&report.debug);
        if report.failures.is_empty() {
            say(&format!("  SUCCESS: {} tests passed\n", report.tests))?;
        } else {
            is_failed = true;
            fail(&report.failures);
        }
        say("\n")?;
    }
    Ok(if is_failed { EXIT_FAILURE } else { 0 })
}

fn fail(failures: &[String]) {
    tell(&["  FAILED:".to_owned()]);
    tell(failures);
}

fn warn(note: &str) {
    tell(&[format!("  WARNING: {note}")]);
}

/// Writes to standard error, where promtool has what is wrong.
fn tell(texts: &[String]) {
    let mut err = io::stderr().lock();
    for text in texts {
        // Nobody is left to tell when stderr is gone.
        let _closed = writeln!(err, "{}", printable_lines(text));
    }
}
