//! What one call of `apply` changes, gathered in memory so that a burst of one failure costs one
//! update of its group.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::apply::Prepared;
use super::events::{self, EventRow};
use super::rows::{self, GroupRow};
use super::sightings::Known;
use super::{Result, StoreConfig, sqlite};
use crate::fingerprint::group_id;
use crate::group::{GroupChange, GroupChangeKind, GroupState};

/// The fingerprint of the group that takes what is beyond `groups_per_service_max`.
const OVERFLOW: &str = "overflow";

pub(super) struct Pending<'a> {
    config: &'a StoreConfig,
    /// When all this is noticed.
    now_ms: i64,
    groups: BTreeMap<String, PendingGroup<'a>>,
    /// Groups of a service, counted when it first needs a new one.
    groups_of_service: HashMap<String, usize>,
    /// Which group holds the event of a sighting made in this call.
    group_of_event: HashMap<i64, String>,
}

struct PendingGroup<'a> {
    row: GroupRow,
    kind: GroupChangeKind,
    counted: u64,
    newest: &'a Prepared<'a>,
    /// By minute, version and environment.
    counts: BTreeMap<(i64, &'a str, &'a str), i64>,
    events: Vec<EventRow<'a>>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(config: &'a StoreConfig, now_ms: i64) -> Self {
        Self {
            config,
            now_ms,
            groups: BTreeMap::new(),
            groups_of_service: HashMap::new(),
            group_of_event: HashMap::new(),
        }
    }

    /// Counts a failure that was not seen before; `id` is that of its sighting.
    pub(super) fn count(
        &mut self,
        connection: &Connection,
        id: i64,
        new: &'a Prepared<'a>,
    ) -> Result<()> {
        let events_max = self.config.events_per_group_max;
        let group_id = self.group_for(connection, new)?;
        let Some(group) = self.groups.get_mut(&group_id) else {
            return Ok(());
        };
        if comes_back(connection, &group.row, new)? {
            group.row.state = GroupState::Open;
            group.row.regressed = true;
            group.row.regressed_at_ms = Some(new.time_ms);
            group.row.regression_noticed_ms = Some(self.now_ms);
            if group.kind == GroupChangeKind::Seen {
                group.kind = GroupChangeKind::Regression;
            }
        }
        group.add(id, new, events_max);
        self.group_of_event.insert(id, group_id);
        Ok(())
    }

    /// Notes on an event of this call that it was seen in one more place.
    pub(super) fn merge(&mut self, known: &Known, new: &Prepared<'_>) {
        let group = self
            .group_of_event
            .get(&known.id)
            .and_then(|id| self.groups.get_mut(id));
        let Some(group) = group else { return };
        let Some(event) = group.events.iter_mut().find(|event| event.id == known.id) else {
            return;
        };
        event.sources = known.sources;
        if event.trace_id.is_none() {
            event.trace_id.clone_from(&new.trace_id);
            event.span_id.clone_from(&new.span_id);
        }
    }

    /// Writes everything gathered and tells what changed.
    pub(super) fn store(self, connection: &Connection) -> Result<Vec<GroupChange>> {
        let events_max = self.config.events_per_group_max;
        self.groups
            .into_values()
            .map(|group| group.store(connection, events_max))
            .collect()
    }

    /// The identifier of the group of `new`, which is in `self.groups` afterwards.
    fn group_for(&mut self, connection: &Connection, new: &'a Prepared<'a>) -> Result<String> {
        if self.groups.contains_key(&new.group_id) {
            return Ok(new.group_id.clone());
        }
        if let Some(row) = rows::load_group(connection, &new.group_id)? {
            return Ok(self.hold(row, GroupChangeKind::Seen, new));
        }
        if self.may_add_group(connection, &new.service_name)? {
            return Ok(self.hold(GroupRow::new(new, self.now_ms), GroupChangeKind::New, new));
        }
        let id = group_id(&new.service_name, OVERFLOW);
        if self.groups.contains_key(&id) {
            return Ok(id);
        }
        tracing::warn!(service_name = %new.service_name, "service has too many error groups");
        match rows::load_group(connection, &id)? {
            Some(row) => Ok(self.hold(row, GroupChangeKind::Seen, new)),
            None => Ok(self.hold(
                GroupRow::overflow(id, new, self.now_ms),
                GroupChangeKind::New,
                new,
            )),
        }
    }

    fn hold(&mut self, row: GroupRow, kind: GroupChangeKind, new: &'a Prepared<'a>) -> String {
        let id = row.id.clone();
        let group = PendingGroup {
            row,
            kind,
            counted: 0,
            newest: new,
            counts: BTreeMap::new(),
            events: Vec::new(),
        };
        self.groups.insert(id.clone(), group);
        id
    }

    /// Whether the service may have one more group; counts it if so.
    fn may_add_group(&mut self, connection: &Connection, service_name: &str) -> Result<bool> {
        let groups = match self.groups_of_service.get(service_name) {
            Some(groups) => *groups,
            None => rows::count_groups(connection, service_name)?,
        };
        let may = groups < self.config.groups_per_service_max;
        self.groups_of_service
            .insert(service_name.to_owned(), groups + usize::from(may));
        Ok(may)
    }
}

