-- Do roles come back with their memberships, settings, limits and comments? (Cluster-wide; dropped by drop_roles.sql.)
CREATE ROLE corpus_owner CREATEDB CONNECTION LIMIT 17 VALID UNTIL '2031-02-03 04:05:06+00';
CREATE ROLE corpus_reader LOGIN PASSWORD 'corpus-reader-password' NOINHERIT;
CREATE ROLE "Corpus ""odd"" Role" CREATEROLE REPLICATION BYPASSRLS;
CREATE ROLE "corpus größe 📏";
GRANT corpus_owner TO corpus_reader WITH ADMIN OPTION;
GRANT corpus_owner TO "corpus größe 📏";
GRANT pg_monitor TO "Corpus ""odd"" Role";
GRANT "Corpus ""odd"" Role" TO corpus_owner;
ALTER ROLE corpus_reader SET work_mem = '7MB';
ALTER ROLE corpus_reader SET search_path = "$user", 'odd schema', public;
ALTER ROLE corpus_owner SET application_name = 'it''s a "name" \ é';
COMMENT ON ROLE corpus_owner IS E'Owner\nin two lines';
