//! `dns_sd_configs`: names whose records are the targets.
//!
//! Name servers, search lists and time-outs are those of `/etc/resolv.conf`, read when the discovery starts. Answers are not
//! kept: each interval asks anew. A name that does not exist has no targets; one that cannot be asked for keeps those it had.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::{ADDRESS, Group, GroupSender, LabelMap};
use crate::agent::with_causes;
use crate::receivers::prometheus::spec::DnsType;

const NAME_LABEL: &str = "__meta_dns_name";
const SRV_TARGET_LABEL: &str = "__meta_dns_srv_record_target";
const SRV_PORT_LABEL: &str = "__meta_dns_srv_record_port";

/// One entry of `dns_sd_configs`, checked.
#[derive(Debug, Clone)]
pub(crate) struct DnsDiscovery {
    pub(crate) names: Vec<String>,
    pub(crate) records: Records,
    pub(crate) interval: Duration,
    /// Instead of those of the system.
    pub(crate) servers: Option<ResolverConfig>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    Services,
    /// Addresses, with the port they are to be scraped at.
    V4(u16),
    V6(u16),
}

impl Records {
    /// # Errors
    /// The port is missing.
    pub(crate) fn new(kind: DnsType, port: Option<u16>) -> Result<Self, String> {
        let needed = || {
            format!(
                "records of type {} have no port: `port` is needed",
                kind.as_str()
            )
        };
        match (kind, port) {
            (DnsType::Srv, _) => Ok(Self::Services),
            (DnsType::A, port) => port.map(Self::V4).ok_or_else(needed),
            (DnsType::Aaaa, port) => port.map(Self::V6).ok_or_else(needed),
        }
    }

    fn kind(self) -> RecordType {
        match self {
            Self::Services => RecordType::SRV,
            Self::V4(_) => RecordType::A,
            Self::V6(_) => RecordType::AAAA,
        }
    }

    /// The target that a record tells of.
    fn target(self, record: &RData) -> Option<LabelMap> {
        let mut labels = LabelMap::new();
        let address = match (self, record) {
            (Self::Services, RData::SRV(service)) => {
                let target = service.target.to_utf8();
                let host = target.trim_end_matches('.').to_owned();
                labels.insert(SRV_TARGET_LABEL.to_owned(), target);
                labels.insert(SRV_PORT_LABEL.to_owned(), service.port.to_string());
                format!("{host}:{}", service.port)
            }
            (Self::V4(port), RData::A(ip)) => SocketAddr::from((ip.0, port)).to_string(),
            (Self::V6(port), RData::AAAA(ip)) => SocketAddr::from((ip.0, port)).to_string(),
            _ => return None,
        };
        labels.insert(ADDRESS.to_owned(), address);
        Some(labels)
    }
}

impl DnsDiscovery {
    /// Asks for ever.
    pub(super) async fn run(self, groups: &GroupSender) {
        let resolver = loop {
            match self.resolver() {
                Ok(resolver) => break resolver,
                Err(error) => groups.failed("dns", "resolv.conf", &with_causes(&error)),
            }
            tokio::time::sleep(self.interval).await;
        };
        loop {
            for name in &self.names {
                match self.ask(&resolver, name).await {
                    Ok(group) => groups.put(name.clone(), vec![group]),
                    Err(error) => groups.failed("dns", name, &with_causes(&error)),
                }
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match &self.servers {
            Some(servers) => {
                Resolver::builder_with_config(servers.clone(), TokioRuntimeProvider::default())
            }
            None => Resolver::builder_tokio()?,
        };
        builder.options_mut().cache_size = 0;
        builder.build()
    }

    async fn ask(&self, resolver: &TokioResolver, name: &str) -> Result<Group, NetError> {
        let found = match resolver.lookup(name, self.records.kind()).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Group::default()),
            Err(error) => return Err(error),
        };
        let records = found.answers().iter();
        let targets = records.filter_map(|record| self.records.target(&record.data));
        Ok(Group {
            labels: LabelMap::from([(NAME_LABEL.to_owned(), name.to_owned())]),
            targets: targets.collect(),
        })
    }
}
