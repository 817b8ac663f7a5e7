use std::time::Instant;

use super::*;

/// Sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _broken = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn through(mode: Mode) -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    proxy.set(mode);
    (proxy, client)
}

async fn answers(client: &mut TcpStream) -> bool {
    let mut back = [0; 1];
    let read = tokio::time::timeout(Duration::from_millis(200), client.read_exact(&mut back));
    read.await.is_ok_and(|read| read.is_ok())
}

#[tokio::test]
async fn a_stalled_connection_goes_on_where_it_stopped() {
    for mode in [Mode::Stall, Mode::StallAnswers] {
        let (proxy, mut client) = through(mode).await;
        client.write_all(b"x").await.unwrap();
        assert!(!answers(&mut client).await, "{mode:?}");
        proxy.set(Mode::Pass);
        assert!(answers(&mut client).await, "{mode:?}");
    }
}

#[tokio::test]
async fn a_connection_is_reset_after_its_bytes() {
    let (_proxy, mut client) = through(Mode::ResetAfter(30)).await;
    client.write_all(&[0; 30]).await.unwrap();
    let mut back = Vec::new();
    let error = client.read_to_end(&mut back).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(back.len() <= 20, "{}", back.len());
}

#[tokio::test]
async fn refused_connections_are_reset() {
    let (proxy, mut client) = through(Mode::Refuse).await;
    client.write_all(b"x").await.unwrap();
    assert!(client.read_to_end(&mut Vec::new()).await.is_err());
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(late.read_to_end(&mut Vec::new()).await.is_err());
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn half_closed_means_no_answer_but_an_open_ear() {
    let (_proxy, mut client) = through(Mode::HalfClose).await;
    client.write_all(b"x").await.unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).await.unwrap();
    assert!(back.is_empty());
    client.write_all(b"y").await.unwrap();
}

#[tokio::test]
async fn a_throttled_connection_is_no_faster_than_told() {
    let (_proxy, mut client) = through(Mode::Throttle(10_000)).await;
    let began = Instant::now();
    client.write_all(&[0; 5_000]).await.unwrap();
    client.read_exact(&mut [0; 5_000]).await.unwrap();
    // Half a second's worth; less a chunk that was under way when the mode changed.
    assert!(began.elapsed() > Duration::from_millis(400));
}
