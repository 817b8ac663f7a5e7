//! Signals and exit codes.

use super::program::Place;

const CONFIG: &str = "data_dir: DIR/data\n\
    receivers:\n  files: {type: filelog, include: ['DIR/*.txt']}\n\
    exporters:\n  main: {type: otlp, endpoint: 'http://127.0.0.1:9'}\n\
    pipelines:\n  logs: {from: [files], to: [main]}\n\
    admin: {listen: 127.0.0.1:0}\n";

#[test]
fn hang_up_reloads_and_keeps_the_old_configuration_when_the_new_one_is_bad() {
    let place = Place::new();
    let config = place.configure(CONFIG);
    let mut agent = place.start(&config);
    place.wait_for_log("agent started");
    place.configure(&CONFIG.replace("include", "inclde"));
    agent.signal("HUP");
    let line = place.wait_for_log("the new configuration is invalid");
    assert!(
        line.contains("agent.yaml:3") && line.contains("did you mean `include`"),
        "{line}"
    );
    place.wait_for_log("the configuration stays as it was");
    place.configure(&CONFIG.replace("*.txt'", "*.log', 'DIR/*.txt'"));
    agent.signal("HUP");
    let line = place.wait_for_log("configuration reloaded");
    assert!(
        line.contains("receivers: changed files; receivers started: files"),
        "{line}"
    );
    place.configure(&CONFIG.replace("DIR/data", "DIR/elsewhere"));
    agent.signal("HUP");
    place.wait_for_log("data_dir cannot be changed while the agent runs; restart it");
    agent.signal("TERM");
    assert_eq!(agent.wait(), Some(0));
}

#[test]
fn termination_drains_and_a_second_one_ends_at_once() {
    let place = Place::new();
    let config = place.configure(CONFIG);
    std::fs::write(place.path("a.txt"), "one\n").expect("written");
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    let status = || place.vervet(&["status", "--admin", &admin]);
    super::program::wait_until("a held record", || {
        String::from_utf8_lossy(&status().stdout).contains("1 (")
    });
    // The destination is dead, so the drain lasts until its deadline, unless it is told again.
    agent.signal("TERM");
    place.wait_for_log("shutting down");
    agent.signal("INT");
    assert_eq!(agent.wait(), Some(0));
    place.wait_for_log("told to end a second time");
    let line = place.wait_for_log("ended early, the rest is sent after the next start");
    assert!(line.contains("main") && line.contains("batches"), "{line}");
    // It is there after the next start; and two signals at once are two.
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    super::program::wait_until("the held record again", || {
        let status = place.vervet(&["status", "--admin", &admin]);
        String::from_utf8_lossy(&status.stdout).contains("1 (")
    });
    agent.signal("TERM");
    agent.signal("INT");
    assert_eq!(agent.wait(), Some(0));
    let line = place.wait_for_log("ended early, the rest is sent after the next start");
    assert!(line.contains("main"), "{line}");
}

#[test]
fn status_is_text_or_json_and_says_when_nobody_answers() {
    let place = Place::new();
    let config = place.configure(CONFIG);
    std::fs::write(place.path("a.txt"), "").expect("written");
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    let shown = place.vervet(&["status", "--admin", &admin]);
    assert_eq!(shown.status.code(), Some(0));
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        text.contains("data flows") && text.contains("books\n  exporter  signal"),
        "{text}"
    );
    let json = place.vervet(&["status", "--json", "--admin", &admin]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["books"][0]["exporter"], "main");
    agent.signal("INT");
    assert_eq!(agent.wait(), Some(0));
    let nobody = place.vervet(&["status", "--admin", &admin]);
    assert_eq!(nobody.status.code(), Some(2));
    let help = place.vervet(&["status", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("Exit code: 0 data flows"), "{help}");
    let error = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(error.contains("no agent answers at"), "{error}");
}

