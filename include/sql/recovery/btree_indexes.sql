-- Which B-tree indexes can amcheck look at, and in which schema is it? Nothing where it is not installed.
SELECT n.nspname, c.oid, c.oid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
CROSS JOIN pg_catalog.pg_class AS c
JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
WHERE e.extname = 'amcheck'
  AND a.amname = 'btree'
  AND c.relkind = 'i'
  AND c.relpersistence <> 't'
  AND i.indisready
  AND i.indisvalid
ORDER BY c.oid
