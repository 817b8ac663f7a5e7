//! The route tree, resolved: every route knows its receiver, labels and timers.

use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Labels, Matcher};

use super::Integration;
use super::spec::{
    NotifySpec, NotifySpecError, NotifySpecErrors, ReceiverSpec, RouteSpec, parse_matcher,
};
use crate::duration::PromDuration;

const GROUP_BY: [&str; 3] = ["alertname", "service_name", "deployment_environment_name"];
const GROUP_WAIT: Duration = Duration::from_secs(30);
const GROUP_INTERVAL: Duration = Duration::from_secs(5 * 60);
const REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3600);

/// Valid notification settings.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    root: Arc<RouteConfig>,
}

/// A route with everything inherited filled in.
#[derive(Debug)]
pub struct RouteConfig {
    /// The matchers on the way from the root, as Alertmanager writes them in a group key.
    pub(crate) key: String,
    pub(crate) receiver: String,
    pub(crate) integrations: Vec<Integration>,
    /// `None` groups by every label.
    pub(crate) group_by: Option<Vec<String>>,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) repeat_interval: Duration,
    matchers: Vec<Matcher>,
    go_on: bool,
    children: Vec<Arc<RouteConfig>>,
}

impl NotifyConfig {
    /// The routes that take an alert, at least one.
    pub(crate) fn routes_for(&self, labels: &Labels) -> Vec<Arc<RouteConfig>> {
        let mut routes = Vec::new();
        collect(&self.root, labels, &mut routes);
        routes
    }
}

impl Default for NotifyConfig {
    /// One receiver without targets: alerts are evaluated and shown, nothing is sent.
    fn default() -> Self {
        let root = Inherited::default();
        Self {
            root: Arc::new(root.route("{}".to_owned(), Vec::new(), false, Vec::new(), &[])),
        }
    }
}

impl TryFrom<NotifySpec> for NotifyConfig {
    type Error = NotifySpecErrors;

    fn try_from(spec: NotifySpec) -> Result<Self, NotifySpecErrors> {
        let mut errors = Vec::new();
        check_receivers(&spec.receivers, &mut errors);
        if !spec.route.matchers.is_empty() {
            errors.push(NotifySpecError::RootMatchers);
        }
        if spec.route.receiver.is_none() {
            errors.push(NotifySpecError::NoReceiver);
        }
        let root = route(&spec, &spec.route, None, &mut errors);
        match errors.is_empty() {
            true => Ok(Self {
                root: Arc::new(root),
            }),
            false => Err(NotifySpecErrors(errors)),
        }
    }
}

fn check_receivers(receivers: &[ReceiverSpec], errors: &mut Vec<NotifySpecError>) {
    for (index, receiver) in receivers.iter().enumerate() {
        let mut earlier = receivers.iter().take(index);
        if earlier.any(|earlier| earlier.name == receiver.name) {
            errors.push(NotifySpecError::DuplicateReceiver(receiver.name.clone()));
        }
        for webhook in &receiver.webhook_configs {
            let mut schemes = ["http://", "https://"].iter();
            if !schemes.any(|scheme| webhook.url.starts_with(scheme)) {
                errors.push(NotifySpecError::Url {
                    receiver: receiver.name.clone(),
                    url: webhook.url.clone(),
                });
            }
        }
    }
}

/// What a child takes over from its parent.
#[derive(Clone)]
struct Inherited {
    receiver: String,
    group_by: Option<Vec<String>>,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
}

impl Default for Inherited {
    fn default() -> Self {
        Self {
            receiver: "default".to_owned(),
            group_by: Some(GROUP_BY.map(str::to_owned).to_vec()),
            group_wait: GROUP_WAIT,
            group_interval: GROUP_INTERVAL,
            repeat_interval: REPEAT_INTERVAL,
        }
    }
}

impl Inherited {
    fn overlaid(&self, spec: &RouteSpec, errors: &mut Vec<NotifySpecError>) -> Self {
        let mut interval = |own: Option<PromDuration>, inherited: Duration, name| match own {
            Some(own) if own.0.is_zero() => {
                errors.push(NotifySpecError::ZeroInterval(name));
                inherited
            }
            Some(own) => own.0,
            None => inherited,
        };
        let group_interval = interval(spec.group_interval, self.group_interval, "group_interval");
        let repeat_interval = interval(
            spec.repeat_interval,
            self.repeat_interval,
            "repeat_interval",
        );
        let group_by = match &spec.group_by {
            Some(names) if names.iter().any(|name| name == "...") => None,
            Some(names) => Some(names.clone()),
            None => self.group_by.clone(),
        };
        Self {
            receiver: spec
                .receiver
                .clone()
                .unwrap_or_else(|| self.receiver.clone()),
            group_by,
            group_wait: spec.group_wait.map_or(self.group_wait, |wait| wait.0),
            group_interval,
            repeat_interval,
        }
    }

    fn route(
        self,
        key: String,
        matchers: Vec<Matcher>,
        go_on: bool,
        children: Vec<Arc<RouteConfig>>,
        receivers: &[ReceiverSpec],
    ) -> RouteConfig {
        let found = receivers
            .iter()
            .find(|receiver| receiver.name == self.receiver);
        let webhooks = found.map(|receiver| receiver.webhook_configs.as_slice());
        let integrations = webhooks.unwrap_or_default().iter().enumerate();
        RouteConfig {
            key,
            integrations: integrations
                .map(|(index, webhook)| Integration {
                    receiver: self.receiver.clone(),
                    index,
                    webhook: webhook.clone(),
                })
                .collect(),
            receiver: self.receiver,
            group_by: self.group_by,
            group_wait: self.group_wait,
            group_interval: self.group_interval,
            repeat_interval: self.repeat_interval,
            matchers,
            go_on,
            children,
        }
    }
}

/// The route and those below it; `parent` is the one above with its key. Every mistake is noted, what is wrong is left out.
fn route(
    all: &NotifySpec,
    spec: &RouteSpec,
    parent: Option<(&Inherited, &str)>,
    errors: &mut Vec<NotifySpecError>,
) -> RouteConfig {
    let default = Inherited::default();
    let (inherited, parent_key) = parent.unzip();
    let own = inherited.unwrap_or(&default).overlaid(spec, errors);
    let mut known = all.receivers.iter();
    // An inherited one has been told.
    if let Some(name) = &spec.receiver
        && !known.any(|receiver| receiver.name == *name)
    {
        errors.push(NotifySpecError::UnknownReceiver(name.clone()));
    }
    let mut matchers: Vec<Matcher> = Vec::new();
    for text in &spec.matchers {
        match parse_matcher(text) {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => errors.push(error),
        }
    }
    let texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    let own_key = format!("{{{}}}", texts.join(","));
    let key = parent_key.map_or(own_key.clone(), |parent| format!("{parent}/{own_key}"));
    let mut children = Vec::new();
    for child in &spec.routes {
        children.push(Arc::new(route(all, child, Some((&own, &key)), errors)));
    }
    own.route(key, matchers, spec.go_on, children, &all.receivers)
}

/// Adds the deepest routes that match; false when the route itself does not.
fn collect(route: &Arc<RouteConfig>, labels: &Labels, into: &mut Vec<Arc<RouteConfig>>) -> bool {
    if !route
        .matchers
        .iter()
        .all(|matcher| matcher.matches_labels(labels))
    {
        return false;
    }
    let before = into.len();
    for child in &route.children {
        if collect(child, labels, into) && !child.go_on {
            break;
        }
    }
    if into.len() == before {
        into.push(Arc::clone(route));
    }
    true
}
