-- Which columns of logs and spans hold the values of which attribute key.
CREATE TABLE vervet_promoted_column (
    table_id INTEGER NOT NULL, column_id INTEGER NOT NULL, "key" TEXT NOT NULL, type TEXT NOT NULL,
    PRIMARY KEY (table_id, column_id), UNIQUE (table_id, "key")) WITHOUT ROWID;
