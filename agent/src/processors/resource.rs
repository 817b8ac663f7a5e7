//! `resource`: sets, renames and deletes resource attributes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use vervet_wire::otlp::{KeyValue, Resource, Value};

use crate::config::Mistakes;

/// What the configuration says of one `resource` processor. The lists are worked off in the order in which they
/// stand here. Values are texts, as in the section `resource:`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceProcessorSpec {
    /// Old key: new key. What stood under the new key is replaced.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    #[serde(default)]
    pub delete: Vec<String>,
    /// Only where the key is present.
    #[serde(default)]
    pub update: BTreeMap<String, String>,
    /// Only where the key is absent.
    #[serde(default)]
    pub insert: BTreeMap<String, String>,
    /// In any case.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}

/// The settings of a `resource` processor, checked.
#[derive(Debug, Clone)]
pub struct ResourceProcessorConfig(Vec<Action>);

#[derive(Debug, Clone)]
enum Action {
    Rename(String, String),
    Delete(String),
    Update(String, String),
    Insert(String, String),
    Set(String, String),
}

impl TryFrom<ResourceProcessorSpec> for ResourceProcessorConfig {
    type Error = Mistakes;

    fn try_from(spec: ResourceProcessorSpec) -> Result<Self, Mistakes> {
        fn of(
            map: BTreeMap<String, String>,
            action: impl Fn(String, String) -> Action,
        ) -> impl Iterator<Item = Action> {
            map.into_iter().map(move |(key, value)| action(key, value))
        }
        let mut actions: Vec<Action> = of(spec.rename, Action::Rename).collect();
        actions.extend(spec.delete.into_iter().map(Action::Delete));
        actions.extend(of(spec.update, Action::Update));
        actions.extend(of(spec.insert, Action::Insert));
        actions.extend(of(spec.set, Action::Set));
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            !actions.is_empty(),
            &[],
            "say what to do: `rename`, `delete`, `update`, `insert` or `set`",
        );
        mistakes.demand(
            actions.iter().all(|action| !action.key().is_empty()),
            &[],
            "an attribute's key is empty",
        );
        mistakes.or(Some(Self(actions)))
    }
}

impl ResourceProcessorConfig {
    pub(super) fn compile(&self) -> ResourceStep {
        ResourceStep(self.0.clone())
    }
}

impl Action {
    fn key(&self) -> &str {
        match self {
            Self::Rename(key, _)
            | Self::Delete(key)
            | Self::Update(key, _)
            | Self::Insert(key, _)
            | Self::Set(key, _) => key,
        }
    }
}

/// A `resource` processor at work.
#[derive(Debug)]
pub(super) struct ResourceStep(Vec<Action>);

impl ResourceStep {
    /// Returns whether anything is different now.
    pub(super) fn apply(&self, resource: &mut Resource<'_>) -> bool {
        let attributes = &mut resource.attributes;
        self.0
            .iter()
            .fold(false, |changed, action| action.apply(attributes) | changed)
    }
}

impl Action {
    fn apply(&self, attributes: &mut Vec<KeyValue<'_>>) -> bool {
        let at = attributes.iter().position(|a| a.key == self.key());
        match (self, at) {
            (Self::Rename(_, new), Some(at)) => {
                if let Some(attribute) = attributes.get_mut(at) {
                    attribute.key = Cow::Owned(new.clone());
                }
                let mut index = 0;
                attributes.retain(|attribute| {
                    index += 1;
                    attribute.key != new.as_str() || index == at + 1
                });
                true
            }
            (Self::Delete(key), Some(_)) => {
                attributes.retain(|attribute| attribute.key != key.as_str());
                true
            }
            (Self::Update(_, value) | Self::Set(_, value), Some(at)) => {
                let Some(attribute) = attributes.get_mut(at) else {
                    return false;
                };
                if attribute.value.as_str() == Some(value) {
                    return false;
                }
                attribute.value = Value::from(value.clone());
                true
            }
            (Self::Insert(key, value) | Self::Set(key, value), None) => {
                attributes.push(KeyValue::new(key.clone(), value.clone()));
                true
            }
            (Self::Rename(..) | Self::Delete(_) | Self::Update(..), None)
            | (Self::Insert(..), Some(_)) => false,
        }
    }
}
