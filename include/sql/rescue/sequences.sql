-- Which sequences come with these tables: their own, and those that their defaults use?
SELECT DISTINCT n.nspname, s.relname
FROM pg_catalog.pg_class AS s
JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
WHERE s.relkind = 'S'
  AND (
      EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY (%(tables)s::oid[])
            AND d.deptype IN ('a', 'i')
      )
      OR EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          JOIN pg_catalog.pg_attrdef AS def ON def.oid = d.objid AND def.adrelid = ANY (%(tables)s::oid[])
          WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = s.oid
      )
  )
ORDER BY 1, 2;
