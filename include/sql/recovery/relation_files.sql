-- Which relations does this database's catalogue list, and has each of them its file?
SELECT
    c.oid::regclass::text AS relation,
    (pg_catalog.pg_stat_file(pg_catalog.pg_relation_filepath(c.oid), true)).size IS NOT NULL AS is_there
FROM pg_catalog.pg_class AS c
WHERE c.relpersistence <> 't' AND pg_catalog.pg_relation_filepath(c.oid) IS NOT NULL;
