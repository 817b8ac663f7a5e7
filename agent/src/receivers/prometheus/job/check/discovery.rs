//! Where targets are.

use std::time::Duration;

use reqwest::Url;

use super::{Notes, http};
use crate::config::no_home;
use crate::receivers::prometheus::discovery::dns::{DnsDiscovery, Records};
use crate::receivers::prometheus::discovery::file::{self, FileDiscovery};
use crate::receivers::prometheus::discovery::http::HttpDiscovery;
use crate::receivers::prometheus::discovery::kubernetes::KubernetesDiscovery;
use crate::receivers::prometheus::discovery::{ADDRESS, Discovery, Group, LabelMap};
use crate::receivers::prometheus::spec::{
    DnsSdSpec, FileSdSpec, HttpSdSpec, KubernetesSdSpec, ScrapeSpec, StaticSpec,
};
use crate::receivers::prometheus::target::address_mistake;
use crate::receivers::prometheus::units::Span;

const FILE_INTERVAL: Duration = Duration::from_secs(300);
const HTTP_INTERVAL: Duration = Duration::from_secs(60);
const DNS_INTERVAL: Duration = Duration::from_secs(30);

pub(super) fn check(spec: &ScrapeSpec, notes: &mut Notes<'_>) -> Option<Vec<Discovery>> {
    let mut all: Vec<Option<Discovery>> = Vec::new();
    if !spec.static_configs.is_empty() {
        all.push(fixed(&spec.static_configs, notes).map(Discovery::Static));
    }
    for (at, entry) in spec.file_sd_configs.iter().enumerate() {
        all.push(files(entry, &mut notes.inside("file_sd_configs", at)));
    }
    for (at, entry) in spec.http_sd_configs.iter().enumerate() {
        all.push(server(entry, &mut notes.inside("http_sd_configs", at)));
    }
    for (at, entry) in spec.dns_sd_configs.iter().enumerate() {
        all.push(names(entry, &mut notes.inside("dns_sd_configs", at)));
    }
    for (at, entry) in spec.kubernetes_sd_configs.iter().enumerate() {
        all.push(cluster(
            entry,
            &mut notes.inside("kubernetes_sd_configs", at),
        ));
    }
    all.into_iter().collect()
}

fn fixed(specs: &[StaticSpec], notes: &mut Notes<'_>) -> Option<Vec<Group>> {
    let (mut groups, mut all_right) = (Vec::new(), true);
    for (at, spec) in specs.iter().enumerate() {
        for address in &spec.targets {
            if let Some(mistake) = address_mistake(address) {
                all_right = false;
                let mut notes = notes.inside("static_configs", at);
                notes.demand(false, &["targets"], format!("target `{address}` {mistake}"));
            }
        }
        let target = |address: &String| LabelMap::from([(ADDRESS.to_owned(), address.clone())]);
        groups.push(Group {
            labels: spec.labels.clone(),
            targets: spec.targets.iter().map(target).collect(),
        });
    }
    all_right.then_some(groups)
}

fn interval(span: Option<Span>, default: Duration, notes: &mut Notes<'_>) -> Duration {
    let interval = span.map_or(default, |span| span.0);
    let message = "refresh_interval must be longer than 0";
    notes.demand(!interval.is_zero(), &["refresh_interval"], message);
    interval
}

fn files(spec: &FileSdSpec, notes: &mut Notes<'_>) -> Option<Discovery> {
    notes.demand(!spec.files.is_empty(), &["files"], "files names none");
    for pattern in &spec.files {
        let mistake = no_home(pattern).err().or_else(|| file::mistake(pattern));
        notes.demand(mistake.is_none(), &["files"], mistake.unwrap_or_default());
    }
    Some(Discovery::File(FileDiscovery {
        patterns: spec.files.clone(),
        interval: interval(spec.refresh_interval, FILE_INTERVAL, notes),
    }))
}

fn server(spec: &HttpSdSpec, notes: &mut Notes<'_>) -> Option<Discovery> {
    let interval = interval(spec.refresh_interval, HTTP_INTERVAL, notes);
    let url = Url::parse(&spec.url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| "url is no http or https address".to_owned());
    let url = notes.note("url", url);
    let http = http::check(&spec.http(), notes);
    Some(Discovery::Http(Box::new(HttpDiscovery {
        url: url?,
        interval,
        http: http?,
    })))
}

fn names(spec: &DnsSdSpec, notes: &mut Notes<'_>) -> Option<Discovery> {
    notes.demand(!spec.names.is_empty(), &["names"], "names holds none");
    let records = Records::new(spec.kind, spec.port);
    let interval = interval(spec.refresh_interval, DNS_INTERVAL, notes);
    Some(Discovery::Dns(DnsDiscovery {
        names: spec.names.clone(),
        records: notes.note("type", records)?,
        interval,
        servers: None,
    }))
}

fn cluster(spec: &KubernetesSdSpec, notes: &mut Notes<'_>) -> Option<Discovery> {
    match KubernetesDiscovery::try_from(spec.clone()) {
        Ok(cluster) => Some(Discovery::Kubernetes(cluster)),
        Err((key, message)) => {
            notes.demand(false, &[key], message);
            None
        }
    }
}
