-- Which extended statistics do these tables have?
SELECT n.nspname, s.stxname
FROM pg_catalog.pg_statistic_ext AS s
JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
WHERE s.stxrelid = ANY (%(tables)s::oid[])
ORDER BY 1, 2;
