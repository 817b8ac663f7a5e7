//! The program runs with few arenas of the allocator, in the process that was started.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_process_goes_on_with_two_arenas() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = dir.path().join("agent.yaml");
    let text = format!(
        "data_dir: {}\nadmin: {{listen: \"127.0.0.1:0\"}}\n",
        dir.path().join("data").display()
    );
    std::fs::write(&config, text).expect("written");
    let mut agent = Command::new(env!("CARGO_BIN_EXE_vervet-agent"))
        .args(["run", "--config"])
        .arg(&config)
        .env_remove("MALLOC_ARENA_MAX")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let environment = format!("/proc/{}/environ", agent.id());
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut found = false;
    while !found && Instant::now() < deadline {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&environment).expect("the process runs");
        // It may be replaced at this very moment.
        let _interrupted = file.take(1 << 20).read_to_end(&mut bytes);
        found = bytes
            .split(|byte| *byte == 0)
            .any(|variable| variable == b"MALLOC_ARENA_MAX=2");
        std::thread::yield_now();
    }
    agent.kill().expect("killed");
    agent.wait().expect("ended");
    assert!(found || !cfg!(target_env = "gnu"));
}
