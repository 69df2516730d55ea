-- Which databases have files in which tablespace? As the server itself finds them on its disk.
SELECT spc.oid::bigint, ARRAY(SELECT pg_catalog.pg_tablespace_databases(spc.oid))::bigint[]
FROM pg_catalog.pg_tablespace AS spc
WHERE spc.spcname OPERATOR(pg_catalog.<>) 'pg_global'
ORDER BY spc.oid;
