-- Which tables, quoted and qualified, have to be analyzed so that all have statistics, and ask no foreign server?
-- ANALYZE of a table with partitions or children asks those that are foreign: as the restore role, which has no
-- user mapping there. A partitioned table is analyzed with its partitions.
WITH RECURSIVE asking (oid) AS (
    SELECT i.inhparent
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid AND c.relkind = 'f'
    UNION
    SELECT i.inhparent FROM pg_catalog.pg_inherits AS i JOIN asking ON asking.oid = i.inhrelid
)
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND c.oid NOT IN (SELECT oid FROM asking)
  AND NOT (
      c.relispartition
      AND EXISTS (
          SELECT
          FROM pg_catalog.pg_inherits AS i
          WHERE i.inhrelid = c.oid AND i.inhparent NOT IN (SELECT oid FROM asking)
      )
  );
