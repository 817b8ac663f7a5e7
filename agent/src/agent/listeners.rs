//! The addresses the agent listens on.
//!
//! A socket outlives the part that uses it: when a receiver is replaced, its successor gets the same socket, and no
//! client is refused in between. Sockets nobody wants any more close with the last part that uses them.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use tokio::net::TcpListener;

use super::StartError;
use crate::config::{AgentConfig, ReceiverConfig};

/// Bound sockets by what they are for: `admin`, `<receiver>/grpc`, `<receiver>/http`.
#[derive(Default)]
pub(super) struct Listeners(BTreeMap<String, Bound>);

struct Bound {
    /// As configured; port 0 asks for any.
    wanted: SocketAddr,
    address: SocketAddr,
    socket: StdListener,
}

impl Listeners {
    /// The sockets `config` asks for: those that are here already, and new ones.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub(super) async fn for_config(&self, config: &AgentConfig) -> Result<Self, StartError> {
        let mut bound = BTreeMap::new();
        for (name, wanted) in wanted(config) {
            let socket = self.open(&name, wanted).await;
            let socket = socket.map_err(|source| StartError::Listen {
                name: format!("{name} on {wanted}"),
                source,
            })?;
            bound.insert(name, socket);
        }
        Ok(Self(bound))
    }

    async fn open(&self, name: &str, wanted: SocketAddr) -> io::Result<Bound> {
        let is_same = |other: &str, bound: &Bound| {
            bound.wanted == wanted && (wanted.port() != 0 || other == name)
        };
        let known = self.0.iter().find(|(other, bound)| is_same(other, bound));
        let socket = match known {
            Some((_, bound)) => bound.socket.try_clone()?,
            None => TcpListener::bind(wanted).await?.into_std()?,
        };
        Ok(Bound {
            wanted,
            address: socket.local_addr()?,
            socket,
        })
    }

    /// A listener on one of the sockets; `None` when there is none of that name.
    pub(super) fn get(&self, name: &str) -> io::Result<Option<TcpListener>> {
        let Some(bound) = self.0.get(name) else {
            return Ok(None);
        };
        TcpListener::from_std(bound.socket.try_clone()?).map(Some)
    }

    pub(super) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let addresses = self.0.iter();
        addresses
            .map(|(name, bound)| (name.clone(), bound.address))
            .collect()
    }
}

fn wanted(config: &AgentConfig) -> Vec<(String, SocketAddr)> {
    let mut wanted = Vec::new();
    for (name, receiver) in config.used_receivers() {
        if let ReceiverConfig::Otlp(otlp) = receiver {
            wanted.extend(otlp.grpc.map(|address| (format!("{name}/grpc"), address)));
            wanted.extend(otlp.http.map(|address| (format!("{name}/http"), address)));
        }
    }
    wanted.extend(config.admin.map(|address| ("admin".to_owned(), address)));
    wanted
}
