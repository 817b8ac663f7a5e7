-- Digits of texts of log records get a column of their own, see `views.rs`, which adds it and makes the view `logs`. The
-- table has another name from now on, in every snapshot, so that earlier ones can be read as well.
UPDATE ducklake_table SET table_name = 'logs_packed' WHERE table_id = 1;
