-- Do tables of odd kinds come back: unlogged, empty, without columns, tuned?
CREATE UNLOGGED TABLE unlogged (a integer);
INSERT INTO unlogged SELECT generate_series(1, 25);
CREATE TABLE empty (a integer, b text);
CREATE TABLE without_columns ();
CREATE TABLE without_columns_with_rows ();
INSERT INTO without_columns_with_rows SELECT FROM generate_series(1, 7);
CREATE TABLE all_dropped (a integer, b text);
INSERT INTO all_dropped VALUES (1, 'x'), (2, 'y');
ALTER TABLE all_dropped DROP COLUMN a, DROP COLUMN b;
CREATE TABLE dropped_in_between (a integer, gone text, b integer);
INSERT INTO dropped_in_between VALUES (1, 'x', 2);
ALTER TABLE dropped_in_between DROP COLUMN gone, ADD COLUMN c integer DEFAULT 3, ADD COLUMN d text;
CREATE TABLE same_row_many_times (a integer);
INSERT INTO same_row_many_times SELECT 1 FROM generate_series(1, 1001);

CREATE TYPE row_shape AS (a integer, b text);
CREATE TABLE typed OF row_shape (a PRIMARY KEY, b DEFAULT 'typed');
INSERT INTO typed (a) VALUES (1);
CREATE TABLE tuned (a integer, b text, c text)
WITH (fillfactor = 55, autovacuum_enabled = false, autovacuum_vacuum_scale_factor = 0.33, toast.autovacuum_enabled = off, parallel_workers = 3);
ALTER TABLE tuned ALTER a SET STATISTICS 777, ALTER b SET (n_distinct = -0.5, n_distinct_inherited = 100), ALTER c SET STORAGE EXTERNAL;
ALTER TABLE tuned ALTER b SET COMPRESSION pglz;
CREATE INDEX tuned_a ON tuned (a) WITH (fillfactor = 66, deduplicate_items = off);
CREATE INDEX tuned_expression ON tuned ((a + 1));
ALTER INDEX tuned_expression ALTER COLUMN 1 SET STATISTICS 333;
ALTER TABLE tuned CLUSTER ON tuned_a;
CREATE TABLE identity_full (a integer);
ALTER TABLE identity_full REPLICA IDENTITY FULL;
CREATE TABLE identity_nothing (a integer);
ALTER TABLE identity_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE identity_index (a integer NOT NULL);
CREATE UNIQUE INDEX identity_index_a ON identity_index (a);
ALTER TABLE identity_index REPLICA IDENTITY USING INDEX identity_index_a;
DO $$
BEGIN
    EXECUTE 'CREATE TABLE many_columns (' || (SELECT string_agg(format('%I integer', 'column ' || n), ', ' ORDER BY n) FROM generate_series(1, 900) AS n) || ')';
    INSERT INTO many_columns ("column 1", "column 900") VALUES (1, 900);
END
$$;
