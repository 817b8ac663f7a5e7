SELECT 1;
SELECT *
FROM orders
WHERE id = 7;
DO $$ BEGIN RAISE WARNING 'slow query'; END $$;
SELECT 1 / 0;
