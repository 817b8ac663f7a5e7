//! Error groups: what flows in is a failure seen anywhere ([`Occurrence`]), what flows out is a
//! small set of groups with counts, samples and a life cycle.
//!
//! The order of the modules is the order of the data: an [`Occurrence`] carries a stack as text,
//! [`stack`] parses it (and [`detect`] finds one inside an ordinary log line), [`message`] replaces
//! values by placeholders, [`fingerprint`] names the failure, and [`store`] counts it exactly once.
//!
//! Nothing here reads a clock, a network or a wire format. No input makes it panic, and all parsing
//! is linear in the length of the text, which is cut to [`occurrence::STACK_BYTES_MAX`] first.

pub mod occurrence;
pub mod stack;

pub mod detect;
pub mod message;

pub mod fingerprint;
pub mod group;

pub mod store;

pub use detect::{DetectedStack, detect_in_log_body};
pub use fingerprint::{Component, FINGERPRINT_VERSION, Fingerprint, fingerprint};
pub use group::{
    CountPoint, ErrorEvent, GroupChange, GroupChangeKind, GroupDetail, GroupPage, GroupState,
    GroupSummary, ListQuery, NamedCount, SortBy,
};
pub use occurrence::{Occurrence, OccurrenceSource};
pub use stack::{Exception, Frame, Language, ParsedStack, parse_stack};
pub use store::{ErrorStore, ErrorStoreError, StoreConfig};
