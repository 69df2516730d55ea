-- Do partitions of every kind keep their rows where they were?
CREATE TABLE by_range (id integer NOT NULL, day date NOT NULL, note text, PRIMARY KEY (id, day, note))
PARTITION BY RANGE (day);
CREATE TABLE by_range_2025 PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE by_range_2026 PARTITION OF by_range FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
PARTITION BY LIST (note);
CREATE TABLE by_range_2026_a PARTITION OF by_range_2026 FOR VALUES IN ('a', 'b''c');
CREATE TABLE by_range_2026_rest PARTITION OF by_range_2026 DEFAULT PARTITION BY HASH (id);
CREATE TABLE by_range_2026_rest_0 PARTITION OF by_range_2026_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_range_2026_rest_1 PARTITION OF by_range_2026_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE by_range_default PARTITION OF by_range DEFAULT;
INSERT INTO by_range
SELECT n, date '2025-06-01' + n * 5, (ARRAY['a', 'b', 'b''c', 'ß'])[1 + n % 4] FROM generate_series(1, 400) AS n;
CREATE INDEX ON by_range (note);

-- Attached with its columns in another order, one of them dropped, and an index of its own.
CREATE TABLE stranger (gone integer, note text NOT NULL, day date NOT NULL, id integer NOT NULL);
ALTER TABLE stranger DROP COLUMN gone, ADD PRIMARY KEY (id, day, note);
INSERT INTO stranger VALUES ('from outside', '2031-01-01', 1);
CREATE INDEX stranger_note ON stranger (note);
ALTER TABLE by_range DETACH PARTITION by_range_default;
ALTER TABLE by_range ATTACH PARTITION stranger FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
CREATE SCHEMA partitions_elsewhere;
CREATE TABLE partitions_elsewhere.by_range_2040 PARTITION OF by_range (note DEFAULT 'far')
FOR VALUES FROM ('2040-01-01') TO (MAXVALUE);
INSERT INTO partitions_elsewhere.by_range_2040 (id, day) VALUES (9, '2040-05-05');

CREATE TABLE by_list (code text COLLATE "C", v integer) PARTITION BY LIST (code);
CREATE TABLE by_list_ab PARTITION OF by_list FOR VALUES IN ('a', 'b''c', 'd"e', E'f\\g');
CREATE TABLE by_list_default PARTITION OF by_list DEFAULT;
INSERT INTO by_list VALUES ('a', 1), ('b''c', 2), (E'f\\g', 3), (NULL, 4), ('z', 5);

CREATE TABLE by_hash (id bigint, name text) PARTITION BY HASH (id, name);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE by_hash_2 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO by_hash SELECT n, md5(n::text) FROM generate_series(1, 500) AS n;

CREATE TABLE by_expression (at timestamptz, v integer) PARTITION BY RANGE ((extract(epoch FROM at AT TIME ZONE 'UTC')), v);
CREATE TABLE by_expression_low PARTITION OF by_expression FOR VALUES FROM (MINVALUE, MINVALUE) TO (0, 0);
CREATE TABLE by_expression_high PARTITION OF by_expression FOR VALUES FROM (0, 0) TO (MAXVALUE, MAXVALUE);
INSERT INTO by_expression VALUES ('1969-12-31 23:59+00', 1), ('1970-01-01 00:00+00', 0), ('2026-11-23 01:00+00', 3);

CREATE TABLE without_partitions (a integer) PARTITION BY RANGE (a);
CREATE TABLE referring (id integer, day date, note text, FOREIGN KEY (id, day, note) REFERENCES by_range);
INSERT INTO referring SELECT id, day, note FROM by_range WHERE id < 50;

-- Triggers of the whole: restored before the rows of the partitions, they would change them once more.
CREATE TABLE stamped (id integer NOT NULL, edits integer NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
DO $$
BEGIN
    FOR n IN 0..19 LOOP
        EXECUTE format('CREATE TABLE stamped_%s PARTITION OF stamped FOR VALUES FROM (%s) TO (%s)', n, n * 100, n * 100 + 100);
    END LOOP;
END
$$;
INSERT INTO stamped (id) SELECT generate_series(0, 1999);
CREATE TABLE stamped_log (id integer);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.edits := NEW.edits + 1; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE FUNCTION log_stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO partitions.stamped_log VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER log_stamp AFTER INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION log_stamp();
