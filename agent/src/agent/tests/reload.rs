//! An agent that changes its configuration while lines are written and sent.

use std::fs::File;
use std::io::Write;

use super::*;
use crate::agent::Changes;

/// A log file, and how many numbered lines stand in it.
pub(super) struct Log {
    file: File,
    pub(super) lines: usize,
}

impl Log {
    pub(super) fn create(dir: &Path) -> Self {
        let file = File::create(dir.join("app.log")).expect("created");
        Self { file, lines: 0 }
    }

    pub(super) fn write(&mut self, lines: usize) {
        for number in self.lines..self.lines + lines {
            writeln!(self.file, "line {number}").expect("written");
        }
        self.lines += lines;
    }
}

/// What a test says of the configuration; the rest is as `Default` has it.
pub(super) struct Setup<'a> {
    pub(super) dir: &'a Path,
    pub(super) receivers: String,
    pub(super) exporters: String,
    pub(super) pipelines: String,
    pub(super) rest: String,
}

impl<'a> Setup<'a> {
    pub(super) fn new(dir: &'a Path, endpoint: &str) -> Self {
        Self {
            dir,
            receivers: filelog(dir, "auto"),
            exporters: exporter("main", endpoint, "10ms"),
            pipelines: "  logs: {from: [files], to: [main]}\n".to_owned(),
            rest: "admin: {listen: 127.0.0.1:0}\n".to_owned(),
        }
    }

    pub(super) fn config(&self) -> AgentConfig {
        let text = format!(
            "data_dir: {}\nreceivers:\n{}exporters:\n{}pipelines:\n{}{}",
            self.dir.join("data").display(),
            self.receivers,
            self.exporters,
            self.pipelines,
            self.rest
        );
        AgentConfig::parse("test.yaml", &text, &SystemSources)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) async fn start(&self) -> RunningAgent {
        // An agent that was dropped a moment ago may still hold the lock of the buffer.
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            match Agent::start(self.config(), AgentOptions::default()).await {
                Err(StartError::Buffer(JournalError::Locked { .. }))
                    if tokio::time::Instant::now() < deadline =>
                {
                    tokio::task::yield_now().await;
                }
                started => return started.expect("starts"),
            }
        }
    }
}

pub(super) fn filelog(dir: &Path, format: &str) -> String {
    let include = dir.join("*.log");
    format!(
        "  files: {{type: filelog, include: ['{}'], format: {format}}}\n",
        include.display()
    )
}

pub(super) fn exporter(name: &str, endpoint: &str, initial: &str) -> String {
    format!(
        "  {name}: {{type: otlp, endpoint: '{endpoint}', retry: {{initial: {initial}, max: 50ms}}}}\n"
    )
}

