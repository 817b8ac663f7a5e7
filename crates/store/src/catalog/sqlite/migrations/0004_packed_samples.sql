-- The values of samples that are decimals of few digits get columns of their own: value = mantissa / divisor. The table
-- has another name from now on, and a view with the old one shows its rows as before. Both hold for every snapshot, so
-- that earlier ones can be read as well.
UPDATE ducklake_table SET table_name = 'samples_packed' WHERE table_id = 3;
UPDATE ducklake_column SET nulls_allowed = 1 WHERE table_id = 3 AND column_id = 5;
INSERT INTO ducklake_column VALUES
    (6, 1, NULL, 3, 6, 'mantissa', 'int64', NULL, 'NULL', 1, NULL, 'literal', 'duckdb'),
    (7, 1, NULL, 3, 7, 'divisor', 'float64', NULL, 'NULL', 1, NULL, 'literal', 'duckdb');
INSERT INTO ducklake_view
    SELECT next_catalog_id, '6a0f4c52-2d0b-4f7e-9c43-8e5b1d7a3f60', 1, NULL, 0, 'samples', 'duckdb',
        'SELECT "day", metric, series_id, "time", coalesce(CAST(mantissa AS DOUBLE) / divisor, "value") AS "value" FROM samples_packed',
        ''
    FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1;
UPDATE ducklake_snapshot SET next_catalog_id = next_catalog_id + 1
    WHERE snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshot);
