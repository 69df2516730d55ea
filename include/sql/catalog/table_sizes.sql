-- How many bytes do these tables' heaps take, and the tables with TOAST? Opens (so locks) each table.
SELECT wanted.oid,
       coalesce(pg_catalog.pg_relation_size(wanted.oid), 0)::bigint AS heap_bytes,
       coalesce(pg_catalog.pg_table_size(wanted.oid), 0)::bigint AS size_bytes
FROM unnest(%(oids)s::oid[]) AS wanted (oid);