pub(super) async fn change(agent: &mut RunningAgent, setup: &Setup<'_>) -> Changes {
    agent.reload(setup.config()).await.expect("taken over")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_configuration_touches_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let setup = Setup::new(dir.path(), &collector.endpoint());
    let mut log = Log::create(dir.path());
    let mut agent = setup.start().await;
    log.write(10);
    wait_until("first lines", || collector.lines().len() == 10).await;
    let addresses = agent.addresses().clone();
    let changes = change(&mut agent, &setup).await;
    assert!(changes.is_empty(), "{changes}");
    assert_eq!(
        (
            changes.started_receivers.len(),
            changes.started_exporters.len()
        ),
        (0, 0)
    );
    assert_eq!(agent.addresses(), &addresses);
    log.write(10);
    wait_until("all lines", || collector.lines().len() == 20).await;
    assert_eq!(collector.lines(), texts(0..20));
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_part_is_added_changed_and_removed() {
    let dir = tempfile::tempdir().expect("folder");
    let (one, two) = (TestCollector::start(), TestCollector::start());
    let mut setup = Setup::new(dir.path(), &one.endpoint());
    let mut log = Log::create(dir.path());
    let mut agent = setup.start().await;
    log.write(5);
    wait_until("by one", || one.lines().len() == 5).await;

    setup.receivers += "  otlp: {type: otlp, grpc: 127.0.0.1:0}\n";
    setup.pipelines = "  logs: {from: [files, otlp], to: [main]}\n".to_owned();
    let changes = change(&mut agent, &setup).await;
    assert_eq!(
        changes.to_string(),
        "receivers: added otlp; pipelines: changed logs; receivers started: otlp"
    );
    let address = agent.addresses()["otlp/grpc"];
    send(&agent, "sent").await.expect("stored");
    wait_until("what was sent", || one.lines().len() == 7).await;

    // A changed receiver keeps its socket, even one whose port was any.
    setup.receivers = setup
        .receivers
        .replace("127.0.0.1:0}", "127.0.0.1:0, body_max: 2MiB}");
    setup.exporters += &exporter("second", &two.endpoint(), "10ms");
    setup.pipelines = setup.pipelines.replace("[main]", "[main, second]");
    let changes = change(&mut agent, &setup).await;
    assert_eq!(
        changes.to_string(),
        "receivers: changed otlp; exporters: added second; pipelines: changed logs; receivers started: otlp; \
         exporters started: second; new, with what is stored from now on: second"
    );
    assert_eq!(agent.addresses()["otlp/grpc"], address);
    send(&agent, "again").await.expect("stored");
    log.write(5);
    wait_until("by both", || {
        one.lines().len() == 14 && two.lines().len() >= 7
    })
    .await;

    setup.receivers = filelog(dir.path(), "plain");
    setup.exporters = exporter("second", &two.endpoint(), "20ms");
    setup.pipelines = "  logs: {from: [files], to: [second]}\n".to_owned();
    let changes = change(&mut agent, &setup).await;
    assert_eq!(
        changes.to_string(),
        "receivers: changed files, removed otlp; exporters: changed second, removed main; \
         pipelines: changed logs; receivers started: files; exporters started: second"
    );
    let before = one.lines().len();
    log.write(5);
    let last = || two.lines().iter().any(|line| line == "line 14");
    wait_until("by the second", last).await;
    assert_eq!(
        one.lines().len(),
        before,
        "the removed exporter sends nothing"
    );
    let mut numbered = two.lines();
    numbered.retain(|line| line.starts_with("line"));
    numbered.dedup();
    assert_eq!(numbered[numbered.len() - 10..], texts(5..15));
    assert_eq!(agent.addresses().keys().collect::<Vec<_>>(), ["admin"]);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_started_leaves_everything_as_it_is() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let setup = Setup::new(dir.path(), &collector.endpoint());
    let mut log = Log::create(dir.path());
    let mut agent = setup.start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address))
        .expect("bound");
    let bad_receiver = format!("  busy: {{type: otlp, grpc: '{}'}}\n", taken.1);
    let no_authorities =
        "  main: {type: otlp, endpoint: 'https://127.0.0.1:9', ca_file: /nowhere/ca.pem}\n";
    let unusable = [
        Setup {
            receivers: setup.receivers.clone() + &bad_receiver,
            pipelines: "  logs: {from: [files, busy], to: [main]}\n".to_owned(),
            ..Setup::new(dir.path(), &collector.endpoint())
        },
        Setup {
            exporters: no_authorities.to_owned(),
            ..Setup::new(dir.path(), &collector.endpoint())
        },
        // The exporter before the bad one has been replaced already and is put back.
        Setup {
            exporters: exporter("before", &collector.endpoint(), "10ms") + no_authorities,
            pipelines: "  logs: {from: [files], to: [main, before]}\n".to_owned(),
            ..Setup::new(dir.path(), &collector.endpoint())
        },
        Setup {
            rest: format!("admin: {{listen: '{}'}}\n", taken.1),
            ..Setup::new(dir.path(), &collector.endpoint())
        },
        Setup {
            dir: &dir.path().join("other"),
            receivers: setup.receivers.clone(),
            ..Setup::new(dir.path(), &collector.endpoint())
        },
        Setup {
            rest: setup.rest.clone() + "limits: {disk: 2GiB}\n",
            ..Setup::new(dir.path(), &collector.endpoint())
        },
    ];
    let expected = [
        "a part of the new configuration cannot be started",
        "a part of the new configuration cannot be started",
        "a part of the new configuration cannot be started",
        "a part of the new configuration cannot be started",
        "data_dir cannot be changed while the agent runs; restart it",
        "limits.disk cannot be changed while the agent runs; restart it",
    ];
    for (setup, expected) in unusable.iter().zip(expected) {
        let refused = agent.reload(setup.config()).await.expect_err("refused");
        assert_eq!(refused.to_string(), expected);
        let sent = collector.lines().len();
        log.write(3);
        wait_until("lines after a refusal", || {
            collector.lines().len() == sent + 3
        })
        .await;
        assert_eq!(agent.status().books.len(), 1);
        assert!(logs_book(&agent).balances());
    }
    assert_eq!(collector.lines(), texts(0..log.lines));
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_under_load_lose_and_double_nothing() {
    const RELOADS: usize = 50;
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    let mut setup = Setup::new(dir.path(), &collector.endpoint());
    let mut log = Log::create(dir.path());
    let mut agent = setup.start().await;
    for round in 0..RELOADS {
        log.write(20);
        setup.receivers = filelog(dir.path(), ["auto", "plain", "logfmt"][(round + 1) % 3]);
        if round % 4 == 0 {
            let initial = ["10ms", "20ms"][round / 4 % 2];
            setup.exporters = exporter("main", &collector.endpoint(), initial);
        }
        match round {
            20 => collector.die(),
            25 => collector.come_back(),
            _ => {}
        }
        if round % 5 == 0 {
            let mut refused = Setup::new(dir.path(), "https://127.0.0.1:9");
            refused.exporters =
                "  main: {type: otlp, endpoint: 'https://a:9', ca_file: /nowhere}\n".to_owned();
            agent
                .reload(refused.config())
                .await
                .expect_err("no such file");
        }
        let changes = change(&mut agent, &setup).await;
        assert_eq!(changes.started_receivers, ["files"]);
    }
    log.write(20);
    wait_until("all lines", || collector.lines().len() >= log.lines).await;
    assert_eq!(collector.lines(), texts(0..log.lines));
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    let book = logs_book(&agent);
    assert!(book.balances() && book.dropped.is_empty(), "{book:?}");
    assert_eq!(book.delivered.records, log.lines as u64);
    // The books are the process's: those of replaced parts go on.
    let status = agent.status();
    assert!(status.balances, "{status:?}");
    let (receiver, pipeline) = (&status.receivers[0], &status.pipelines[0]);
    assert_eq!(
        (&*receiver.receiver, receiver.received.records),
        ("files", log.lines as u64)
    );
    assert_eq!(
        (pipeline.received, pipeline.delivered.records),
        (receiver.received, log.lines as u64)
    );
    assert!(pipeline.carried.is_zero() && pipeline.foreign.is_zero());
    assert!(agent.shutdown(DEADLINE).await);
}

