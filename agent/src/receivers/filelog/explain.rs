//! What a `filelog` receiver makes of text that stands in no file: for `explain` and the configuration's own tests.
//!
//! The text takes the way of a file's bytes, through the same framing and formats; only the encoding is left out.

use std::path::Path;
use std::time::Instant;

use vervet_wire::otlp::{KeyValue, LogRecord, Resource};

use super::discovery::Discovery;
use super::framing::Framing;
use super::lines::{Lines, Record};
use super::sink::with_record;
use super::{EncodingSpec, FilelogConfig, FilelogSpec, PodRoots, resource};
use crate::formats::{FormatSpec, LogFormat};
use crate::processors::Origin;

/// One record, and how it was read.
pub(crate) struct ReadRecord<'r> {
    pub(crate) record: LogRecord<'r>,
    /// The container runtime that wrote the line.
    pub(crate) runtime: Option<&'static str>,
    /// The format of the text.
    pub(crate) format: &'static str,
    /// The format was found out, not configured.
    pub(crate) detected: bool,
    /// The format the text turned out not to be of.
    pub(crate) failed: Option<&'static str>,
    /// Bytes that were no text were replaced.
    pub(crate) replaced: bool,
    pub(crate) text_bytes: usize,
}

impl FilelogConfig {
    /// A receiver that exists only to read text of one format.
    pub(crate) fn of_format(format: FormatSpec) -> Result<Self, String> {
        let spec = serde_json::json!({"include": ["/"]});
        let mut spec: FilelogSpec =
            serde_json::from_value(spec).map_err(|error| error.to_string())?;
        spec.format = format;
        Self::try_from(spec)
    }

    /// The same receiver with another format.
    pub(crate) fn with_format(&self, format: FormatSpec) -> Result<Self, String> {
        let spec = FilelogSpec {
            format,
            ..self.spec.clone()
        };
        Self::try_from(spec)
    }

    /// Whether it reads the file called `path`.
    pub(crate) fn reads(&self, path: &Path) -> bool {
        self.patterns.match_path(path)
    }

    /// Its globs that match no file on this machine now. Lists folders.
    pub(crate) fn without_files(&self) -> Vec<&str> {
        let mut discovery = Discovery::new(self.patterns.clone());
        discovery.sweep();
        let unmatched = discovery.unmatched().iter();
        let globs = unmatched.filter_map(|at| self.spec.include.get(*at));
        globs.map(String::as_str).collect()
    }

    /// Why it does not read the file at `path` although its globs match; `None` when it does, or no such file is here.
    pub(crate) fn refusal(&self, path: &Path) -> Option<String> {
        self.patterns.refusal(path)
    }

    /// The pod's uid and the container's name, when a file's path tells them.
    pub(crate) fn container_of<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str)> {
        let pod = self.spec.pod_roots.pod_of(path)?;
        Some((pod.uid, pod.container))
    }

    /// A glob of files that are named like those of pods, in a folder that is not taken for the kubelet's.
    pub(crate) fn pods_elsewhere(&self) -> Option<&str> {
        let mut globs = self.spec.include.iter().map(String::as_str);
        let is_elsewhere =
            |glob: &&str| glob.contains("/log/pods/") && !self.spec.pod_roots.hold(Path::new(glob));
        globs.find(|glob| self.spec.pod_roots == PodRoots::default() && is_elsewhere(glob))
    }

    /// The resource of the records of a file, before processors; without a path, what is known without it.
    pub(crate) fn resource_of(
        &self,
        path: Option<&str>,
        configured: &[(String, String)],
    ) -> Resource<'static> {
        let service = self.spec.service_name.as_deref();
        if let Some(path) = path {
            let pod = self.spec.pod_roots.pod_of(path);
            return resource::of_file(path, pod, configured, service);
        }
        let pair = |(key, value): &(String, String)| KeyValue::new(key.clone(), value.clone());
        let mut attributes: Vec<_> = configured.iter().map(pair).collect();
        if let Some(service) = service
            && !configured.iter().any(|(key, _)| key == "service.name")
        {
            attributes.push(KeyValue::new("service.name", service.to_owned()));
        }
        Resource { attributes }
    }

    /// Who says what [`Self::resource_of`] a file tells.
    pub(crate) fn origin(&self, configured: &[(String, String)]) -> Origin {
        resource::origin(configured, self.spec.service_name.as_deref())
    }

    /// Hands over the records of `text`, in order; `format` is the word of a pod's annotation.
    pub(crate) fn read_text(
        &self,
        text: &[u8],
        format: Option<&str>,
        observed_unix_nano: u64,
        mut each: impl FnMut(ReadRecord<'_>),
    ) -> Result<(), String> {
        let spec = FilelogSpec {
            encoding: EncodingSpec::Utf8,
            ..self.spec.clone()
        };
        let mut framing = Framing::new(&spec).map_err(|error| error.to_string())?;
        if let Some(format) = format {
            let other = framing.with_format(format);
            framing = other.map_err(|error| error.to_string())?;
        }
        let mut lines = Lines::new(framing.clone());
        lines.scan(text, true, Instant::now());
        lines.close_all();
        while let Some(record) = lines.pop() {
            let read = lines.text(&record, text);
            let parsed = lines.parse(&record, &read.text, observed_unix_nano);
            let (failed, text_bytes) = (parsed.failed, read.text.len());
            let format = match framing.parser().format() {
                LogFormat::Auto => lines.latest(&record),
                format => format,
            };
            with_record(parsed, observed_unix_nano, |log| {
                each(ReadRecord {
                    record: log,
                    runtime: runtime_of(&record, text),
                    format: format.as_str(),
                    detected: framing.detects(),
                    failed,
                    replaced: read.replaced,
                    text_bytes,
                });
            });
        }
        Ok(())
    }
}

fn runtime_of(record: &Record, text: &[u8]) -> Option<&'static str> {
    record.runtime()?;
    match text.get(record.start()) {
        Some(b'{') => Some("docker"),
        _ => Some("cri"),
    }
}