#[test]
fn an_outage_is_told_by_the_address_of_the_configuration() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let text = CONFIG.replace("127.0.0.1:0", &address);
    let config = place.configure(&text);
    let path = config.display().to_string();
    std::fs::write(place.path("a.txt"), "one\n").expect("written");
    let mut agent = place.start(&config);
    place.wait_for_log("agent started");
    let asked = || place.vervet(&["status", "--config", &path]);
    let status = || String::from_utf8_lossy(&asked().stdout).into_owned();
    super::program::wait_until("the reason", || {
        let text = status();
        text.contains("NOT WELL:\n  ! exporter main: retrying for ")
            && text.contains("last error ")
            && text.contains("refused")
    });
    assert_eq!(asked().status.code(), Some(1));
    agent.signal("HUP");
    super::program::wait_until("nothing changed", || {
        let text = status();
        text.contains("; read again at ") && text.contains(" ago): nothing changed\n")
    });
    // A bad configuration stays in the status, and its address is found in it all the same.
    place.configure(&text.replace("include", "inclde"));
    agent.signal("HUP");
    super::program::wait_until("the refusal", || {
        let text = status();
        text.contains("was REFUSED:\n") && text.contains("agent.yaml:3: ")
    });
    agent.signal("TERM");
    place.wait_for_log("shutting down");
    agent.signal("TERM");
    assert_eq!(agent.wait(), Some(0));
    let nobody = place.vervet(&["status", "--config", &path]);
    assert_eq!(nobody.status.code(), Some(2));
    let help = place.vervet(&["status", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("Exit code: 0 data flows"), "{help}");
    let error = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(error.lines().count(), 1, "{error}");
    let start = format!("start it with `vervet-agent run --config {path}`");
    assert!(
        error.contains(&format!("no agent answers at {address} (")) && error.contains(&start),
        "{error}"
    );
}

#[test]
fn what_a_stop_loses_is_its_exit_code_and_known_after_the_next_start() {
    let place = Place::new();
    let text = CONFIG
        .replace(
            "receivers:",
            "receivers:\n  host: {type: hostmetrics, interval: 1s}",
        )
        .replace(
            "pipelines:",
            "pipelines:\n  metrics: {from: [host], to: [main]}",
        )
        + "limits: {disk: 1MiB}\n";
    let config = place.configure(&text);
    let lines = format!("{}\n", "x".repeat(999)).repeat(1_200);
    std::fs::write(place.path("a.txt"), lines).expect("written");
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    let status = || {
        let json = place.vervet(&["status", "--json", "--admin", &admin]);
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap_or_default()
    };
    // The destination is dead, so the buffer is full, and a batch of figures waits for room.
    super::program::wait_until("figures wait", || {
        let status = status();
        let receivers = status["receivers"].as_array().cloned();
        let mut receivers = receivers.unwrap_or_default().into_iter();
        let host = receivers.find(|line| line["receiver"] == "host");
        host.is_some_and(|host| host["waiting"]["records"].as_u64() > Some(0))
            && status["complaints"]
                .to_string()
                .contains("disk budget used up")
    });
    agent.signal("TERM");
    place.wait_for_log("shutting down");
    agent.signal("INT");
    assert_eq!(agent.wait(), Some(3));
    let line = place.wait_for_log("the stop has lost records");
    assert!(line.contains("host") && line.contains("metrics"), "{line}");
    let mut agent = place.start(&config);
    let admin = place.admin_address();
    let status = || {
        let json = place.vervet(&["status", "--json", "--admin", &admin]);
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap_or_default()
    };
    super::program::wait_until("it is remembered", || {
        status()["lost_at_stops"]["stops"] == 1
    });
    let told = status();
    let lost = &told["lost_at_stops"]["lost"][0];
    assert_eq!(
        (&lost["receiver"], &lost["reason"]),
        (&"host".into(), &"shutdown".into())
    );
    assert!(lost["amount"]["records"].as_u64() > Some(0), "{lost}");
    assert!(
        told["warnings"].to_string().contains("stops have lost"),
        "{told}"
    );
    agent.signal("TERM");
    place.wait_for_log("shutting down");
    agent.signal("INT");
    let code = agent.wait();
    assert!(matches!(code, Some(0 | 3)), "{code:?}");
}
