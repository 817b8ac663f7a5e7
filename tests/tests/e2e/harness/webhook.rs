//! A webhook that keeps what it is sent.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::eventually;

pub(crate) struct Webhook {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Value>>>,
    server: JoinHandle<()>,
}

impl Webhook {
    pub(crate) async fn start() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/hook", post(keep))
            .with_state(Arc::clone(&received));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            received,
            server,
        }
    }

    /// Waits for a notification that `wanted` takes.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(what, within, async || {
            self.received
                .lock()
                .iter()
                .find(|message| wanted(message))
                .cloned()
        })
        .await
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn keep(State(received): State<Arc<Mutex<Vec<Value>>>>, Json(message): Json<Value>) {
    received.lock().push(message);
}
