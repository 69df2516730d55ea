-- Do the constraints come back that are new here? Since PostgreSQL 18.
CREATE TABLE not_enforced (a integer, CONSTRAINT hope CHECK (a > 0) NOT ENFORCED);
INSERT INTO not_enforced VALUES (-1);
CREATE TABLE enforced (a integer PRIMARY KEY);
CREATE TABLE loosely_linked (a integer REFERENCES enforced NOT ENFORCED);
INSERT INTO loosely_linked VALUES (404);
CREATE TABLE nulls_left (a integer);
INSERT INTO nulls_left VALUES (NULL);
ALTER TABLE nulls_left ADD CONSTRAINT later NOT NULL a NOT VALID;
CREATE TABLE prices (item int4range, during daterange, price numeric, PRIMARY KEY (item, during WITHOUT OVERLAPS));
INSERT INTO prices VALUES ('[1,2)', '[2026-01-01,2026-06-01)', 5), ('[1,2)', '[2026-06-01,2027-01-01)', 6);
CREATE TABLE sales (item int4range, during daterange, FOREIGN KEY (item, PERIOD during) REFERENCES prices (item, PERIOD during));
INSERT INTO sales VALUES ('[1,2)', '[2026-05-01,2026-07-01)');
