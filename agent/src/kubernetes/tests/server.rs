//! An HTTPS server with pods and other objects: the kubelet's `/pods`, the API server's list and watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// Where the pods are.
const PODS: &str = "/api/v1/pods";

type Stream = BufReader<TlsStream<TcpStream>>;

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) ca_pem: String,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// What the server does to whoever asks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mood {
    Answers,
    /// With this status line and these headers.
    Refuses(&'static str),
    /// A body that is not what was asked for.
    Says(Value),
    /// Bytes that are no JSON.
    Raves,
    /// More than anybody wants.
    Floods,
    /// Nothing, with the connection open.
    Keeps,
}

struct State {
    token: String,
    mood: Mood,
    /// By the path of their collection and their uid.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    version: u64,
    /// With the collection they are about; empty for all.
    events: Vec<(u64, String, String)>,
    /// Versions before this have been forgotten.
    oldest: u64,
    /// How it says that a version has been forgotten: within a watch, or as the answer.
    gone_in_stream: bool,
    /// Watches opened before this many cuts are over.
    cuts: u64,
    page: usize,
    requests: Vec<String>,
}

/// Authorities and a certificate for 127.0.0.1 and `kubelet.test` that they signed.
pub(crate) fn certificate() -> (String, ServerConfig) {
    let authority_key = KeyPair::generate().expect("key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = authority.self_signed(&authority_key).expect("signed").pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("key");
    let names = vec!["127.0.0.1".to_owned(), "kubelet.test".to_owned()];
    let leaf = CertificateParams::new(names).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("signed");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("certificate");
    (ca_pem, config)
}

impl Server {
    pub(crate) async fn start() -> Self {
        crate::telemetry::install_tls_provider();
        let (ca_pem, config) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let state = Arc::new(Mutex::new(State {
            token: "first-token".to_owned(),
            mood: Mood::Answers,
            objects: BTreeMap::new(),
            version: 100,
            events: Vec::new(),
            oldest: 0,
            gone_in_stream: false,
            cuts: 0,
            page: usize::MAX,
            requests: Vec::new(),
        }));
        let (changed, _) = watch::channel(0);
        let server = Self {
            url: format!("https://{address}"),
            ca_pem,
            state: Arc::clone(&state),
            changed: changed.clone(),
        };
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                let changed = changed.subscribe();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        // An error means that the client has hung up.
                        let _ended = serve(BufReader::new(stream), &state, changed).await;
                    }
                });
            }
        });
        server
    }

    /// Adds a pod or changes it; watchers are told.
    pub(crate) fn put(&self, pod: Value) {
        self.put_at(PODS, pod);
    }

    /// The same for an object of another collection.
    pub(crate) fn put_at(&self, path: &str, mut object: Value) {
        self.change(path, |state| {
            let uid = object["metadata"]["uid"].as_str().expect("uid").to_owned();
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            let objects = state.objects.entry(path.to_owned()).or_default();
            let before = objects.insert(uid, object.clone());
            let kind = if before.is_some() {
                "MODIFIED"
            } else {
                "ADDED"
            };
            Some(json!({"type": kind, "object": object}).to_string())
        });
    }

    pub(crate) fn remove(&self, uid: &str) {
        self.remove_at(PODS, uid);
    }

    pub(crate) fn remove_at(&self, path: &str, uid: &str) {
        self.change(path, |state| {
            let mut object = state.take(path, uid).expect("there");
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            Some(json!({"type": "DELETED", "object": object}).to_string())
        });
    }

    /// Forgets a pod without telling watchers.
    pub(crate) fn lose(&self, uid: &str) {
        self.change(PODS, |state| {
            state.take(PODS, uid);
            None
        });
    }

    pub(crate) fn bookmark(&self) -> u64 {
        self.change("", |state| {
            let metadata = json!({"resourceVersion": state.version.to_string()});
            let object = json!({"kind": "Pod", "metadata": metadata});
            Some(json!({"type": "BOOKMARK", "object": object}).to_string())
        });
        self.state.lock().version
    }

    /// Sends a line over every watch.
    pub(crate) fn send(&self, line: &str) {
        self.change("", |_| Some(line.to_owned()));
    }

    /// Ends every watch.
    pub(crate) fn cut(&self) {
        self.change("", |state| {
            state.cuts += 1;
            None
        });
    }

    /// Forgets all versions but the present, and ends every watch.
    pub(crate) fn compact(&self, gone_in_stream: bool) {
        self.change("", |state| {
            state.oldest = state.version;
            state.gone_in_stream = gone_in_stream;
            state.cuts += 1;
            None
        });
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.state.lock().mood = mood;
    }

    pub(crate) fn set_token(&self, token: &str) {
        self.state.lock().token = token.to_owned();
    }

    pub(crate) fn set_page(&self, pods: usize) {
        self.state.lock().page = pods;
    }

    /// Paths and queries, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().requests.clone()
    }

    pub(crate) fn requests_with(&self, text: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|path| path.contains(text)).count()
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut State) -> Option<String>) {
        let mut state = self.state.lock();
        state.version += 1;
        if let Some(event) = change(&mut state) {
            let version = state.version;
            state.events.push((version, path.to_owned(), event));
        }
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }
}

