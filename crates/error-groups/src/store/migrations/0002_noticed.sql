-- When this store heard of a group, and of its coming back: later than the records' times when these were late.
ALTER TABLE groups ADD COLUMN noticed_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN regression_noticed_ms INTEGER;
UPDATE groups SET noticed_ms = first_seen_ms, regression_noticed_ms = regressed_at_ms;
CREATE INDEX groups_noticed ON groups (noticed_ms);