pub(super) fn cursors(agent: &RunningAgent) -> Vec<String> {
    let stats = agent.parts.view().journal.stats();
    let mut names: Vec<String> = stats
        .cursors
        .into_iter()
        .map(|cursor| cursor.name)
        .collect();
    names.retain(|name| name.starts_with("exporter-"));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_of_a_removed_exporter_is_kept_until_it_returns_or_is_given_up() {
    let dir = tempfile::tempdir().expect("folder");
    let (alive, late) = (TestCollector::start(), TestCollector::start());
    let with = |exporters: &str, to: &str, rest: &str| Setup {
        exporters: exporters.to_owned(),
        pipelines: format!("  logs: {{from: [files], to: [{to}]}}\n"),
        rest: format!("admin: {{listen: 127.0.0.1:0}}\n{rest}"),
        ..Setup::new(dir.path(), "http://127.0.0.1:9")
    };
    let main = exporter("main", &alive.endpoint(), "10ms");
    let dead = exporter("dead", "http://127.0.0.1:9", "10ms");
    let both = with(&(main.clone() + &dead), "main, dead", "");
    let without = with(&main, "main", "");
    let mut log = Log::create(dir.path());
    let mut agent = both.start().await;
    log.write(5);
    wait_until("by the living", || alive.lines().len() == 5).await;
    change(&mut agent, &without).await;
    assert_eq!(agent.status().books.len(), 1);
    assert_eq!(cursors(&agent), ["exporter-dead", "exporter-main"]);
    // Also when the agent starts without it.
    agent.shutdown(DEADLINE).await;
    let mut agent = without.start().await;
    assert_eq!(cursors(&agent), ["exporter-dead", "exporter-main"]);
    let back = with(
        &(main.clone() + &exporter("dead", &late.endpoint(), "10ms")),
        "main, dead",
        "",
    );
    change(&mut agent, &back).await;
    wait_until("by the one that is back", || late.lines().len() == 5).await;
    // Without a backlog nothing is kept; with one, only until it is given up.
    wait_until("settled", || {
        agent.status().books.iter().all(|line| line.held.is_zero())
    })
    .await;
    change(&mut agent, &without).await;
    assert_eq!(cursors(&agent), ["exporter-main"]);
    change(&mut agent, &both).await;
    log.write(5);
    wait_until("by the living", || alive.lines().len() == 10).await;
    change(&mut agent, &with(&main, "main", "give_up: [dead]\n")).await;
    assert_eq!(cursors(&agent), ["exporter-main"]);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_serves_local_names_only_and_moves() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let mut setup = Setup::new(dir.path(), &collector.endpoint());
    let mut agent = setup.start().await;
    let first = agent.addresses()["admin"];
    let client = crate::http::client(|builder| builder.no_proxy()).expect("client");
    let status = async |address: SocketAddr, name: &str, value: &str| {
        let request = client
            .get(format!("http://{address}/livez"))
            .header(name, value);
        request
            .send()
            .await
            .map(|answer| answer.status().as_u16())
            .ok()
    };
    assert_eq!(status(first, "host", "localhost").await, Some(200));
    assert_eq!(status(first, "host", "evil.example").await, Some(421));
    assert_eq!(
        status(first, "sec-fetch-site", "cross-site").await,
        Some(403)
    );
    setup.rest = "admin: {listen: 'localhost:0'}\nresource: {a: b}\n".to_owned();
    change(&mut agent, &setup).await;
    assert_eq!(
        agent.addresses()["admin"],
        first,
        "the same address in other words"
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let other = free.local_addr().expect("bound");
    drop(free);
    setup.rest = format!("admin: {{listen: '{other}'}}\n");
    change(&mut agent, &setup).await;
    assert_eq!(status(other, "host", "localhost").await, Some(200));
    agent.shutdown(DEADLINE).await;
}
