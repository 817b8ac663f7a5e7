//! What becomes of a series that a target exposes: the target's labels, relabelling, limits.

use std::borrow::Cow;

use vervet_relabel::{Labels, Rule, apply};

use super::discovery::LabelMap;
use super::job::Limits;

/// The label that holds a series' name.
const NAME: &str = "__name__";
const EXPORTED: &str = "exported_";
/// As much of a name as an error shows (bytes).
const SHOWN_BYTES_MAX: usize = 50;

/// Labels as the exposition has them, in any order, empty values included.
pub(super) type LabelList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What a job says of the series of a target.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesRules<'a> {
    /// Those of the target.
    pub(super) labels: &'a LabelMap,
    pub(super) honor_labels: bool,
    pub(super) relabel: &'a [Rule],
    pub(super) limits: Limits,
}

/// A series that fails the whole scrape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SeriesError {
    #[error("metric relabelling leaves a series without a name")]
    NoName,
    #[error("`{series}` has a label without a name")]
    EmptyName { series: String },
    #[error("`{series}` has the label `{label}` twice")]
    Twice { series: String, label: String },
    #[error("label_limit exceeded: `{series}` has {labels} labels, the limit is {limit}")]
    Labels {
        series: String,
        labels: usize,
        limit: usize,
    },
    #[error(
        "label_name_length_limit exceeded: `{series}` has a label name of {bytes} bytes, the limit is {limit}"
    )]
    LabelName {
        series: String,
        bytes: usize,
        limit: usize,
    },
    #[error(
        "label_value_length_limit exceeded: `{series}` has a value of {bytes} bytes in `{label}`, the limit is {limit}"
    )]
    LabelValue {
        series: String,
        label: String,
        bytes: usize,
        limit: usize,
    },
}

impl SeriesError {
    /// The value of the label `reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoName => "no_name",
            Self::EmptyName { .. } | Self::Twice { .. } => "malformed",
            Self::Labels { .. } | Self::LabelName { .. } | Self::LabelValue { .. } => "label_limit",
        }
    }
}

impl<'a> SeriesRules<'a> {
    /// The name and the labels, by name, of a series that is kept; `None` when relabelling drops it.
    ///
    /// # Errors
    /// The scrape has failed.
    pub(super) fn series<'l>(
        &self,
        name: Cow<'l, str>,
        own: LabelList<'l>,
    ) -> Result<Option<(Cow<'l, str>, LabelList<'l>)>, SeriesError>
    where
        'a: 'l,
    {
        check_names(&name, &own)?;
        let mut labels = self.with_target(own);
        if self.relabel.is_empty() {
            self.check(&name, &labels)?;
            return Ok(Some((name, labels.into_vec())));
        }
        labels.set(NAME, name);
        if !apply(self.relabel, &mut labels) || labels.is_empty() {
            return Ok(None);
        }
        let name = labels.get(NAME).to_owned();
        if name.is_empty() {
            return Err(SeriesError::NoName);
        }
        labels.remove(NAME);
        self.check(&name, &labels)?;
        Ok(Some((Cow::Owned(name), labels.into_vec())))
    }

    /// The series' labels and the target's. An empty value is no label, but one that is honoured takes the target's away.
    fn with_target<'l>(&self, own: LabelList<'l>) -> Labels<'l>
    where
        'a: 'l,
    {
        let emptied: Vec<Cow<'l, str>> = match self.honor_labels {
            true => own
                .iter()
                .filter(|(_, value)| value.is_empty())
                .map(|(name, _)| name.clone())
                .collect(),
            false => Vec::new(),
        };
        let mut labels = Labels::from_vec(own);
        let mut conflicts: LabelList<'l> = Vec::new();
        for (name, value) in self.labels {
            if self.honor_labels {
                if !labels.has(name) && !emptied.iter().any(|emptied| emptied == name) {
                    labels.set(name.as_str(), value.as_str());
                }
                continue;
            }
            if labels.has(name) {
                let exposed = labels.get(name).to_owned();
                conflicts.push((Cow::Borrowed(name), Cow::Owned(exposed)));
            }
            labels.set(name.as_str(), value.as_str());
        }
        // Short names first, so that which label becomes what does not depend on their order.
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut exported = format!("{EXPORTED}{name}");
            while labels.has(&exported) {
                exported.insert_str(0, EXPORTED);
            }
            labels.set(exported, value);
        }
        labels
    }

    /// The name counts as a label, too.
    fn check(&self, name: &str, labels: &Labels<'_>) -> Result<(), SeriesError> {
        let limits = &self.limits;
        let count = labels.len() + 1;
        if count > limits.labels {
            return Err(SeriesError::Labels {
                series: shown(name),
                labels: count,
                limit: limits.labels,
            });
        }
        if (limits.label_name_bytes, limits.label_value_bytes) == (usize::MAX, usize::MAX) {
            return Ok(());
        }
        for (label, value) in std::iter::once((NAME, name)).chain(labels.iter()) {
            if label.len() > limits.label_name_bytes {
                return Err(SeriesError::LabelName {
                    series: shown(name),
                    bytes: label.len(),
                    limit: limits.label_name_bytes,
                });
            }
            if value.len() > limits.label_value_bytes {
                return Err(SeriesError::LabelValue {
                    series: shown(name),
                    label: shown(label),
                    bytes: value.len(),
                    limit: limits.label_value_bytes,
                });
            }
        }
        Ok(())
    }
}

/// Every name is there, and there once.
fn check_names(name: &str, own: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<(), SeriesError> {
    if name.is_empty() || own.iter().any(|(label, _)| label.is_empty()) {
        return Err(SeriesError::EmptyName {
            series: shown(name),
        });
    }
    for (at, (label, _)) in own.iter().enumerate() {
        let is_twice = own.iter().take(at).any(|(before, _)| before == label);
        if is_twice || label == NAME {
            return Err(SeriesError::Twice {
                series: shown(name),
                label: shown(label),
            });
        }
    }
    Ok(())
}

fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
