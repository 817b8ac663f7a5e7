//! Targets that speak TLS.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::kubernetes::tests::server::certificate;
use crate::receivers::prometheus::spec::{Scheme, TlsSpec};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\na 1\n";

/// A target whose certificate is for 127.0.0.1 and kubelet.test: its address and its authority.
async fn serve_tls() -> (String, String) {
    crate::telemetry::install_tls_provider();
    let (ca_pem, config) = certificate();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await?;
                let mut lines = BufReader::new(stream);
                let mut line = String::new();
                while lines.read_line(&mut line).await? > 0 {
                    if line == "\r\n" {
                        lines.write_all(ANSWER).await?;
                        lines.flush().await?;
                    }
                    line.clear();
                }
                std::io::Result::Ok(())
            });
        }
    });
    (address, ca_pem)
}

#[tokio::test]
async fn a_target_must_be_who_the_job_says() {
    let (address, ca_pem) = serve_tls().await;
    let folder = tempfile::tempdir().expect("folder");
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &ca_pem).expect("written");
    let asking = |name: &str, tls: TlsSpec| {
        let mut spec = job(name, &address);
        spec.scheme = Some(Scheme::Https);
        spec.tls_config = Some(tls);
        spec
    };
    let from_file = |server_name: Option<&str>| TlsSpec {
        ca_file: Some(ca_file.clone()),
        server_name: server_name.map(str::to_owned),
        ..TlsSpec::default()
    };
    let inline = TlsSpec {
        ca: Some(ca_pem.clone()),
        ..TlsSpec::default()
    };
    let careless = TlsSpec {
        insecure_skip_verify: true,
        ..TlsSpec::default()
    };
    let mut running = start(vec![
        asking("known", from_file(None)),
        asking("inline", inline),
        asking("named", from_file(Some("kubelet.test"))),
        asking("careless", careless),
        asking("misnamed", from_file(Some("other.test"))),
        asking("stranger", TlsSpec::default()),
    ]);
    let mut up = BTreeMap::new();
    while up.len() < 6 {
        for point in next_points(&mut running.queue).await {
            if point.name == "up" {
                up.insert(point.labels["job"].clone(), point.value);
            }
        }
    }
    let expected = [
        ("careless", 1.0),
        ("inline", 1.0),
        ("known", 1.0),
        ("misnamed", 0.0),
        ("named", 1.0),
        ("stranger", 0.0),
    ];
    let expected = expected.map(|(job, up)| (job.to_owned(), up));
    assert_eq!(up, BTreeMap::from(expected));
    running.stop().await;
}
