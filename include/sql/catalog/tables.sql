-- Which tables does a dump of this database hold, or have to lock?
-- What pg_dump leaves out is left out: system schemas, foreign tables, other sessions' temporary tables, and
-- members of extensions unless the extension declares them as configuration (PostgreSQL docs, 36.17.3).
-- Nothing here takes a lock on a table, so it never waits; pg_relation_size() would.
SELECT c.oid,
       n.nspname,
       c.relname,
       c.relkind::text,
       c.relpersistence = 'u' AS unlogged,
       coalesce(am.amname = 'heap', false) AS heap,
       config.condition,
       coalesce(columns.names, '{}') AS column_names,
       coalesce(columns.types, '{}') AS column_types,
       counted_as.nspname AS counted_as_schema,
       counted_as.relname AS counted_as_table
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_depend AS member
       ON member.classid = 'pg_catalog.pg_class'::regclass
      AND member.objid = c.oid
      AND member.objsubid = 0
      AND member.refclassid = 'pg_catalog.pg_extension'::regclass
      AND member.deptype = 'e'
LEFT JOIN LATERAL (
    SELECT x.extcondition[entry.position] AS condition
    FROM pg_catalog.pg_extension AS x,
         unnest(x.extconfig) WITH ORDINALITY AS entry (oid, position)
    WHERE x.oid = member.refobjid AND entry.oid = c.oid
) AS config ON true
LEFT JOIN LATERAL (
    -- By name: inherited columns may stand in another order in a restored copy. Virtual columns hold nothing.
    SELECT array_agg(a.attname::text ORDER BY a.attname COLLATE "C") AS names,
           array_agg(a.atttypid ORDER BY a.attname COLLATE "C") AS types
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
) AS columns ON true
LEFT JOIN LATERAL (
    -- An enum's hash follows its oid, which is another one in a restored copy: a row may rightly be in another
    -- partition there (pg_dump loads such tables through the root). They are counted as one table.
    SELECT root_schema.nspname, root.relname
    FROM pg_catalog.pg_partition_ancestors(c.oid) WITH ORDINALITY AS ancestor (oid, distance)
    JOIN pg_catalog.pg_partitioned_table AS key ON key.partrelid = ancestor.oid AND key.partstrat = 'h'
    JOIN pg_catalog.pg_class AS root ON root.oid = ancestor.oid
    JOIN pg_catalog.pg_namespace AS root_schema ON root_schema.oid = root.relnamespace
    WHERE c.relkind = 'r' AND c.relispartition
      AND EXISTS (
          SELECT
          FROM unnest(key.partclass::oid[]) AS used (oid)
          JOIN pg_catalog.pg_opclass AS class ON class.oid = used.oid
          WHERE class.opcname = 'enum_ops' AND class.opcnamespace = 'pg_catalog'::regnamespace
      )
    ORDER BY ancestor.distance DESC
    LIMIT 1
) AS counted_as ON true
WHERE c.relkind IN ('r', 'p')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND (member.objid IS NULL OR config.condition IS NOT NULL)
ORDER BY c.oid;
