//! A server that speaks as much of S3 as backups need, with its objects in memory: put, multipart, get, list, delete.
//! Every answer waits a little when told to, so that a copy can be interrupted in the middle.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const BUCKET: &str = "bucket";
const MODIFIED: &str = "Fri, 04 Oct 2024 00:00:00 GMT";
const ETAG: &str = "\"0\"";

pub(crate) struct S3 {
    endpoint: String,
    bucket: Arc<Bucket>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Bytes>>,
    uploads: Mutex<HashMap<String, BTreeMap<u32, Bytes>>>,
    next_upload: AtomicU64,
    pause_ms: AtomicU64,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let bucket = Arc::new(Bucket::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&bucket));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            endpoint,
            bucket,
            server,
        }
    }

    /// Where backups go, as the command takes it.
    pub(crate) fn location(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Tells a program where the server is.
    pub(crate) fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("AWS_ENDPOINT", &self.endpoint)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "test")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.bucket.objects.lock().keys().cloned().collect()
    }

    /// Makes every answer wait.
    pub(crate) fn slow_down(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_millis()).unwrap();
        self.bucket.pause_ms.store(pause, Ordering::Relaxed);
    }

    /// Flips a bit of an object whose name ends so.
    pub(crate) fn damage(&self, suffix: &str) {
        let mut objects = self.bucket.objects.lock();
        let found = objects.iter_mut().find(|(name, _)| name.ends_with(suffix));
        let (_name, object) = found.unwrap();
        let mut bytes = object.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        *object = bytes.into();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(bucket): State<Arc<Bucket>>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    tokio::time::sleep(Duration::from_millis(
        bucket.pause_ms.load(Ordering::Relaxed),
    ))
    .await;
    let path = uri.path().trim_start_matches('/');
    let Some(rest) = path.strip_prefix(BUCKET) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let key = rest.trim_start_matches('/').replace("%3D", "=");
    match (method, query.get("uploadId")) {
        (Method::GET, _) if key.is_empty() => list(&bucket, query.get("prefix")),
        (Method::GET | Method::HEAD, _) => get(&bucket, &key),
        (Method::POST, None) if query.contains_key("uploads") => begin(&bucket),
        (Method::POST, None) if query.contains_key("delete") => delete(&bucket, &body),
        (Method::PUT, None) => {
            bucket.objects.lock().insert(key, body);
            ([(header::ETAG, ETAG)], "").into_response()
        }
        (Method::PUT, Some(upload)) => {
            let number = query["partNumber"].parse().unwrap();
            let mut uploads = bucket.uploads.lock();
            uploads.get_mut(upload).unwrap().insert(number, body);
            ([(header::ETAG, ETAG)], "").into_response()
        }
        (Method::POST, Some(upload)) => complete(&bucket, key, upload),
        (Method::DELETE, upload) => {
            match upload {
                Some(upload) => drop(bucket.uploads.lock().remove(upload)),
                None => drop(bucket.objects.lock().remove(&key)),
            }
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

fn list(bucket: &Bucket, prefix: Option<&String>) -> Response {
    let prefix = prefix.map(String::as_str).unwrap_or_default();
    let contents: String = bucket
        .objects
        .lock()
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(key, object)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2024-10-04T00:00:00.000Z</LastModified>\
                 <ETag>{ETAG}</ETag><Size>{}</Size></Contents>",
                object.len()
            )
        })
        .collect();
    format!("<ListBucketResult>{contents}</ListBucketResult>").into_response()
}

fn get(bucket: &Bucket, key: &str) -> Response {
    match bucket.objects.lock().get(key) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(object) => {
            let headers = [(header::ETAG, ETAG), (header::LAST_MODIFIED, MODIFIED)];
            (headers, object.clone()).into_response()
        }
    }
}

fn begin(bucket: &Bucket) -> Response {
    let upload = bucket
        .next_upload
        .fetch_add(1, Ordering::Relaxed)
        .to_string();
    bucket
        .uploads
        .lock()
        .insert(upload.clone(), BTreeMap::new());
    format!("<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        .into_response()
}

fn complete(bucket: &Bucket, key: String, upload: &str) -> Response {
    let parts = bucket.uploads.lock().remove(upload).unwrap();
    let object: Vec<u8> = parts.into_values().flatten().collect();
    bucket.objects.lock().insert(key, object.into());
    format!("<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>")
        .into_response()
}

/// A bulk deletion names its keys in XML.
fn delete(bucket: &Bucket, body: &[u8]) -> Response {
    let text = String::from_utf8_lossy(body);
    let keys = text
        .split("<Key>")
        .skip(1)
        .filter_map(|rest| rest.split("</Key>").next());
    let mut deleted = String::new();
    for key in keys {
        bucket.objects.lock().remove(key);
        deleted.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
    }
    format!("<DeleteResult>{deleted}</DeleteResult>").into_response()
}