impl<'a> PendingGroup<'a> {
    fn add(&mut self, id: i64, new: &'a Prepared<'a>, events_max: usize) {
        let row = &mut self.row;
        if new.time_ms < row.first_seen_ms {
            row.first_seen_ms = new.time_ms;
            row.first_version = new.service_version.clone().into_owned();
        }
        if new.time_ms >= row.last_seen_ms {
            row.last_seen_ms = new.time_ms;
            row.last_version = new.service_version.clone().into_owned();
        }
        if new.occurrence.handled == Some(false) {
            row.level = "fatal".to_owned();
        }
        row.count = row.count.saturating_add(1);
        self.counted += 1;
        if new.time_ms >= self.newest.time_ms {
            self.newest = new;
        }
        let bucket = (
            rows::minute(new.time_ms),
            new.service_version.as_ref(),
            new.environment.as_ref(),
        );
        *self.counts.entry(bucket).or_default() += 1;
        self.events.push(EventRow {
            id,
            sources: new.occurrence.source.bit(),
            trace_id: new.trace_id.clone(),
            span_id: new.span_id.clone(),
            new,
        });
        // Twice the limit before each cut keeps the cost of a burst linear.
        if self.events.len() > events_max.saturating_mul(2) {
            self.cut_events(events_max);
        }
    }

    fn cut_events(&mut self, events_max: usize) {
        self.events
            .sort_by_key(|event| std::cmp::Reverse((event.new.occurrence.time, event.id)));
        self.events.truncate(events_max);
    }

    fn store(mut self, connection: &Connection, events_max: usize) -> Result<GroupChange> {
        rows::save_group(connection, &self.row)?;
        for ((minute, version, environment), count) in &self.counts {
            connection
                .prepare_cached(
                    "INSERT INTO counts (group_id, minute, version, environment, count)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )
                .and_then(|mut statement| {
                    statement.execute(params![self.row.id, minute, version, environment, count])
                })
                .map_err(sqlite("add a count"))?;
        }
        self.cut_events(events_max);
        for event in &self.events {
            events::insert(connection, &self.row.id, event)?;
        }
        events::trim(connection, &self.row.id, events_max)?;
        Ok(GroupChange {
            kind: self.kind,
            group_id: self.row.id,
            service_name: self.row.service_name,
            environment: self.newest.environment.clone().into_owned(),
            service_version: self.newest.service_version.clone().into_owned(),
            title: self.row.title,
            count: self.counted,
        })
    }
}

/// Whether `new` shows that a resolved group is not fixed.
///
/// It must be later than the resolution. When the fixing version is known, an older version does
/// not count: by number where both are semantic versions, else because the group was seen in it
/// before the resolution.
fn comes_back(connection: &Connection, row: &GroupRow, new: &Prepared<'_>) -> Result<bool> {
    let resolved_at_ms = match (row.state, row.resolved_at_ms) {
        (GroupState::Resolved, Some(at)) => at,
        _ => return Ok(false),
    };
    if new.time_ms <= resolved_at_ms {
        return Ok(false);
    }
    let version = new.service_version.as_ref();
    let fixed_in = row.resolved_in_version.as_deref().unwrap_or_default();
    if fixed_in.is_empty() || version.is_empty() || version == fixed_in {
        return Ok(true);
    }
    if let (Some(version), Some(fixed_in)) = (semantic(version), semantic(fixed_in)) {
        return Ok(version >= fixed_in);
    }
    let seen_before: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM counts
                WHERE group_id = ?1 AND version = ?2 AND minute <= ?3)",
        )
        .and_then(|mut statement| {
            let values = params![row.id, version, rows::minute(resolved_at_ms)];
            statement.query_row(values, |row| row.get(0))
        })
        .map_err(sqlite("look for a version"))?;
    Ok(!seen_before)
}

/// The numbers of `v1.2.3` and `1.2.3-rc.1`; `None` for anything else.
fn semantic(version: &str) -> Option<(u64, u64, u64)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let core = version.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(str::parse::<u64>);
    let parsed = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    );
    numbers.next().is_none().then_some(parsed)
}
