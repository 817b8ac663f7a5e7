//! What the agent of a scenario is told.

use std::net::SocketAddr;
use std::path::Path;

use crate::shape::Shape;
use crate::site::DATA;

/// The exporter that every scenario has.
pub(crate) const MAIN: &str = "main";
/// Reasons in the books: room was made, and the exporter, which is never [`MAIN`], was not there.
pub(crate) const EVICTED: &str = "evicted_by_drop_oldest";
pub(crate) const NOT_CONFIGURED: &str = "not_configured";
/// The receiver that every scenario has.
pub(crate) const FILES: &str = "files";

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) receivers: Vec<Receiver>,
    /// Each is sent what all receivers read: there is one pipeline for logs.
    pub(crate) exporters: &'static [&'static str],
    /// YAML of `limits`.
    pub(crate) limits: &'static str,
    /// Further YAML of the exporters, with a comma before it.
    pub(crate) exporter: &'static str,
    /// Why the agent gives data up; the books must tell how much.
    pub(crate) may_drop: Option<&'static str>,
    /// A message of the agent without which the scenario has shown nothing.
    pub(crate) must_say: &'static str,
    /// The user the agent runs as, when it is not the one of the test.
    pub(crate) user: Option<u32>,
    /// Descriptors the agent may have, when it is not as many as the test.
    pub(crate) descriptors: Option<u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) name: &'static str,
    /// Below the folder of logs; empty for that itself.
    pub(crate) folder: &'static str,
    /// Globs below that folder.
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) shape: Shape,
    /// Further YAML, with a comma before it.
    pub(crate) yaml: &'static str,
}

impl Setup {
    pub(crate) fn new(name: &str, include: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            receivers: vec![Receiver::new(FILES, "", include)],
            exporters: &[MAIN],
            limits: "{}",
            exporter: "",
            may_drop: None,
            must_say: "",
            user: None,
            descriptors: None,
        }
    }

    /// The agent's configuration in a folder, when those addresses are the exporters'.
    pub(crate) fn yaml(&self, dir: &Path, addresses: &[(&'static str, SocketAddr)]) -> String {
        let logs = dir.join("logs");
        let receivers = self.receivers.iter().map(|receiver| receiver.yaml(&logs));
        let (limits, further) = (self.limits, self.exporter);
        let exporters = addresses.iter();
        let exporters = exporters.filter(|(name, _)| self.exporters.contains(name));
        let exporters = exporters.map(|(name, address)| {
            format!(
                "  {name}: {{type: otlp, endpoint: \"http://{address}\", timeout: 1s, \
                 retry: {{initial: 20ms, max: 300ms}}{further}}}\n"
            )
        });
        let from = self.receivers.iter().map(|receiver| receiver.name);
        let from = from.collect::<Vec<_>>().join(", ");
        format!(
            "data_dir: {data}\n\
             admin: {{listen: \"127.0.0.1:0\"}}\n\
             limits: {limits}\n\
             receivers:\n{receivers}\
             exporters:\n{exporters}\
             pipelines:\n  logs: {{from: [{from}], to: [{to}]}}\n",
            data = dir.join(DATA).display(),
            receivers = receivers.collect::<String>(),
            exporters = exporters.collect::<String>(),
            to = self.exporters.join(", "),
        )
    }
}

impl Receiver {
    pub(crate) fn new(name: &'static str, folder: &'static str, include: &[&str]) -> Self {
        Self {
            name,
            folder,
            include: include.iter().map(|glob| (*glob).to_owned()).collect(),
            exclude: Vec::new(),
            shape: Shape::Plain,
            yaml: "",
        }
    }

    fn yaml(&self, logs: &Path) -> String {
        let folder = logs.join(self.folder);
        let globs = |globs: &[String]| {
            let globs = globs.iter();
            let globs = globs.map(|glob| format!("\"{}\"", folder.join(glob).display()));
            globs.collect::<Vec<_>>().join(", ")
        };
        let (name, format, yaml) = (self.name, self.shape.format(), self.yaml);
        let (include, exclude) = (globs(&self.include), globs(&self.exclude));
        let exclude = match exclude.is_empty() {
            true => String::new(),
            false => format!(", exclude: [{exclude}]"),
        };
        format!(
            "  {name}: {{type: filelog, include: [{include}]{exclude}, format: {format}, \
             service_name: oracle{yaml}}}\n"
        )
    }
}
