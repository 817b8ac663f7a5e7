//! What is found in the end: which lines have come, and whether the books say the same.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vervet_tests::books::{Amount, BookLine};
use vervet_tests::say;

use crate::ledger::{Findings, Verdict, Written};
use crate::setup::{MAIN, NOT_CONFIGURED};
use crate::site::{End, Site, wait_until};

/// After so long without a new line nothing more is expected.
const QUIET_AT_END: Duration = Duration::from_secs(20);
const ARRIVES_WITHIN: Duration = Duration::from_secs(300);
/// The writer of the last file of the first receiver.
const LAST_WRITER: usize = 900;
const LOST: &str = "lost";

/// What is counted for the closing line only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notes {
    pub(crate) rotations: u64,
    pub(crate) reused_inodes: u32,
}

impl Site {
    /// Waits for what is to come, starts the agent once more so that it may do everything again, and judges.
    pub(crate) fn finish(self, written: Vec<Written>, notes: Notes) {
        self.finish_in(written, notes, "app-last.log");
    }

    /// As [`Self::finish`]; `last` is a name that the globs of every receiver find.
    pub(crate) fn finish_in(self, mut written: Vec<Written>, notes: Notes, last: &str) {
        self.wait_for(&written);
        self.agent.terminate();
        self.agent.start();
        // When the lines of these files have arrived, whatever the agent found to read again is under way.
        for receiver in 0..self.setup.receivers.len() {
            let mut file = Written {
                receiver,
                ..Written::of(LAST_WRITER + receiver)
            };
            written.push(self.write_lines(&mut file, last, 1));
        }
        self.wait_for(&written);
        let dropped = self.ends.iter().map(|end| self.judge(end, &written, notes));
        let dropped = dropped.sum::<u64>();
        let name = &self.setup.name;
        assert!(
            self.setup.may_drop.is_none() || dropped > 0,
            "{name}: nothing was dropped"
        );
        let said = self.said.load(Ordering::Relaxed);
        assert!(
            said,
            "{name}: the agent never said `{}`",
            self.setup.must_say
        );
        self.agent.terminate();
    }

    /// What an exporter has sent; how many records its books call dropped.
    fn judge(&self, end: &End, written: &[Written], notes: Notes) -> u64 {
        let balance = self.settled_books(end);
        let verdict = end.ledger.verdict(written);
        let lines = written
            .iter()
            .map(|written| written.lines + written.headers);
        let lines = lines.sum::<u64>();
        say(&self.summary(end, &verdict, &balance, lines, at_risk(written), notes));
        let name = format!("{} ({})", self.setup.name, end.exporter);
        let mut findings = findings(&verdict);
        let dropped = balance
            .as_ref()
            .map_or(0, |line| line.dropped_total().records);
        if self.setup.may_drop.is_some() && verdict.lost.count == dropped {
            findings.retain(|(kind, _)| *kind != LOST);
        }
        let lines_found: Vec<_> = findings.iter().map(|(_, text)| text.as_str()).collect();
        assert!(findings.is_empty(), "{name}:\n{}", lines_found.join("\n"));
        assert!(balance.is_ok(), "{name}: {balance:?}");
        let arrived = verdict.records + verdict.joined - verdict.torn_at_risk;
        let absent = verdict.lost.count + verdict.lost_at_risk;
        assert_eq!(arrived + absent, lines, "{name}: records and lines");
        assert!(
            verdict.halves <= verdict.records / 4,
            "{name}: of {} records {} begin within a trace",
            verdict.records,
            verdict.halves
        );
        dropped
    }

