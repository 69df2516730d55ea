-- Which of these tables may we not read, or not all rows of?
SELECT c.oid,
       pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
           AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
       pg_catalog.row_security_active(c.oid) AS rows_hidden
FROM pg_catalog.pg_class AS c
WHERE c.oid = ANY (%(oids)s::oid[])
  AND (
      NOT pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
      OR NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')
      OR pg_catalog.row_security_active(c.oid)
  )
ORDER BY c.oid;
