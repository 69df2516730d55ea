-- Do functions, triggers, rules and operators come back, whatever their bodies look like?
CREATE TABLE watched (id integer PRIMARY KEY, v text, changed timestamptz DEFAULT '2026-01-01 00:00+00');
CREATE TABLE watched_log (at timestamptz DEFAULT '2026-01-01 00:00+00', what text);
-- A body full of what pg_dump itself writes between entries.
CREATE FUNCTION looks_like_a_dump() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
    RETURN $$
--
-- Name: watched; Type: TABLE; Schema: logic; Owner: postgres
--

CREATE TABLE logic.watched (
    id integer
);


--
-- Data for Name: watched; Type: TABLE DATA; Schema: logic; Owner: postgres
--

COPY logic.watched (id) FROM stdin;
1
\.

\restrict abc
\connect template1
--
-- PostgreSQL database dump complete
--
$$;
END
$body$;
CREATE FUNCTION odd_quotes(text DEFAULT 'it''s $$', VARIADIC anyarray DEFAULT '{}'::integer[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 7 AS $_x$ SELECT $1 || '$_$ $$ ''' $_x$;
CREATE FUNCTION returns_table(n integer) RETURNS TABLE (a integer, b text) LANGUAGE sql STABLE ROWS 5 LEAKPROOF
AS 'SELECT g, g::text FROM generate_series(1, n) AS g';
CREATE FUNCTION standard_body(a integer, b integer) RETURNS integer
BEGIN ATOMIC
    SELECT a + b + (SELECT count(*)::integer FROM watched WHERE v IN ('x', 'y'));
END;
CREATE PROCEDURE do_nothing(INOUT a integer, IN b text) LANGUAGE plpgsql AS 'BEGIN a := a; END';
CREATE FUNCTION overloaded(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION with_settings() RETURNS void LANGUAGE plpgsql SET work_mem = '1MB' SET TimeZone TO 'Europe/Berlin' AS 'BEGIN END';

CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO logic.watched_log (what) VALUES (TG_NAME || TG_OP); RETURN NEW; END $$;
CREATE TRIGGER a_row_trigger BEFORE INSERT OR UPDATE OF v ON watched FOR EACH ROW WHEN (NEW.v IN ('a', 'b')) EXECUTE FUNCTION log_change('an', 'argument''s');
CREATE TRIGGER a_statement_trigger AFTER UPDATE ON watched REFERENCING OLD TABLE AS was NEW TABLE AS now FOR EACH STATEMENT EXECUTE FUNCTION log_change();
CREATE CONSTRAINT TRIGGER a_constraint_trigger AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TRIGGER a_disabled_trigger AFTER DELETE ON watched FOR EACH ROW EXECUTE FUNCTION log_change();
ALTER TABLE watched DISABLE TRIGGER a_disabled_trigger;
CREATE TRIGGER an_always_trigger AFTER TRUNCATE ON watched FOR EACH STATEMENT EXECUTE FUNCTION log_change();
ALTER TABLE watched ENABLE ALWAYS TRIGGER an_always_trigger;
CREATE TRIGGER a_replica_trigger AFTER DELETE ON watched FOR EACH ROW EXECUTE FUNCTION log_change();
ALTER TABLE watched ENABLE REPLICA TRIGGER a_replica_trigger;
-- A BEFORE trigger that changes rows: it must not run while data is restored.
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'spoilt'; RETURN NEW; END $$;
CREATE TABLE fragile (v text);
INSERT INTO fragile SELECT 'sound ' || n FROM generate_series(1, 10) AS n;
CREATE TRIGGER spoil BEFORE INSERT ON fragile FOR EACH ROW EXECUTE FUNCTION spoil();

CREATE VIEW watched_view AS SELECT id, v FROM watched;
CREATE TRIGGER instead INSTEAD OF INSERT ON watched_view FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE RULE protect AS ON DELETE TO watched_view DO INSTEAD NOTHING;
CREATE RULE also_log AS ON UPDATE TO fragile WHERE OLD.v <> NEW.v DO ALSO INSERT INTO watched_log (what) VALUES (OLD.v || NEW.v);
INSERT INTO watched SELECT n, 'v' || n FROM generate_series(1, 20) AS n;

CREATE FUNCTION note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER corpus_note_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION note_ddl();
CREATE EVENT TRIGGER corpus_disabled ON sql_drop EXECUTE FUNCTION note_ddl();
ALTER EVENT TRIGGER corpus_disabled DISABLE;

CREATE FUNCTION mod_less(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 10 < $2 % 10';
CREATE FUNCTION mod_equal(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 10 = $2 % 10';
CREATE FUNCTION mod_compare(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 10 - $2 % 10';
CREATE OPERATOR <<< (LEFTARG = integer, RIGHTARG = integer, FUNCTION = mod_less);
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = mod_equal, COMMUTATOR = ===, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR FAMILY mod_family USING btree;
CREATE OPERATOR CLASS mod_ops FOR TYPE integer USING btree FAMILY mod_family
AS OPERATOR 1 <<<, OPERATOR 3 ===, FUNCTION 1 mod_compare(integer, integer);
CREATE TABLE indexed_by_mod (a integer);
INSERT INTO indexed_by_mod SELECT generate_series(1, 30);
CREATE INDEX by_mod ON indexed_by_mod USING btree (a mod_ops);
CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '>');
CREATE TYPE wrapped AS (v integer);
CREATE FUNCTION wrap(integer) RETURNS wrapped LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::logic.wrapped';
CREATE CAST (integer AS wrapped) WITH FUNCTION wrap(integer) AS ASSIGNMENT;
CREATE CONVERSION odd_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE FUNCTION language_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE PROCEDURAL LANGUAGE corpus_language HANDLER language_handler;
CREATE FUNCTION in_another_language() RETURNS integer LANGUAGE corpus_language AS 'BEGIN RETURN 1; END';
