-- Do constraints and indexes of every kind come back, and rows that break those nobody has validated?
CREATE TABLE parents (id integer PRIMARY KEY, code text UNIQUE DEFERRABLE INITIALLY DEFERRED, partner integer);
CREATE TABLE children (
    id integer PRIMARY KEY,
    parent_id integer,
    other_id integer REFERENCES parents (id) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE,
    self_id integer REFERENCES children
);
INSERT INTO parents SELECT n, 'code ' || n, n FROM generate_series(1, 50) AS n;
INSERT INTO children SELECT n, n + 40, 1 + n % 50, greatest(1, n - 1) FROM generate_series(1, 50) AS n;
ALTER TABLE children ADD CONSTRAINT orphans FOREIGN KEY (parent_id) REFERENCES parents NOT VALID;
ALTER TABLE children ADD CONSTRAINT too_small CHECK (id > 10) NOT VALID;
ALTER TABLE parents ADD CONSTRAINT circular FOREIGN KEY (partner) REFERENCES children (id);
CREATE TABLE pairs (a integer, b integer, PRIMARY KEY (a, b));
CREATE TABLE refers_to_pairs (a integer, b integer DEFAULT 0, FOREIGN KEY (a, b) REFERENCES pairs MATCH FULL ON DELETE SET DEFAULT (b));
CREATE TABLE bookings (
    room integer, during tstzrange, cancelled boolean DEFAULT false,
    CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&) WHERE (NOT cancelled)
);
INSERT INTO bookings SELECT n, tstzrange('2026-01-01+00'::timestamptz + n * interval '1 hour', '2026-01-01+00'::timestamptz + (n + 1) * interval '1 hour') FROM generate_series(1, 40) AS n;
CREATE TABLE searched (a integer, b text, c integer[], d jsonb, e int4range, f inet, g point);
INSERT INTO searched SELECT n, md5(n::text), ARRAY[n, n + 1], jsonb_build_object('n', n), int4range(n, n + 5), '10.0.0.1'::inet + n, point(n, -n) FROM generate_series(1, 200) AS n;
CREATE INDEX ON searched (lower(b), (a % 7) DESC NULLS LAST) WHERE a > 5 AND b IS NOT NULL;
CREATE UNIQUE INDEX ON searched (a) INCLUDE (b, f);
CREATE UNIQUE INDEX nulls_alike ON searched (b) NULLS NOT DISTINCT;
CREATE INDEX ON searched USING hash (b);
CREATE INDEX ON searched USING gin (c);
CREATE INDEX ON searched USING gin (d jsonb_path_ops);
CREATE INDEX ON searched USING gist (e);
CREATE INDEX ON searched USING spgist (g);
CREATE INDEX ON searched USING brin (a) WITH (pages_per_range = 16);
CREATE INDEX ON searched (b COLLATE "C" text_pattern_ops);
ALTER TABLE searched ADD CONSTRAINT promoted UNIQUE USING INDEX nulls_alike;
CREATE TABLE not_nulls (a integer NOT NULL, b integer CONSTRAINT b_given NOT NULL, CHECK (a IS NOT NULL));
CREATE TABLE whole_row_check (a integer, b integer, CHECK (whole_row_check IS NOT NULL AND a < b));
INSERT INTO whole_row_check VALUES (1, 2);
