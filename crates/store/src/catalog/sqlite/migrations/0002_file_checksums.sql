-- The checksum of each file, taken while it was written. Files from before have none.
CREATE TABLE IF NOT EXISTS vervet_file_checksum (
    data_file_id INTEGER PRIMARY KEY, xxh3_128 TEXT NOT NULL);
