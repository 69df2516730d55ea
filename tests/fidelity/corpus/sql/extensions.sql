-- Do extensions come back, with the rows of their configuration tables? (Those that this server has.)
DO $$
DECLARE
    extension text;
BEGIN
    FOREACH extension IN ARRAY ARRAY['hstore', 'citext', 'pg_trgm', 'postgres_fdw', 'pgcrypto', 'btree_gist', 'vector', 'ltree'] LOOP
        IF EXISTS (SELECT FROM pg_available_extensions WHERE name = extension) THEN
            EXECUTE format('CREATE EXTENSION %I SCHEMA extensions', extension);
        END IF;
    END LOOP;
    IF to_regtype('extensions.hstore') IS NOT NULL THEN
        CREATE TABLE keyed (h extensions.hstore, c extensions.citext UNIQUE, b text);
        INSERT INTO keyed VALUES ('a=>1, "b c"=>NULL, "q\"" => ""', 'Case', 'x'), (NULL, 'case2', 'y');
        CREATE INDEX ON keyed USING gin (b extensions.gin_trgm_ops);
        CREATE TABLE rooms (room integer, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&));
        CREATE SERVER extensions_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid');
        CREATE USER MAPPING FOR corpus_owner SERVER extensions_server OPTIONS (password 'in-the-mapping');
        CREATE FOREIGN TABLE elsewhere (a integer) SERVER extensions_server;
    END IF;
    IF to_regtype('extensions.vector') IS NOT NULL THEN
        CREATE TABLE embeddings (id integer, v extensions.vector(3));
        INSERT INTO embeddings VALUES (1, '[1,2,3]'), (2, '[0.1,-0,1e-30]');
        CREATE INDEX ON embeddings USING hnsw (v extensions.vector_l2_ops);
    END IF;
END
$$;
