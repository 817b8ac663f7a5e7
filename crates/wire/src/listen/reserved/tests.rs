use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream as Client;
use std::process::{Command, Stdio};

use axum::Router;
use axum::routing::get;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::*;

/// Set for the process in which descriptors are used up: others would lack them.
const IS_CHILD: &str = "VERVET_TEST_USES_UP_DESCRIPTORS";
const NAME: &str = "listen::reserved::tests::a_process_without_descriptors_serves_connections";
const PATIENCE: Duration = Duration::from_secs(30);

/// One request on a connection of its own.
fn ask(address: &str) -> io::Result<String> {
    let mut client = Client::connect(address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Serves until its standard input ends; tells its address, and then that no descriptor is left.
fn serve_without_descriptors() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let reserved = Reserved::new(listener);
    let router = Router::new().route("/", get(|| async { "well" }));
    runtime.spawn(async move { axum::serve(reserved, router).await });
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut all = Vec::new();
    while let Ok(file) = File::open(NOTHING) {
        all.push(file);
    }
    let mut out = std::io::stderr();
    writeln!(out, "serves {address} beside {}", all.len()).unwrap();
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
}

#[test]
fn a_process_without_descriptors_serves_connections() {
    if std::env::var_os(IS_CHILD).is_some() {
        return serve_without_descriptors();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(IS_CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("serves ")?;
        Some(rest.split_once(' ')?.0.to_owned())
    });
    let address = address.unwrap();
    // More often than there are spares: each comes back.
    let answers: Vec<_> = (0..4 * SPARES).map(|_| ask(&address)).collect();
    drop(child.stdin.take());
    child.wait().unwrap();
    for answer in answers {
        let answer = answer.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("well"), "{answer}");
    }
}

#[tokio::test]
async fn a_descriptor_that_is_missing_comes_back_with_the_next_connection_that_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut reserved = Reserved::new(listener);
    let spares = Arc::clone(&reserved.spares);
    let held = || spares.spares.lock().len();
    assert_eq!(held(), SPARES);
    let client = TcpStream::connect(address).await.unwrap();
    let (connection, _) = reserved.accept().await;
    assert!(spares.give_up_one());
    assert_eq!(held(), SPARES - 1);
    drop(connection);
    assert_eq!(held(), SPARES);
    // The other side sees that it has ended.
    let mut left = Vec::new();
    let mut client = client;
    let read = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut left).await;
    assert_eq!(read.unwrap(), 0);
}
