-- How long is, and what hash has, one chunk of each of these large objects?
-- Read as a stream, the way pg_dump does: a sparse object comes back with its holes filled.
SELECT oid,
       octet_length(data),
       pg_catalog.hashtextextended(oid::text || ':' || %(chunk)s::text || ':' || encode(data, 'hex'), 0)
FROM (
    SELECT wanted.oid, pg_catalog.lo_get(wanted.oid, %(chunk)s::bigint * %(bytes)s, %(bytes)s) AS data
    FROM unnest(%(oids)s::oid[]) AS wanted (oid)
    OFFSET 0
) AS chunks;
