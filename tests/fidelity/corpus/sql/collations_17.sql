-- Do collations of the built-in provider come back? Since PostgreSQL 17.
CREATE COLLATION unicode_points (provider = builtin, locale = 'C.UTF-8');
CREATE TABLE collated (v text COLLATE unicode_points);
INSERT INTO collated VALUES ('é'), ('z'), ('Ä');
CREATE INDEX ON collated (v);
