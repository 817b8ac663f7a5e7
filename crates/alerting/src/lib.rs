//! Rules, alert state and notifications.
//!
//! Flows in: rule groups (Prometheus rule files, [`rule_file`]), query results through [`RuleQuery`] and
//! the time through a `Clock`. Flows out: samples through [`SampleSink`], notifications through
//! [`Notifier`], and one state document through [`StateStore`]. [`Manager`] joins them.
//!
//! There is no HTTP, no query engine and no file watching here: the caller injects the first two and
//! calls [`Manager::reload`] for the third.
//!
//! Invariants: an alert's transition is saved before it is handed to the notification pipeline; a
//! notification is logged only after it was delivered, so a crash repeats a notification but never
//! swallows one; a failed evaluation changes no alert.

pub mod duration;
pub mod seams;

mod yaml;

pub mod rule_file;
pub mod rule_test;
pub mod template;

mod alert;
mod rule_state;

mod group;
pub mod manager;
mod replay;
pub mod state;

pub mod notify;
pub mod snapshot;

pub use alert::AlertState;
pub use manager::{Manager, ManagerConfig, Seams};
pub use notify::{
    Integration, LedgerEntry, Notification, Notifier, NotifyConfig, NotifyError, NotifySpec,
};
pub use replay::{FiringAlert, Replay, RuleFailure};
pub use rule_file::nearest_key;
pub use rule_file::{
    Duplicate, GroupConfig, GroupKind, Loaded, RuleConfig, RuleFile, RuleFileError, RuleSet,
    UnknownKeys, load_dir,
};
pub use seams::{
    BoxFuture, QueryFailure, RuleQuery, RuleSample, STALE_MARKER_BITS, SampleSink, SinkFailure,
};
pub use snapshot::{AlertView, GroupView, RuleView, RulesView};
pub use state::{FileStateStore, StateError, StateStore};
