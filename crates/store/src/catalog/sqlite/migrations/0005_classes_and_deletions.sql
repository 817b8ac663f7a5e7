-- Files whose rows are all of one environment that has limits of its own. The others have no row here.
CREATE TABLE vervet_file_class (data_file_id INTEGER PRIMARY KEY, class TEXT NOT NULL);
-- Deletions of rows: the condition and how far each has come, as JSON.
CREATE TABLE vervet_delete_job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_unix_nano INTEGER NOT NULL,
    until_order INTEGER NOT NULL, condition TEXT NOT NULL, progress TEXT NOT NULL);
