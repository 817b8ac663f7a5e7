use proptest::prelude::*;
use vervet_model::ManualClock;

use super::*;

fn amount(records: u64) -> Amount {
    Amount {
        records,
        bytes: records * 100,
    }
}

fn all_signals() -> SignalSet {
    SignalSet::ALL
}

fn books(clock: &Arc<ManualClock>) -> Books {
    Books::new(Intake::default(), Arc::clone(clock) as Arc<dyn Clock>)
}

/// As the writer does it.
fn store(books: &Books, totals: &mut Totals, signal: Signal, records: u64, waited: bool) {
    let mut intake = books.intake().lock();
    books.mark(totals, books.now());
    books.appended(signal, amount(records));
    intake.buffered("files", signal, amount(records), waited);
    totals.add(signal, amount(records));
}

#[derive(Debug, Clone)]
enum Event {
    Wait(u64),
    Store,
    GiveUp,
    Direct(u64),
    Drop(u64),
    Settle(u8),
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..50_u64).prop_map(Event::Wait),
        Just(Event::Store),
        Just(Event::GiveUp),
        (1..50_u64).prop_map(Event::Direct),
        (1..9_u64).prop_map(Event::Drop),
        any::<u8>().prop_map(Event::Settle),
        Just(Event::Reopen),
    ]
}

/// What an exporter has not read yet: how much was before it, and how much it is.
type Unread = std::collections::VecDeque<(Totals, Signal, Amount)>;

fn settle(books: &Books, unread: &mut Unread, choice: u8) {
    let Some((before, signal, amount)) = unread.pop_front() else {
        return;
    };
    if choice.is_multiple_of(5) {
        // Lost from the disk: the next one tells.
        return;
    }
    books.reached("main", &before);
    match choice % 3 {
        0 => books.dropped("main", signal, "rejected", amount),
        _ => books.delivered("main", signal, amount),
    }
}

proptest! {
    /// Whatever happens in whatever order, every line adds up after every event.
    #[test]
    fn every_line_adds_up_at_any_time(events in prop::collection::vec((event(), 0..3_usize), 1..80)) {
        let clock = Arc::new(ManualClock::new(UnixNanos(1)));
        let books = books(&clock);
        let (mut totals, mut unread) = (Totals::default(), Unread::new());
        let mut waiting: std::collections::VecDeque<(Signal, u64)> = Default::default();
        books.open("main", all_signals(), Account::default(), &totals);
        for (event, signal) in events {
            let signal = Signal::ALL[signal];
            let mut put = |totals: &mut Totals, signal, records, waited| {
                unread.push_back((*totals, signal, amount(records)));
                store(&books, totals, signal, records, waited);
            };
            match event {
                Event::Wait(records) => {
                    books.intake().waits("files", signal, amount(records));
                    waiting.push_back((signal, records));
                }
                Event::Store => {
                    if let Some((signal, records)) = waiting.pop_front() {
                        put(&mut totals, signal, records, true);
                    }
                }
                Event::GiveUp => {
                    if let Some((signal, records)) = waiting.pop_front() {
                        books.intake().gave_up("files", signal, "too_large", amount(records));
                    }
                }
                Event::Direct(records) => put(&mut totals, signal, records, false),
                Event::Drop(records) => books.intake().dropped("otlp", signal, "pii:card", amount(records)),
                Event::Settle(choice) => settle(&books, &mut unread, choice),
                Event::Reopen => books.open("main", all_signals(), books.account("main"), &totals),
            }
            prop_assert!(books.lines().iter().all(BookLine::balances), "{:?}", books.lines());
            for line in books.pipelines() {
                prop_assert!(line.balances, "{line:?}");
            }
        }
    }
}

#[test]
fn a_line_that_does_not_add_up_is_seen() {
    let clock = Arc::new(ManualClock::new(UnixNanos(1)));
    let books = books(&clock);
    books.open(
        "main",
        all_signals(),
        Account::default(),
        &Totals::default(),
    );
    // Stored without having been received.
    books.appended(Signal::Logs, amount(3));
    let line = books.pipelines().remove(0);
    assert!(!line.balances, "{line:?}");
    let text = metrics_of(books);
    assert!(text.contains("vervet_agent_books_unbalanced 1\n"), "{text}");
    assert!(
        text.contains(
            "vervet_agent_pipeline_held_records{pipeline=\"logs\",exporter=\"main\"} 3\n"
        ),
        "{text}"
    );
}

fn metrics_of(books: Books) -> String {
    let metrics = crate::metrics::AgentMetrics::default();
    metrics.register(|registry| {
        registry.register_collector(Box::new(BooksCollector(Arc::new(books))))
    });
    metrics.encode_text()
}

