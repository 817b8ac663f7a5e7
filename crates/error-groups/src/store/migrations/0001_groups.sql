-- Times: *_ms are milliseconds, *_ns nanoseconds since the Unix epoch; minute counts minutes.

CREATE TABLE position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL
);
INSERT INTO position (id, sequence) VALUES (1, 0);

CREATE TABLE groups (
    id TEXT PRIMARY KEY,
    service_name TEXT NOT NULL,
    fingerprint_version INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    top_frame_hash TEXT NOT NULL,
    message_hash TEXT NOT NULL,
    components TEXT NOT NULL,
    title TEXT NOT NULL,
    culprit TEXT NOT NULL,
    exception_type TEXT NOT NULL,
    message TEXT NOT NULL,
    level TEXT NOT NULL,
    language TEXT,
    -- 0 open, 1 resolved, 2 ignored
    state INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    first_version TEXT NOT NULL,
    last_version TEXT NOT NULL,
    count INTEGER NOT NULL,
    resolved_at_ms INTEGER,
    resolved_in_version TEXT,
    regressed INTEGER NOT NULL,
    regressed_at_ms INTEGER
) STRICT;
CREATE INDEX groups_service ON groups (service_name, last_seen_ms);
CREATE INDEX groups_last_seen ON groups (last_seen_ms);
CREATE INDEX groups_first_seen ON groups (first_seen_ms);

CREATE TABLE counts (
    group_id TEXT NOT NULL REFERENCES groups (id),
    minute INTEGER NOT NULL,
    version TEXT NOT NULL,
    environment TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (group_id, minute, version, environment)
) STRICT, WITHOUT ROWID;

-- An event has the identifier of its sighting; the sighting may be forgotten first.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    group_id TEXT NOT NULL REFERENCES groups (id),
    time_ns INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    service_version TEXT NOT NULL,
    environment TEXT NOT NULL,
    host_name TEXT NOT NULL,
    exception_type TEXT NOT NULL,
    message TEXT NOT NULL,
    logger TEXT NOT NULL,
    handled INTEGER,
    trace_id TEXT,
    span_id TEXT,
    frames TEXT NOT NULL,
    causes TEXT NOT NULL,
    stacktrace TEXT NOT NULL,
    attributes TEXT NOT NULL
) STRICT;
CREATE INDEX events_newest ON events (group_id, time_ns);

CREATE TABLE sightings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    service_name TEXT NOT NULL,
    host_name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    top_frame_hash TEXT NOT NULL,
    message_hash TEXT NOT NULL,
    trace_id TEXT,
    span_id TEXT
) STRICT;
CREATE INDEX sightings_trace ON sightings (trace_id, time_ns) WHERE trace_id IS NOT NULL;
CREATE INDEX sightings_group ON sightings (group_id, sources, time_ns);

CREATE INDEX events_trace ON events (trace_id) WHERE trace_id IS NOT NULL;
