//! Encryption, and who trusts whom.

use std::time::Duration;

use super::authority::{Authority, SERVER_NAME};
use super::destination::Destination;
use super::rig::Rig;
use super::{texts, wait_until};
use crate::exporters::OpenError;

const DISK_BYTES: u64 = 64 << 20;

/// Whether a record arrives with these settings. When it does not, it is still there.
async fn arrives(kind: &str, server: &Destination, rig: &Rig, settings: &str) -> bool {
    let settings = format!(
        "type: {kind}, endpoint: 'https://{}', retry: {{initial: 1ms, max: 5ms}}, {settings}",
        server.address
    );
    let failed = rig.metrics.failed("main");
    let running = rig.start("main", &settings).await;
    let settled = || rig.book("main").held.is_zero();
    wait_until("an answer or some failures", || {
        settled() || rig.metrics.failed("main") >= failed + 5
    })
    .await;
    running.stop().await;
    settled()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_by_its_authority_and_name_only() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    for kind in ["otlp", "otlphttp"] {
        let server = Destination::with(|_, _| None, Duration::ZERO, Some(ours.server(None))).await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.append(&texts(0..3)).expect("room");
        let right = ours.ca_file(rig.dir.path(), "ours.pem");
        let wrong = foreign.ca_file(rig.dir.path(), "foreign.pem");
        let (right, wrong) = (right.display(), wrong.display());
        let named = format!("server_name: {SERVER_NAME}");
        let refused = [
            format!("ca_file: '{wrong}', {named}"),
            format!("ca_file: '{right}'"),
            format!("ca_file: '{right}', server_name: other.test"),
        ];
        for settings in refused {
            assert!(
                !arrives(kind, &server, &rig, &settings).await,
                "{kind}: {settings}"
            );
        }
        let settings = format!("ca_file: '{right}', {named}");
        assert!(arrives(kind, &server, &rig, &settings).await, "{kind}");
        assert_eq!(server.lines(), texts(0..3));
        assert!(rig.book("main").dropped.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_right_certificate_delivers_nothing_and_loses_nothing() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    for kind in ["otlp", "otlphttp"] {
        let tls = ours.server(Some(&ours));
        let server = Destination::with(|_, _| None, Duration::ZERO, Some(tls)).await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.append(&texts(0..3)).expect("room");
        let ca = ours.ca_file(rig.dir.path(), "ca.pem");
        let base = format!("ca_file: '{}', server_name: {SERVER_NAME}", ca.display());
        let with = |(cert, key): (std::path::PathBuf, std::path::PathBuf)| {
            format!(
                "{base}, cert_file: '{}', key_file: '{}'",
                cert.display(),
                key.display()
            )
        };
        assert!(!arrives(kind, &server, &rig, &base).await, "{kind}: none");
        let foreign = with(foreign.client_files(rig.dir.path()));
        assert!(
            !arrives(kind, &server, &rig, &foreign).await,
            "{kind}: foreign"
        );
        let right = with(ours.client_files(rig.dir.path()));
        assert!(arrives(kind, &server, &rig, &right).await, "{kind}");
        assert_eq!(server.lines(), texts(0..3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_they_should_be_are_named() {
    let rig = Rig::new(DISK_BYTES);
    let file = rig.dir.path().join("nonsense");
    std::fs::write(&file, "nonsense").expect("written");
    let message = |settings: String| -> String {
        let opened = rig.open(
            "main",
            &format!("endpoint: 'https://127.0.0.1:1', {settings}"),
        );
        opened.map(|_| ()).expect_err("refused").to_string()
    };
    let (nonsense, none) = (file.display(), rig.dir.path().join("none"));
    for kind in ["otlp", "otlphttp"] {
        let said = message(format!("type: {kind}, ca_file: '{nonsense}'"));
        assert_eq!(said, format!("{nonsense} holds no certificate"));
        let said = message(format!(
            "type: {kind}, cert_file: '{nonsense}', key_file: '{nonsense}'"
        ));
        assert_eq!(said, format!("{nonsense} holds no certificate"));
        let said = message(format!(
            "type: {kind}, auth: {{bearer_token_file: '{}'}}",
            none.display()
        ));
        assert_eq!(said, format!("{} cannot be read", none.display()));
    }
    std::fs::write(&file, " \n").expect("written");
    let opened = rig.open(
        "main",
        &format!(
            "type: otlp, endpoint: 'https://127.0.0.1:1', auth: {{bearer_token_file: '{nonsense}'}}"
        ),
    );
    assert!(
        matches!(opened, Err(OpenError::File { .. })),
        "an empty token file"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_encryption_is_told_with_what_to_do() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    for kind in ["otlp", "otlphttp"] {
        let plain = Destination::start().await;
        let tls = ours.server(None);
        let server = Destination::with(|_, _| None, Duration::ZERO, Some(tls)).await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.append(&texts(0..1)).expect("room");
        let right = ours.ca_file(rig.dir.path(), "ours.pem");
        let wrong = foreign.ca_file(rig.dir.path(), "foreign.pem");
        let (right, wrong) = (right.display(), wrong.display());
        let trusting = format!("ca_file: '{right}', server_name: {SERVER_NAME}");
        let cases = [
            (
                "https",
                &server,
                format!("ca_file: '{wrong}', server_name: {SERVER_NAME}"),
                "as `ca_file`",
            ),
            (
                "https",
                &server,
                format!("ca_file: '{right}', server_name: other.test"),
                "or `server_name`",
            ),
            ("https", &plain, trusting.clone(), "use `http://`"),
            ("http", &server, String::new(), "use `https://`"),
        ];
        for (scheme, to, settings, hint) in cases {
            let settings = format!(
                "type: {kind}, endpoint: '{scheme}://{}', retry: {{initial: 1ms, max: 5ms}}, {settings}",
                to.address
            );
            let running = rig.start("main", &settings).await;
            let last = || rig.metrics.standings.of("main")?.last_error;
            let what = format!("{kind} {scheme}: {hint}");
            wait_until(&what, || last().is_some()).await;
            let is_told = last().is_some_and(|error| error.message.contains(hint));
            assert!(is_told, "{what}: {:?}", last());
            running.stop().await;
        }
    }
}
