-- Do large objects keep their bytes, owners, grants and comments?
SELECT lo_create(990001);
SELECT lo_from_bytea(990002, '\x00ff5c2e0a');
SELECT lo_from_bytea(990003, decode((SELECT string_agg(md5(n::text), '' ORDER BY n) FROM generate_series(1, 655360) AS n), 'hex'));
SELECT lo_from_bytea(990004, 'owned by another');
-- A hole: written beyond the end, so that the pages between do not exist.
SELECT lo_create(990005);
SELECT lo_put(990005, 1000000, 'after the hole');
SELECT lo_from_bytea(4294967295, 'the last oid there is');
SELECT lo_from_bytea((991000 + n)::oid, convert_to('small ' || n, 'UTF8')) FROM generate_series(1, 150) AS n;
ALTER LARGE OBJECT 990004 OWNER TO corpus_owner;
GRANT SELECT ON LARGE OBJECT 990004 TO corpus_reader;
GRANT SELECT, UPDATE ON LARGE OBJECT 990002 TO corpus_reader WITH GRANT OPTION;
GRANT SELECT ON LARGE OBJECT 990003 TO PUBLIC;
COMMENT ON LARGE OBJECT 990001 IS 'Empty, but it''s here';
COMMENT ON LARGE OBJECT 990003 IS E'Ten megabytes\nin two lines';
CREATE TABLE refers_to_large_objects (id integer, content oid);
INSERT INTO refers_to_large_objects VALUES (1, 990001), (2, 990002), (3, 990003);