#[test]
fn counters_of_drops_are_there_before_the_first() {
    let clock = Arc::new(ManualClock::new(UnixNanos(1)));
    let books = books(&clock);
    let (account, totals) = (Account::default(), Totals::default());
    books.open("main", all_signals(), account, &totals);
    books.appended(Signal::Logs, amount(3));
    books.dropped("main", Signal::Logs, REJECTED, amount(3));
    let text = metrics_of(books);
    for (signal, reason, records) in [
        ("logs", "rejected", 3),
        ("logs", "evicted_by_drop_oldest", 0),
        ("traces", "rejected_by_collector", 0),
    ] {
        let line = format!(
            "vervet_agent_exporter_dropped_records_total{{exporter=\"main\",signal=\"{signal}\",reason=\"{reason}\"}} {records}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn an_exporter_started_later_is_not_charged_for_what_was_before_it() {
    let clock = Arc::new(ManualClock::new(UnixNanos(1)));
    let books = books(&clock);
    let mut totals = Totals::default();
    books.open("old", all_signals(), Account::default(), &totals);
    store(&books, &mut totals, Signal::Logs, 5, false);
    books.open(
        "new",
        all_signals(),
        Account::starting_after(&totals),
        &totals,
    );
    store(&books, &mut totals, Signal::Logs, 2, false);
    let lines = books.pipelines();
    let of = |exporter: &str| {
        lines
            .iter()
            .find(|line| line.exporter == exporter && line.pipeline == "logs")
            .cloned()
    };
    let (old, new) = (of("old").expect("a line"), of("new").expect("a line"));
    assert_eq!(
        (old.received, old.held, old.foreign),
        (amount(7), amount(7), amount(0))
    );
    assert_eq!(
        (new.received, new.held, new.foreign),
        (amount(7), amount(2), amount(5))
    );
    assert!(old.balances && new.balances);
}

#[test]
fn the_oldest_unsettled_record_tells_the_age() {
    let clock = Arc::new(ManualClock::new(UnixNanos(1)));
    let books = books(&clock);
    let mut totals = Totals::default();
    books.open("main", all_signals(), Account::default(), &totals);
    assert_eq!(books.oldest_age("main"), None);
    for signal in [Signal::Logs, Signal::Traces, Signal::Logs] {
        store(&books, &mut totals, signal, 4, false);
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!(books.oldest_age("main"), Some(Duration::from_secs(30)));
    books.delivered("main", Signal::Logs, amount(4));
    assert_eq!(books.oldest_age("main"), Some(Duration::from_secs(20)));
    books.forget_settled();
    books.dropped("main", Signal::Traces, "rejected", amount(4));
    assert_eq!(books.oldest_age("main"), Some(Duration::from_secs(10)));
    books.delivered("main", Signal::Logs, amount(4));
    assert_eq!(books.oldest_age("main"), None);
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    /// From the next record that is not stored as settled, or so many behind it; so many.
    Evict(u8, u8),
    Settle,
    Store,
    /// The exporter begins again with what is stored.
    Restart,
    /// It is not configured until the next restart.
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..5_u8).prop_map(Step::Append),
        2 => (0..6_u8, 1..5_u8).prop_map(|(skip, count)| Step::Evict(skip, count)),
        6 => Just(Step::Settle),
        1 => Just(Step::Store),
        1 => Just(Step::Restart),
        1 => Just(Step::Close),
    ]
}

/// A journal of which parts are evicted, and an exporter of it that forgets what it has not stored.
struct Evicting {
    books: Books,
    totals: Totals,
    /// How much was appended before each record, and whether it is there.
    records: Vec<(Totals, bool)>,
    stored: (usize, Account),
    at: usize,
    is_open: bool,
}

impl Evicting {
    fn take(&mut self, step: Step) {
        match step {
            Step::Append(records) => {
                self.records.push((self.totals, true));
                let (signal, records) = (Signal::Logs, u64::from(records));
                store(&self.books, &mut self.totals, signal, records, false);
            }
            Step::Evict(skip, count) => {
                let from = self.stored.0 + usize::from(skip);
                let to = (from + usize::from(count)).min(self.records.len());
                if from < to {
                    let end = self.records.get(to).map_or(self.totals, |next| next.0);
                    let (begin, loss) = (self.records[from].0, Loss::Evicted);
                    let gone = Gone {
                        from: begin,
                        to: end,
                        loss,
                    };
                    self.books.gone("main", gone);
                    self.records[from..to]
                        .iter_mut()
                        .for_each(|record| record.1 = false);
                }
            }
            Step::Settle if self.is_open => {
                while self.records.get(self.at).is_some_and(|record| !record.1) {
                    self.at += 1;
                }
                if let Some((before, _)) = self.records.get(self.at) {
                    self.at += 1;
                    let end = self.records.get(self.at).map_or(self.totals, |next| next.0);
                    let amount = end.get(Signal::Logs).minus(before.get(Signal::Logs));
                    self.books.reached("main", before);
                    self.books.delivered("main", Signal::Logs, amount);
                }
            }
            Step::Store if self.is_open => {
                self.stored = (self.at, self.books.account("main"));
                self.books.stored("main", &self.stored.1.settled());
            }
            Step::Restart => {
                self.at = self.stored.0;
                let account = self.stored.1.clone();
                self.books
                    .open("main", all_signals(), account, &self.totals);
                self.is_open = true;
            }
            Step::Close => {
                self.books.close("main");
                self.is_open = false;
            }
            Step::Settle | Step::Store => {}
        }
    }
}

proptest! {
    /// What was evicted is never taken for damage, wherever an exporter begins again and whenever something goes.
    #[test]
    fn what_was_evicted_is_booked_as_that_however_often_an_exporter_begins_again(steps in prop::collection::vec(step(), 1..120)) {
        let books = books(&Arc::new(ManualClock::new(UnixNanos(1))));
        books.open("main", all_signals(), Account::default(), &Totals::default());
        let mut journal = Evicting {
            books,
            totals: Totals::default(),
            records: Vec::new(),
            stored: (0, Account::default()),
            at: 0,
            is_open: true,
        };
        let records = steps.len();
        let end = std::iter::once(Step::Restart).chain(std::iter::repeat_n(Step::Settle, records));
        for step in steps.into_iter().chain(end) {
            journal.take(step);
            for line in journal.books.lines() {
                prop_assert!(line.balances(), "{line:?}");
                prop_assert!(!line.dropped.contains_key(Loss::Damage.reason()), "{line:?}");
            }
        }
        let lines = journal.books.lines();
        let logs = lines.iter().find(|line| line.signal == "logs").expect("a line");
        prop_assert!(logs.held.is_zero(), "{logs:?}");
    }
}

#[test]
fn what_is_gone_and_when_is_known_after_a_restart() {
    let clock = Arc::new(ManualClock::new(UnixNanos(7_000_000_000)));
    let before = books(&clock);
    before.open(
        "main",
        all_signals(),
        Account::default(),
        &Totals::default(),
    );
    let mut totals = Totals::default();
    store(&before, &mut totals, Signal::Logs, 10, false);
    assert!(!before.is_unsaved("main"));
    let up_to = |records| {
        let mut totals = Totals::default();
        totals.add(Signal::Logs, amount(records));
        totals
    };
    let gone = |from, to, loss| Gone {
        from: up_to(from),
        to: up_to(to),
        loss,
    };
    before.note_eviction("main");
    before.gone("main", gone(2, 5, Loss::Evicted));
    assert!(before.is_unsaved("main"));
    let account = before.account("main");
    assert!(!before.is_unsaved("main"));
    before.not_stored("main");
    assert!(before.is_unsaved("main"));

    let stored = serde_json::to_vec(&account).expect("encoded");
    let account = serde_json::from_slice(&stored).expect("decoded");
    let after = books(&Arc::new(ManualClock::new(UnixNanos(9_000_000_000))));
    after.open("main", all_signals(), account, &totals);
    assert_eq!(after.evicted_at("main"), Some(UnixNanos(7_000_000_000)));
    // The journal only tells that damage stands beside a gap.
    after.gone("main", gone(1, 7, Loss::Damage));
    let lines = after.lines();
    let logs = lines.iter().find(|line| line.signal == "logs");
    let dropped = logs.expect("a line").dropped.iter();
    let dropped: Vec<_> = dropped
        .map(|(reason, gone)| (&**reason, gone.records))
        .collect();
    assert_eq!(
        dropped,
        [("evicted_by_drop_oldest", 3), ("lost_to_damage", 3)]
    );
    // What was known before is stored; what came with the start is not.
    assert!(after.is_unsaved("main"));
}

#[test]
fn what_goes_while_it_is_under_way_counts_as_dropped_only_when_it_is_not_delivered() {
    let books = books(&Arc::new(ManualClock::new(UnixNanos(1))));
    let signals = all_signals();
    books.open("main", signals, Account::default(), &Totals::default());
    let mut totals = Totals::default();
    let mut ends = Vec::new();
    for _ in 0..4 {
        store(&books, &mut totals, Signal::Logs, 10, false);
        ends.push(totals);
    }
    let figures = || {
        let lines = books.lines();
        let line = lines.iter().find(|line| line.signal == "logs");
        let line = line.expect("a line");
        assert!(line.balances(), "{line:?}");
        let dropped = line.dropped.get(Loss::Evicted.reason());
        let dropped = dropped.map_or(0, |amount| amount.records);
        (line.delivered.records, line.held.records, dropped)
    };
    books.under_way("main", &ends[1]);
    let (from, to, loss) = (Totals::default(), ends[2], Loss::Evicted);
    books.gone("main", Gone { from, to, loss });
    assert_eq!(figures(), (0, 30, 10));
    books.reached("main", &Totals::default());
    books.delivered("main", Signal::Logs, amount(10));
    assert_eq!(figures(), (10, 20, 10));
    books.reached("main", &ends[0]);
    books.dropped("main", Signal::Logs, loss.reason(), amount(10));
    assert_eq!(figures(), (10, 10, 20));
    books.reached("main", &ends[2]);
    books.delivered("main", Signal::Logs, amount(10));
    assert_eq!(figures(), (20, 0, 20));
}
