//! What a pod's annotations ask of the agent: `vervet.dev/exclude`, `vervet.dev/exclude-containers` and
//! `vervet.dev/format`, `vervet.dev/format.<container>`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::formats::FormatSpec;

const PREFIX: &str = "vervet.dev/";

/// How the logs of one container are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPolicy {
    /// Nothing of them is to be read.
    pub exclude: bool,
    /// The format of what the container writes, a word that [`FormatSpec::word`] knows; `None` leaves it to the
    /// receiver.
    pub format: Option<Arc<str>>,
}

/// The wishes of one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    exclude: bool,
    exclude_containers: Vec<String>,
    format: Option<Arc<str>>,
    formats: Vec<(String, Arc<str>)>,
    /// Annotations of ours that say nothing that can be done, as `key: value`.
    pub(crate) mistakes: Vec<String>,
}

impl Wishes {
    pub(super) fn of(annotations: &BTreeMap<String, String>) -> Self {
        let mut wishes = Self::default();
        for (key, value) in annotations {
            let Some(name) = key.strip_prefix(PREFIX) else {
                continue;
            };
            if !wishes.note(name, value.trim()) {
                wishes.mistakes.push(format!("{key}: {value:.64}"));
            }
        }
        wishes
    }

    /// False when it is not understood.
    fn note(&mut self, name: &str, value: &str) -> bool {
        match (name, value) {
            ("exclude", "true") => self.exclude = true,
            ("exclude", "false") => {}
            ("exclude-containers", names) => {
                let names = names.split(',').map(str::trim);
                self.exclude_containers = names
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            ("format", value) => match format(value) {
                Some(format) => self.format = Some(format),
                None => return false,
            },
            (name, value) => match (name.strip_prefix("format."), format(value)) {
                (Some(container), Some(format)) => {
                    self.formats.push((container.to_owned(), format));
                }
                _ => return false,
            },
        }
        true
    }

    pub(super) fn policy(&self, container: &str) -> LogPolicy {
        let own = self.formats.iter().find(|(name, _)| name == container);
        LogPolicy {
            exclude: self.exclude || self.exclude_containers.iter().any(|name| name == container),
            format: own
                .map(|(_, format)| format)
                .or(self.format.as_ref())
                .cloned(),
        }
    }
}

/// The formats that a `filelog` receiver's configuration knows, by the same words.
fn format(text: &str) -> Option<Arc<str>> {
    FormatSpec::word(text).ok().map(|_known| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(annotations: &[(&str, &str)]) -> Wishes {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Wishes::of(&annotations.iter().map(pair).collect())
    }

    #[test]
    fn a_container_overrides_its_pod() {
        let wishes = wishes(&[
            ("vervet.dev/format", "json"),
            ("vervet.dev/format.proxy", " logfmt "),
            ("vervet.dev/exclude-containers", "side, car,,"),
            ("other/exclude", "true"),
        ]);
        assert_eq!(wishes.mistakes, Vec::<String>::new());
        let check = |container, exclude, format: &str| {
            let format = Some(format.into());
            assert_eq!(wishes.policy(container), LogPolicy { exclude, format });
        };
        check("web", false, "json");
        check("proxy", false, "logfmt");
        check("side", true, "json");
        check("car", true, "json");
        check("", false, "json");
    }

    #[test]
    fn excluding_a_pod_excludes_its_containers() {
        assert!(
            wishes(&[("vervet.dev/exclude", "true")])
                .policy("a")
                .exclude
        );
        assert!(
            !wishes(&[("vervet.dev/exclude", "false")])
                .policy("a")
                .exclude
        );
        assert_eq!(wishes(&[]).policy("a"), LogPolicy::default());
    }

    #[test]
    fn what_is_not_understood_is_named_and_changes_nothing() {
        for (key, value) in [
            ("vervet.dev/exclude", "yes"),
            ("vervet.dev/format", "xml"),
            ("vervet.dev/format.web", "{}"),
            ("vervet.dev/fromat", "json"),
            ("vervet.dev/format.", ""),
        ] {
            let wishes = wishes(&[(key, value)]);
            assert_eq!(wishes.mistakes, [format!("{key}: {value}")]);
            assert_eq!(wishes.policy("web"), LogPolicy::default());
        }
    }
}