    fn summary(
        &self,
        end: &End,
        verdict: &Verdict,
        balance: &Result<BookLine, String>,
        lines: u64,
        at_risk: u64,
        notes: Notes,
    ) -> String {
        let exporter = match self.ends.len() {
            1 => String::new(),
            _ => format!(" {}", end.exporter),
        };
        let mut summary = format!(
            "oracle {}{exporter}: lines {lines}, lost {}, duplicated {}, kills {}, rotations {}, {}",
            self.setup.name,
            verdict.lost.count,
            verdict.duplicated.count,
            self.agent.kills(),
            notes.rotations,
            match &balance {
                Ok(_) => "books balance".to_owned(),
                Err(imbalance) => format!("books do not balance: {imbalance}"),
            },
        );
        if let (Some(_), Ok(line)) = (self.setup.may_drop, balance) {
            let dropped = line.dropped_total().records;
            summary += &format!(" (the books say {dropped} were dropped)");
        }
        if at_risk > 0 {
            let lost = verdict.lost_at_risk;
            summary += &format!(" (at risk {at_risk}, of them lost {lost})");
        }
        if notes.reused_inodes > 0 {
            summary += &format!(" (inodes reused {})", notes.reused_inodes);
        }
        if verdict.joined > 0 {
            let (records, halves) = (verdict.records, verdict.halves);
            summary += &format!(" (joined to {records} records, {halves} of them halves)");
        }
        let (requests, repeats, late) = (verdict.requests, verdict.repeats, verdict.late);
        summary + &format!(" (requests {requests}, repeats {repeats}, behind another lane {late})")
    }

    /// Waits until everything written has arrived.
    pub(crate) fn arrived(&self, written: &[Written]) {
        self.wait_for(written);
        for end in &self.ends {
            let missing = findings(&end.ledger.verdict(written));
            assert!(missing.is_empty(), "{}: {missing:#?}", self.setup.name);
        }
    }

    /// Until every line that may not be lost has come everywhere, or none has for a while.
    fn wait_for(&self, written: &[Written]) {
        let began = Instant::now();
        let records = || self.ends.iter().map(|end| end.ledger.records()).sum();
        let (mut seen, mut last): (u64, _) = (records(), Instant::now());
        wait_until(ARRIVES_WITHIN, || {
            let now = records();
            if now != seen {
                (seen, last) = (now, Instant::now());
            }
            let is_complete = self.ends.iter().all(|end| {
                let accounted =
                    self.setup.may_drop.is_some() && self.is_accounted_for(end, written);
                accounted || end.ledger.has_all(written)
            });
            is_complete || last.elapsed() > QUIET_AT_END
        });
        if began.elapsed() > QUIET_AT_END {
            say(&format!(
                "oracle {}: waited {:?} for the last lines",
                self.setup.name,
                began.elapsed()
            ));
        }
    }

    /// Whether what has arrived and what the books call dropped is everything.
    fn is_accounted_for(&self, end: &End, written: &[Written]) -> bool {
        let lines = written.iter().map(|written| written.lines).sum::<u64>();
        let book = self.book_of(end.exporter);
        let dropped = book.map_or(0, |line| line.dropped_total().records);
        end.ledger.records() + dropped == lines
    }

    /// An exporter's books once nothing is held: they balance, and what was delivered is what arrived.
    fn settled_books(&self, end: &End) -> Result<BookLine, String> {
        let mut state = Err("the agent does not tell".to_owned());
        wait_until(QUIET_AT_END, || {
            let records = end.ledger.records();
            if let Some(line) = self.book_of(end.exporter) {
                let mut dropped = line.dropped.iter();
                let is_explained = dropped.all(|(reason, amount)| {
                    let is_expected = self.setup.may_drop == Some(reason)
                        && (reason != NOT_CONFIGURED || end.exporter != MAIN);
                    *amount == Amount::default() || is_expected
                });
                let is_settled = line.delivered.records == records
                    && line.held == Amount::default()
                    && is_explained;
                state = match is_settled {
                    true => Ok(line),
                    false => Err(format!("{records} records arrived: {line:?}")),
                };
            }
            state.is_ok()
        });
        state
    }
}

/// What is wrong, by kind; empty when nothing is.
fn findings(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let kinds: [(&str, &Findings); 5] = [
        (LOST, &verdict.lost),
        ("duplicated", &verdict.duplicated),
        ("never written", &verdict.foreign),
        ("out of order", &verdict.reordered),
        ("repeats with other contents", &verdict.changed_repeats),
    ];
    let found = kinds.iter().filter(|(_, findings)| findings.count > 0);
    let lines = found.map(|(kind, findings)| {
        let (count, examples) = (findings.count, &findings.examples);
        (*kind, format!("  {kind}: {count}, first {examples:#?}"))
    });
    lines.collect()
}

fn at_risk(written: &[Written]) -> u64 {
    let ranges = written.iter().flat_map(|written| &written.at_risk);
    ranges.map(|range| range.end - range.start).sum()
}
