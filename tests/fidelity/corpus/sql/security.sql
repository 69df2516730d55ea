-- Do row-level security, grants and default privileges come back as they were?
CREATE TABLE guarded (id integer PRIMARY KEY, owner text, secret text);
INSERT INTO guarded SELECT n, CASE WHEN n % 2 = 0 THEN 'corpus_reader' ELSE 'corpus_owner' END, md5(n::text) FROM generate_series(1, 100) AS n;
ALTER TABLE guarded OWNER TO corpus_owner;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON guarded USING (owner = current_user) WITH CHECK (owner IN ('corpus_reader', 'corpus_owner'));
CREATE POLICY never_delete ON guarded AS RESTRICTIVE FOR DELETE TO corpus_reader, corpus_owner USING (false);
CREATE POLICY "insert, quoted" ON guarded FOR INSERT TO PUBLIC WITH CHECK (id > (SELECT min(id) FROM guarded AS g));
CREATE TABLE policy_without_enabling (a integer);
CREATE POLICY unused ON policy_without_enabling USING (a > 0);
CREATE TABLE enabled_without_policy (a integer);
ALTER TABLE enabled_without_policy ENABLE ROW LEVEL SECURITY;
INSERT INTO enabled_without_policy VALUES (1), (2);

CREATE TABLE granted (a integer, b integer, "C" integer);
GRANT SELECT (a, "C"), UPDATE (b) ON granted TO corpus_reader;
GRANT INSERT ON granted TO corpus_owner WITH GRANT OPTION;
GRANT USAGE ON SCHEMA security TO corpus_owner;
SET LOCAL ROLE corpus_owner;
GRANT INSERT ON security.granted TO "Corpus ""odd"" Role";
RESET ROLE;
GRANT TRUNCATE, REFERENCES, TRIGGER ON granted TO PUBLIC;
CREATE TABLE revoked_from_owner (a integer);
ALTER TABLE revoked_from_owner OWNER TO corpus_owner;
REVOKE ALL ON revoked_from_owner FROM corpus_owner;
CREATE FUNCTION secret_of(integer) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = security
AS 'SELECT secret FROM guarded WHERE id = $1';
REVOKE EXECUTE ON FUNCTION secret_of(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION secret_of(integer) TO corpus_reader;
CREATE TYPE granted_type AS (a integer);
REVOKE USAGE ON TYPE granted_type FROM PUBLIC;
CREATE SEQUENCE granted_sequence;
GRANT USAGE ON SEQUENCE granted_sequence TO corpus_reader;
CREATE SCHEMA security_schema AUTHORIZATION corpus_owner;
GRANT CREATE ON SCHEMA security_schema TO corpus_reader WITH GRANT OPTION;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO corpus_owner;

ALTER DEFAULT PRIVILEGES FOR ROLE corpus_owner GRANT SELECT ON TABLES TO corpus_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE corpus_owner IN SCHEMA security_schema GRANT INSERT ON TABLES TO corpus_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE corpus_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE corpus_owner REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE "Corpus ""odd"" Role" GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE corpus_owner GRANT CREATE ON SCHEMAS TO corpus_reader;

CREATE VIEW barrier WITH (security_barrier = true) AS SELECT id FROM guarded WHERE owner = current_user;
CREATE VIEW invoker WITH (security_invoker = true) AS SELECT id FROM guarded;
ALTER VIEW barrier OWNER TO corpus_owner;
