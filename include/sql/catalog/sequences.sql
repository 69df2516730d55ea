-- Which sequences does a dump of this database set?
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend AS member
       ON member.classid = 'pg_catalog.pg_class'::regclass
      AND member.objid = c.oid
      AND member.objsubid = 0
      AND member.refclassid = 'pg_catalog.pg_extension'::regclass
      AND member.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension AS x ON x.oid = member.refobjid
WHERE c.relkind = 'S'
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND (member.objid IS NULL OR c.oid = ANY (x.extconfig))
ORDER BY 1, 2;
