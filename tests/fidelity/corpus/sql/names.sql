-- Do names survive that need quoting, or that look like something else?
CREATE TABLE "Upper Case With Spaces" ("Id" integer PRIMARY KEY, "select" text, "a ""quoted"" one" text);
INSERT INTO "Upper Case With Spaces" VALUES (1, 'x', 'y'), (2, NULL, '');
CREATE TABLE "größe 尺寸 📏 حجم" ("Zölle°" numeric, "mm²" numeric);
INSERT INTO "größe 尺寸 📏 حجم" VALUES (25.4, 1), (NULL, 2);
CREATE TABLE t (t text, "T" text);
INSERT INTO t VALUES ('t', 'T'), ('(t)', '"t"');
CREATE TABLE "t.*" ("*" integer, "t.*" text);
INSERT INTO "t.*" VALUES (1, 'star');
CREATE TABLE "select" ("from" integer, "where" integer, "user" text, "table" text);
INSERT INTO "select" VALUES (1, 2, 'u', 't');
CREATE TABLE "back\slash'apostrophe;semicolon--comment/*x*/$$%s{0}:" (a integer);
INSERT INTO "back\slash'apostrophe;semicolon--comment/*x*/$$%s{0}:" VALUES (42);
CREATE TABLE " leading and trailing " (" a " integer, "  " text);
INSERT INTO " leading and trailing " VALUES (1, ' ');
-- Exactly 63 bytes, the longest a name may be; the last one in two-byte letters.
CREATE TABLE abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 (a integer);
CREATE TABLE "ééééééééééééééééééééééééééééééé1" (abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 serial);
INSERT INTO "ééééééééééééééééééééééééééééééé1" DEFAULT VALUES;
DO $$
BEGIN
    EXECUTE format('CREATE TABLE %I (%I integer, %I text)', E'two\nlines', E'a\nb', E'tab\there\r');
    EXECUTE format('INSERT INTO %I VALUES (1, %L)', E'two\nlines', E'two\nlines');
    EXECUTE format('CREATE TABLE %I (a integer)', E'x\n--\n-- Name: y; Type: TABLE; Schema: public; Owner: -\n--\n');
    EXECUTE format('INSERT INTO %I VALUES (7)', E'x\n--\n-- Name: y; Type: TABLE; Schema: public; Owner: -\n--\n');
    EXECUTE format('CREATE TABLE %I (%I integer)', E'\\. \\N \\', E'\\');
    EXECUTE format('INSERT INTO %I VALUES (8)', E'\\. \\N \\');
    EXECUTE format('CREATE TABLE %I (a integer)', E'bell\x07 escape\x1b delete\x7f');
END
$$;
CREATE SCHEMA "-- Name: x; Type: TABLE";
CREATE TABLE "-- Name: x; Type: TABLE"."-- Name: x; Type: TABLE" (a integer);
INSERT INTO "-- Name: x; Type: TABLE"."-- Name: x; Type: TABLE" SELECT generate_series(1, 3);
CREATE SCHEMA "a.b";
CREATE TABLE "a.b"."c.d" ("e.f" integer);
INSERT INTO "a.b"."c.d" VALUES (1);
CREATE SCHEMA a;
CREATE TABLE a."b.c" (d integer);
CREATE TABLE a."b"".""c" (d integer);
INSERT INTO a."b.c" VALUES (1);
INSERT INTO a."b"".""c" VALUES (2), (3);
CREATE TYPE "Odd Type" AS ENUM ('it''s', 'back\slash', 'with "quotes"', '', ' ', E'line\nbreak', 'ümlaut');
CREATE DOMAIN "Odd Domain" AS "Odd Type";
CREATE TABLE "uses odd types" (v "Odd Type", d "Odd Domain", a "Odd Type"[]);
INSERT INTO "uses odd types"
SELECT v, v, enum_range(NULL::"Odd Type") FROM unnest(enum_range(NULL::"Odd Type")) AS v;
CREATE SEQUENCE "Odd Sequence; DROP";
SELECT setval('"Odd Sequence; DROP"', 17);
CREATE FUNCTION "odd function"("An Argument" integer, OUT "A Result" text)
LANGUAGE sql AS 'SELECT $1::text';
ALTER TABLE t ADD CONSTRAINT "odd "" constraint" CHECK (t <> '"'), ADD CONSTRAINT "éàü" UNIQUE (t, "T");
CREATE INDEX "Odd Index (lower)" ON t (lower("T"));
CREATE VIEW "odd view" AS SELECT t.t AS "T", t."T" AS t, t.* IS NULL AS "?column?" FROM t;