impl State {
    fn take(&mut self, path: &str, uid: &str) -> Option<Value> {
        self.objects.get_mut(path)?.remove(uid)
    }
}

async fn serve(
    mut stream: Stream,
    state: &Mutex<State>,
    mut changed: watch::Receiver<u64>,
) -> std::io::Result<()> {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        let mood = {
            let mut state = state.lock();
            state.requests.push(path.clone());
            let bearer = format!("authorization: Bearer {}\r\n", state.token);
            match head.contains(&bearer) {
                true => state.mood.clone(),
                false => Mood::Refuses("401 Unauthorized"),
            }
        };
        let is_watch = path.contains("watch=1");
        match mood {
            Mood::Refuses(status) => answer(&mut stream, status, b"no").await?,
            Mood::Says(value) => {
                answer(&mut stream, "200 OK", value.to_string().as_bytes()).await?
            }
            Mood::Raves => {
                answer(&mut stream, "200 OK", b"{\"kind\": \"PodList\", \x00\xff").await?
            }
            Mood::Floods => return flood(stream).await,
            Mood::Keeps => changed.wait_for(|_| false).await.map(|_| ()).unwrap_or(()),
            Mood::Answers if is_watch => return stream_events(stream, &path, state, changed).await,
            Mood::Answers => {
                let (status, body) = list(&path, state);
                answer(&mut stream, status, body.to_string().as_bytes()).await?;
            }
        }
    }
}

fn parameter<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let (_, query) = path.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn list(path: &str, state: &Mutex<State>) -> (&'static str, Value) {
    let state = state.lock();
    let is_kubelet = path == "/pods";
    let collection = match is_kubelet {
        true => PODS,
        false => path.split('?').next().unwrap_or_default(),
    };
    let selector = parameter(path, "fieldSelector");
    let is_refused = collection == PODS && selector != Some("spec.nodeName%3Dn1");
    let kind = match collection.rsplit('/').next() {
        Some("pods") => "PodList",
        Some("nodes") => "NodeList",
        Some("services") => "ServiceList",
        Some("endpointslices") => "EndpointSliceList",
        _ => "",
    };
    if kind.is_empty() || (is_refused && !is_kubelet) {
        return ("404 Not Found", json!({"kind": "Status", "code": 404}));
    }
    let from = parameter(path, "continue").map_or(0, |from| from.parse().expect("a number"));
    let all: Vec<&Value> = state
        .objects
        .get(collection)
        .into_iter()
        .flat_map(BTreeMap::values)
        .collect();
    let page_max = if is_kubelet { usize::MAX } else { state.page };
    let page: Vec<&Value> = all.iter().copied().skip(from).take(page_max).collect();
    let to = from + page.len();
    let next = (to < all.len()).then(|| to.to_string());
    let metadata = json!({"resourceVersion": state.version.to_string(), "continue": next});
    let items = if page.is_empty() {
        json!(null)
    } else {
        json!(page)
    };
    let list = json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items});
    ("200 OK", list)
}

async fn answer(stream: &mut Stream, status: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

async fn chunk(stream: &mut Stream, bytes: &[u8]) -> std::io::Result<()> {
    let head = format!("{:x}\r\n", bytes.len());
    stream
        .write_all(&[head.as_bytes(), bytes, b"\r\n"].concat())
        .await?;
    stream.flush().await
}

/// Without end, until the client hangs up.
async fn flood(mut stream: Stream) -> std::io::Result<()> {
    stream.write_all(CHUNKED).await?;
    let spaces = vec![b' '; 1 << 20];
    loop {
        chunk(&mut stream, &spaces).await?;
    }
}

/// Sends the events after the version asked for, as they come, each in two pieces.
async fn stream_events(
    mut stream: Stream,
    path: &str,
    state: &Mutex<State>,
    mut changed: watch::Receiver<u64>,
) -> std::io::Result<()> {
    let version = parameter(path, "resourceVersion").expect("a version");
    let mut sent: u64 = version.parse().expect("a number");
    let (cuts, is_gone, gone_in_stream) = {
        let state = state.lock();
        (state.cuts, sent < state.oldest, state.gone_in_stream)
    };
    let gone = json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410});
    if is_gone && !gone_in_stream {
        let body = gone.to_string();
        return answer(&mut stream, "410 Gone", body.as_bytes()).await;
    }
    stream.write_all(CHUNKED).await?;
    stream.flush().await?;
    if is_gone {
        let line = format!("{}\n", json!({"type": "ERROR", "object": gone}));
        chunk(&mut stream, line.as_bytes()).await?;
        return chunk(&mut stream, b"").await;
    }
    loop {
        let (events, is_cut) = {
            let state = state.lock();
            let collection = path.split('?').next().unwrap_or_default();
            let new = state.events.iter().filter(|(version, about, _)| {
                *version > sent && (about.is_empty() || about == collection)
            });
            (new.cloned().collect::<Vec<_>>(), state.cuts > cuts)
        };
        for (version, _, event) in events {
            let (first, second) = event.as_bytes().split_at(event.len() / 2);
            chunk(&mut stream, first).await?;
            chunk(&mut stream, &[second, b"\n"].concat()).await?;
            sent = version;
        }
        if is_cut {
            return chunk(&mut stream, b"").await;
        }
        if changed.changed().await.is_err() {
            return Ok(());
        }
    }
}
