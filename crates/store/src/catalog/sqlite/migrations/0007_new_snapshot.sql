-- Tells readers who are attached and hold the schema in memory that it has changed.
INSERT INTO ducklake_snapshot
    SELECT snapshot_id + 1, snapshot_time, schema_version + 1, next_catalog_id, next_file_id
    FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1;
INSERT INTO ducklake_snapshot_changes
    SELECT snapshot_id, 'altered_table:1', NULL, NULL, NULL
    FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1;
INSERT INTO ducklake_schema_versions
    SELECT snapshot_id, schema_version, 1 FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1;
