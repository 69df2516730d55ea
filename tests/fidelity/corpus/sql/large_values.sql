-- Do values survive that are larger than any buffer?
CREATE TABLE large_values (id integer, v text, b bytea);
INSERT INTO large_values
SELECT 1, (SELECT string_agg(md5(n::text), '' ORDER BY n) FROM generate_series(1, 1600000) AS n), NULL;
INSERT INTO large_values VALUES (2, repeat('compressible', 2000000), decode(repeat('00', 3000000), 'hex'));
CREATE TABLE stored (
    plain text, external text, extended text COMPRESSION pglz, main text
) WITH (toast_tuple_target = 256);
ALTER TABLE stored ALTER plain SET STORAGE PLAIN, ALTER external SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN;
INSERT INTO stored SELECT 'p', repeat(md5(n::text), 200), repeat(md5(n::text), 200), repeat(md5(n::text), 200) FROM generate_series(1, 20) AS n;
