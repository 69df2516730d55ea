-- How many tables does this database have, counted as a dump of it counts them (tables.sql)?
SELECT count(*)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
      SELECT
      FROM pg_catalog.pg_depend AS member
      JOIN pg_catalog.pg_extension AS x ON x.oid = member.refobjid
      WHERE member.classid = 'pg_catalog.pg_class'::regclass
        AND member.objid = c.oid
        AND member.objsubid = 0
        AND member.refclassid = 'pg_catalog.pg_extension'::regclass
        AND member.deptype = 'e'
        AND c.oid <> ALL (coalesce(x.extconfig, '{}'))
  );
