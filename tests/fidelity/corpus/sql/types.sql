-- Does every kind of value come back to the last bit?
CREATE TABLE floats (d double precision, r real);
INSERT INTO floats VALUES
('NaN', 'NaN'), ('Infinity', 'Infinity'), ('-Infinity', '-Infinity'), ('0', '0'), ('-0', '-0'),
(1.7976931348623157e308, 3.4028235e38), (4.9406564584124654e-324, 1.4e-45), (0.1, 0.1),
(2.2250738585072014e-308, 1.17549435e-38), (9007199254740993, 16777217), (1e22, 1e10), (NULL, NULL);

CREATE TABLE numerics (n numeric, scaled numeric(20, 5), negative numeric(3, -2));
INSERT INTO numerics VALUES
('NaN', 'NaN', 'NaN'), (0, 0, 0), (-0.000, -0.000, 100), (1.10, 1.1, 12345), (1.100, 1.1, 0),
(('1' || repeat('0', 131071))::numeric, 1, 1), (('0.' || repeat('7', 16383))::numeric, 1, 1);
INSERT INTO numerics (n) VALUES ('Infinity'), ('-Infinity');

CREATE TABLE times (
    at timestamptz, wall timestamp, day date, clock time, zoned timetz, span interval, short interval day TO minute
);
INSERT INTO times VALUES
('infinity', 'infinity', 'infinity', '24:00:00', '23:59:59.999999+15:59', '178000000 years', '3 days 04:05'),
('-infinity', '-infinity', '-infinity', '00:00', '00:00-15:59:59', '-178000000 years -1 mon +1 day -00:00:00.000001', NULL),
('4713-01-01 00:00:00+00 BC', '4714-11-24 00:00:00 BC', '4714-11-24 BC', '00:00:00.000001', '12:00+05:45', '1 mon -1 day', '0'),
('294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59.999999', '5874897-12-31', '12:34', '01:02:03+00:00:01', '0', '1 day'),
('1847-12-01 00:00:00 Europe/London', '0001-01-01 BC', '0001-01-01', '23:59:60', '04:05:06 PST', '1.5 days', '2 hours'),
('2026-10-25 02:30:00 Europe/Berlin', '2026-10-25 02:30', '2026-02-28', '1:2:3.4', 'allballs', 'P1Y2M3DT4H5M6.789S', NULL),
('1883-11-18 12:03:57 America/New_York', NULL, '1582-10-10', NULL, NULL, NULL, NULL),
('2026-01-01 00:00:00 Asia/Kathmandu', NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE strings (v text, c char(10), vc varchar(10), one "char", n name);
INSERT INTO strings VALUES
('', '', '', '', ''), (NULL, NULL, NULL, NULL, NULL), ('\N', '\N', '\N', '\', '\N'), ('\.', '\.', '\.', '.', '\.'),
(E'\\.\n\\.\n', E'a\nb', E'\t', E'\n', 'x'), (E'carriage\r\nreturn\r', 'pad  ', 'pad  ', 'a', ' '),
('NULL', 'NULL', 'null', 'N', 'NULL'), (E'\x01\x02\x1f\x7f', E'\b\f\v', '''"', '''', '"'),
('e' || U&'\0301' || ' is not ' || U&'\00e9', U&'\+01F600', 'ß', 'z', 'é'), (repeat('long ', 5000), '10 letters', 'x', 'y', 'z'),
('$$ $tag$ ${x} %s %% {0} :name ?', '--', '/* */', ';', ';');
INSERT INTO strings (v) SELECT chr(n) FROM generate_series(1, 3000) AS n WHERE n NOT BETWEEN 55296 AND 57343;

CREATE TABLE bytes (b bytea, f bit(7), v bit varying);
INSERT INTO bytes VALUES ('', '0000000', ''), (NULL, NULL, NULL), ('\x5c2e0a', '1010101', repeat('10', 500)::varbit);
INSERT INTO bytes (b) SELECT decode(string_agg(lpad(to_hex(n), 2, '0'), '' ORDER BY n), 'hex') FROM generate_series(0, 255) AS n;

CREATE TABLE json_values (j json, b jsonb);
INSERT INTO json_values VALUES
('{"b": 1,  "a":2, "a" : 3 }', '{"b": 1,  "a":2, "a" : 3 }'), ('"\u0041\/\\ \ud83d\ude00"', '"\u0041\/\\ \ud83d\ude00"'),
(' [1.0, 1.00, 1e400, -0, 0.1e-5]', '[1.0, 1.00, 1e400, -0, 0.1e-5]'), ('null', 'null'), (NULL, NULL),
('"\u0000 stays as text in json"', '{}'), ('{"":{"":[[],{}]}}', '{"":{"":[[],{}]}}'), (E'\n\ttrue\n', E'\n\ttrue\n');

CREATE TABLE arrays (i integer[], t text[], d double precision[], nested integer[][][]);
INSERT INTO arrays VALUES
('{}', '{}', '{}', '{}'), ('{NULL,1}', '{NULL,"NULL",null,"",\"a,b\"}', '{NaN,-0,Infinity}', '{{{1,2},{3,4}},{{5,6},{7,NULL}}}'),
('[5:7]={1,2,3}', '[-1:0]={x,y}', '[0:0]={0.1}', '[2:2][-3:-2][0:1]={{{1,2},{3,4}}}'),
(NULL, ARRAY['{', '}', E'\\', '"', ',', E'\n', ' '], NULL, NULL);

CREATE TYPE point3 AS (x double precision, y numeric(10, 2), "Label" text);
CREATE TYPE segment AS ("from" point3, "to" point3, tags text[]);
CREATE TABLE composites (p point3, s segment, ps point3[]);
INSERT INTO composites VALUES
('(,,)', NULL, '{}'), ('(NaN,1.5,"a ""quoted"", \\ one")', '("(1,2,x)","(-0,NaN,)","{a,""b c""}")', ARRAY[ROW(1, 2, 'x')::point3, NULL]),
(ROW(NULL, NULL, NULL), ROW(NULL, ROW(1, 2, ''), NULL), NULL), (NULL, NULL, NULL);

CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN small_positive AS positive DEFAULT 5 CONSTRAINT not_too_large CHECK (VALUE < 100);
CREATE DOMAIN point3_list AS point3[] CHECK (array_length(VALUE, 1) < 10);
CREATE DOMAIN code AS varchar(10) COLLATE "C" NOT NULL CHECK (VALUE IN ('a', 'b', 'c'));
CREATE TABLE domains (a small_positive, b point3_list, c code, d small_positive[]);
INSERT INTO domains VALUES (DEFAULT, ARRAY[ROW(1, 2, 'x')::point3], 'a', '{1,2}'), (NULL, NULL, 'b', NULL);

CREATE TYPE level AS ENUM ('low', 'high');
ALTER TYPE level ADD VALUE 'middle' BEFORE 'high';
ALTER TYPE level ADD VALUE 'lowest' BEFORE 'low';
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE text_range AS RANGE (subtype = text, collation = "C", multirange_type_name = text_ranges);
CREATE TABLE ranges (i int4range, n numrange, ts tstzrange, d daterange, f float_range, t text_range, im int4multirange, fm float_multirange, tm text_ranges);
INSERT INTO ranges VALUES
('empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}'), ('(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '{(,)}', '{(,)}', '{(,)}'),
('[1,10]', '[1.10,2.200)', '[-infinity,infinity]', '[2026-01-01,infinity)', '(-Infinity,NaN]', '["a,b","c)"]', '{[1,3),[5,8)}', '{[-0,0.1],(2,3)}', '{["",x]}'),
(NULL, NULL, '(,2026-11-23 01:00+00]', NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE network (i inet, c cidr, m macaddr, m8 macaddr8, u uuid);
INSERT INTO network VALUES
('192.168.1.5/24', '192.168.1.0/24', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
('::ffff:1.2.3.4/96', '2001:db8::/32', 'ffff.ffff.ffff', '0000:0000:0000:0000', '00000000-0000-0000-0000-000000000000');

CREATE TABLE geometry (p point, l line, s lseg, b box, pa path, po polygon, c circle);
INSERT INTO geometry VALUES
('(-0,NaN)', '{1,-1,0}', '[(0,0),(1e300,1e-300)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(0,1),(1,1))', '<(0.1,0.2),0>'),
('(Infinity,-Infinity)', NULL, NULL, NULL, '((0,0),(1,1))', NULL, NULL);

CREATE TABLE others (v tsvector, q tsquery, o oid, rc regclass, rt regtype, rp regprocedure, l pg_lsn, x xid8, s pg_snapshot, jp jsonpath, m money, ru regrole, sp xid);
INSERT INTO others VALUES
('''a b'':1A,3 c:2B', '''a b'':A & !c | d:*', 4294967295, 'arrays', 'point3', 'lower(text)', 'FFFFFFFF/FFFFFFFF', '18446744073709551615',
'10:20:10,14', 'strict $.a[*] ? (@ > 1).b', '-92233720368547758.08', 'pg_monitor', '4294967295');
